// Walks the running server's pages in Chromium as a person does, and looks hard at each. Pictures go to
// OUTDIR.

import { mkdirSync } from 'node:fs'
import { register, withBrowser, withSite } from './browser.mjs'
import { check, run } from './check.mjs'
import { auditPage, collectComplaints } from './page_audit.mjs'

const FILES = { '/': ['text/html', '<!doctype html><title>App</title><link rel="icon" href="data:,">the app'],
  '/logo.svg': ['image/svg+xml', '<svg xmlns="http://www.w3.org/2000/svg" width="48" height="48"><circle cx="24" cy="24" r="20"/></svg>'] }

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
  await auditPage(scene, 'login-empty')
  const answered = page.waitForResponse((answer) => answer.request().method() === 'POST')
  await signIn(page, [username, 'not the password'])
  await answered
  await page.waitForFunction(() => document.title.startsWith('Error:') && document.activeElement.id === 'password'
    && document.activeElement.value === '')
  check('a wrong password is said, and the name stays', await page.inputValue('#username') === username
    && await page.locator('#alert[role=alert]').innerText() !== '')
  await auditPage(scene, 'login-wrong')
}

/** Who asks, with the logo that the policy of the page lets in, and where it says what it does. */
const says = async ({ page }, client, name) => {
  const logo = page.locator(`img[src="${client.logo_uri}"]`)
  check(`${name}: the logo of the app`, await logo.evaluate((image) => image.complete && image.naturalWidth > 0))
  const links = [client.policy_uri, client.tos_uri].map((uri) => page.locator(`a[href="${uri}"]`).count())
  check(`${name}: its policy and its terms`, (await Promise.all(links)).every((count) => count === 1))
}

const firstVisit = async (scene, issuer, client, person) => {
  const { page } = scene
  await page.goto(issuer)
  await auditPage(scene, 'home')
  await page.goto(link(issuer, client))
  const stale = page.url()
  await auditPage(scene, 'login')
  await says(scene, client, 'login')
  await wrongPassword(scene, person[0])
  await signIn(page, person)
  await page.waitForSelector('#consent-accept')
  await auditPage(scene, 'consent')
  await says(scene, client, 'consent')
  await page.click('#consent-accept')
  await arrived(page, client, 'consent leads to the app on its own origin')
  await page.goto(stale)
  check('a finished sign-in has nothing to fill in', await page.locator('form').count() === 0)
  await auditPage(scene, 'stale')
}

const laterVisits = async (scene, issuer, client, person) => {
  const { page } = scene
  await page.goto(link(issuer, client, { prompt: 'select_account' }))
  await page.waitForSelector('#login-continue')
  await auditPage(scene, 'login-account')
  await page.click('#login-continue')
  await arrived(page, client, 'continuing with the account at hand leads to the app, which was agreed to before')
  await page.goto(link(issuer, client, { prompt: 'login', response_mode: 'form_post', scope: 'openid' }))
  await auditPage(scene, 'login-again')
  const posted = page.waitForRequest((request) => request.method() === 'POST' && request.url() === client.redirect_uris[0])
  await signIn(page, person)
  check('form_post brings the code to the app', new URLSearchParams((await posted).postData()).has('code'))
  await page.waitForURL(client.redirect_uris[0])
  await page.goto(link(issuer, client))
  await page.click('#consent-deny')
  await page.waitForURL((url) => url.searchParams.get('error') === 'access_denied')
  check('a no leads to the app too', true)
}

const deadEnds = async (scene, issuer, client) => {
  await scene.page.goto(link(issuer, { ...client, client_id: 'nobody' }))
  await auditPage(scene, 'error')
  await scene.page.goto(`${issuer}/nowhere`)
  await auditPage(scene, 'not-found')
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
    logo_uri: `${origin}/logo.svg`, policy_uri: `${origin}/privacy`, tos_uri: `${origin}/terms`, token_endpoint_auth_method: 'none',
    grant_types: ['authorization_code', 'refresh_token'], scope: 'openid profile email offline_access' })
  const person = [username, password]
  await withBrowser({}, async (browser) => {
    const page = browser.pages()[0]
    const scene = { page, heard: collectComplaints(page, issuer), pictures }
    await firstVisit(scene, issuer, client, person)
    await laterVisits(scene, issuer, client, person)
    await deadEnds(scene, issuer, client)
    check('no complaint on the whole walk', scene.heard.complaints.length === 0, scene.heard.complaints)
  })
  await withoutScripts(issuer, client, person)
}))
