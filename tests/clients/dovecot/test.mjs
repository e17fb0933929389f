// Dovecot takes access tokens at IMAP (OAUTHBEARER, RFC 7628): by introspection, and by userinfo.

import { mkdirSync } from 'node:fs'
import { connect } from 'node:net'
import { userInfo } from 'node:os'
import * as oidc from 'openid-client'
import { check } from '../check.mjs'
import { ADA, SECRET, freePort, test } from '../environment.mjs'
import { tokensFor } from '../tokens.mjs'
import { UserAgent } from '../user_agent.mjs'

const MAILER = { client_id: 'mailer', secret: SECRET, redirect_uri: 'http://127.0.0.1:9/back', scope: 'openid profile email offline_access' }

/** Started as root it takes users of its own for its parts; otherwise everything is done by who starts it. */
const parts = ({ uid, username }) => (uid === 0 ? '' : `default_internal_user = ${username}
default_login_user = ${username}
default_internal_group = ${username}
service anvil { chroot = }
service imap-login { chroot = }`)

const mailbox = (folder, port, oauth2) => `
protocols = imap
base_dir = ${folder}/run
state_dir = ${folder}/state
log_path = /dev/stderr
auth_verbose = yes
ssl = no
auth_mechanisms = oauthbearer
mail_location = maildir:${folder}/mail
first_valid_uid = 1
${parts(userInfo())}
service imap-login {
  inet_listener imap {
    address = 127.0.0.1
    port = ${port}
  }
  inet_listener imaps {
    port = 0
  }
}
passdb {
  driver = oauth2
  mechanisms = oauthbearer
  args = ${oauth2}
}
userdb {
  driver = static
  args = uid=${userInfo().uid === 0 ? 'mail' : userInfo().uid} gid=${userInfo().uid === 0 ? 'mail' : userInfo().gid} home=${folder}
}
`

/** What the server says in the end to somebody who shows the token; a refusal has a challenge with its reason first. */
const login = (port, user, token) => new Promise((resolve, reject) => {
  const words = Buffer.from(`n,a=${user},\x01auth=Bearer ${token}\x01\x01`).toString('base64')
  const socket = connect(port, '127.0.0.1').setEncoding('utf8').on('error', reject)
  let said = ''
  socket.on('data', (text) => {
    if (!said) socket.write(`a AUTHENTICATE OAUTHBEARER ${words}\r\n`)
    if (/^\+ \S/m.test(text)) socket.write('AQ==\r\n')
    said += text
    const end = said.match(/^a (OK|NO|BAD).*/m)
    if (!end) return
    socket.destroy()
    resolve(end[0])
  })
})

const dovecot = async (environment, name, oauth2) => {
  const [port, folder] = [await freePort(), `${environment.folder}/${name}`]
  mkdirSync(folder)
  const secret = environment.file(`${name}.oauth2`, oauth2)
  const config = environment.file(`${name}.conf`, mailbox(folder, port, secret))
  const answers = () => new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1').on('data', () => { socket.destroy(); resolve(true) }).on('error', () => resolve(false))
  })
  await environment.start(name, ['dovecot', '-F', '-c', config], { env: { PATH: `${process.env.PATH}:/usr/sbin` }, ready: answers })
  return port
}

await test(async (environment) => {
  const issuer = await environment.latchkey(`
[[clients]]
client_id = "mailer"
client_secret = "${SECRET}"
redirect_uris = ["${MAILER.redirect_uri}"]
grant_types = ["authorization_code", "refresh_token"]
scope = "${MAILER.scope}"
[clients.settings]
first_party = true
audience = ["imap://mail.example"]

[[clients]]
client_id = "dovecot"
client_secret = "${SECRET}"
grant_types = ["client_credentials"]
[clients.settings]
resource_server_for = ["imap://mail.example"]
# What Dovecot looks for, unless it is told of another (username_attribute).
introspection_claims = ["email"]
`)
  const { config, tokens } = await tokensFor(new UserAgent(issuer, ADA), MAILER)

  const asking = await dovecot(environment, 'introspecting', `
introspection_mode = post
introspection_url = ${issuer.replace('://', `://dovecot:${SECRET}@`)}/introspect
active_attribute = active
active_value = true
`)
  const good = await login(asking, 'ada@example.com', tokens.access_token)
  check('a token opens the mailbox of its person, by introspection', good.startsWith('a OK'), good)
  const other = await login(asking, 'grace@example.com', tokens.access_token)
  check('and nobody else\'s', other.startsWith('a NO'), other)

  const reading = await dovecot(environment, 'reading', `
introspection_mode = auth
introspection_url = ${issuer}/userinfo
`)
  const byAddress = await login(reading, 'ada@example.com', tokens.access_token)
  check('and by userinfo', byAddress.startsWith('a OK'), byAddress)

  await oidc.tokenRevocation(config, tokens.access_token)
  const revoked = [await login(asking, 'ada@example.com', tokens.access_token), await login(reading, 'ada@example.com', tokens.access_token)]
  check('a revoked token opens nothing', revoked.every((line) => line.startsWith('a NO')), revoked)
})
