// coreos/go-oidc with golang.org/x/oauth2, as most Go programs have it.

import { check } from '../check.mjs'
import { ADA, SECRET, freePort, installed, test } from '../environment.mjs'
import { UserAgent } from '../user_agent.mjs'

await test(async (environment) => {
  const app = `127.0.0.1:${await freePort()}`
  const issuer = await environment.latchkey(`
[[clients]]
client_id = "go-oidc"
client_secret = "${SECRET}"
redirect_uris = ["http://${app}/callback"]
grant_types = ["authorization_code", "refresh_token"]
scope = "openid profile email offline_access"
[clients.settings]
audience = ["https://api.example"]
`)
  await environment.start('go-oidc', [`${installed('go-oidc')}/program`, issuer, app],
    { env: { CLIENT_SECRET: SECRET }, ready: async () => (await fetch(`http://${app}/none`)).status === 404 })
  const ada = new UserAgent(issuer, ADA)

  const told = JSON.parse((await ada.visit(`http://${app}/login`)).text)
  check('a sign-in ends in a verified ID token with its nonce and at_hash', told.sub && told.nonce && told.hash, told)
  check('userinfo is of the same person', told.same && told.email === 'ada@example.com', told)
  check('the person was asked to sign in and to agree', ada.asked.join() === '/login,/consent', ada.asked)

  for (const copies of [1, 10]) {
    const renewed = await ada.visit(`http://${app}/refresh?copies=${copies}`)
    check(`${copies} at once refresh with one token, and have one successor`, JSON.parse(renewed.text).successors === 1, renewed)
  }
  const token = (await ada.visit(`http://${app}/token`)).text
  const api = await ada.visit(`http://${app}/api`, { headers: { authorization: `Bearer ${token}` } })
  check('an API takes the access token by its audience', JSON.parse(api.text).sub === told.sub, api)
  check('nothing was taken for a theft', environment.logLines('reuse_detected').length === 0)
  await ada.visit(`http://${app}/login`)
  check('a second sign-in asks nothing', ada.asked.length === 2, ada.asked)
})
