// Which requests the session cookie comes along with, in Chromium: an application on another site (127.0.0.1 is one to
// localhost) and one on another port of the same.

import { register, withBrowser, withSite } from './browser.mjs'
import { check, run } from './check.mjs'

const APP = ['text/html', '<!doctype html><title>App</title><link rel="icon" href="data:,">the app']
// RFC 7636, appendix B.
const CHALLENGE = 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM'

const link = (issuer, client, more = {}) => `${issuer}/authorize?${new URLSearchParams({ response_type: 'code',
  client_id: client.client_id, redirect_uri: client.redirect_uris[0], scope: 'openid', code_challenge: CHALLENGE,
  code_challenge_method: 'S256', ...more })}`

const app = (issuer, origin) => register(issuer, { client_name: 'App', redirect_uris: [`${origin}/`], scope: 'openid', token_endpoint_auth_method: 'none' })

const signIn = async (page, issuer, client, [username, password]) => {
  await page.goto(link(issuer, client))
  if (await page.locator('#login-submit').count()) {
    await page.fill('#username', username)
    await page.fill('#password', password)
    await page.click('#login-submit')
  }
  await page.click('#consent-accept')
  await page.waitForURL((url) => url.searchParams.has('code'))
}

/** What the page hears by a frame that asks without a question (prompt=none): `code`, or the error. */
const asksByFrame = async (page, home, request) => {
  await page.goto(home)
  const answer = await page.evaluate((src) => new Promise((heard) => {
    const frame = Object.assign(document.createElement('iframe'), { src, hidden: true })
    frame.onload = () => heard(frame.contentWindow.location.search)
    document.body.append(frame)
  }), request)
  const params = new URLSearchParams(answer)
  return params.has('code') ? 'code' : params.get('error')
}

/** The answer to a click on a link, as the page of an application has one. */
const asksByLink = async (page, home, request) => {
  await page.goto(home)
  await page.evaluate((href) => { location.href = href }, request)
  await page.waitForURL((url) => url.href.startsWith(home) && url.search)
  return new URL(page.url()).searchParams.has('code') ? 'code' : new URL(page.url()).searchParams.get('error')
}

const rules = async (browser, issuer) => {
  const cookies = await browser.cookies(issuer)
  const session = cookies.find(({ name }) => name.includes('session'))
  check('the session cookie is Lax, for no script, and ends with the browser', session.sameSite === 'Lax' && session.httpOnly && session.expires === -1, session)
  const device = cookies.find(({ name }) => name.includes('device'))
  check('that of a known browser is, too, and stays', device.sameSite === 'Lax' && device.httpOnly && device.expires > 0, device)
}

await run('ISSUER USER PASSWORD', (issuer, ...person) => withSite({ '/': APP }, async (origin) => {
  const away = origin.replace('localhost', '127.0.0.1')
  const [near, far] = [await app(issuer, origin), await app(issuer, away)]
  await withBrowser({}, async (browser) => {
    const page = browser.pages()[0]
    await signIn(page, issuer, far, person)
    await signIn(page, issuer, near, person)
    await rules(browser, issuer)
    const silent = (client) => link(issuer, client, { prompt: 'none' })
    check('a link on another site brings the cookie along', await asksByLink(page, `${away}/`, silent(far)) === 'code')
    check('a frame on another site does not', await asksByFrame(page, `${away}/`, silent(far)) === 'login_required')
    check('a frame on another port of localhost does: one site, which deceives', await asksByFrame(page, `${origin}/`, silent(near)) === 'code')
  })
}))
