// The MCP SDK for TypeScript: registers itself, signs the person in, and refreshes once for every call.

import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import { UnauthorizedError } from '@modelcontextprotocol/sdk/client/auth.js'
import { check, refused } from '../check.mjs'
import { ADA, freePort, test } from '../environment.mjs'
import { UserAgent } from '../user_agent.mjs'
import { declared, mcpServer } from './server.mjs'

const CALLS = 10
const REDIRECT = 'http://127.0.0.1:9/callback'

/** What a program that uses the SDK has to keep. */
class Kept {
  redirectUrl = REDIRECT
  registrations = 0
  signIns = 0
  // The SDK does not add refresh_token by itself.
  clientMetadata = { client_name: 'MCP test', redirect_uris: [REDIRECT], grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'], token_endpoint_auth_method: 'none' }

  clientInformation() { return this.client }
  saveClientInformation(client) { this.client = client; this.registrations += 1 }
  tokens() { return this.current }
  saveTokens(tokens) { this.current = tokens }
  codeVerifier() { return this.verifier }
  saveCodeVerifier(verifier) { this.verifier = verifier }
  redirectToAuthorization(link) { this.link = link; this.signIns += 1 }
}

const walk = async (environment, scopes) => {
  const port = await freePort()
  const issuer = await environment.latchkey(declared(port))
  const server = await mcpServer(port, issuer, { scopes })
  const [kept, ada] = [new Kept(), new UserAgent(issuer, ADA)]
  const called = scopes ? `the resource names ${scopes.join(' ')}` : 'the resource names no scopes'
  try {
    const connect = async () => {
      const [client, transport] = [new Client({ name: 'test', version: '1' }), new StreamableHTTPClientTransport(server.url, { authProvider: kept })]
      await client.connect(transport)
      return client
    }
    const first = await refused(connect)
    check(`${called}: the first call asks for a sign-in`, first instanceof UnauthorizedError, first)
    check('the client has registered itself', kept.client.client_id && kept.registrations === 1, kept.client)
    check('and asks for a token for this server', kept.link.searchParams.get('resource') === server.url.href, kept.link)
    const back = await ada.visit(kept.link, { stop: (url) => url.href.startsWith(REDIRECT) })
    await new StreamableHTTPClientTransport(server.url, { authProvider: kept }).finishAuth(back.url.searchParams.get('code'))

    // Each with a connection of its own, for of two calls on one the SDK refuses a 401 that comes while the other renews.
    const clients = await Promise.all(Array.from({ length: CALLS }, connect))
    const who = async (client) => (await client.callTool({ name: 'who' })).content[0].text
    const sub = await who(clients[0])
    check('a call is answered', sub === server.taken()[0].sub, sub)
    for (const round of ['once', 'and once more']) {
      server.forget()
      const all = await Promise.all(clients.map(who))
      check(`${CALLS} calls at once, each of which refreshes, are answered, ${round}`, all.every((one) => one === sub), all)
    }
    check('nobody was sent to sign in again', kept.signIns === 1, kept.signIns)
    check('and nothing was taken for a theft', environment.logLines('reuse_detected').length === 0, environment.logLines('reuse_detected'))
    await Promise.all(clients.map((client) => client.close()))
  } finally {
    server.close()
  }
}

await test(async (environment) => {
  await walk(environment, ['openid', 'offline_access'])
  await walk(environment)
})
