// A drill's judgement: exit codes by phase, what counts as lost, recovery time, obstacles, and the trend over past drills.
import { describe, expect, test } from 'vitest'
import {
  ailmentOf,
  type DrillReport,
  deliveriesOf,
  EXIT_CODE_OF_PHASE,
  judgeBacklog,
  lostBetween,
  obstacleOf,
  recoveryOf,
  trendOf,
} from '#domain/drill.ts'
import type { FailoverRecord, FeedStatus, LineStatus } from '#domain/status.ts'
import { lineOf, statusOf } from '../support/fake-daemon.ts'

const RECORD: FailoverRecord = {
  at: '2026-03-03T10:00:00.000+08:00',
  from: 'primary',
  to: 'backup',
  reason: 'operator-chose-line',
  detect_ms: 5,
  decide_ms: 1,
  first_tick_ms: 20,
  coverage_restored_ms: 80,
  gap_ms: 10,
  lost: 0,
  duplicates: null,
}

test('every phase has the exit code that the runbook names', () => {
  expect(EXIT_CODE_OF_PHASE).toMatchObject({
    'health-before': 41,
    'backlog-before': 42,
    'backlog-after-failover': 43,
    'health-after-failover': 44,
    'backlog-after-failback': 45,
    'health-after-failback': 46,
  })
})

describe('recovery time', () => {
  test.each<[what: string, record: Partial<FailoverRecord>, ms: number | null]>([
    ['is the way of the order, the decision, and what takes longer: first tick or coverage', {}, 86],
    ['is told by the first tick where that comes last', { first_tick_ms: 200 }, 206],
    ['does without a tick in a market that has none', { first_tick_ms: null }, 86],
    ['is not known before the line is covered', { coverage_restored_ms: null }, null],
    ['takes an order of unknown age for given when it came', { detect_ms: null }, 81],
  ])('%s', (_what, record, ms) => {
    expect(recoveryOf({ ...RECORD, ...record })).toBe(ms)
  })
})

describe('the consumer backlog', () => {
  const bus = (backlog: number, connected = true) => ({
    bus: { kind: 'nats', backlog, connected } as const,
    throughput_mps: 20_000,
  })
  const behind = (messages: number | null, allowed: number) => ({
    bus: { ...bus(0).bus, consumers: [{ consumer: 'risk', messages }], consumer_backlog_max: allowed },
    throughput_mps: 20_000,
  })
  test.each([
    ['is skipped without a bus, and says so', judgeBacklog(statusOf()), 'skipped', /no bus/],
    ['is fine within a few seconds of ticks', judgeBacklog(bus(99_000)), 'ok', /100000 are allowed/],
    ['fails beyond', judgeBacklog(bus(100_001)), 'failed', /100001 ticks wait/],
    ['counts a consumer', judgeBacklog(behind(500, 500)), 'ok', /1 durable consumers are within 500/],
    ['fails when one is behind', judgeBacklog(behind(501, 500)), 'failed', /risk by 501 messages, 500 are allowed/],
    ['fails when one is gone', judgeBacklog(behind(null, 500)), 'failed', /risk is not there/],
    [
      'fails when nobody can tell',
      judgeBacklog({ ...bus(0), bus: { ...bus(0).bus, consumers: null } }),
      'failed',
      /not known/,
    ],
    ['fails without a connection', judgeBacklog(bus(3, false)), 'failed', /not connected/],
  ] as const)('%s', (_what, { outcome, detail }, expected, words) => {
    expect(outcome).toBe(expected)
    expect(detail).toMatch(words)
  })
})

describe('a drill does not begin', () => {
  const { failover } = statusOf()
  test.each<[what: string, status: Partial<FeedStatus>, words: RegExp]>([
    ['on a feed that is not ready', { ready: false, ready_detail: 'subscribed 3 of 9' }, /subscribed 3 of 9/],
    ['in a gap', { feed_state: 'GAP' }, /GAP/],
    ['on a feed in doubt', { feed_state: 'SUSPECT' }, /SUSPECT/],
    ['on a killed feed', { feed_state: 'KILLED' }, /KILLED/],
    ['while failover is latched', { failover: { ...failover, automation: 'flap-latched' } }, /resume/],
    ['without another line', { lines: { primary: lineOf(), backup: null } }, /no backup line/],
    ['when the other line is red', { lines: { primary: lineOf(), backup: lineOf({ pulse: 'red' }) } }, /can't serve/],
  ])('%s', (_what, status, words) => {
    expect(obstacleOf(statusOf(status), 'failover')).toMatch(words)
  })

  test('of the kill switch needs no other line', () => {
    expect(obstacleOf(statusOf({ lines: { primary: lineOf(), backup: null } }), 'kill-switch')).toBeNull()
  })

  test('unless nothing speaks against it; a paused feed may be drilled', () => {
    expect(obstacleOf(statusOf(), 'failover')).toBeNull()
    expect(obstacleOf(statusOf({ failover: { ...failover, automation: 'paused' } }), 'failover')).toBeNull()
  })
})

describe('health after a switch', () => {
  const well = { verdict: 'WARNING', errors: [] }
  test('is a good verdict with the right line serving', () => {
    expect(ailmentOf(statusOf({ serving_line: 'backup' }), well, 'backup')).toBeNull()
    expect(ailmentOf(statusOf(), well, 'backup')).toMatch(/primary serves instead of backup/)
    expect(ailmentOf(statusOf({ ready: false, ready_detail: 'no' }), well, 'primary')).toBe('no')
    const critical = { verdict: 'CRITICAL', errors: ['Neither line delivers.'] }
    expect(ailmentOf(statusOf(), critical, 'primary')).toMatch(/CRITICAL: Neither/)
  })
})

describe('lost', () => {
  /** Counters of both lines grown by these figures between two looks. */
  function grown(primary: Partial<LineStatus>, backup: Partial<LineStatus> | null, pid = 1) {
    const base = { delivered: 100, acceptable: 60, dropped: 0, disconnects: 0 }
    const lines = (of: Partial<LineStatus>, other: Partial<LineStatus> | null) => ({
      primary: lineOf({ ...base, ...of }),
      backup: other === null ? null : lineOf({ ...base, ...other }),
    })
    return {
      before: statusOf({ pid: 1, lines: lines({}, backup === null ? null : {}) }),
      after: statusOf({ pid, lines: lines(primary, backup) }),
    }
  }
  const journalled = { primary: 30, backup: 10 }
  const TOOK = { delivered: 150, acceptable: 90 }
  const TOOK_TOO = { delivered: 150, acceptable: 70 }

  test.each<[what: string, facts: ReturnType<typeof grown>, lost: number | null]>([
    ['is nothing when the journal holds what was acceptable', grown(TOOK, TOOK_TOO), 0],
    ['is what the journal does not hold', grown({ delivered: 150, acceptable: 95 }, TOOK_TOO), 5],
    ['is nothing when one bridge dropped what the other line brought', grown({ ...TOOK, dropped: 7 }, TOOK_TOO), 0],
    ['is what both bridges dropped', grown({ ...TOOK, dropped: 7 }, { ...TOOK_TOO, dropped: 2 }), 9],
    [
      'is what one bridge dropped while the other line was away',
      grown({ ...TOOK, dropped: 7 }, { ...TOOK_TOO, disconnects: 1 }),
      7,
    ],
    [
      'is what one bridge dropped while the other line had another bridge',
      grown({ ...TOOK, dropped: 7 }, { ...TOOK_TOO, bridge_pid: 9 }),
      7,
    ],
    ['is what the only line dropped', grown({ ...TOOK, dropped: 7 }, null), 7],
    ['is not known when neither line delivered', grown({}, {}), null],
    ['is not known of another daemon, which counts anew', grown(TOOK, TOOK_TOO, 2), null],
  ])('%s', (_what, facts, lost) => {
    const brought = facts.after.lines.backup === null ? { primary: 30, backup: 0 } : journalled
    expect(lostBetween({ ...facts, journalled: brought })).toBe(lost)
  })

  test('is not known when the journal could not be read', () => {
    expect(lostBetween({ ...grown(TOOK, TOOK_TOO), journalled: null })).toBeNull()
  })

  test('a bridge that started anew counts its drops from nothing', () => {
    const { before, after } = grown(TOOK, TOOK_TOO)
    before.lines.primary.dropped = 50
    after.lines.primary.dropped = 3
    expect(deliveriesOf({ before, after, journalled }).primary?.dropped).toBe(3)
  })
})

describe('the trend', () => {
  function report(recovery: number | null, outcome: DrillReport['outcome'] = 'passed'): DrillReport {
    return {
      schema: 'feed-supervisor/drill/1',
      id: '20260303-1',
      kind: 'failover',
      started_at: '2026-03-03T10:00:00.000+08:00',
      finished_at: '2026-03-03T10:00:05.000+08:00',
      profile: 'sim',
      version: '0.1.0',
      reason: null,
      outcome,
      exit_code: outcome === 'passed' ? 0 : 44,
      failed_phase: outcome === 'passed' ? null : 'failover',
      began_on: 'primary',
      ended_on: 'primary',
      phases: [],
      switches: [],
      recovery_ms: recovery,
      objective_ms: 5_000,
      gap_ms: null,
      lost: 0,
      duplicates: 0,
      lines: {},
      journal: null,
      problems: [],
      warnings: [],
    }
  }
  const series = (...times: number[]) => times.map((ms) => report(ms))

  test('of none is empty', () => {
    expect(trendOf([])).toEqual({ count: 0, passed: 0, last: null, recovery_ms: null, direction: null })
  })

  test('counts all and times those that passed', () => {
    const trend = trendOf([...series(100, 300), report(null, 'failed')])
    expect(trend).toMatchObject({ count: 3, passed: 2, recovery_ms: { median: 200, worst: 300 }, direction: null })
    expect(trend.last).toMatchObject({ outcome: 'failed', exit_code: 44 })
  })

  test.each([
    ['slower', [100, 110, 90, 400, 420, 390]],
    ['faster', [900, 800, 850, 100, 120, 90]],
    ['steady', [100, 110, 90, 100, 120, 95]],
    // Twice as long, and still nothing that anybody would notice.
    ['steady', [20, 20, 20, 45, 45, 45]],
    [null, [100, 100, 100, 900, 900]],
  ] as const)('is %s for %j', (direction, times) => {
    expect(trendOf(series(...times)).direction).toBe(direction)
  })
})
