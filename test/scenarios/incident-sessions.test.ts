// Incidents that others had with their sessions, lived through by the decision core on virtual time with fronts that misbehave as theirs
// did. The oracle of the simulation judges each as well: no tick lost or doubled, no login too many, no switch without cause.
import { describe, expect, test } from 'vitest'
import { DEFAULT_FAILOVER_POLICY } from '#domain/failover.ts'
import { calmSchedule, type Schedule } from '../simulation/schedule.ts'
import { type Incident, liveThrough, loginsOf } from '../support/incident.ts'
import { at } from '../support/shipped-calendar.ts'

const SECOND = 1_000
const MINUTE = 60_000
const PATIENCE_MS = 120_000
const READ_FAILED = 4_097
const HEARTBEAT_LOST = 8_193

/** Ms from the schedule's start to a time of its day. */
function msTo({ startMs }: Schedule, time: string): number {
  return at(`2026-03-10 ${time}`) - startMs
}

function states({ told }: Incident): string[] {
  return told.map(({ state }) => state)
}

function servesAt({ told }: Incident, atMs: number): string | undefined {
  return told.findLast((each) => each.atMs <= atMs)?.serving
}

describe('recorded reconnect storm of 2023-12-12: over a hundred connections a minute, each dropped with 0', {
  timeout: PATIENCE_MS,
}, () => {
  const STORM = { fromMs: 20 * SECOND, untilMs: 10 * MINUTE }
  const schedule = calmSchedule('2026-03-10 09:20', { durationMs: 12 * MINUTE, reconnectMs: 100, loginsPerMinute: 5 })
  const stormOn = (lines: readonly string[], holdsMs: number) => ({
    dropsAfterMs: (line: string, nowMs: number) => {
      const elapsedMs = nowMs - schedule.startMs
      return lines.includes(line) && elapsedMs >= STORM.fromMs && elapsedMs < STORM.untilMs ? holdsMs : null
    },
  })
  const begins = { atMs: STORM.fromMs, forMs: 100, fault: 'disconnect', reason: 0 } as const

  test('on one line: the other serves, and the storm ends in a handful of logins', async () => {
    const faults = [{ ...begins, line: 'primary' as const }]
    const storm = await liveThrough({ ...schedule, faults }, { quirks: stormOn(['primary'], 550) })
    const duringStorm = loginsOf(storm, 'primary', STORM.fromMs, STORM.untilMs)
    expect(duringStorm).toBeLessThanOrEqual(5)
    expect(loginsOf(storm, 'backup')).toBe(1)
    expect(servesAt(storm, STORM.fromMs + 2 * SECOND)).toBe('backup')
    expect(servesAt(storm, STORM.untilMs)).toBe('backup')
    // There, and back when it is over.
    expect(storm.counts.switches).toBeLessThanOrEqual(2)
    expect(loginsOf(storm, 'primary', STORM.untilMs)).toBeGreaterThan(0)
  })

  test('on one line that lets each login succeed before it drops it: later and later, within the budget', async () => {
    const faults = [{ ...begins, line: 'primary' as const }]
    const storm = await liveThrough({ ...schedule, faults }, { quirks: stormOn(['primary'], 40 * SECOND) })
    const duringStorm = loginsOf(storm, 'primary', STORM.fromMs, STORM.untilMs)
    expect(duringStorm).toBeGreaterThan(2)
    expect(duringStorm).toBeLessThanOrEqual(STORM.untilMs / MINUTE + 5)
    // The line was never well for long, so nobody went back to it.
    expect(storm.counts.switches).toBeLessThanOrEqual(2)
  })

  test('on both lines: one gap is told, no flapping, and few logins', async () => {
    const faults = [{ ...begins, line: 'both' as const }]
    const storm = await liveThrough({ ...schedule, faults }, { quirks: stormOn(['primary', 'backup'], 550) })
    for (const line of ['primary', 'backup'] as const)
      expect(loginsOf(storm, line, STORM.fromMs, STORM.untilMs)).toBeLessThanOrEqual(5)
    expect(states(storm).filter((state) => state === 'GAP')).toHaveLength(1)
    expect(storm.counts.switches).toBeLessThanOrEqual(2)
    expect(states(storm).at(-1)).toBe('ACTIVE')
  })
})

describe('recorded on 2023-12-14 and 2023-12-18', { timeout: PATIENCE_MS }, () => {
  test('4097 at 14:46 and at 15:01, 8193 at 16:26, 4097 in the evening: a failover for each drop in trading, none for the others', async () => {
    const schedule = calmSchedule('2026-03-10 14:44', { durationMs: 250 * MINUTE, failbackStableMs: 300_000 })
    // Bond futures trade until 15:15.
    const drops: [time: string, backAt: string, reason: number][] = [
      ['14:46:06', '14:52:57', READ_FAILED],
      ['15:01:16', '15:05:04', READ_FAILED],
      ['16:26:37', '18:44:40', HEARTBEAT_LOST],
      ['18:45:27', '18:45:28', READ_FAILED],
      ['18:48:10', '18:49:00', READ_FAILED],
    ]
    const faults = drops.map(([time, backAt, reason]) => {
      const atMs = msTo(schedule, time)
      return { atMs, forMs: msTo(schedule, backAt) - atMs, line: 'primary', fault: 'disconnect', reason } as const
    })
    const day = await liveThrough({ ...schedule, faults })
    const failovers = day.told.filter(({ reason }) => reason === 'not-connected')
    expect(failovers.map(({ serving }) => serving)).toEqual(['backup', 'backup'])
    failovers.forEach(({ atMs }, i) => {
      expect(atMs - (faults[i]?.atMs ?? 0)).toBeLessThan(SECOND)
    })
    const inTheEvening = day.told.filter(({ atMs }) => atMs > msTo(schedule, '15:30'))
    expect(inTheEvening.map(({ state }) => state)).toEqual([])
    expect(states(day)).not.toContain('GAP')
    // The first one, and one after each drop.
    expect(loginsOf(day, 'primary')).toBe(1 + drops.length)
  })

  test('8193 at 13:04, back within ten seconds: the other line serves until this one proved stable', async () => {
    const schedule = calmSchedule('2026-03-10 13:40', { durationMs: 5 * MINUTE })
    const drop = {
      atMs: MINUTE,
      forMs: 10 * SECOND,
      line: 'primary',
      fault: 'disconnect',
      reason: HEARTBEAT_LOST,
    } as const
    const day = await liveThrough({ ...schedule, faults: [drop] })
    expect(servesAt(day, MINUTE + 2 * SECOND)).toBe('backup')
    const back = day.told.find(({ reason }) => reason === 'home-proved-stable')
    expect(back?.serving).toBe('primary')
    expect(back?.atMs).toBeGreaterThanOrEqual(MINUTE + 10 * SECOND + schedule.failbackStableMs)
    expect(loginsOf(day, 'primary')).toBe(2)
  })
})

describe('reported: the front goes away', { timeout: PATIENCE_MS }, () => {
  test('openctp-ctp-python 30: 8193 after a large burst of subscriptions, for ever; here slower until it holds', async () => {
    const schedule = calmSchedule('2026-03-10 09:20', { durationMs: 4 * MINUTE })
    const subscribeBurst = { contracts: 10, withinMs: 200, reason: HEARTBEAT_LOST }
    const day = await liveThrough(schedule, { quirks: { subscribeBurst } })
    // Recovery is the oracle's to judge; how often it was tried is ours.
    expect(loginsOf(day, 'primary')).toBeGreaterThan(1)
    expect(loginsOf(day, 'primary')).toBeLessThanOrEqual(5)
    expect(states(day).at(-1)).toBe('ACTIVE')
  })

  test('openctp 10: no front answers outside sessions: not one login, no gap, and there for the opening', async () => {
    const schedule = calmSchedule('2026-03-10 08:40', { durationMs: 22 * MINUTE })
    const refusal = { atMs: 0, forMs: 12 * MINUTE, line: 'both', fault: 'refuse-connect' } as const
    const day = await liveThrough({ ...schedule, faults: [refusal] })
    expect(day.logins.filter(({ atMs }) => atMs < refusal.forMs)).toEqual([])
    expect(day.logins).toHaveLength(2)
    expect(day.counts.switches).toBe(0)
    expect(states(day)).toEqual(['CLOSED', 'ACTIVE'])
  })

  test('CTPSharp 6: a blip of 4097 with instant recovery costs a login and no tick', async () => {
    const blip = { atMs: MINUTE, forMs: 20, line: 'primary', fault: 'disconnect', reason: READ_FAILED } as const
    const day = await liveThrough(calmSchedule('2026-03-10 09:20', { faults: [blip] }))
    expect(loginsOf(day, 'primary')).toBe(2)
    expect(day.told.find(({ atMs }) => atMs >= MINUTE)).toMatchObject({ state: 'SWITCHED', serving: 'backup' })
    expect(states(day)).not.toContain('GAP')
  })

  test('vnpy_ctp 40: dropped over lunch, the first login refused because the front is not active: tried again, never latched', async () => {
    const schedule = calmSchedule('2026-03-10 11:28', { durationMs: 125 * MINUTE })
    const atMs = msTo(schedule, '11:31')
    const faults = [
      { atMs, forMs: 20 * SECOND, line: 'both', fault: 'disconnect', reason: READ_FAILED },
      { atMs, forMs: MINUTE, line: 'both', fault: 'login-error', id: 7, once: false },
    ] as const
    const day = await liveThrough({ ...schedule, faults })
    for (const line of ['primary', 'backup'] as const) {
      expect(loginsOf(day, line)).toBeGreaterThanOrEqual(3)
      expect(loginsOf(day, line)).toBeLessThanOrEqual(5)
    }
    expect(day.counts.switches).toBe(0)
    expect(states(day).slice(-2)).toEqual(['CLOSED', 'ACTIVE'])
  })

  test('kungfu 13: dropped while the market is closed: reconnected and subscribed again before it opens', async () => {
    const schedule = calmSchedule('2026-03-10 08:35', { durationMs: 27 * MINUTE })
    const drop = {
      atMs: 5 * MINUTE,
      forMs: 2 * MINUTE,
      line: 'both',
      fault: 'disconnect',
      reason: READ_FAILED,
    } as const
    const day = await liveThrough({ ...schedule, faults: [drop] })
    expect(day.logins).toHaveLength(4)
    expect(states(day).at(-1)).toBe('ACTIVE')
    expect(day.counts).toMatchObject({ switches: 0 })
    expect(day.counts.accepted).toBeGreaterThan(1_000)
  })

  test('ctpbee 184: twenty seconds without a tick on any line are told as a gap with its bounds', async () => {
    const drop = { atMs: MINUTE, forMs: 20 * SECOND, line: 'both', fault: 'disconnect', reason: READ_FAILED } as const
    const day = await liveThrough(calmSchedule('2026-03-10 09:20', { faults: [drop] }))
    const begun = day.told.find(({ state }) => state === 'GAP')
    const ended = day.told.find(({ gapMs }) => gapMs !== null)
    expect(begun?.atMs).toBeLessThan(MINUTE + 2 * SECOND)
    expect(ended?.gapMs).toBeGreaterThan(19 * SECOND)
    expect(ended?.gapMs).toBeLessThan(40 * SECOND)
    expect(ended?.state).not.toBe('GAP')
  })
})

describe('reported: connected, and silent', { timeout: PATIENCE_MS }, () => {
  test('vnpy 2355: logged in, subscriptions forgotten: the other line serves, and the contracts are asked for again', async () => {
    const lost = { atMs: MINUTE, forMs: 0, line: 'primary', fault: 'drop-subscriptions' } as const
    const day = await liveThrough(calmSchedule('2026-03-10 09:20', { durationMs: 3 * MINUTE, faults: [lost] }))
    const moved = day.told.find(({ state }) => state === 'SWITCHED')
    expect(moved).toMatchObject({ serving: 'backup', reason: 'line-mute' })
    expect(moved?.atMs).toBeLessThan(MINUTE + 12 * SECOND)
    expect(day.sentences.join('\n')).toMatch(/primary: (asking for its \d+ contracts again|the line brings no ticks)/)
  })

  test('tqsdk 483: "login ok", and 21:00 passes on one line without data: the other one serves within seconds', async () => {
    const schedule = calmSchedule('2026-03-10 20:53', { durationMs: 12 * MINUTE })
    const silence = { atMs: 2 * MINUTE, forMs: 8 * MINUTE, line: 'primary', fault: 'mute' } as const
    const night = await liveThrough({ ...schedule, faults: [silence] })
    expect(servesAt(night, msTo(schedule, '21:00:12'))).toBe('backup')
  })

  test('tqsdk 483: 21:00 passes on both lines: doubted, dialled again and told as a gap, and asking again makes no line well', async () => {
    const schedule = calmSchedule('2026-03-10 20:40', { durationMs: 30 * MINUTE })
    const silence = { atMs: 2 * MINUTE, forMs: 25 * MINUTE, line: 'both', fault: 'mute' } as const
    const night = await liveThrough({ ...schedule, faults: [silence] })
    const doubt = night.told.find(({ state }) => state === 'SUSPECT')
    expect(doubt?.atMs).toBeLessThan(msTo(schedule, '21:00:40'))
    const untilMs = silence.atMs + silence.forMs
    const during = night.told.filter(({ atMs }) => atMs > msTo(schedule, '21:00:01') && atMs < untilMs)
    expect(during.map(({ state }) => state)).toContain('GAP')
    // A line dialled anew is believed until the same silence speaks against it.
    expect(during.filter(({ state }) => state === 'ACTIVE').length).toBeLessThanOrEqual(1)
    expect(night.logins.length).toBeGreaterThan(2)
    for (const line of ['primary', 'backup'] as const) expect(loginsOf(night, line)).toBeLessThanOrEqual(30)
    expect(states(night).at(-1)).toBe('ACTIVE')
  })

  test('vnpy 3251: connected early, one exchange never comes: the line that has it serves', async () => {
    const schedule = calmSchedule('2026-03-10 08:50', { durationMs: 14 * MINUTE })
    const untilMs = schedule.startMs + 11 * MINUTE
    const isSilentOn = (line: string, exchange: string, nowMs: number) =>
      line === 'primary' && exchange === 'DCE' && nowMs < untilMs
    // Silent by the front's doing, not by a fault that the oracle knows of: it may not judge the cause.
    const day = await liveThrough(schedule, { quirks: { isSilentOn } }).catch((error: unknown) => String(error))
    expect(day).toMatch(/failover-without-cause: primary -> backup \(exchange-mute/)
  })
})

describe('reported: the front says no', { timeout: PATIENCE_MS }, () => {
  test.each([3, 75])(
    'redtorch 68: a login that is refused with %i is not repeated: the account is latched, the other line serves',
    async (id) => {
      const refusal = { atMs: 0, forMs: 5 * MINUTE, line: 'primary', fault: 'login-error', id, once: false } as const
      const schedule = calmSchedule('2026-03-10 09:20', { durationMs: 6 * MINUTE, faults: [refusal] })
      const day = await liveThrough(schedule)
      expect(loginsOf(day, 'primary')).toBe(1)
      expect(servesAt(day, DEFAULT_FAILOVER_POLICY.startGraceMs + 5 * SECOND)).toBe('backup')
      expect(day.counts.accepted).toBeGreaterThan(1_000)
    },
  )

  test('ctpbee 301: error 7 at 18:57, before the night: asked again at intervals until the front is ready', async () => {
    const schedule = calmSchedule('2026-03-10 18:55', { durationMs: 126 * MINUTE })
    const notReady = { atMs: 0, forMs: 6 * MINUTE, line: 'both', fault: 'login-error', id: 7, once: false } as const
    const night = await liveThrough({ ...schedule, faults: [notReady] })
    for (const line of ['primary', 'backup'] as const) {
      expect(loginsOf(night, line)).toBeGreaterThan(2)
      expect(loginsOf(night, line)).toBeLessThanOrEqual(10)
      expect(loginsOf(night, line, msTo(schedule, '19:10'))).toBe(0)
    }
    expect(night.counts.switches).toBe(0)
    expect(states(night).at(-1)).toBe('ACTIVE')
  })
})
