// A Django website with social-auth-app-django, over social-auth-core: it redeems the code by header, and refreshes by
// form.

import { check } from '../check.mjs'
import { ADA, SECRET, freePort, installed, test } from '../environment.mjs'
import { UserAgent } from '../user_agent.mjs'

await test(async (environment) => {
  const address = `127.0.0.1:${await freePort()}`
  const app = `http://${address}`
  const issuer = await environment.latchkey(`
[[clients]]
client_id = "social"
client_secret = "${SECRET}"
redirect_uris = ["${app}/complete/oidc/"]
grant_types = ["authorization_code", "refresh_token"]
scope = "openid profile email offline_access"
`)
  const python = [`${installed('social-auth-app-django')}/bin/python`, '-u', `${import.meta.dirname}/website.py`, issuer, address, 'website.sqlite3']
  await environment.start('website', python, { env: { CLIENT_SECRET: SECRET }, ready: async () => (await fetch(app)).ok })
  const ada = new UserAgent(issuer, ADA)
  const seen = async (link, options) => {
    const page = await ada.visit(link, options)
    return page.status === 200 && page.url.host === address ? JSON.parse(page.text) : page
  }

  // A sign-in begins by POST only. The code is redeemed by Basic, and the tokens are renewed by form.
  const first = await seen(`${app}/login/oidc/`, { form: {} })
  check('a sign-in ends with the address of the person', first.email === 'ada@example.com', first)
  check('after one question for the password and one for consent', ada.asked.join() === '/login,/consent', ada.asked)
  for (const time of ['once', 'and again']) {
    const fresh = await seen(`${app}/refresh`)
    check(`its tokens are renewed, ${time}`, fresh.renewed === true, fresh)
  }
  await seen(`${app}/leave`, { form: {} })
  const again = await seen(`${app}/login/oidc/`, { form: {} })
  check('after its own sign-out the next sign-in is silent', again.email === first.email && ada.asked.length === 2, again)
})
