// Each fault of a scenario, end to end: what a line does wrong, and what the daemon makes of it. Real processes at a low rate.
import { afterAll, describe, expect, test } from 'vitest'
import { PULSE_SENTENCES } from '#domain/liveness.ts'
import type { FeedStatus } from '#domain/status.ts'
import { expectOneStream } from '../support/journalled.ts'
import { DaemonHome, type DaemonStart, eventually, type RealDaemon } from '../support/real-daemon.ts'

const homes: DaemonHome[] = []
afterAll(async () => {
  for (const home of homes) await home.dispose()
})

/** Small and quick: every contract ticks several times a second. */
const SMALL = { SIM_INSTRUMENTS: '40', SIM_TICKS_PER_SECOND: '400', SUBSCRIBE_RATE_LIMIT_MAX_REQUESTS: '0' }

function begin(scenario: readonly object[], start: DaemonStart = {}): { home: DaemonHome; daemon: RealDaemon } {
  const home = new DaemonHome()
  homes.push(home)
  return { home, daemon: home.start({ ...start, scenario, env: { ...SMALL, ...start.env } }) }
}

/** Moments in the life of the scenario: a busy machine may sleep through the first of them before its lines are up. */
function again(fault: object): object[] {
  return [4_000, 12_000, 20_000, 28_000, 36_000, 44_000].map((at_ms) => ({ at_ms, ...fault }))
}

async function stopWell(home: DaemonHome, daemon: RealDaemon): Promise<void> {
  expect(await daemon.stop(), daemon.stderr.slice(-2_000)).toEqual({ code: 0, signal: null })
  expect(daemon.orphans()).toEqual([])
  expect(await home.command('verify')).toMatchObject({ code: 0 })
}

describe.concurrent('a fault of one line', { timeout: 180_000 }, () => {
  test('a refused login latches the account: the line is never tried again, the other one serves, and a restart keeps to it', async () => {
    const { home, daemon } = begin([{ at_ms: 0, line: 'primary', fault: 'login-error', id: 3, for_ms: 600_000 }])
    const { lines } = await home.until(
      'the primary is latched and the backup serves',
      (status) => status.lines.primary.state === 'latched' && status.serving_line === 'backup' && status.ready,
    )
    expect(lines.primary.login_attempts).toBe(1)
    const { ticks } = await home.status()
    const later = await home.until('ticks go on', (status) => status.ticks.accepted > ticks.accepted + 800)
    expect(later.lines.primary).toMatchObject({ state: 'latched', login_attempts: 1, bridge_pid: null })
    await stopWell(home, daemon)
    expect(home.has('latches')).toBe(true)

    const again = home.start({ env: SMALL })
    const restarted = await home.until('the backup serves again', (status) => status.ready)
    expect(restarted.lines.primary).toMatchObject({ state: 'latched', login_attempts: 0, bridge_pid: null })
    await stopWell(home, again)
    expectOneStream(await home.ticks({ offSession: true }))
  })

  test('throttled requests are repeated until they are taken', async () => {
    const { home, daemon } = begin([{ at_ms: 0, line: 'both', fault: 'throttle', code: -2, for_ms: 10_000 }])
    const { lines } = await home.untilReady()
    expect(lines.primary.subscribed).toBe(40)
    expect(lines.primary.rate_limit_hits).toBeGreaterThan(0)
    await stopWell(home, daemon)
  })

  test('fewer answers than requests: what ticks is subscribed all the same', async () => {
    const { home, daemon } = begin([{ at_ms: 0, line: 'both', fault: 'partial-acks', ratio: 0.3 }])
    const { lines } = await home.untilReady()
    expect(lines.primary).toMatchObject({ expected: 40, subscribed: 40, refused: 0 })
    await stopWell(home, daemon)
  })

  test('refused contracts are listed and not waited for, and below the threshold the feed is not ready', async () => {
    const { home, daemon } = begin([{ at_ms: 0, line: 'both', fault: 'refuse-contracts', count: 7 }])
    const status = await home.until('all is answered', ({ ready_state }) => ready_state === 'contracts-refused')
    expect(status).toMatchObject({ ready: false, expected_total: 40, subscribed_total: 33 })
    expect(status.ready_detail).toMatch(/subscribed 33 of 40, below the threshold of 99.5 %; the front refuses 7: /)
    expect(status.ready_remedy).toContain('CONTRACTS_EXCLUDE')
    expect(await home.command('probe', '--ready')).toMatchObject({ code: 69 })
    expect(status.refused_contracts).toHaveLength(7)
    expect(status.coverage_ratio).toBeCloseTo(33 / 40)
    await stopWell(home, daemon)
    const ticked = new Set((await home.ticks({ offSession: true })).map(({ vt_symbol }) => vt_symbol))
    for (const refused of status.refused_contracts) expect(ticked).not.toContain(refused)
  })

  test('subscriptions that the front forgot on one line are asked for again', async () => {
    const { home, daemon } = begin(again({ line: 'primary', fault: 'drop-subscriptions' }).slice(0, 2))
    await home.until('the backup took over', ({ serving_line }) => serving_line === 'backup')
    const silent = await home.status()
    // Nothing of the primary is news while it is silent, and again once it was dialled anew.
    await home.until(
      'the primary delivers again',
      ({ lines }) =>
        lines.primary.pulse === 'green' && lines.primary.first_arrivals > silent.lines.primary.first_arrivals,
    )
    await stopWell(home, daemon)
    expectOneStream(await home.ticks({ offSession: true }))
  })

  test('a silent line loses the feed to the other one, by the name of line-mute', async () => {
    const { home, daemon } = begin([{ at_ms: 6_000, line: 'primary', fault: 'mute' }])
    const { failover, epoch } = await home.until(
      'the backup serves and the switch is measured',
      ({ serving_line, failover }) => serving_line === 'backup' && failover.last?.first_tick_ms !== null,
    )
    expect(failover.last).toMatchObject({ from: 'primary', to: 'backup', lost: 0 })
    expect(daemon.logged(`primary is red: ${PULSE_SENTENCES['line-mute']}`)).toHaveLength(1)
    expect(epoch).toBe(2)
    await stopWell(home, daemon)
    expectOneStream(await home.ticks({ offSession: true }))
  })

  test('a bridge that hangs is killed and started again', async () => {
    const { home, daemon } = begin(again({ line: 'primary', fault: 'hang' }))
    const before = await home.untilReady()
    const hung = before.lines.primary.bridge_pid
    const after = await home.until(
      'the primary streams from another process',
      ({ lines }) => lines.primary.state === 'streaming' && lines.primary.bridge_pid !== hung,
    )
    expect(after.lines.primary.bridge_pid).not.toBeNull()
    expect(daemon.logged('the bridge process sent nothing')).not.toEqual([])
    await stopWell(home, daemon)
    expect(isAlive(hung)).toBe(false)
    expectOneStream(await home.ticks({ offSession: true }))
  })

  test('a bridge that crashes is started again, on both lines', async () => {
    const { home, daemon } = begin([
      ...again({ line: 'primary', fault: 'crash' }),
      ...again({ line: 'backup', fault: 'crash' }).slice(1),
    ])
    const { lines } = await home.untilReady()
    const first = [lines.primary.bridge_pid, lines.backup?.bridge_pid]
    await home.until('both lines stream from other processes', (status) =>
      [status.lines.primary, status.lines.backup].every(
        (line, i) => line?.state === 'streaming' && line.bridge_pid !== first[i],
      ),
    )
    expect(daemon.logged('the bridge process ended').length).toBeGreaterThanOrEqual(2)
    await stopWell(home, daemon)
    expectOneStream(await home.ticks({ offSession: true }))
  })

  test('garbage is counted as invalid and never journalled', async () => {
    const { home, daemon } = begin([{ at_ms: 0, line: 'both', fault: 'garbage', ratio: 0.3 }])
    await home.until('a thousand garbage ticks came', ({ ticks }) => ticks.invalid > 1_000 && ticks.accepted > 1_000)
    await stopWell(home, daemon)
    expectOneStream(await home.ticks({ offSession: true }))
    for (const tick of await home.ticks({ offSession: true })) {
      expect(tick.volume, JSON.stringify(tick)).toBeGreaterThanOrEqual(0)
      expect(tick.volume).toBeLessThan(1_000_000_000)
      for (const value of Object.values(tick))
        if (typeof value === 'number') expect(Math.abs(value)).toBeLessThan(1e300)
      expect(tick.datetime).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+08:00$/)
    }
  })

  test('every tick twice, and a line that goes back, are no news', async () => {
    const { home, daemon } = begin([
      { at_ms: 0, line: 'both', fault: 'duplicate' },
      ...again({ line: 'backup', fault: 'rewind', by_ms: 2_000 }),
      ...again({ line: 'primary', fault: 'rewind', by_ms: 3_000 }),
    ])
    const { ticks } = await home.until('two rewinds are over', (status) => status.ticks.stale > 500)
    expect(ticks.duplicate).toBeGreaterThan(ticks.accepted)
    await stopWell(home, daemon)
    expectOneStream(await home.ticks({ offSession: true }))
  })

  test('a line that disconnects comes back by itself and is logged in and subscribed anew', async () => {
    const { home, daemon } = begin(
      again({ line: 'primary', fault: 'disconnect', reason: 8193, for_ms: 1_500 }).slice(0, 2),
    )
    const healed = (status: FeedStatus) =>
      status.lines.primary.disconnects > 0 &&
      status.lines.primary.state === 'streaming' &&
      status.lines.primary.login_attempts > 1
    const { lines } = await home.until('the primary streams again', healed)
    expect(lines.primary.subscribed).toBe(40)
    await stopWell(home, daemon)
    expectOneStream(await home.ticks({ offSession: true }))
  })
})

function isAlive(pid: number | null): boolean {
  if (pid === null) return false
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

// Kept apart from the others: it looks at both lines of one exchange.
test('an exchange that halts on both lines moves nothing', { timeout: 180_000 }, async () => {
  const { home, daemon } = begin([
    { at_ms: 6_000, line: 'both', fault: 'exchange-halt', exchange: 'SHFE', for_ms: 5_000 },
  ])
  await home.untilReady()
  await eventually(
    async () => ((await home.status()).uptime_ms > 12_000 ? true : undefined),
    () => 'the halt is over',
  )
  expect(await home.status()).toMatchObject({ serving_line: 'primary', epoch: 1, feed_state: 'ACTIVE' })
  await stopWell(home, daemon)
})
