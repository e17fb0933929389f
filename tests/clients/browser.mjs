// Chromium, and a client's own website to go back to.

import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { chromium } from 'playwright-core'

const SETTINGS = {
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
    '--disable-background-networking', '--disable-component-update', '--disable-sync'],
}

/** Lets `what` use a browser with a profile of its own. */
export const withBrowser = async (options, what) => {
  const profile = mkdtempSync(join(tmpdir(), 'latchkey-clients-'))
  const browser = await chromium.launchPersistentContext(profile, { ...SETTINGS, ...options })
  browser.setDefaultTimeout(15_000)
  try {
    return await what(browser)
  } finally {
    await browser.close()
    rmSync(profile, { recursive: true, force: true })
  }
}

/** Lets `what` use a website on a free port: a table of paths to `[type, body]`. */
export const withSite = async (files, what) => {
  const server = createServer((request, answer) => {
    const file = files[new URL(request.url, 'http://localhost').pathname]
    answer.writeHead(file ? 200 : 404, { 'content-type': file?.[0] ?? 'text/plain' }).end(file?.[1] ?? 'nothing here')
  })
  await new Promise((ready) => { server.listen(0, '127.0.0.1', ready) })
  try {
    return await what(`http://localhost:${server.address().port}`)
  } finally {
    server.closeAllConnections()
    server.close()
  }
}

export const register = async (issuer, metadata) => {
  const headers = { 'content-type': 'application/json' }
  const answer = await fetch(`${issuer}/register`, { method: 'POST', headers, body: JSON.stringify(metadata) })
  if (answer.status !== 201) throw new Error(`registration: ${answer.status} ${await answer.text()}`)
  return answer.json()
}
