#!/usr/bin/env bash
# FedCM and the session cookie of the provider: on localhost it is there, on two sites it is not.
#
# Guess:   the accounts request of FedCM is made by the browser itself, for the person, with no page behind it: it
#          carries the provider's own cookies, and SameSite, which guards against other sites' pages, does not
#          come in. And what works between two ports of localhost works between two sites.
# Really:  Chromium sends it the cookies that a frame on the other site would have got, by SameSite: of four only
#          "SameSite=None; Secure". A provider with a Lax session cookie, the usual one, is told of nobody and
#          answers that nobody is signed in; the browser then thinks so, too. On localhost every port is the same
#          site: all four arrive, and the demo works. (Not even the frame gets the None one where third-party
#          cookies are blocked, as they are by Debian's Chromium; FedCM does.)
# Versions: Chromium (Debian's, printed below), driven by playwright-core 1.65.1.
# Meaning: a provider that wants FedCM needs one more cookie, SameSite=None and good for nothing but that, and tests
#          of it on two host names with https. Tests between ports of localhost prove nothing about cookies.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT
cd "$dir"
command -v chromium >/dev/null || { apt-get -qq update; apt-get -qq install -y --no-install-recommends chromium >/dev/null; }
npm init -y >/dev/null; npm install --no-audit --no-fund --silent playwright-core@1.65.1
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -keyout key.pem -out cert.pem -subj /CN=test \
  -addext subjectAltName=DNS:idp.test,DNS:app.test 2>/dev/null
cat > run.mjs <<'X'
import { readFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import { chromium } from 'playwright-core';

const COOKIES = ['lax=1; Path=/; SameSite=Lax', 'strict=1; Path=/; SameSite=Strict', 'unset=1; Path=/', 'none=1; Path=/; SameSite=None; Secure'];
const names = (request) => (request.headers.cookie ?? '').split('; ').map((pair) => pair.split('=')[0]).filter(Boolean).sort().join(' ') || 'nothing';
let idp; // its origin
const seen = {};
const site = (request, answer) => {
  const { pathname } = new URL(request.url, 'http://x');
  const json = (status, body) => answer.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  if (pathname === '/.well-known/web-identity') return json(200, { provider_urls: [idp + '/config'], accounts_endpoint: idp + '/accounts', login_url: idp + '/set' });
  if (pathname === '/config') return json(200, { accounts_endpoint: '/accounts', id_assertion_endpoint: '/assert', login_url: '/set' });
  if (pathname === '/accounts') { seen.fedcm = names(request); return json(200, { accounts: [] }); }
  if (pathname === '/link' || pathname === '/frame') seen[pathname.slice(1)] = names(request);
  answer.writeHead(200, { 'content-type': 'text/html', ...(pathname === '/set' && { 'set-cookie': COOKIES }) }).end('<!doctype html><link rel=icon href=data:,>' + pathname);
};
const listen = (server) => new Promise((ready) => server.listen(0, '127.0.0.1', () => ready(server.address().port)));
const tls = { key: readFileSync('key.pem'), cert: readFileSync('cert.pem') };
const [secure, one, two] = [https.createServer(tls, site), http.createServer(site), http.createServer(site)];
const [port, first, second] = [await listen(secure), await listen(one), await listen(two)];

const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ['--no-sandbox', '--disable-gpu', '--ignore-certificate-errors',
  `--host-resolver-rules=MAP idp.test:443 127.0.0.1:${port}, MAP app.test:443 127.0.0.1:${port}`] });
console.error('Chromium', browser.version());
for (const [kind, provider, application] of [['two sites by https', 'https://idp.test', 'https://app.test'],
  ['two ports of localhost', `http://localhost:${first}`, `http://localhost:${second}`]]) {
  idp = provider;
  const page = await (await browser.newContext({ ignoreHTTPSErrors: true })).newPage();
  await page.goto(idp + '/set');
  await page.goto(application + '/');
  await page.evaluate((src) => new Promise((loaded) => {
    document.body.append(Object.assign(document.createElement('iframe'), { src, onload: loaded }));
  }), idp + '/frame');
  const asked = page.evaluate((configURL) => navigator.credentials.get({ identity: { providers: [{ configURL, clientId: 'app' }] } })
    .catch((error) => String(error)), idp + '/config').catch(() => {});
  for (const end = Date.now() + 20_000; !seen.fedcm && Date.now() < end;) await new Promise((later) => setTimeout(later, 50));
  if (!seen.fedcm) console.log('FedCM never asked:', await Promise.race([asked, 'and says nothing']));
  await page.evaluate((href) => { location.href = href; }, idp + '/link');
  await page.waitForURL(idp + '/link');
  for (const how of ['link', 'frame', 'fedcm']) { console.log(`${kind} | ${how} | ${seen[how]}`); delete seen[how]; }
}
await browser.close();
for (const server of [secure, one, two]) { server.close(); server.closeAllConnections(); }
X
node run.mjs | tee said
diff - said <<'X' || { echo "CHANGED"; exit 1; }
two sites by https | link | lax none unset
two sites by https | frame | nothing
two sites by https | fedcm | none
two ports of localhost | link | lax none strict unset
two ports of localhost | frame | lax none strict unset
two ports of localhost | fedcm | lax none strict unset
X
echo "as described"
