// The status page of a real daemon in a real Chromium: what it shows, that it follows the feed, that everybody can read it.
import { existsSync, mkdirSync } from 'node:fs'
import { createRequire } from 'node:module'
import puppeteer, { type Browser, type Page } from 'puppeteer-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { DaemonHome, eventually } from '../support/real-daemon.ts'

const CHROMIUM = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(existsSync)
const isRequired = process.env['FEED_REQUIRE_REAL'] === '1'
if (CHROMIUM === undefined && !isRequired) {
  console.warn('SKIPPED: no Chromium is installed, so nobody looks at the status page (apt install chromium)')
}

/** Screenshots for the docs are made anew when this names a directory. */
const SCREENSHOTS = process.env['SCREENSHOTS_DIR']
const AXE = createRequire(import.meta.url).resolve('axe-core/axe.min.js')
const SIZES = { wide: { width: 1280, height: 900 }, phone: { width: 390, height: 844 } } as const

describe.skipIf(CHROMIUM === undefined && !isRequired)('the status page', { timeout: 120_000 }, () => {
  const home = new DaemonHome()
  let browser: Browser
  let url = ''

  beforeAll(async () => {
    browser = await puppeteer.launch({
      executablePath: CHROMIUM ?? '/usr/bin/chromium',
      args: ['--no-sandbox', '--disable-dev-shm-usage', '--disable-gpu', '--lang=en'],
    })
    const daemon = home.start({
      env: { SIM_INSTRUMENTS: '400', SIM_TICKS_PER_SECOND: '2000', SUBSCRIBE_RATE_LIMIT_MAX_REQUESTS: '0' },
    })
    await home.until('both lines deliver', ({ ready, lines }) => ready && lines.backup?.state === 'streaming')
    url = `http://127.0.0.1:${/metrics on port (\d+)/.exec(daemon.stderr)?.[1]}/`
  }, 120_000)
  afterAll(async () => {
    await browser?.close()
    await home.dispose()
  }, 60_000)

  async function open(size: keyof typeof SIZES, path = ''): Promise<{ page: Page; faults: string[] }> {
    const page = await browser.newPage()
    await page.setViewport(SIZES[size])
    const faults: string[] = []
    page.on('pageerror', (error) => faults.push(String(error)))
    page.on('console', (message) => message.type() === 'error' && faults.push(message.text()))
    page.on('request', (request) => {
      if (!request.url().startsWith(url) && !request.url().startsWith('data:')) faults.push(`fetches ${request.url()}`)
    })
    await page.goto(`${url}${path}`)
    await page.waitForSelector('#verdict')
    return { page, faults }
  }

  const textOf = (page: Page) => page.evaluate('document.body.innerText') as Promise<string>

  test('shows verdict, lines, products and journal, and fetches nothing from elsewhere', async () => {
    const { page, faults } = await open('wide')
    const text = await textOf(page)
    for (const part of ['OK', 'ACTIVE', 'primary', 'backup', '400/400', 'SHFE', '100 %', 'writing']) {
      expect(text).toContain(part)
    }
    expect(text).not.toContain('sim-primary')
    expect(await page.$$eval('.cells li', (cells) => cells.length)).toBeGreaterThan(10)
    expect(faults).toEqual([])
    await page.close()
  })

  test.each(['wide', 'phone'] as const)(
    'on a %s screen nothing hangs over the edge, and axe finds nothing',
    async (size) => {
      const { page } = await open(size)
      // Let the sparklines have something to show.
      await eventually(
        async () =>
          (await page.$eval('svg path', (path) => path.getAttribute('d') ?? '')).includes('L') ? true : undefined,
        () => 'the sparkline is drawn',
      )
      const overhang = await page.evaluate('document.documentElement.scrollWidth - window.innerWidth')
      expect(overhang).toBeLessThanOrEqual(0)
      for (const scheme of ['light', 'dark']) {
        await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: scheme }])
        await page.evaluate((await import('node:fs')).readFileSync(AXE, 'utf8'))
        const found = (await page.evaluate(
          'axe.run().then(({ violations }) => violations.map(({ id, nodes }) => id + ": " + nodes[0].html))',
        )) as string[]
        expect(found, scheme).toEqual([])
      }
      if (SCREENSHOTS !== undefined) {
        await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: 'light' }])
        mkdirSync(SCREENSHOTS, { recursive: true })
        await page.screenshot({ path: `${SCREENSHOTS}/status-page-${size}.png`, fullPage: true })
      }
      await page.close()
    },
  )

  test('speaks Chinese to whoever asks, at a click or by address', async () => {
    const { page } = await open('wide', '?lang=zh')
    expect(await textOf(page)).toContain('订阅覆盖率')
    expect(await page.$eval('html', (html) => html.getAttribute('lang'))).toBe('zh-CN')
    await page.click('#language')
    expect(await textOf(page)).toContain('Coverage by product')
    await page.close()
  })

  test('follows a failover, and says when nobody answers any more', async () => {
    const { page } = await open('wide')
    await home.control.servingLine({ command: 'failover', reason: 'for the page' })
    await eventually(
      async () => ((await textOf(page)).includes('▶ backup') ? true : undefined),
      () => 'the page shows the backup serving',
    )
    expect(await textOf(page)).toContain('primary → backup')
    await home.daemons[0]?.stop()
    await eventually(
      async () => ((await page.$eval('#lost', (lost) => lost.hasAttribute('hidden'))) ? undefined : true),
      () => 'the page says that nobody answers',
    )
    expect(await textOf(page)).toContain('does not answer')
    await page.close()
  })
})
