// A user without a browser: follows redirects, keeps cookies, fills in the forms.

/** The value of an attribute in the markup of our own pages, which never has quotes inside. */
const hidden = (html, name) => html.match(new RegExp(`name="${name}" value="([^"]*)"`))?.[1] ?? ''

export class ScriptedUser {
  #cookies = new Map()

  constructor(issuer, username, password) {
    Object.assign(this, { issuer, username, password })
  }

  /** Goes where the link leads, signs in and allows what is asked, and ends at the client's own URL. */
  async visit(link) {
    let [url, form] = [new URL(link), undefined]
    for (let steps = 0; steps < 20; steps += 1) {
      const answer = await this.#send(url, form)
      form = undefined
      const location = answer.headers.get('location')
      if (location) {
        url = new URL(location, url)
        if (url.origin !== new URL(this.issuer).origin) return url
        continue
      }
      const html = await answer.text()
      if (answer.status !== 200) throw new Error(`${url.pathname} answered ${answer.status}: ${html}`)
      form = this.#filled(html)
      // Both forms go to where their page is.
      url = new URL(url.pathname, this.issuer)
    }
    throw new Error('this sign-in never ends')
  }

  #filled(html) {
    const form = { interaction: hidden(html, 'interaction'), csrf: hidden(html, 'csrf') }
    if (html.includes('id="consent-accept"')) return { ...form, decision: 'accept' }
    if (html.includes('id="login-submit"')) return { ...form, username: this.username, password: this.password }
    throw new Error(`a page with nothing to fill in: ${html}`)
  }

  async #send(url, form) {
    const headers = { accept: 'text/html', cookie: [...this.#cookies].map((pair) => pair.join('=')).join('; ') }
    if (form) headers.origin = new URL(this.issuer).origin
    const body = form && new URLSearchParams(form)
    const answer = await fetch(url, { method: form ? 'POST' : 'GET', headers, body, redirect: 'manual' })
    for (const line of answer.headers.getSetCookie()) {
      const [name, ...value] = line.split(';')[0].split('=')
      if (/max-age=0/i.test(line)) this.#cookies.delete(name)
      else this.#cookies.set(name, value.join('='))
    }
    return answer
  }
}
