// People in a hurry, in Chromium: several tabs at once, a second click on every button, and an application on
// another site that sends a long request by form.

import { register, withBrowser, withSite } from './browser.mjs'
import { check, run } from './check.mjs'

const APP = ['text/html', '<!doctype html><title>App</title><link rel="icon" href="data:,">the app']
const SUBMIT = ['text/html', `<!doctype html><title>Form</title><link rel="icon" href="data:,"><script>
addEventListener('load', () => {
  const [action, fields] = JSON.parse(decodeURIComponent(location.hash.slice(1)))
  const form = Object.assign(document.createElement('form'), { method: 'post', action })
  for (const [name, value] of Object.entries(fields)) form.append(Object.assign(document.createElement('input'), { type: 'hidden', name, value }))
  document.body.append(form)
  form.submit()
})</script>`]
// RFC 7636, appendix B.
const VERIFIER = 'dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk'
const CHALLENGE = 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM'

const asked = (client, more = {}) => ({ response_type: 'code', client_id: client.client_id, redirect_uri: client.redirect_uris[0],
  scope: 'openid', state: 's', code_challenge: CHALLENGE, code_challenge_method: 'S256', ...more })
const link = (issuer, client, more) => `${issuer}/authorize?${new URLSearchParams(asked(client, more))}`

const fill = async (page, [username, password]) => {
  await page.fill('#username', username)
  await page.fill('#password', password)
}

/** Until the page is where it should be; on the way a second click breaks a navigation off, which is no error. */
const reaches = async (page, fits) => {
  for (let looks = 0; looks < 300; looks += 1) {
    if (fits(new URL(page.url()))) return
    await page.waitForTimeout(50)
  }
  throw new Error(`ends at ${page.url()}: ${await page.innerText('body')}`)
}

const lands = (page, client) => reaches(page, (url) => url.href.startsWith(client.redirect_uris[0]) && url.searchParams.has('code'))

/** Whether what came back is good for tokens. */
const redeems = async (issuer, client, page) => {
  const form = { grant_type: 'authorization_code', code: new URL(page.url()).searchParams.get('code'), client_id: client.client_id,
    redirect_uri: client.redirect_uris[0], code_verifier: VERIFIER }
  return (await fetch(`${issuer}/token`, { method: 'POST', body: new URLSearchParams(form) })).status === 200
}

/** Twice on the same spot, as a hand does it: the second press comes while the first is being answered. */
const pressTwice = async (page, selector, apart) => {
  await page.waitForLoadState()
  // What nobody can see yet, nobody can press.
  await page.evaluate(() => new Promise((painted) => { requestAnimationFrame(() => requestAnimationFrame(painted)) }))
  await page.locator(selector).scrollIntoViewIfNeeded()
  const { x, y, width, height } = await page.locator(selector).boundingBox()
  await page.mouse.click(x + width / 2, y + height / 2, { clickCount: 1 })
  await page.waitForTimeout(apart)
  await page.mouse.click(x + width / 2, y + height / 2, { clickCount: 2 })
}

const severalTabs = (issuer, client, person) => withBrowser({}, async (browser) => {
  const tabs = await Promise.all([1, 2, 3, 4].map(() => browser.newPage()))
  await Promise.all(tabs.map((tab) => tab.goto(link(issuer, client, { prompt: 'consent' }))))
  for (const [number, tab] of tabs.entries()) {
    await fill(tab, person)
    await tab.click('#login-submit')
    await tab.click('#consent-accept')
    await lands(tab, client)
    check(`tab ${number + 1} of those begun at once arrives`, await redeems(issuer, client, tab))
  }
})

const secondClicks = (issuer, client, person) => withBrowser({}, async (browser) => {
  const page = browser.pages()[0]
  for (const apart of [20, 60, 120, 200]) {
    await page.goto(link(issuer, client, { prompt: 'login consent' }))
    await fill(page, person)
    await pressTwice(page, '#login-submit', apart)
    await reaches(page, (url) => url.pathname === '/consent')
    await pressTwice(page, '#consent-accept', apart)
    await lands(page, client)
    check(`two clicks ${apart} ms apart on each button arrive`, await redeems(issuer, client, page))
    await page.goto(link(issuer, client, { prompt: 'consent' }))
    await pressTwice(page, '#consent-deny', apart)
    await reaches(page, (url) => url.searchParams.get('error') === 'access_denied')
    check(`two clicks ${apart} ms apart on no are one no`, true)
  }
})

/** The site is another one than the issuer's, so its form comes without cookies. */
const fromAnotherSite = (issuer, client, person, origin) => withBrowser({}, async (browser) => {
  const site = origin.replace('localhost', '127.0.0.1')
  const [page, pending] = [browser.pages()[0], await browser.newPage()]
  await pending.goto(link(issuer, client, { prompt: 'consent' }))
  await page.goto(link(issuer, client, { prompt: 'consent' }))
  await fill(page, person)
  await page.click('#login-submit')
  await page.waitForSelector('#consent-accept')
  for (const length of [100, 6_500]) {
    const fields = asked(client, { prompt: 'consent', login_hint: 'a'.repeat(length) })
    await page.goto(`${site}/form#${encodeURIComponent(JSON.stringify([`${issuer}/authorize`, fields]))}`)
    await page.waitForSelector('#consent-accept')
    await page.click('#consent-accept')
    await lands(page, client)
    check(`a request by form of ${length} bytes and more meets its session`, await redeems(issuer, client, page))
  }
  await fill(pending, person)
  await pending.click('#login-submit')
  await pending.click('#consent-accept')
  await lands(pending, client)
  check('and what was begun before goes on', await redeems(issuer, client, pending))
})

await run('ISSUER USER PASSWORD', (issuer, ...person) => withSite({ '/': APP, '/form': SUBMIT }, async (origin) => {
  const client = await register(issuer, { client_name: 'Photo Shop', redirect_uris: [`${origin}/`],
    token_endpoint_auth_method: 'none', scope: 'openid' })
  await severalTabs(issuer, client, person)
  await secondClicks(issuer, client, person)
  await fromAnotherSite(issuer, client, person, origin)
}))
