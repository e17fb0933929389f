// An MCP server with one tool, which takes access tokens that are for itself (RFC 9728, RFC 8707).

import { createServer } from 'node:http'
import { createRemoteJWKSet, jwtVerify } from 'jose'
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js'
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js'

const METADATA = '/.well-known/oauth-protected-resource/mcp'

/** The server on this port, as the operator declares it. */
export const declared = (port) => `
[[resources]]
resource = "http://127.0.0.1:${port}/mcp"
name = "Test tools"
registered_clients = true
`

/**
 * `scopes` are those that its metadata names, if any. `forget()` refuses every token that was shown until then, as if
 * its time were over.
 */
export const mcpServer = async (port, issuer, { scopes } = {}) => {
  const origin = `http://127.0.0.1:${port}`
  const resource = `${origin}/mcp`
  const keys = createRemoteJWKSet(new URL(`${issuer}/jwks.json`))
  const seen = new Map()
  const over = new Set()

  const person = async (bearer) => {
    if (over.has(bearer)) throw new Error('over')
    const { payload } = await jwtVerify(bearer, keys, { issuer, audience: resource, typ: 'at+jwt' })
    seen.set(bearer, payload)
    return payload
  }
  const server = createServer(async (request, answer) => {
    const json = (status, body, headers = {}) => answer.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body))
    const { pathname } = new URL(request.url, origin)
    if (pathname === METADATA) return json(200, { resource, authorization_servers: [issuer], ...(scopes && { scopes_supported: scopes }) })
    if (pathname !== '/mcp') return json(404, {})
    const claims = await person(request.headers.authorization?.split(' ')[1]).catch((error) => error)
    if (claims instanceof Error) return json(401, { error: 'invalid_token', why: claims.message }, { 'www-authenticate': `Bearer resource_metadata="${origin}${METADATA}"` })
    const mcp = new McpServer({ name: 'test', version: '1' })
    mcp.registerTool('who', { description: 'Says who calls' }, () => ({ content: [{ type: 'text', text: claims.sub }] }))
    const transport = new StreamableHTTPServerTransport({ sessionIdGenerator: undefined })
    answer.on('close', () => { void transport.close(); void mcp.close() })
    await mcp.connect(transport)
    return transport.handleRequest(request, answer)
  })
  await new Promise((ready) => { server.listen(port, '127.0.0.1', ready) })
  return {
    url: new URL(resource),
    /** The claims of every token that was taken, oldest first. */
    taken: () => [...seen.values()],
    forget: () => { for (const bearer of seen.keys()) over.add(bearer) },
    close: () => { server.close(); server.closeAllConnections() },
  }
}
