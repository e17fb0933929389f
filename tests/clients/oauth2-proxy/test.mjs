// oauth2-proxy in front of a website that shows which headers it is given.

import { createServer } from 'node:http'
import { check } from '../check.mjs'
import { ADA, SECRET, freePort, installed, test } from '../environment.mjs'
import { UserAgent } from '../user_agent.mjs'

const upstream = (port) => new Promise((ready) => {
  const server = createServer((request, answer) => answer.end(JSON.stringify(request.headers)))
  server.listen(port, '127.0.0.1', () => ready(server))
})

const walk = async (environment, issuer, app) => {
  const ada = new UserAgent(issuer, ADA)
  const seen = JSON.parse((await ada.visit(`${app}/here`)).text)
  check('the website learns who signed in', seen['x-forwarded-email'] === 'ada@example.com', seen)
  check('and which groups she is in, from userinfo', seen['x-forwarded-groups'] === 'staff', seen)

  const refreshes = () => environment.logLines('tokens_issued', '"grant":"refresh_token"').length
  // It reads its clock in whole seconds.
  await new Promise((later) => { setTimeout(later, 2_100) })
  const all = await ada.atOnce(10, `${app}/here`)
  check('ten requests with one old cookie are all answered', all.every(({ status, url }) => status === 200 && url.pathname === '/here'), all)
  check('by refreshes', refreshes() > 0, refreshes())
  check('none of which was taken for a theft', environment.logLines('reuse_detected').length === 0)

  const bearer = await fetch(`${app}/here`, { headers: { authorization: `Bearer ${seen['x-forwarded-access-token']}` } })
  check('an access token with the audience opens the website by itself', bearer.status === 200, bearer.status)

  const out = new URL(`${issuer}/logout`)
  out.search = new URLSearchParams({ client_id: 'proxy', post_logout_redirect_uri: `${app}/bye` })
  const bye = await ada.visit(`${app}/oauth2/sign_out?rd=${encodeURIComponent(out)}`, { stop: (url) => url.pathname === '/bye' })
  check('a sign-out by way of the browser asks the person, and comes back', bye.url.href === `${app}/bye` && ada.asked.at(-1) === '/logout', [bye, ada.asked])
  await ada.visit(`${app}/here`)
  check('after it she has to sign in again', ada.asked.at(-1) === '/login', ada.asked)
}

// The proxy calls the provider by itself, with id and secret in the address: there is no browser in it.
const byItself = async (environment, issuer, app) => {
  const ada = new UserAgent(issuer, ADA)
  await ada.visit(`${app}/here`)
  await ada.visit(`${app}/oauth2/sign_out`)
  const ended = environment.logLines('"event":"signed_out"', '"how":"client"').length
  check('its back-end address ends the session', ended === 1, ended)
  await ada.visit(`${app}/here`)
  const asked = ada.asked.filter((page) => page === '/login').length
  check('so that she has to sign in again', asked === 2, ada.asked)
}

await test(async (environment) => {
  const [proxy, other, website] = [await freePort(), await freePort(), await freePort()]
  const at = (port) => `http://127.0.0.1:${port}`
  const app = at(proxy)
  const issuer = await environment.latchkey(`
[[clients]]
client_id = "proxy"
client_secret = "${SECRET}"
redirect_uris = ["${app}/oauth2/callback", "${at(other)}/oauth2/callback"]
post_logout_redirect_uris = ["${app}/bye"]
grant_types = ["authorization_code", "refresh_token"]
scope = "openid profile email groups offline_access"
[clients.settings]
first_party = true
audience = ["https://api.example"]
access_token_lifetime = 300
`)
  const server = await upstream(website)
  const starts = (name, port, more = {}) => {
    const flags = { provider: 'oidc', 'oidc-issuer-url': issuer, 'client-id': 'proxy', 'http-address': `127.0.0.1:${port}`,
      'redirect-url': `${at(port)}/oauth2/callback`, upstream: `http://127.0.0.1:${website}/`, 'email-domain': '*', 'cookie-secure': 'false',
      'code-challenge-method': 'S256', scope: 'openid profile email groups offline_access', 'skip-provider-button': 'true',
      'set-xauthrequest': 'true', 'pass-access-token': 'true', 'cookie-refresh': '1s', 'whitelist-domain': new URL(issuer).host,
      'skip-jwt-bearer-tokens': 'true', 'extra-jwt-issuers': `${issuer}=https://api.example` }
    const env = { OAUTH2_PROXY_CLIENT_SECRET: SECRET, OAUTH2_PROXY_COOKIE_SECRET: '0123456789abcdef0123456789abcdef', ...more }
    return environment.start(name, [`${installed('oauth2-proxy')}/program`, ...Object.entries(flags).map(([flag, value]) => `--${flag}=${value}`)],
      { env, ready: async () => (await fetch(`${at(port)}/ping`)).ok })
  }
  await starts('oauth2-proxy', proxy)
  const logout = `${issuer.replace('//', `//proxy:${SECRET}@`)}/logout?id_token_hint={id_token}`
  await starts('oauth2-proxy-back-end', other, { OAUTH2_PROXY_BACKEND_LOGOUT_URL: logout })
  try {
    await walk(environment, issuer, app)
    await byItself(environment, issuer, at(other))
  } finally {
    server.close()
    server.closeAllConnections()
  }
})
