// Walks every page that the unit tests rendered, in Chromium: three sizes, light, dark and in forced colours,
// under the strictest policy a page is served with. Fails on an axe violation, a blocked or foreign request, a
// page wider than its window, a control or link too small to hit, a box without an edge, or a consent page
// whose answer is out of sight.
//
//   mkdir -p /tmp/pages && LATCHKEY_PAGES_OUT=/tmp/pages cargo test --lib page
//   npm ci --prefix tests/pages && npm run check --prefix tests/pages -- /tmp/pages [folder for pictures]

import { mkdtempSync, readFileSync, readdirSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { chromium } from 'playwright-core'

const [folder, pictures] = process.argv.slice(2)
const ORIGIN = 'http://pages.test'
const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')
const STATIC = new URL('../../static/', import.meta.url)
const POLICY = "default-src 'none'; style-src 'self'; img-src 'self'; script-src 'none'; " +
  "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
const TAGS = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']
// The last is a window of 1280 by 1024 at 400 %.
const WINDOWS = { phone: { width: 360, height: 640 }, desktop: { width: 1280, height: 800 },
  narrow: { width: 320, height: 256 } }
const LOOKS = { light: { colorScheme: 'light', forcedColors: 'none' }, dark: { colorScheme: 'dark', forcedColors: 'none' },
  forced: { colorScheme: 'dark', forcedColors: 'active' } }

const answer = (path) => {
  if (path.endsWith('.css')) return { contentType: 'text/css', body: readFileSync(new URL('style.css', STATIC)) }
  if (path === '/favicon.svg') return { contentType: 'image/svg+xml', body: readFileSync(new URL('favicon.svg', STATIC)) }
  const headers = { 'content-security-policy': POLICY }
  return { contentType: 'text/html; charset=utf-8', headers, body: readFileSync(join(folder, path)) }
}

const examine = async (page, name) => {
  await page.goto(`${ORIGIN}/${name}`)
  const found = await page.evaluate(async ([source, tags]) => {
    (0, eval)(source)
    const answer = document.querySelector('#consent-accept')?.getBoundingClientRect()
    const hidden = answer && innerHeight >= 480 && answer.bottom > innerHeight
    // No contrast can be told of what lies under something.
    document.querySelector('.decide')?.style.setProperty('position', 'static')
    // Forced colours are the system's, which axe does not know.
    const rules = { 'color-contrast': { enabled: !matchMedia('(forced-colors: active)').matches } }
    const { violations, incomplete } = await axe.run({ runOnly: tags, rules })
    const wide = document.documentElement.scrollWidth > innerWidth
    const controls = [...document.querySelectorAll('button, input:not([type=hidden]), .button')]
    const small = controls.filter((control) => control.getBoundingClientRect().height < 44)
    const short = [...document.querySelectorAll('a')].filter((link) => link.getBoundingClientRect().height < 24)
    const edgeless = [...document.querySelectorAll('.notice, .developer')].filter((box) => parseFloat(getComputedStyle(box).borderTopWidth) === 0)
    // What axe could not decide is a finding too, or a gradient would hide every contrast there is.
    return { wide, hidden, short: short.length, edgeless: edgeless.length, small: small.length,
      violations: [...violations, ...incomplete].map(({ id, nodes }) => `${id}: ${nodes[0].html} ${nodes[0].failureSummary}`) }
  }, [AXE, TAGS])
  return [...found.violations, ...(found.hidden ? ['yes and no are out of sight'] : []),
    ...(found.short ? [`${found.short} links lower than 24 px`] : []), ...(found.edgeless ? [`${found.edgeless} boxes without an edge`] : []),
    ...(found.wide ? ['wider than the window'] : []),
    ...(found.small ? [`${found.small} controls lower than 44 px`] : [])]
}

const browser = await chromium.launchPersistentContext(mkdtempSync(join(tmpdir(), 'latchkey-pages-')), {
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
    '--disable-background-networking', '--disable-component-update', '--disable-sync'],
})
const problems = []
let looked = 0
try {
  const page = browser.pages()[0] ?? await browser.newPage()
  await page.route('**', (route) => {
    const { origin, pathname } = new URL(route.request().url())
    if (origin === ORIGIN) return route.fulfill(answer(pathname))
    problems.push(`foreign request: ${route.request().url()}`)
    return route.abort()
  })
  // The own script of form_post and of the logout's frames is blocked here on purpose, its nonce is not
  // in this policy; and so are the frames.
  page.on('console', (message) => {
    if (message.type() === 'error' && !/form-post|frames/.test(page.url())) problems.push(`${page.url()}: ${message.text()}`)
  })
  for (const name of readdirSync(folder).filter((name) => name.endsWith('.html')).sort()) {
    for (const [look, media] of Object.entries(LOOKS)) {
      for (const [size, viewport] of Object.entries(WINDOWS)) {
        await page.emulateMedia({ ...media, reducedMotion: 'reduce' })
        await page.setViewportSize(viewport)
        for (const problem of await examine(page, name)) problems.push(`${name} ${look} ${size}: ${problem}`)
        if (pictures) await page.screenshot({ path: join(pictures, `${name.replace('.html', '')}-${size}-${look}.png`), fullPage: true })
        looked += 1
      }
    }
  }
} finally {
  await browser.close()
}
for (const problem of problems) console.error(problem)
console.log(`${looked} views, ${problems.length} problems`)
process.exitCode = problems.length > 0 || looked === 0 ? 1 : 0
