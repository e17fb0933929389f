// Walks the running server's pages in Chromium as a person does, and looks hard at each: accessibility,
// complaints of the browser, width, weight. Pictures go to OUTDIR.

import { mkdirSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { register, withBrowser, withSite } from './browser.mjs'
import { check, run } from './check.mjs'

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')
const TAGS = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']
const WINDOWS = { narrow: { width: 320, height: 640 }, phone: { width: 390, height: 844 }, desktop: { width: 1280, height: 800 } }
const HEAVY = 15_000
const FILES = { '/': ['text/html', '<!doctype html><title>App</title><link rel="icon" href="data:,">the app'] }

/** What a browser complains of; that a page meant as an error is one does not count. */
const listen = (page, issuer) => {
  const heard = { complaints: [], weights: new Map() }
  const documents = new Set()
  page.on('response', async (answer) => {
    if (!answer.url().startsWith(issuer)) return
    const isPage = answer.request().resourceType() === 'document'
    if (isPage) documents.add(answer.url())
    if (answer.status() < 300 || answer.status() >= 400) {
      const bytes = (await answer.body().catch(() => '')).length
      heard.weights.set(isPage ? 'page' : new URL(answer.url()).pathname, bytes)
    }
  })
  page.on('pageerror', (error) => heard.complaints.push(error.message))
  page.on('console', (message) => {
    const meant = /^Failed to load resource.* 4\d\d /.test(message.text()) && documents.has(message.location().url)
    if (message.type() === 'error' && !meant) heard.complaints.push(`${page.url()}: ${message.text()}`)
  })
  return heard
}

const measure = (page) => page.evaluate(async ([source, tags]) => {
  if (!globalThis.axe) (0, eval)(source)
  const { violations, incomplete } = await axe.run({ runOnly: tags })
  // What axe could not decide is a finding too, or a gradient would hide every contrast there is.
  const findings = [...violations, ...incomplete].map(({ id, nodes }) => `${id}: ${nodes[0].html} ${nodes[0].failureSummary}`)
  const controls = [...document.querySelectorAll('button, input:not([type=hidden]), .button')]
  const low = controls.filter((control) => control.getBoundingClientRect().height < 44)
  const wide = document.documentElement.scrollWidth > innerWidth
  return [...findings, ...low.map((control) => `lower than 44 px: ${control.outerHTML}`), ...(wide ? ['wider than the window'] : [])]
}, [AXE, TAGS])

/** Looks at the page that stands there, in every window, light and dark. */
const look = async ({ page, heard, pictures }, name) => {
  await page.waitForLoadState('networkidle')
  const findings = []
  for (const colorScheme of ['light', 'dark']) {
    for (const [size, viewport] of Object.entries(WINDOWS)) {
      await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' })
      await page.setViewportSize(viewport)
      for (const finding of await measure(page)) findings.push(`${colorScheme} ${size}: ${finding}`)
      if (size !== 'narrow') await page.screenshot({ path: join(pictures, `${name}-${size}-${colorScheme}.png`), fullPage: true })
    }
  }
  const bytes = [...heard.weights.values()].reduce((sum, each) => sum + each, 0)
  check(`${name}: 6 views without a finding`, findings.length === 0, findings)
  check(`${name}: ${heard.weights.get('page')} bytes, ${bytes} with style and icon`,
    heard.weights.get('page') > 0 && bytes < HEAVY)
  check(`${name}: nothing blocked, no error`, heard.complaints.length === 0, heard.complaints)
}

const link = (issuer, client, more = {}) => `${issuer}/authorize?${new URLSearchParams({ response_type: 'code',
  client_id: client.client_id, redirect_uri: client.redirect_uris[0], scope: 'openid profile email offline_access',
  state: 's', code_challenge: 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM', code_challenge_method: 'S256', prompt: 'consent', ...more })}`

const arrived = async (page, client, what) => {
  await page.waitForURL((url) => url.href.startsWith(client.redirect_uris[0]) && url.searchParams.has('code'))
  check(what, true)
}

const signIn = async (page, [username, password]) => {
  await page.fill('#username', username)
  await page.fill('#password', password)
  await page.click('#login-submit')
}

const wrongPassword = async (scene, username) => {
  const { page } = scene
  await page.click('#login-submit')
  check('an empty form is not sent', await page.locator('#username:invalid').count() === 1)
  await page.evaluate(() => { document.querySelector('form').noValidate = true })
  await page.click('#login-submit')
  await page.waitForSelector('#alert')
  await look(scene, 'login-empty')
  const answered = page.waitForResponse((answer) => answer.request().method() === 'POST')
  await signIn(page, [username, 'not the password'])
  await answered
  await page.waitForFunction(() => document.title.startsWith('Error:') && document.activeElement.id === 'password'
    && document.activeElement.value === '')
  check('a wrong password is said, and the name stays', await page.inputValue('#username') === username
    && await page.locator('#alert[role=alert]').innerText() !== '')
  await look(scene, 'login-wrong')
}

const firstVisit = async (scene, issuer, client, person) => {
  const { page } = scene
  await page.goto(issuer)
  await look(scene, 'home')
  await page.goto(link(issuer, client))
  const stale = page.url()
  await look(scene, 'login')
  await wrongPassword(scene, person[0])
  await signIn(page, person)
  await page.waitForSelector('#consent-accept')
  await look(scene, 'consent')
  await page.click('#consent-accept')
  await arrived(page, client, 'consent leads to the app on its own origin')
  await page.goto(stale)
  check('a finished sign-in has nothing to fill in', await page.locator('form').count() === 0)
  await look(scene, 'stale')
}

const laterVisits = async (scene, issuer, client, person) => {
  const { page } = scene
  await page.goto(link(issuer, client, { prompt: 'select_account' }))
  await page.waitForSelector('#login-continue')
  await look(scene, 'login-account')
  await page.click('#login-continue')
  await page.click('#consent-accept')
  await arrived(page, client, 'continuing with the account at hand leads to the app')
  await page.goto(link(issuer, client, { prompt: 'login', response_mode: 'form_post', scope: 'openid' }))
  await look(scene, 'login-again')
  const posted = page.waitForRequest((request) => request.method() === 'POST' && request.url() === client.redirect_uris[0])
  await signIn(page, person)
  // An app on this machine is asked about each time, for any other program may listen there.
  await page.click('#consent-accept')
  check('form_post brings the code to the app', new URLSearchParams((await posted).postData()).has('code'))
  await page.waitForURL(client.redirect_uris[0])
  await page.goto(link(issuer, client))
  await page.click('#consent-deny')
  await page.waitForURL((url) => url.searchParams.get('error') === 'access_denied')
  check('a no leads to the app too', true)
}

const deadEnds = async (scene, issuer, client) => {
  await scene.page.goto(link(issuer, { ...client, client_id: 'nobody' }))
  await look(scene, 'error')
  await scene.page.goto(`${issuer}/nowhere`)
  await look(scene, 'not-found')
}

const withoutScripts = (issuer, client, person) => withBrowser({ javaScriptEnabled: false }, async (browser) => {
  const page = browser.pages()[0]
  await page.goto(link(issuer, client))
  await signIn(page, person)
  await page.click('#consent-accept')
  await arrived(page, client, 'without JavaScript: login, consent, and the app')
  await page.goto(link(issuer, client, { response_mode: 'form_post' }))
  await page.click('#consent-accept')
  const posted = page.waitForRequest((request) => request.url() === client.redirect_uris[0])
  await page.click('noscript button, form[action] button')
  check('without JavaScript: form_post by hand', new URLSearchParams((await posted).postData()).has('code'))
})

await run('ISSUER USER PASSWORD OUTDIR', (issuer, username, password, pictures) => withSite(FILES, async (origin) => {
  mkdirSync(pictures, { recursive: true })
  const client = await register(issuer, { client_name: 'Photo Shop', redirect_uris: [`${origin}/`], client_uri: origin,
    policy_uri: `${origin}/privacy`, tos_uri: `${origin}/terms`, token_endpoint_auth_method: 'none',
    grant_types: ['authorization_code', 'refresh_token'], scope: 'openid profile email offline_access' })
  const person = [username, password]
  await withBrowser({}, async (browser) => {
    const page = browser.pages()[0]
    const scene = { page, heard: listen(page, issuer), pictures }
    await firstVisit(scene, issuer, client, person)
    await laterVisits(scene, issuer, client, person)
    await deadEnds(scene, issuer, client)
    check('no complaint on the whole walk', scene.heard.complaints.length === 0, scene.heard.complaints)
  })
  await withoutScripts(issuer, client, person)
}))
