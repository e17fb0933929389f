// A Django website with mozilla-django-oidc, which sends its secret by form unless told otherwise.

import { check } from '../check.mjs'
import { ADA, SECRET, freePort, installed, test } from '../environment.mjs'
import { UserAgent } from '../user_agent.mjs'

await test(async (environment) => {
  const address = `127.0.0.1:${await freePort()}`
  const app = `http://${address}`
  const issuer = await environment.latchkey(`
[[clients]]
client_id = "django"
client_secret = "${SECRET}"
redirect_uris = ["${app}/oidc/callback/"]
grant_types = ["authorization_code"]
scope = "openid profile email"
`)
  const python = [`${installed('mozilla-django-oidc')}/bin/python`, '-u', `${import.meta.dirname}/website.py`, issuer, address, 'website.sqlite3']
  await environment.start('website', python, { env: { CLIENT_SECRET: SECRET }, ready: async () => (await fetch(app)).ok })
  const ada = new UserAgent(issuer, ADA)
  const seen = async (link, options) => {
    const page = await ada.visit(link, options)
    return page.status === 200 && page.url.host === address ? JSON.parse(page.text) : page
  }

  const first = await seen(`${app}/oidc/authenticate/`)
  check('a sign-in ends with the address of the person', first.email === 'ada@example.com', first)
  check('after one question for the password and one for consent', ada.asked.join() === '/login,/consent', ada.asked)

  await new Promise((later) => { setTimeout(later, 2_100) })
  const later = await seen(app)
  check('SessionRefresh renews by prompt=none, with another ID token', later.email === first.email && later.id_token !== first.id_token, later)
  check('and nothing is asked', ada.asked.length === 2, ada.asked)

  const out = await seen(`${app}/oidc/logout/`, { form: {} })
  check('its own sign-out ends its own session', out.email === '', out)
  const again = await seen(`${app}/oidc/authenticate/`)
  check('and not that of Latchkey: the next sign-in is silent', again.email === first.email && ada.asked.length === 2, again)
})
