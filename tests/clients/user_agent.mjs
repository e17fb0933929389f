// A user agent without rendering: keeps cookies as browsers do (by host, whatever the port), follows redirects from
// site to site, and fills in the pages of Latchkey for its user.

const plain = (text) => text.replace(/&(#\d+|#x[0-9a-f]+|amp|lt|gt|quot);/gi, (_, name) => name[0] === '#'
  ? String.fromCodePoint(Number(name.slice(1).replace(/^x/i, '0x'))) : { amp: '&', lt: '<', gt: '>', quot: '"' }[name.toLowerCase()])

/** The form around the element of that id: where it goes, and what it hides. */
const formAround = (html, id) => {
  const form = html.match(/<form[^]*?<\/form>/g)?.find((one) => one.includes(`id="${id}"`))
  if (!form) return undefined
  const inputs = form.matchAll(/<input type="hidden" name="([^"]*)" value="([^"]*)"/g)
  return { action: plain(form.match(/ action="([^"]*)"/)?.[1] ?? ''), fields: Object.fromEntries([...inputs].map(([, name, value]) => [name, plain(value)])) }
}

/** What is set is kept with its host and path; a path is compared as RFC 6265, section 5.1.4, has it. */
const fits = (url, { host, path }) => host === url.hostname &&
  (url.pathname === path || url.pathname.startsWith(path.endsWith('/') ? path : `${path}/`))

export class UserAgent {
  #cookies = new Map()

  /** `person` is `{ username, password }`; without one, a page that asks is where the way ends. */
  constructor(issuer, person) {
    Object.assign(this, { issuer, person, asked: [] })
  }

  /** Ends at the first page that is not Latchkey's own question: `{ status, url, text, headers }`. */
  async visit(link, options = {}) {
    let [url, request] = [new URL(link), options]
    for (let steps = 0; steps < 30; steps += 1) {
      const answer = await this.#send(url, request)
      request = { headers: options.headers }
      const location = answer.headers.get('location')
      if (location && answer.status >= 300 && answer.status < 400) {
        url = new URL(location, url)
        if (options.stop?.(url)) return { status: answer.status, url, text: '', headers: answer.headers }
        continue
      }
      const text = await answer.text()
      const filled = url.origin === this.issuer && this.person ? this.#filled(text) : undefined
      if (!filled) return { status: answer.status, url, text, headers: answer.headers }
      this.asked.push(url.pathname)
      url = new URL(filled.action, url)
      request = { form: filled.fields }
    }
    throw new Error(`this never ends; now at ${url}`)
  }

  cookie(url, name) {
    return [...this.#cookies.values()].find((one) => one.name === name && fits(new URL(url), one))?.value
  }

  /** As one user who presses a button twice: what `n` requests at once are answered, all with the cookies of now. */
  atOnce(n, link) {
    return Promise.all(Array.from({ length: n }, () => this.visit(link)))
  }

  #filled(html) {
    const answers = { 'login-submit': this.person, 'consent-accept': { decision: 'accept' }, 'logout-confirm': {} }
    for (const [id, more] of Object.entries(answers)) {
      const form = formAround(html, id)
      if (form) return { ...form, fields: { ...form.fields, ...more } }
    }
    return undefined
  }

  async #send(url, { form, headers = {}, method }) {
    const cookie = [...this.#cookies.values()].filter((one) => fits(url, one)).map(({ name, value }) => `${name}=${value}`).join('; ')
    const all = { accept: 'text/html,*/*;q=0.8', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document', ...headers, ...(cookie && { cookie }) }
    if (form) all.origin = url.origin
    const body = form && new URLSearchParams(form)
    const answer = await fetch(url, { method: method ?? (form ? 'POST' : 'GET'), headers: all, body, redirect: 'manual' })
    for (const line of answer.headers.getSetCookie()) this.#keep(url, line)
    return answer
  }

  #keep(url, line) {
    const [pair, ...attributes] = line.split(';').map((part) => part.trim())
    const [name, ...value] = pair.split('=')
    const said = (what) => attributes.find((one) => one.toLowerCase().startsWith(`${what}=`))?.slice(what.length + 1)
    const path = said('path') ?? (url.pathname.slice(0, url.pathname.lastIndexOf('/')) || '/')
    const key = `${url.hostname} ${path} ${name}`
    const gone = said('max-age') ? Number(said('max-age')) <= 0 : new Date(said('expires') ?? '9999-01-01') < new Date()
    if (gone) this.#cookies.delete(key)
    else this.#cookies.set(key, { name, value: value.join('='), host: url.hostname, path })
  }
}
