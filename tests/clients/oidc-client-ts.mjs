// oidc-client-ts in a real browser, on an origin of its own: what a single-page app does.

import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join, dirname } from 'node:path'
import { register, withBrowser, withSite } from './browser.mjs'
import { check, run } from './check.mjs'

const BUNDLE = join(dirname(createRequire(import.meta.url).resolve('oidc-client-ts/package.json')),
  'dist/browser/oidc-client-ts.min.js')
const PAGE = '<!doctype html><title>App</title><link rel="icon" href="data:,"><script src="/oidc.js"></script>'
const FILES = {
  '/': ['text/html', PAGE],
  '/callback': ['text/html', PAGE],
  '/oidc.js': ['text/javascript', readFileSync(BUNDLE)],
}

const signIn = async (page, origin, settings, [username, password]) => {
  await page.goto(origin)
  // The page leaves while this runs, so nobody waits for its end.
  await page.evaluate((settings) => {
    const manager = new oidc.UserManager(settings)
    setTimeout(() => manager.signinRedirect({ state: { kept: 'by the app' } }))
  }, settings)
  await page.fill('#username', username)
  await page.fill('#password', password)
  await page.click('#login-submit')
  await page.click('#consent-accept')
  await page.waitForURL(`${origin}/callback?*`)
}

const asUser = async (page, settings, username) => {
  const user = await page.evaluate(async (settings) => {
    const manager = new oidc.UserManager(settings)
    const back = await manager.signinRedirectCallback()
    const { profile, access_token, refresh_token } = await manager.getUser()
    return { profile, access_token, refresh_token, state: back.state }
  }, settings)
  check('signinRedirectCallback brings the app its state', user.state?.kept === 'by the app', user.state)
  check('getUser has the profile, loaded from userinfo across origins', user.profile.preferred_username === username
    && user.profile.email, user.profile)
  check('and a refresh token', typeof user.refresh_token === 'string')
  return user
}

const renew = async (page, settings, before) => {
  const after = await page.evaluate(async (settings) => {
    const { profile, access_token, refresh_token } = await new oidc.UserManager(settings).signinSilent()
    return { profile, access_token, refresh_token }
  }, settings)
  check('signinSilent renews by the refresh token', after.access_token !== before.access_token
    && after.refresh_token !== before.refresh_token, after)
  check('the person is the same', after.profile.sub === before.profile.sub, after.profile)
  return after
}

const revoke = async (page, issuer, settings, user) => {
  await page.evaluate((settings) => new oidc.UserManager(settings).revokeTokens(['access_token', 'refresh_token']), settings)
  const { status, told } = await page.evaluate(async ([url, token]) => {
    const answer = await fetch(url, { headers: { authorization: `Bearer ${token}` } })
    return { status: answer.status, told: answer.headers.get('www-authenticate') }
  }, [`${issuer}/userinfo`, user.access_token])
  check('after revokeTokens userinfo refuses the token', status === 401)
  check('and the page may read why', told?.includes('invalid_token'), told)
  const error = await redeem(page, issuer, { grant_type: 'refresh_token', refresh_token: user.refresh_token, client_id: settings.client_id })
  check('the refresh token is spent too', error.error === 'invalid_grant', error)
}

/** A token request by hand, for an answer the library would wrap. */
const redeem = (page, issuer, form) => page.evaluate(async ([url, form]) => {
  const answer = await fetch(url, { method: 'POST', body: new URLSearchParams(form) })
  return answer.json()
}, [`${issuer}/token`, form])

await run('ISSUER USER PASSWORD', (issuer, ...person) => withSite(FILES, (origin) => withBrowser({}, async (browser) => {
  const page = browser.pages()[0]
  const complaints = []
  page.on('pageerror', (error) => complaints.push(error.message))
  page.on('console', (message) => { if (/Content Security Policy|CORS/.test(message.text())) complaints.push(message.text()) })

  const scope = 'openid profile email offline_access'
  const redirect = `${origin}/callback`
  const client = await register(issuer, { client_name: 'Single page', redirect_uris: [redirect], scope,
    token_endpoint_auth_method: 'none', grant_types: ['authorization_code', 'refresh_token'] })
  const settings = { authority: issuer, client_id: client.client_id, redirect_uri: redirect, scope,
    loadUserInfo: true, automaticSilentRenew: false, prompt: 'consent' }

  await signIn(page, origin, settings, person)
  check('signinRedirect leads through login and consent and back', true)
  const user = await asUser(page, settings, person[0])
  await revoke(page, issuer, settings, await renew(page, settings, user))

  const error = await redeem(page, issuer, { grant_type: 'authorization_code', code: 'wrong', redirect_uri: redirect,
    client_id: client.client_id, code_verifier: 'v'.repeat(43) })
  check('a wrong code gives an error the page can read', error.error === 'invalid_grant', error)
  check('nothing was blocked on the way', complaints.length === 0, complaints)
})))
