#!/usr/bin/env bash
# Front-channel logout from a public provider to an application on the intranet: the frame is never asked for.
#
# Guess:   Chromium's Local Network Access keeps scripts of public pages from devices at home: fetch is guarded,
#          a page in a frame is loaded as ever. Should a frame not load, it has no load event, or an error event.
# Really:  a frame from a public to a private or a loopback address is refused as fetch is
#          (ERR_BLOCKED_BY_LOCAL_NETWORK_ACCESS_CHECKS) unless the person allowed the *framing* site to reach the local
#          network; nothing arrives there, no preflight either. The load event comes all the same, and so soon that a page
#          that waits for it thinks that everybody has been told. Redirects and forms of the whole window pass.
# Versions: Chromium (Debian's, printed below), driven by playwright-core 1.65.1. Address spaces are those that
#          --ip-address-space-overrides names; headless refuses where a window would ask.
# Meaning: front-channel logout, silent renewal in a frame and check_session_iframe do not cross from the internet into
#          a company's network (a public provider with internal applications, a hosted application with a provider
#          inside) until each person has answered a question that no page of the protocol explains. Back-channel
#          logout, refresh tokens, and redirects of the whole window do.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT
cd "$dir"
command -v chromium >/dev/null || { apt-get -qq update; apt-get -qq install -y --no-install-recommends chromium >/dev/null; }
npm init -y >/dev/null; npm install --no-audit --no-fund --silent playwright-core@1.65.1
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -keyout key.pem -out cert.pem -subj /CN=test \
  -addext subjectAltName=DNS:op.test,DNS:app.test 2>/dev/null
cat > run.mjs <<'X'
import { readFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import { chromium } from 'playwright-core';

let arrived = [];
const site = (request, answer) => {
  arrived.push(request.method);
  if (request.url.startsWith('/to?')) return answer.writeHead(303, { location: decodeURIComponent(request.url.slice(4)) }).end();
  answer.writeHead(200, { 'content-type': 'text/html', 'access-control-allow-origin': '*' }).end('<!doctype html><link rel=icon href=data:,>here');
};
const listen = (server) => new Promise((ready) => server.listen(0, '127.0.0.1', () => ready(server.address().port)));
const tls = { key: readFileSync('key.pem'), cert: readFileSync('cert.pem') };
const servers = [https.createServer(tls, site), https.createServer(tls, site), http.createServer(site)];
const [provider, intranet, machine] = await Promise.all(servers.map(listen));

const walk = async (allowed) => {
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ['--no-sandbox', '--disable-gpu', '--ignore-certificate-errors',
    `--host-resolver-rules=MAP op.test:443 127.0.0.1:${provider}, MAP app.test:443 127.0.0.1:${intranet}`,
    `--ip-address-space-overrides=127.0.0.1:${provider}=public,127.0.0.1:${intranet}=local`] });
  if (!allowed) console.error('Chromium', browser.version());
  const context = await browser.newContext({ ignoreHTTPSErrors: true });
  if (allowed) await context.grantPermissions(['local-network-access'], { origin: 'https://op.test' });
  const page = await context.newPage();
  for (const [name, address] of [['an intranet', 'https://app.test/'], ['the same machine', `http://localhost:${machine}/`]]) {
    const say = (how, more) => { console.log(`${allowed ? 'allowed' : 'not asked'} | to ${name} | ${how} | ${arrived.join() || 'nothing'} arrives${more ?? ''}`); arrived = []; };
    await page.goto('https://op.test/');
    arrived = [];
    const event = await page.evaluate((src) => new Promise((said) => {
      const frame = Object.assign(document.createElement('iframe'), { src, onload: () => said('load'), onerror: () => said('error') });
      document.body.append(frame);
      setTimeout(said, 10_000, 'none');
    }), address);
    say('frame', `, event: ${event}`);
    await page.evaluate((src) => fetch(src).catch(() => {}), address);
    say('fetch');
    await page.goto(`https://op.test/to?${encodeURIComponent(address)}`);
    arrived.shift();
    say('redirect of the window');
  }
  await browser.close();
};
await walk(false);
await walk(true);
for (const server of servers) { server.close(); server.closeAllConnections(); }
X
node run.mjs | tee said
diff - said <<'X' || { echo "CHANGED"; exit 1; }
not asked | to an intranet | frame | nothing arrives, event: load
not asked | to an intranet | fetch | nothing arrives
not asked | to an intranet | redirect of the window | GET arrives
not asked | to the same machine | frame | nothing arrives, event: load
not asked | to the same machine | fetch | nothing arrives
not asked | to the same machine | redirect of the window | GET arrives
allowed | to an intranet | frame | GET arrives, event: load
allowed | to an intranet | fetch | GET arrives
allowed | to an intranet | redirect of the window | GET arrives
allowed | to the same machine | frame | GET arrives, event: load
allowed | to the same machine | fetch | GET arrives
allowed | to the same machine | redirect of the window | GET arrives
X
echo "as described"
