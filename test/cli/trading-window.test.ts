/** Window and trading day belong together, whatever the hour and whatever is asked for. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { DaemonHome } from '../support/real-daemon.ts'
import { runCommand } from '../support/run-command.ts'

let directory = ''
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'window-'))
})
afterEach(() => rmSync(directory, { recursive: true, force: true }))

async function planned(startsAt: string, args: readonly string[]) {
  const end = await runCommand('start-live-env', ['start', '--dry-run', '--json', '--state-dir', directory, ...args], {
    cwd: directory,
    env: { SIM_MARKET_CLOCK: startsAt },
  })
  const { window, trading_day, warnings } = JSON.parse(end.stdout)
  return { window, trading_day, remark: warnings.find((text: string) => text.includes('goes by that')) ?? null }
}

describe('the window of a start', () => {
  test.each([
    ['2026-11-20T15:30:00+08:00', [], 'night', '20261123', null],
    ['2026-11-20T15:30:00+08:00', ['--window', 'night'], 'night', '20261123', null],
    ['2026-11-19T10:00:00+08:00', ['--window', 'day'], 'day', '20261119', null],
    [
      '2026-11-19T22:00:00+08:00',
      ['--window', 'day'],
      'day',
      '20261119',
      /^The day window of 20261119 is over: the night window of 20261120 runs, /,
    ],
    ['2026-11-19T20:59:55+08:00', ['--window', 'day'], 'day', '20261119', /night window of 20261120 is next/],
    [
      '2026-11-19T08:00:00+08:00',
      ['--window', 'night'],
      'night',
      '20261120',
      /comes later: the day window of 20261119/,
    ],
    ['2026-11-21T10:00:00+08:00', ['--window', 'day'], 'day', '20261123', /^There is no day window on this date/],
  ])('at %s with %j is %s of %s', async (startsAt, args, window, tradingDay, remark) => {
    const told = await planned(startsAt, args)
    expect(told).toMatchObject({ window, trading_day: tradingDay })
    if (remark === null) expect(told.remark).toBeNull()
    else expect(told.remark).toMatch(remark)
  })
})

test('the daemon tells the trading day of the window that is next, also before the evening', async () => {
  const home = new DaemonHome()
  try {
    home.start({ env: { SIM_MARKET_CLOCK: '2026-11-20T15:30:00+08:00', SIM_INSTRUMENTS: '20' } })
    const status = await home.until('it answers', () => true)
    expect(status).toMatchObject({ session_state: 'closed', window: 'night', trading_day: '20261123' })
    const health = await home.control.health({ mode: 'dry-run' })
    expect(health).toMatchObject({ window: 'night', trading_day: '20261123' })
  } finally {
    await home.dispose()
  }
}, 60_000)
