// What a client of another language does, which is told over its standard input what to do: see ../mcp-python/program.py.

import { check } from '../check.mjs'
import { ADA, freePort, test } from '../environment.mjs'
import { UserAgent } from '../user_agent.mjs'
import { declared, mcpServer } from './server.mjs'

// Its clients go by their own clock.
const LIFETIME = 3

export const walk = (name, command) => test(async (environment) => {
  const port = await freePort()
  const issuer = await environment.latchkey(declared(port))
  const server = await mcpServer(port, issuer, { scopes: ['openid', 'offline_access'] })
  const ada = new UserAgent(issuer, ADA)
  let visits = 0
  try {
    const client = environment.startInteractive('client', [...command, server.url.href])
    /** What the program says next, once nobody has to sign in for it. */
    const next = async () => {
      const said = await client.receive()
      if (!said.visit) return said
      visits += 1
      check(`${name}: it asks for a token for this server`, new URL(said.visit).searchParams.get('resource') === server.url.href, said)
      await environment.operator('client', 'set', new URL(said.visit).searchParams.get('client_id'), '--setting', `access_token_lifetime=${LIFETIME}`)
      const back = await ada.visit(said.visit, { stop: (url) => url.port === '9' })
      client.send(back.url.href)
      return next()
    }
    const ready = await next()
    check(`${name}: it has registered itself and signed the person in`, ready.ready && visits === 1, ready)
    for (const round of ['once', 'and once more']) {
      await new Promise((later) => { setTimeout(later, LIFETIME * 1_000 + 100) })
      client.send('call 8')
      const { called } = await next()
      const { sub } = server.taken()[0]
      check(`eight calls after the end of the token are answered, ${round}`, called?.length === 8 && called.every((one) => one === sub), called)
    }
    check('by refreshes: nobody was sent to sign in again', visits === 1, visits)
    check('and nothing was taken for a theft', environment.logLines('reuse_detected').length === 0)
  } finally {
    server.close()
  }
})
