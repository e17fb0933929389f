// Latchkey with a file store, and the client programs of one test, each on a free port.

import { spawn } from 'node:child_process'
import { mkdtempSync, openSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

const ROOT = join(import.meta.dirname, '../..')
const TARGET = process.env.CARGO_TARGET_DIR ?? join(ROOT, 'target')
const LATCHKEY = process.env.LATCHKEY_BIN ?? join(TARGET, 'debug/latchkey')

/** Where `.ci/clients` puts what it installs and builds for the program of this folder. */
export const installed = (folder) => join(TARGET, 'clients', folder)

/** The person who signs in, in every one of these tests. */
export const ADA = { username: 'ada', password: 'a long password of ada' }
/** The secret of every declared client here. */
export const SECRET = 'a-secret-of-tests-that-is-long-enough'

const PEOPLE = `
[[scopes]]
name = "groups"
description = "See which groups you are in"
claims = ["groups"]

[[users]]
username = "${ADA.username}"
password = "${ADA.password}"
groups = ["staff"]
[users.claims]
name = "Ada Lovelace"
email = "ada@example.com"
email_verified = true
`

export const freePort = () => new Promise((resolve, reject) => {
  const server = createServer().on('error', reject)
  server.listen(0, '127.0.0.1', () => {
    const { port } = server.address()
    server.close(() => resolve(port))
  })
})

/** Until `look` gives something; what it throws is said if it never does. */
export const eventually = async (what, look, seconds = 60) => {
  let why
  for (const end = Date.now() + seconds * 1_000; Date.now() < end;) {
    try {
      const seen = await look()
      if (seen) return seen
    } catch (error) { why = error }
    await new Promise((later) => { setTimeout(later, 100) })
  }
  throw new Error(`${what}: not within ${seconds} s`, { cause: why })
}

/** What runs for one test, in a folder that goes with it. */
export class Environment {
  #running = []

  constructor() {
    this.folder = mkdtempSync(join(tmpdir(), 'latchkey-programs-'))
  }

  file(name, text) {
    const path = join(this.folder, name)
    writeFileSync(path, text, { mode: 0o600 })
    return path
  }

  /** Each log, by its file's name, with what it ends with. */
  logs() {
    return readdirSync(this.folder).filter((name) => name.endsWith('.log'))
      .map((name) => [name, readFileSync(join(this.folder, name), 'utf8').split('\n').slice(-40).join('\n')])
  }

  /** Starts a program, and waits until `ready` returns something. It leads a process group, which `end` stops. */
  async start(name, [command, ...args], { env = {}, cwd = this.folder, ready }) {
    const log = openSync(join(this.folder, `${name}.log`), 'a')
    const child = spawn(command, args, { cwd, env: { ...process.env, ...env }, stdio: ['ignore', log, log], detached: true })
    let failed
    child.on('error', (error) => { failed = error })
    this.#running.push(child)
    await eventually(`${name} starts`, async () => {
      if (failed || child.exitCode !== null) return 'ended'
      return ready()
    }, 180)
    if (failed || child.exitCode !== null) throw new Error(`${name} ended at once`, { cause: failed })
    return child
  }

  /** Runs a program to its end, which has to be a good one. */
  async run(name, command, options) {
    const child = await this.start(name, command, { ...options, ready: () => true })
    await eventually(`${name} ends`, () => child.exitCode !== null, 120)
    if (child.exitCode !== 0) throw new Error(`${name} ended with ${child.exitCode}`)
  }

  /** Starts a program that is told in lines what to do, and answers in lines of JSON. */
  startInteractive(name, [command, ...args]) {
    const log = openSync(join(this.folder, `${name}.log`), 'a')
    const child = spawn(command, args, { cwd: this.folder, stdio: ['pipe', 'pipe', log], detached: true })
    this.#running.push(child)
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
    return {
      send: (line) => child.stdin.write(`${line}\n`),
      receive: async () => {
        const { value, done } = await lines.next()
        if (done) throw new Error(`${name} has ended`)
        return JSON.parse(value)
      },
    }
  }

  /** Starts Latchkey with these `[[clients]]` besides its people, and settings beside the defaults. */
  async latchkey(clients = '', settings = {}) {
    const port = await freePort()
    this.issuer = `http://localhost:${port}`
    this.settings = { ISSUER_URL: this.issuer, STORE_URL: `file:${join(this.folder, String(port))}`, KEYS_DIR: join(this.folder, 'keys'),
      BOOTSTRAP_FILE: this.file('bootstrap.toml', PEOPLE + clients), LOG_FORMAT: 'json', ...settings }
    await this.start('latchkey', [LATCHKEY, 'serve'],
      { env: this.settings, ready: async () => (await fetch(`${this.issuer}/ready`)).ok })
    return this.issuer
  }

  /** What the operator does while it runs. */
  operator(...words) {
    return this.run('operator', [LATCHKEY, ...words], { env: this.settings })
  }

  /** Each line of Latchkey's log in which every word stands. */
  logLines(...words) {
    return readFileSync(join(this.folder, 'latchkey.log'), 'utf8').split('\n').filter((line) => words.every((word) => line.includes(word)))
  }

  async end() {
    const still = this.#running.filter((child) => child.pid && child.exitCode === null && child.signalCode === null)
    for (const child of still) process.kill(-child.pid, 'SIGTERM')
    const ended = (child) => child.exitCode !== null || child.signalCode !== null
    await eventually('all programs end', () => still.every(ended), 10)
      .catch(() => { for (const child of still.filter((one) => !ended(one))) process.kill(-child.pid, 'SIGKILL') })
  }

  remove() {
    rmSync(this.folder, { recursive: true, force: true })
  }
}

/** Runs a test in an environment of its own. On a failure prints the error and the end of every log. */
export const test = async (what) => {
  const environment = new Environment()
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => { void environment.end().then(() => process.exit(1)) })
  try {
    await what(environment)
  } catch (error) {
    console.error(`FAILED  ${error.stack ?? error}`)
    if (error.cause) console.error('cause:', error.cause)
    for (const [name, end] of environment.logs()) console.error(`--- ${name}\n${end}`)
    process.exitCode = 1
  } finally {
    await environment.end()
    environment.remove()
  }
}
