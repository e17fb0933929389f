// The ends of a session in Chromium: the pages, the frames that tell applications, and the frame in which
// an application watches. Pictures go to OUTDIR.

import { mkdirSync } from 'node:fs'
import { register, withBrowser, withSite } from './browser.mjs'
import { check, run } from './check.mjs'
import { auditPage, collectComplaints } from './page_audit.mjs'

const APP = '<!doctype html><title>App</title><link rel="icon" href="data:,">the app'
const FILES = {
  '/': ['text/html', APP],
  '/bye': ['text/html', APP],
  '/out': ['text/html', '<!doctype html><title>Out</title><link rel="icon" href="data:,"><script>document.cookie = "told=yes"</script>'],
}

// RFC 7636, appendix B.
const VERIFIER = 'dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk'
const CHALLENGE = 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM'

const app = (issuer, origin, name) => register(issuer, { client_name: name, redirect_uris: [`${origin}/`],
  token_endpoint_auth_method: 'none', scope: 'openid profile', post_logout_redirect_uris: [`${origin}/bye`],
  frontchannel_logout_uri: `${origin}/out`, frontchannel_logout_session_required: true })

/** Signs in as far as that is needed, and answers what the application has then. */
const signIn = async (page, issuer, client, [username, password]) => {
  await page.goto(`${issuer}/authorize?${new URLSearchParams({ response_type: 'code', client_id: client.client_id,
    redirect_uri: client.redirect_uris[0], scope: 'openid profile', code_challenge: CHALLENGE, code_challenge_method: 'S256' })}`)
  if (await page.locator('#login-submit').count()) {
    await page.fill('#username', username)
    await page.fill('#password', password)
    await page.click('#login-submit')
  }
  await page.waitForURL((url) => url.searchParams.has('code') || url.pathname === '/consent')
  if (page.url().includes('/consent')) await page.click('#consent-accept')
  await page.waitForURL((url) => url.href.startsWith(client.redirect_uris[0]) && url.searchParams.has('code'))
  const answer = new URL(page.url()).searchParams
  const form = { grant_type: 'authorization_code', code: answer.get('code'), client_id: client.client_id,
    redirect_uri: client.redirect_uris[0], code_verifier: VERIFIER }
  const { id_token: hint } = await (await fetch(`${issuer}/token`, { method: 'POST', body: new URLSearchParams(form) })).json()
  const { sid } = JSON.parse(Buffer.from(hint.split('.')[1], 'base64url'))
  return { hint, sid, state: answer.get('session_state') }
}

const logout = (issuer, client, { hint }) => `${issuer}/logout?${new URLSearchParams({ id_token_hint: hint,
  post_logout_redirect_uri: client.post_logout_redirect_uris[0], state: 'kept' })}`

/** What the frame says to a message from this page. */
const asks = (page, frame, message) => page.evaluate(async ([frame, message]) => {
  if (!document.querySelector('iframe')) {
    const made = Object.assign(document.createElement('iframe'), { src: frame, hidden: true })
    await new Promise((loaded) => { made.onload = loaded; document.body.append(made) })
  }
  return new Promise((answered) => {
    addEventListener('message', ({ data, origin }) => { if (origin === new URL(frame).origin) answered(data) }, { once: true })
    document.querySelector('iframe').contentWindow.postMessage(message, new URL(frame).origin)
  })
}, [frame, message])

const watches = async (page, metadata, client, { state }) => {
  const frame = metadata.check_session_iframe
  const id = client.client_id
  check('the frame says unchanged', await asks(page, frame, `${id} ${state}`) === 'unchanged')
  check('a state of another client is a changed one', await asks(page, frame, `other ${state}`) === 'changed')
  for (const nonsense of ['', id, `${id} saltless`, `${id} ${state} more`, 42]) {
    const said = await asks(page, frame, nonsense)
    check(`nonsense is an error: ${JSON.stringify(nonsense)}`, said === 'error', said)
  }
}

const stays = async (scene, issuer) => {
  const { page } = scene
  await page.goto(`${issuer}/logout`)
  check('the question has its heading', await page.locator('h1').innerText() === 'Sign out')
  await auditPage(scene, 'logout-confirm')
  await page.click('#logout-stay')
  check('whoever stays is at the start', new URL(page.url()).pathname === '/')
}

/** Every application is told by a frame, and then it goes on. */
const leaves = async (page, issuer, client, held, origins) => {
  const asked = []
  page.on('request', (request) => { if (new URL(request.url()).pathname === '/out') asked.push(new URL(request.url())) })
  await page.goto(logout(issuer, client, held)).catch(() => {})
  await page.waitForURL(`${client.post_logout_redirect_uris[0]}?state=kept`)
  check('it goes on to the application, with its state and nothing else', true)
  check('both applications are told', asked.map((url) => url.origin).sort().join() === [...origins].sort().join(), asked)
  check('of issuer and session', asked.every((url) => url.searchParams.get('iss') === issuer
    && url.searchParams.get('sid') === held.sid), asked)
}

const asked = async (scene, issuer) => {
  const { page } = scene
  await page.goto(`${issuer}/logout`)
  await page.click('#logout-confirm')
  await page.waitForFunction(() => document.querySelector('h1').innerText === 'Signed out')
  await auditPage(scene, 'logout-done')
  check('nothing is left to go on with', await page.locator('main a').count() === 0)
}

const withoutScripts = (issuer, client, person) => withBrowser({ javaScriptEnabled: false }, async (browser) => {
  const page = browser.pages()[0]
  const held = await signIn(page, issuer, client, person)
  const told = page.waitForRequest((request) => new URL(request.url()).pathname === '/out')
  await page.goto(logout(issuer, client, held))
  await told
  check('without JavaScript: the application is told', true)
  await page.waitForURL(`${client.post_logout_redirect_uris[0]}?state=kept`)
  check('without JavaScript: it goes on after a moment', true)
})

await run('ISSUER USER PASSWORD OUTDIR', (issuer, username, password, pictures) =>
  withSite(FILES, (here) => withSite(FILES, async (there) => {
    mkdirSync(pictures, { recursive: true })
    const person = [username, password]
    const metadata = await (await fetch(`${issuer}/.well-known/openid-configuration`)).json()
    const [shop, cafe] = [await app(issuer, here, 'Photo Shop'), await app(issuer, there, 'Café')]
    await withBrowser({}, async (browser) => {
      const page = browser.pages()[0]
      const scene = { page, heard: collectComplaints(page, issuer), pictures }
      const held = await signIn(page, issuer, shop, person)
      const tab = await browser.newPage()
      await stays({ ...scene, page: tab, heard: collectComplaints(tab, issuer) }, issuer)
      await signIn(tab, issuer, cafe, person)
      await watches(page, metadata, shop, held)
      await leaves(tab, issuer, shop, held, [here, there])
      const frame = metadata.check_session_iframe
      check('and the frame of the other tab says changed', await asks(page, frame, `${shop.client_id} ${held.state}`) === 'changed')
      const cookies = await browser.cookies(there)
      check('a frame may use its own cookies', cookies.some(({ name, value }) => name === 'told' && value === 'yes'), cookies)
      await signIn(tab, issuer, cafe, person)
      await asked({ ...scene, page: tab, heard: collectComplaints(tab, issuer) }, issuer)
      check('no complaint on the whole walk', scene.heard.complaints.length === 0, scene.heard.complaints)
    })
    await withoutScripts(issuer, shop, person)
  })))
