// Applications that send people on once they have their answer: brokers, access proxies, shared login
// hosts. From each page whose submit leads away, by two hops, to another https origin, to a program on this
// device, and to an app behind a scheme of its own.

import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer as plain } from 'node:http'
import { createServer as secure } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { register, withBrowser } from './browser.mjs'
import { check, run } from './check.mjs'

/** A key and a certificate that nobody vouches for. */
const selfSigned = () => {
  const folder = mkdtempSync(join(tmpdir(), 'latchkey-tls-'))
  try {
    const [key, cert] = ['key.pem', 'cert.pem'].map((name) => join(folder, name))
    execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2',
      '-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1', '-keyout', key, '-out', cert], { stdio: 'ignore' })
    return { key: readFileSync(key), cert: readFileSync(cert) }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

const listening = (server, host, scheme) => new Promise((ready) => {
  server.listen(0, host, () => ready(`${scheme}://${host}:${server.address().port}`))
})

/** An application at `app`, a proxy on another origin, and three places where people end. */
const withChain = async (what) => {
  const tls = selfSigned()
  const passed = []
  const ends = {}
  const landing = (_, answer) => answer.writeHead(200, { 'content-type': 'text/html' }).end('<!doctype html><title>There</title><link rel="icon" href="data:,">there')
  const proxy = secure(tls, (request, answer) => {
    const [, end] = request.url.split('/')
    passed.push(end)
    answer.writeHead(302, { location: ends[end] ?? '/' }).end()
  })
  const application = secure(tls, (request, answer) => {
    const { pathname } = new URL(request.url, 'https://localhost')
    request.resume().on('end', () => answer.writeHead(303, { location: `${hop}${pathname}` }).end())
  })
  const servers = [proxy, application, secure(tls, landing), plain(landing)]
  const hop = await listening(proxy, '127.0.0.1', 'https')
  const app = await listening(application, 'localhost', 'https')
  ends.https = `${await listening(servers[2], 'localhost', 'https')}/there`
  ends.http = `${await listening(servers[3], '127.0.0.1', 'http')}/there`
  ends.scheme = 'com.example.app:/there'
  try {
    return await what({ app, ends, passed })
  } finally {
    for (const server of servers) {
      server.closeAllConnections()
      server.close()
    }
  }
}

const ask = (issuer, client, end, more) => `${issuer}/authorize?${new URLSearchParams({ response_type: 'code',
  client_id: client.client_id, redirect_uri: `${client.app}/${end}`, scope: 'openid', state: 's',
  code_challenge: 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM', code_challenge_method: 'S256', ...more })}`

const signIn = async (page, [username, password]) => {
  await page.fill('#username', username)
  await page.fill('#password', password)
  await page.click('#login-submit', { noWaitAfter: true })
}

/** What leads away, page by page; each begins with somebody who is signed in and agreed before. */
const ways = (issuer, client, person) => ({
  'the login page': async (page, end) => {
    await page.goto(ask(issuer, client, end, { prompt: 'login' }))
    await signIn(page, person)
  },
  'a cancelled login': async (page, end) => {
    await page.goto(ask(issuer, client, end, { prompt: 'login' }))
    await page.click('#login-cancel', { noWaitAfter: true })
  },
  'the consent page': async (page, end) => {
    await page.goto(ask(issuer, client, end, { prompt: 'consent' }))
    await page.click('#consent-accept', { noWaitAfter: true })
  },
  'a denied consent': async (page, end) => {
    await page.goto(ask(issuer, client, end, { prompt: 'consent' }))
    await page.click('#consent-deny', { noWaitAfter: true })
  },
  'form_post': (page, end) => page.goto(ask(issuer, client, end, { response_mode: 'form_post' })).catch(() => {}),
  'form_post after a login': async (page, end) => {
    await page.goto(ask(issuer, client, end, { prompt: 'login', response_mode: 'form_post' }))
    await signIn(page, person)
  },
  'the logout confirmation': async (page, end) => {
    await page.goto(`${issuer}/logout?${new URLSearchParams({ client_id: client.client_id, post_logout_redirect_uri: `${client.app}/${end}` })}`)
    await page.click('#logout-confirm', { noWaitAfter: true })
  },
})

/** Whether the browser went there. An app that nobody installed is still asked for. */
const arrives = (page, address) => new Promise((told) => {
  const timer = setTimeout(() => told(false), 15_000)
  const look = (request) => {
    if (request.url().split('?')[0] !== address) return
    clearTimeout(timer)
    told(true)
  }
  page.on('request', look)
  page.on('requestfailed', look)
})

const walk = async (browser, chain, name, way, end) => {
  const page = await browser.newPage()
  const refused = []
  page.on('console', (message) => { if (/Content Security Policy/.test(message.text())) refused.push(message.text()) })
  chain.passed.length = 0
  const arrived = arrives(page, chain.ends[end])
  await way(page, end)
  const there = await arrived
  check(`${name} leads by two hops to ${end}`, there && chain.passed.join() === end && refused.length === 0, { there, passed: chain.passed, refused })
  await page.close()
}

await run('ISSUER USER PASSWORD', (issuer, ...person) => withChain(async (chain) => {
  const addresses = Object.keys(chain.ends).map((end) => `${chain.app}/${end}`)
  const client = { app: chain.app, ...await register(issuer, { client_name: 'Broker', redirect_uris: addresses,
    post_logout_redirect_uris: addresses, token_endpoint_auth_method: 'none', scope: 'openid' }) }
  await withBrowser({ ignoreHTTPSErrors: true }, async (browser) => {
    for (const end of Object.keys(chain.ends)) {
      // A first visit, so that from here on the login page leads straight to the application.
      const first = await browser.newPage()
      await first.goto(ask(issuer, client, 'https', { prompt: 'login consent' }))
      await signIn(first, person)
      await first.click('#consent-accept')
      await first.waitForURL(chain.ends.https)
      await first.close()
      for (const [name, way] of Object.entries(ways(issuer, client, person))) await walk(browser, chain, name, way, end)
    }
  })
}))
