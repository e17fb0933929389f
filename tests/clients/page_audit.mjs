// Audits a page in Chromium: accessibility (axe), console errors, width, weight.

import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { check } from './check.mjs'

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')
const TAGS = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']
// The first is a window of 1280 by 1024 at 400 %.
const WINDOWS = { narrow: { width: 320, height: 256 }, phone: { width: 360, height: 640 }, desktop: { width: 1280, height: 800 } }
const LOOKS = { light: { colorScheme: 'light', forcedColors: 'none' }, dark: { colorScheme: 'dark', forcedColors: 'none' },
  forced: { colorScheme: 'dark', forcedColors: 'active' } }
const HEAVY = 15_000

/** What a browser complains of; that a page meant as an error is one does not count. */
export const collectComplaints = (page, issuer) => {
  const heard = { complaints: [], weights: new Map() }
  const documents = new Set()
  page.on('response', async (answer) => {
    if (!answer.url().startsWith(issuer)) return
    const isPage = answer.request().resourceType() === 'document'
    if (isPage) documents.add(answer.url())
    if (answer.status() < 300 || answer.status() >= 400) {
      const bytes = (await answer.body().catch(() => '')).length
      heard.weights.set(isPage ? 'page' : new URL(answer.url()).pathname, bytes)
    }
  })
  page.on('pageerror', (error) => heard.complaints.push(error.message))
  page.on('console', (message) => {
    const meant = /^Failed to load resource.* 4\d\d /.test(message.text()) && documents.has(message.location().url)
    if (message.type() === 'error' && !meant) heard.complaints.push(`${page.url()}: ${message.text()}`)
  })
  return heard
}

const measure = (page) => page.evaluate(async ([source, tags]) => {
  if (!globalThis.axe) (0, eval)(source)
  scrollTo(0, 0)
  const answer = document.querySelector('#consent-accept')?.getBoundingClientRect()
  const hidden = answer && innerHeight >= 480 && answer.bottom > innerHeight
  // No contrast can be told of what lies under something.
  const decide = document.querySelector('.decide')
  decide?.style.setProperty('position', 'static')
  // Forced colours are the system's, which axe does not know.
  const rules = { 'color-contrast': { enabled: !matchMedia('(forced-colors: active)').matches } }
  const { violations, incomplete } = await axe.run({ runOnly: tags, rules })
  // What axe could not decide is a finding too, or a gradient would hide every contrast there is.
  const findings = [...violations, ...incomplete].map(({ id, nodes }) => `${id}: ${nodes[0].html} ${nodes[0].failureSummary}`)
  const controls = [...document.querySelectorAll('button, input:not([type=hidden]), .button')]
  const low = controls.filter((control) => control.getBoundingClientRect().height < 44)
  const wide = document.documentElement.scrollWidth > innerWidth
  const short = [...document.querySelectorAll('a')].filter((link) => link.getBoundingClientRect().height < 24)
  // What only a background sets apart is gone in forced colours.
  const edgeless = [...document.querySelectorAll('.notice, .developer')].filter((box) => parseFloat(getComputedStyle(box).borderTopWidth) === 0)
  const broken = [...document.querySelectorAll('.reference code')].filter((it) => it.textContent.length <= 36 && it.getClientRects().length > 1)
  decide?.style.removeProperty('position')
  return [...(hidden ? ['yes and no are out of sight'] : []), ...short.map((link) => `lower than 24 px: ${link.outerHTML}`),
    ...edgeless.map((box) => `no edge: ${box.outerHTML}`), ...broken.map((it) => `in two lines: ${it.outerHTML}`), ...findings, ...low.map((control) => `lower than 44 px: ${control.outerHTML}`), ...(wide ? ['wider than the window'] : [])]
}, [AXE, TAGS])

/** Looks at the page that stands there, in every window, light, dark and in forced colours. */
export const auditPage = async ({ page, heard, pictures }, title) => {
  await page.waitForLoadState('networkidle')
  const findings = []
  for (const [name, media] of Object.entries(LOOKS)) {
    for (const [size, viewport] of Object.entries(WINDOWS)) {
      await page.emulateMedia({ ...media, reducedMotion: 'reduce' })
      await page.setViewportSize(viewport)
      for (const finding of await measure(page)) findings.push(`${name} ${size}: ${finding}`)
      await page.screenshot({ path: join(pictures, `${title}-${size}-${name}.png`), fullPage: true })
    }
  }
  const bytes = [...heard.weights.values()].reduce((sum, each) => sum + each, 0)
  check(`${title}: 9 views without a finding`, findings.length === 0, findings)
  check(`${title}: ${heard.weights.get('page')} bytes, ${bytes} with style and icon`,
    heard.weights.get('page') > 0 && bytes < HEAVY)
  check(`${title}: nothing blocked, no error`, heard.complaints.length === 0, heard.complaints)
}
