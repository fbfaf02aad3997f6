// What check-feed-health says of real daemons that are in trouble, or only look like it.
import { writeFileSync } from 'node:fs'
import { afterAll, describe, expect, test } from 'vitest'
import type { TransmittedHealth } from '#adapters/control/parse-answers.ts'
import { DaemonHome } from '../support/real-daemon.ts'
import { runCommand } from '../support/run-command.ts'

const homes: DaemonHome[] = []
afterAll(async () => {
  for (const home of homes) await home.dispose()
})

function newHome(): DaemonHome {
  const home = new DaemonHome()
  homes.push(home)
  return home
}

const SMALL = { SIM_INSTRUMENTS: '40', SIM_TICKS_PER_SECOND: '400', SUBSCRIBE_RATE_LIMIT_MAX_REQUESTS: '0' }

async function check(home: DaemonHome, args: readonly string[] = []) {
  const given = ['--state-dir', home.stateDir, '--json', ...args]
  const { code, stdout } = await runCommand('check-feed-health', given, { cwd: home.directory, env: {} })
  return { code, report: JSON.parse(stdout) as TransmittedHealth }
}

describe('with --catalogue', { timeout: 120_000 }, () => {
  async function contractsOf(home: DaemonHome): Promise<string[]> {
    const { subscriptions } = await home.control.subscriptions()
    return subscriptions.map(({ symbol, exchange }) => `${symbol}.${exchange}`)
  }

  function catalogueOf(home: DaemonHome, symbols: readonly string[]): string[] {
    const path = `${home.directory}/catalogue.json`
    writeFileSync(path, JSON.stringify({ symbols }))
    return ['--catalogue', path]
  }

  test('only the expected list changes: two lines that are down are CRITICAL all the same', async () => {
    const home = newHome()
    home.start({
      env: SMALL,
      scenario: [{ at_ms: 6_000, line: 'both', fault: 'disconnect', reason: 8193, for_ms: 600_000 }],
    })
    await home.untilReady()
    const listed = await contractsOf(home)
    const whole = await check(home, catalogueOf(home, listed.slice(0, 10)))
    expect(whole.report).toMatchObject({ expected_total: 10, subscribed_total: 10, serving_line: 'primary' })
    expect(whole.report.unexpected_contracts).toHaveLength(listed.length - 10)
    expect(whole.report.lines.backup).not.toBeNull()

    const unknown = await check(home, catalogueOf(home, [...listed.slice(0, 9), 'rb9999.SHFE']))
    expect(unknown).toMatchObject({ code: 2, report: { verdict: 'CRITICAL', missing_contracts: ['rb9999.SHFE'] } })

    await home.until('neither line delivers', ({ feed_state }) => feed_state === 'GAP')
    const down = await check(home, catalogueOf(home, listed))
    expect(down.code).toBe(2)
    expect(down.report.errors).toContain('Neither line delivers.')
    expect(down.report.lines.primary?.state).not.toBe('streaming')
  })
})

test('right after the start no contract is stalled: it was not listened to for long enough', {
  timeout: 120_000,
}, async () => {
  const home = newHome()
  home.start({ env: { ...SMALL, SIM_INSTRUMENTS: '500', SIM_TICKS_PER_SECOND: '50' } })
  await home.untilReady()
  for (let look = 0; look < 10; look++) {
    const { report } = await check(home)
    expect(report.stalled_contracts).toEqual([])
  }
})

test('all exchanges silent on both lines: a WARNING long before it counts as a dead feed, and nothing ticks', {
  timeout: 120_000,
}, async () => {
  const home = newHome()
  const halts = ['SHFE', 'DCE', 'CZCE', 'CFFEX', 'INE', 'GFEX'].map((exchange) => ({
    at_ms: 25_000,
    line: 'both',
    fault: 'exchange-halt',
    exchange,
    for_ms: 600_000,
  }))
  home.start({ env: { ...SMALL, SIM_INSTRUMENTS: '200', SIM_TICKS_PER_SECOND: '1000' }, scenario: halts })
  await home.until('both lines see a silent market', ({ lines }) =>
    [lines.primary, lines.backup].every(
      (line) => line?.pulse_reason.startsWith('Every liquid exchange is silent') === true,
    ),
  )
  const { code, report } = await check(home)
  expect(code).toBe(1)
  expect(report.warnings.join()).toContain('Every liquid exchange is silent on both lines')
  expect(report.tick_coverage_ratio).toBe(0)
  expect((await home.status()).tick_coverage_ratio).toBe(0)
})
