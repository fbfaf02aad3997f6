// What an operator asks a running daemon from a second terminal: probe, tail, subscribe, catalogue, metrics; and what they say without one.
import { spawn } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { DaemonHome } from '../support/real-daemon.ts'

const CONTRACTS = 60
const EXECUTABLE = fileURLToPath(new URL('../../bin/full-feed-subscription', import.meta.url))

const home = new DaemonHome()
const nobody = new DaemonHome()

beforeAll(async () => {
  home.start({
    env: { SIM_INSTRUMENTS: String(CONTRACTS), SIM_TICKS_PER_SECOND: '600', SUBSCRIBE_RATE_LIMIT_MAX_REQUESTS: '0' },
  })
  await home.untilReady()
}, 90_000)
afterAll(async () => {
  await home.dispose()
  await nobody.dispose()
}, 90_000)

const json = (text: string): Record<string, unknown> => JSON.parse(text)

describe('probe', () => {
  test.each([[[]], [['--live']], [['--ready']]])('%j of a ready daemon: 0', async (options) => {
    const { code, stdout } = await home.command('probe', ...options, '--json')
    expect(code).toBe(0)
    expect(json(stdout)).toMatchObject({ command: 'probe', outcome: 'ok', exit_code: 0 })
  })

  test('without a daemon: 69, and what to do', async () => {
    const { code, stdout } = await nobody.command('probe')
    expect(code).toBe(69)
    expect(stdout).toContain('start-live-env')
  })

  test('live is not ready: a daemon whose fronts refuse it lives', async () => {
    const refused = new DaemonHome()
    try {
      const faults = ['primary', 'backup'].map((line) => ({ at_ms: 0, line, fault: 'refuse-connect', for_ms: 600_000 }))
      refused.start({ env: { SIM_INSTRUMENTS: '5' }, scenario: faults })
      await refused.until('the daemon answers', () => true)
      expect((await refused.command('probe', '--live')).code).toBe(0)
      expect((await refused.command('probe', '--ready')).code).toBe(69)
    } finally {
      await refused.dispose()
    }
  }, 60_000)
})

describe('tail', () => {
  /** The first lines of a tail that is then left, as `| head` does. */
  async function firstLines(count: number, ...args: string[]): Promise<{ lines: string[]; code: number | null }> {
    const child = spawn(EXECUTABLE, ['tail', '--state-dir', home.stateDir, ...args], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const ended = new Promise<number | null>((resolve) => child.once('exit', (code) => resolve(code)))
    const lines: string[] = []
    for await (const line of createInterface({ input: child.stdout })) {
      lines.push(line)
      if (lines.length === count) break
    }
    child.stdout.destroy()
    return { lines, code: await ended }
  }

  test('shows live ticks with the fields of the bus, and ends with 0 when its reader leaves', async () => {
    const { lines, code } = await firstLines(50)
    expect(code).toBe(0)
    const ticks = lines.map(json)
    for (const tick of ticks) {
      expect(tick).toMatchObject({ vt_symbol: `${tick['symbol']}.${tick['exchange']}` })
      expect(tick['last_price']).toBeTypeOf('number')
    }
    const numbers = ticks.map(({ seq }) => Number(seq))
    expect(numbers).toEqual(numbers.toSorted((a, b) => a - b))
    expect(new Set(numbers).size).toBe(50)
  }, 60_000)

  test('a pattern leaves the others out', async () => {
    const all = await firstLines(50)
    const exchange = String(json(all.lines[0] ?? '{}')['exchange'])
    const { lines } = await firstLines(20, `*.${exchange}`)
    expect(new Set(lines.map((line) => json(line)['exchange']))).toEqual(new Set([exchange]))
    expect(new Set(all.lines.map((line) => json(line)['exchange'])).size).toBeGreaterThan(1)
  }, 60_000)

  test('without a daemon: 69, and what to do', async () => {
    const { code, stderr } = await nobody.command('tail')
    expect(code).toBe(69)
    expect(stderr).toContain('start-live-env')
  })
})

describe('subscribe', () => {
  test('with nothing missing asks for nothing', async () => {
    const { code, stdout } = await home.command('subscribe')
    expect(code).toBe(0)
    expect(json(stdout)).toMatchObject({ outcome: 'asked', accepted: 0, rejected: [] })
  })

  test('of a file: asks for what is on the list and names what is not', async () => {
    const known = await listed()
    const file = `${home.directory}/some.csv`
    writeFileSync(file, `symbol,exchange\n${known.slice(0, 2).join('\n').replaceAll('.', ',')}\nxx9999,SHFE\n`)
    const { code, stdout } = await home.command('subscribe', '--contracts', file)
    expect(code).toBe(0)
    expect(json(stdout)).toMatchObject({ accepted: 2, rejected: [{ symbol: expect.stringContaining('xx9999') }] })
  })

  test('of a file that is not there: 78, without a daemon: 69', async () => {
    expect(await home.command('subscribe', '--contracts', '/nonexistent/list.csv')).toMatchObject({ code: 78 })
    const { code, stderr } = await nobody.command('subscribe')
    expect(code).toBe(69)
    expect(stderr).toContain('->')
  })
})

async function listed(): Promise<string[]> {
  const { stdout } = await home.command('catalogue', 'show', '--json')
  return (JSON.parse(stdout) as { contracts: string[] }).contracts
}

describe('catalogue', () => {
  test("show is the running daemon's list", async () => {
    expect(await listed()).toHaveLength(CONTRACTS)
  })

  test('diff with a file tells what came and what went', async () => {
    const known = await listed()
    const file = `${home.directory}/yesterday.json`
    writeFileSync(file, JSON.stringify({ symbols: [...known.slice(3), 'xx9999.SHFE'] }))
    const { code, stdout } = await home.command('catalogue', 'diff', file, '--json')
    expect(code).toBe(0)
    for (const name of [...known.slice(0, 3), 'xx9999.SHFE']) expect(stdout).toContain(name)
    expect(stdout).not.toContain(known[3])
  })
})

test('metrics tell what the status tells', async () => {
  const log = home.daemons[0]?.stderr ?? ''
  const port = /metrics on port (\d+)/.exec(log)?.[1]
  const before = await home.status()
  const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text()
  const after = await home.status()
  const value = (pattern: RegExp) => Number(pattern.exec(text)?.[1] ?? Number.NaN)
  const accepted = [...text.matchAll(/^md_ticks_total\{[^}]*outcome="accepted"[^}]*\} (\d+)$/gm)]
  const acceptedTotal = accepted.reduce((sum, [, count]) => sum + Number(count), 0)
  expect(acceptedTotal).toBeGreaterThanOrEqual(before.ticks.accepted)
  expect(acceptedTotal).toBeLessThanOrEqual(after.ticks.accepted)
  expect(value(/^md_subscription_coverage_ratio\{feed="primary"[^}]*\} (\S+)$/m)).toBe(1)
  expect(value(/^md_serving_line\{feed="primary"\} (\S+)$/m)).toBe(1)
  expect(value(/^md_serving_line\{feed="backup"\} (\S+)$/m)).toBe(0)
  expect(value(/^md_login_attempts_total\{feed="primary",outcome="granted"\} (\S+)$/m)).toBe(1)
  // From the start: what is born at 1 has never increased, as far as Prometheus can see.
  for (const feed of ['primary', 'backup']) {
    expect(value(new RegExp(`^md_disconnects_total\\{feed="${feed}",reason="read-failed"\\} (\\S+)$`, 'm'))).toBe(0)
    expect(value(new RegExp(`^md_disconnects_total\\{feed="${feed}",reason="bridge-ended"\\} (\\S+)$`, 'm'))).toBe(0)
    expect(value(new RegExp(`^md_ticks_dropped_total\\{feed="${feed}"\\} (\\S+)$`, 'm'))).toBe(0)
  }
  expect(value(/^md_journal_records_total (\S+)$/m)).toBeGreaterThanOrEqual(before.ticks.accepted)
  expect(value(/^md_tick_latency_seconds_count (\S+)$/m)).toBeGreaterThan(0)
})
