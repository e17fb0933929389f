#!/usr/bin/env bash
# Ten calls at once with an access token that the API no longer takes: what two MCP clients ask the provider.
#
# Guess:   a client that keeps one token for all its calls renews it once, and the other calls wait for that, or read
#          what the first has stored; and a 401 with a refresh token at hand is a reason to renew, in every SDK.
# Really:  the SDK for TypeScript renews once for each call: ten calls, ten token requests, each with the refresh token
#          that it read before it was sent. Most come when theirs has been replaced, so that a provider which takes
#          a second use for a theft (RFC 9700 section 4.14.2) ends the grant, and the person signs in again.
#          The SDK for Python has a lock and renews once, when its own clock says so; a 401 before that
#          makes it begin a sign-in, its good refresh token unused.
# Versions: @modelcontextprotocol/sdk 1.32.2, mcp (Python) 2.3.0.
# Meaning: rotation needs a grace in which a token that was just replaced is answered with the same successor. In
#          a client share one renewal among all calls (a promise in the provider's tokens()). For Python a token
#          that is revoked early costs a sign-in.
set -euo pipefail
dir=$(mktemp -d); provider=
trap '[ -z "$provider" ] || kill "$provider" 2>/dev/null || true; rm -rf "$dir"' EXIT
cd "$dir"
python3 -m venv venv; venv/bin/pip -q install mcp==2.3.0
npm init -y >/dev/null; npm install --no-audit --no-fund --silent @modelcontextprotocol/sdk@1.32.2

# The provider and the API in one. Its refresh tokens have a number, the newest of which is the one that is good.
cat > provider.mjs <<'X'
import http from 'node:http';
import { writeFileSync } from 'node:fs';
const state = { good: 'first', number: 0, refreshes: 0, late: 0, signIns: 0, lifetime: 3600 };
let base;
const answers = {
  '/.well-known/oauth-protected-resource/mcp': () => ({ resource: base + '/mcp', authorization_servers: [base] }),
  '/.well-known/oauth-authorization-server': () => ({ issuer: base, authorization_endpoint: base + '/authorize', token_endpoint: base + '/token',
    registration_endpoint: base + '/register', response_types_supported: ['code'], code_challenge_methods_supported: ['S256'], token_endpoint_auth_methods_supported: ['none'] }),
  '/register': (body) => ({ ...JSON.parse(body), client_id: 'client', token_endpoint_auth_method: 'none' }),
  '/token': (body) => {
    const form = new URLSearchParams(body);
    if (form.get('grant_type') === 'refresh_token') {
      state.refreshes += 1;
      if (Number(form.get('refresh_token')) === state.number) state.number += 1;
      else state.late += 1;
    }
    state.good = `token-${state.number}-${Math.random()}`;
    return { access_token: state.good, token_type: 'Bearer', expires_in: state.lifetime, refresh_token: String(state.number) };
  },
  '/forget': (body) => { Object.assign(state, { good: 'another', refreshes: 0, late: 0, signIns: 0 }, JSON.parse(body)); return {}; },
  '/state': () => state,
};
const server = http.createServer(async (request, answer) => {
  let body = '';
  for await (const part of request) body += part;
  const url = new URL(request.url, base);
  const json = (status, what, headers) => answer.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(what));
  if (url.pathname === '/authorize') {
    state.signIns += 1;
    return answer.writeHead(302, { location: `${url.searchParams.get('redirect_uri')}?code=c&state=${url.searchParams.get('state') ?? ''}` }).end();
  }
  // The token endpoint takes its time, as one with a database does.
  if (url.pathname === '/token') await new Promise((later) => setTimeout(later, 20));
  if (answers[url.pathname]) return json(url.pathname === '/register' ? 201 : 200, answers[url.pathname](body));
  if (url.pathname !== '/mcp') return json(404, {});
  if (!request.headers.authorization?.startsWith('Bearer token-') || (state.good === 'another'))
    return json(401, {}, { 'www-authenticate': `Bearer resource_metadata="${base}/.well-known/oauth-protected-resource/mcp"` });
  if (request.method !== 'POST') return answer.writeHead(405).end();
  const call = JSON.parse(body);
  if (call.method === 'initialize') return json(200, { jsonrpc: '2.0', id: call.id, result: { protocolVersion: call.params.protocolVersion, capabilities: { tools: {} }, serverInfo: { name: 't', version: '1' } } });
  if (call.id === undefined) return answer.writeHead(202).end();
  if (call.method === 'tools/list') return json(200, { jsonrpc: '2.0', id: call.id, result: { tools: [{ name: 'x', inputSchema: { type: 'object' } }] } });
  return json(200, { jsonrpc: '2.0', id: call.id, result: { content: [{ type: 'text', text: 'done' }] } });
});
server.listen(0, '127.0.0.1', () => { base = `http://127.0.0.1:${server.address().port}`; writeFileSync('base', base); });
X
node provider.mjs & provider=$!
until [ -s base ]; do sleep 0.1; done
cat > client.mjs <<'X'
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
const base = process.argv[2], url = new URL(base + '/mcp'), redirect = 'http://127.0.0.1:9/cb';
const kept = { redirectUrl: redirect, clientMetadata: { redirect_uris: [redirect], grant_types: ['authorization_code', 'refresh_token'], token_endpoint_auth_method: 'none' },
  clientInformation() { return this.client; }, saveClientInformation(it) { this.client = it; }, tokens() { return this.now; }, saveTokens(it) { this.now = it; },
  codeVerifier() { return this.verifier; }, saveCodeVerifier(it) { this.verifier = it; }, redirectToAuthorization(link) { this.link = link; } };
const post = (path, what) => fetch(base + path, { method: 'POST', body: JSON.stringify(what) }).then((answer) => answer.json());
const connect = async () => { const client = new Client({ name: 't', version: '1' }); await client.connect(new StreamableHTTPClientTransport(url, { authProvider: kept })); return client; };
await connect().catch(() => {});
const back = await fetch(kept.link, { redirect: 'manual' });
await new StreamableHTTPClientTransport(url, { authProvider: kept }).finishAuth(new URL(back.headers.get('location')).searchParams.get('code'));
const client = await connect();
await post('/forget', {});
await Promise.all(Array.from({ length: 10 }, () => client.callTool({ name: 'x' })));
const { refreshes, late, signIns } = await post('/state', {});
console.log(`TypeScript | 401 | ${refreshes} refreshes, ${late > 0 ? 'some' : 'none'} with a token that was replaced, ${signIns} sign-ins`);
process.exit();
X
cat > client.py <<'X'
import asyncio, sys
from urllib.parse import parse_qs, urlsplit
import httpx2
from mcp import ClientSession
from mcp.client.auth.oauth2 import AuthorizationCodeResult, OAuthClientProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import OAuthClientMetadata
base = sys.argv[1]
class Kept:
    tokens = client = None
    async def get_tokens(self): return self.tokens
    async def set_tokens(self, tokens): self.tokens = tokens
    async def get_client_info(self): return self.client
    async def set_client_info(self, client): self.client = client
async def main():
    async with httpx2.AsyncClient() as web:
        came = []
        async def visit(link): came.append(parse_qs(urlsplit((await web.get(link)).headers["location"]).query))
        async def back(): return AuthorizationCodeResult(code=came[-1]["code"][0], state=came[-1]["state"][0])
        async def post(path, what): return (await web.post(base + path, json=what)).json()
        for kind in ("its own clock", "401"):
            # A lifetime of a second is over at the first call.
            await post("/forget", {"lifetime": 1 if kind != "401" else 3600})
            auth = OAuthClientProvider(base + "/mcp", OAuthClientMetadata(redirect_uris=["http://127.0.0.1:9/cb"]), Kept(), visit, back)
            async with httpx2.AsyncClient(auth=auth) as http, streamable_http_client(base + "/mcp", http_client=http) as streams:
                async with ClientSession(*streams[:2]) as session:
                    await session.initialize()
                    await post("/forget", {"lifetime": 3600, **({"good": "token-"} if kind != "401" else {})})
                    await asyncio.sleep(1.2)
                    await asyncio.gather(*(session.call_tool("x", {}) for _ in range(10)))
                    seen = await post("/state", {})
                    print(f"Python | {kind} | {seen['refreshes']} refreshes, {'some' if seen['late'] else 'none'} with a token that was replaced, {seen['signIns']} sign-ins")
asyncio.run(main())
X
{ node client.mjs "$(cat base)"; venv/bin/python -W ignore client.py "$(cat base)"; } | tee said
diff - said <<'X' || { echo "CHANGED"; exit 1; }
TypeScript | 401 | 10 refreshes, some with a token that was replaced, 0 sign-ins
Python | its own clock | 1 refreshes, none with a token that was replaced, 0 sign-ins
Python | 401 | 0 refreshes, none with a token that was replaced, 1 sign-ins
X
echo "as described"
