// Matrix Synapse: sign-in over its oidc_providers, and a sign-out that it is told of server to server.

import { check } from '../check.mjs'
import { ADA, SECRET, eventually, freePort, installed, test } from '../environment.mjs'
import { UserAgent } from '../user_agent.mjs'

// The Matrix client that people come from; nobody is there.
const CLIENT = 'http://127.0.0.1:9/matrix'

const homeserver = (environment, issuer, port) => `
server_name: matrix.example
public_baseurl: http://127.0.0.1:${port}/
pid_file: ${environment.folder}/synapse.pid
report_stats: false
listeners: [{ port: ${port}, type: http, bind_addresses: [127.0.0.1], resources: [{ names: [client] }] }]
database: { name: sqlite3, args: { database: ${environment.folder}/synapse.sqlite3 } }
media_store_path: ${environment.folder}/media
signing_key_path: ${environment.folder}/synapse.key
macaroon_secret_key: a macaroon key of tests
trusted_key_servers: []
sso: { client_whitelist: ["${CLIENT}"] }
oidc_providers:
  - idp_id: latchkey
    idp_name: Latchkey
    issuer: ${issuer}
    client_id: synapse
    client_secret: ${SECRET}
    scopes: [openid, profile, email]
    backchannel_logout_enabled: true
    user_mapping_provider: { config: { localpart_template: "{{ user.preferred_username }}", display_name_template: "{{ user.name }}" } }
`

await test(async (environment) => {
  const port = await freePort()
  const synapse = `http://127.0.0.1:${port}`
  const issuer = await environment.latchkey(`
[[clients]]
client_id = "synapse"
client_secret = "${SECRET}"
redirect_uris = ["${synapse}/_synapse/client/oidc/callback"]
backchannel_logout_uri = "${synapse}/_synapse/client/oidc/backchannel_logout"
grant_types = ["authorization_code"]
scope = "openid profile email"
[clients.settings]
# With openid among the scopes it reads the ID token only.
id_token_claims = ["preferred_username", "name", "email"]
`, { OUTGOING_ALLOW_PRIVATE: '127.0.0.1' })
  const config = environment.file('homeserver.yaml', homeserver(environment, issuer, port))
  const python = `${installed('matrix-synapse')}/bin/python`
  const args = ['-m', 'synapse.app.homeserver', '-c', config]
  await environment.run('synapse-keys', [python, ...args, '--generate-keys'])
  await environment.start('synapse', [python, ...args], { ready: async () => (await fetch(`${synapse}/health`)).ok })

  const call = async (path, { token, body } = {}) => {
    const answer = await fetch(`${synapse}/_matrix/client/v3${path}`, { method: body ? 'POST' : 'GET',
      headers: { ...(token && { authorization: `Bearer ${token}` }) }, body: body && JSON.stringify(body) })
    return { status: answer.status, ...await answer.json() }
  }
  const ada = new UserAgent(issuer, ADA)
  const signIn = async () => {
    const link = `${synapse}/_matrix/client/v3/login/sso/redirect/oidc-latchkey?redirectUrl=${encodeURIComponent(CLIENT)}`
    const back = await ada.visit(link, { stop: (url) => url.href.startsWith(CLIENT) })
    const token = back.url.searchParams.get('loginToken')
    check('a sign-in goes back to the Matrix client with a login token', token, back)
    return call('/login', { body: { type: 'm.login.token', token } })
  }

  const session = await signIn()
  check('Synapse knows the person by preferred_username', session.user_id === '@ada:matrix.example', session)
  const profile = await call(`/profile/${encodeURIComponent(session.user_id)}/displayname`, { token: session.access_token })
  check('and calls her by her name, from the ID token', profile.displayname === 'Ada Lovelace', profile)

  await ada.visit(`${issuer}/logout`)
  await eventually('a sign-out at Latchkey ends the session at Synapse', async () => (await call('/account/whoami', { token: session.access_token })).status === 401, 30)
  check('a sign-out at Latchkey ends the session at Synapse, by back-channel', true)
  const again = await signIn()
  check('and the person can come back', again.user_id === session.user_id && ada.asked.filter((page) => page === '/login').length === 2, [again, ada.asked])
})
