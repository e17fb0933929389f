// Spring Boot as a website and as an API, in its two lines.

import { check } from '../check.mjs'
import { ADA, SECRET, freePort, installed, test } from '../environment.mjs'
import { tokensFor } from '../tokens.mjs'
import { UserAgent } from '../user_agent.mjs'

const OTHER = { client_id: 'other', secret: SECRET, redirect_uri: 'http://127.0.0.1:9/back', scope: 'openid profile' }

// For an API whose library takes typ JWT only.
const PLAIN = { ...OTHER, client_id: 'plain' }

const declared = (app) => `
[[clients]]
client_id = "spring"
client_secret = "${SECRET}"
redirect_uris = ["${app}/login/oauth2/code/latchkey"]
post_logout_redirect_uris = ["${app}/bye"]
grant_types = ["authorization_code", "refresh_token"]
scope = "openid profile email offline_access"
[clients.settings]
first_party = true
audience = ["https://api.example"]
# Spring refreshes 60 s before the end: at every request.
access_token_lifetime = 30

[[clients]]
client_id = "other"
client_secret = "${SECRET}"
redirect_uris = ["${OTHER.redirect_uri}"]
grant_types = ["authorization_code"]
scope = "${OTHER.scope}"
[clients.settings]
first_party = true
audience = ["https://api.example"]

[[clients]]
client_id = "plain"
client_secret = "${SECRET}"
redirect_uris = ["${PLAIN.redirect_uri}"]
grant_types = ["authorization_code"]
scope = "${PLAIN.scope}"
[clients.settings]
first_party = true
audience = ["https://api.example"]
access_token_typ = "JWT"

[[clients]]
client_id = "api"
client_secret = "${SECRET}"
grant_types = ["client_credentials"]
[clients.settings]
resource_server_for = ["https://api.example"]
`

/** What each of the three ways of the API says to a token. */
const api = async (app, token) => Object.fromEntries(await Promise.all(['jwt', 'at-jwt', 'opaque'].map(async (way) => {
  const answer = await fetch(`${app}/${way}`, { headers: { authorization: `Bearer ${token}` } })
  return [way, answer.ok ? await answer.json() : `${answer.status} ${answer.headers.get('www-authenticate')}`]
})))

const walk = async (environment, version) => {
  const port = await freePort()
  const app = `http://127.0.0.1:${port}`
  const issuer = await environment.latchkey(declared(app))
  await environment.start(`spring-${version}`, ['java', '-XX:TieredStopAtLevel=1', '-jar', `${installed('spring-boot')}/${version}/program.jar`],
    { env: { PORT: port, ISSUER: issuer, CLIENT_SECRET: SECRET }, ready: async () => (await fetch(`${app}/bye`)).ok })
  const said = (what) => `Spring Boot ${version}: ${what}`
  const ada = new UserAgent(issuer, ADA)

  const home = JSON.parse((await ada.visit(`${app}/oauth2/authorization/latchkey`)).text)
  check(said('a sign-in ends with the address of the person, and a nonce that was looked at'), home.email === 'ada@example.com' && home.nonce, home)
  const later = JSON.parse((await ada.visit(`${app}/`)).text)
  check(said('the next request has another access token, by a refresh'), later.access_token !== home.access_token)
  const all = await ada.atOnce(10, `${app}/`)
  check(said('ten requests at once, each of which refreshes, are all answered'), all.every(({ status }) => status === 200), all.map(({ status, text }) => [status, text]))
  check(said('and none of it was taken for a theft'), environment.logLines('reuse_detected').length === 0)

  const { tokens } = await tokensFor(ada, OTHER)
  const answers = await api(app, tokens.access_token)
  check(said('issuer-uri alone refuses typ at+jwt'), /typ/.test(answers.jwt), answers)
  check(said('a decoder for at+jwt takes it'), answers['at-jwt'].name === tokens.claims().sub, answers)
  check(said('so does introspection, with the scopes as authorities'), /SCOPE_profile/.test(answers.opaque.authorities), answers)
  const { tokens: plain } = await tokensFor(ada, PLAIN)
  const taken = await api(app, plain.access_token)
  check(said('of a client with access_token_typ = "JWT", issuer-uri alone takes it'), taken.jwt.name === tokens.claims().sub, taken)
  const swapped = await api(app, plain.id_token)
  check(said('and its ID token opens nothing'), Object.values(swapped).every((answer) => /^401/.test(answer)), swapped)

  const bye = await ada.visit(`${app}/logout`, { form: {} })
  check(said('its sign-out comes back'), bye.text === 'bye', bye)
  const asked = ada.asked.length
  await ada.visit(`${app}/oauth2/authorization/latchkey`)
  check(said('and has signed out at Latchkey, too'), ada.asked.length === asked + 1, ada.asked)
}

await test(async (environment) => {
  await walk(environment, '4.0.7')
  // This one sends a nonce, and no PKCE.
  await walk(environment, '3.5.7')
})
