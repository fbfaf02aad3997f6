/**
 * Market days in time lapse: every change of a session state is lived through at full length, and so is what fronts do outside sessions;
 * the stretches between are left out. Between the moments the daemon's own health report is asked for, as a timer would.
 */
import { Throughput } from '#daemon/feed-status.ts'
import { healthReport } from '#daemon/health-report.ts'
import { wallMarketClock } from '#daemon/market-clock.ts'
import type { HealthVerdict } from '#domain/health.ts'
import { RecentHistogram } from '#domain/interval-histogram.ts'
import { isoShanghai } from '#domain/iso-time.ts'
import { LINES, type Line } from '#domain/line.ts'
import { calmSchedule } from './schedule.ts'
import type { SimContract } from './sim-market.ts'
import { openSimulation, type Simulation } from './simulation.ts'

export interface CalendarRun {
  /** Market time, as `2026-01-05 08:50`. */
  from: string
  untilMs: number
  contracts: readonly SimContract[]
  /** Lived through before and after each change of a session state; Infinity leaves nothing out. */
  beforeMs: number
  afterMs: number
  healthEveryMs: number
  log?: (line: string) => void
}

export interface CalendarRunEnd {
  days: number
  accepted: number
  offSession: number
  switches: number
  logins: number
  /** Health reports by verdict. */
  verdicts: Map<HealthVerdict['verdict'], number>
  /** What was wrong, with its moment. */
  findings: string[]
}

/** Times of day at which fronts restart, as the recorded logs have it: over lunch, after the close, before the evening, at night. */
const RESTARTS_AT = ['03:10', '11:40', '15:50', '18:45'] as const
const RESTART_TAKES_MS = 12_000
const RESTART_SEEN_MS = 45_000
const READ_FAILED = 0x1001
const DAY_MS = 86_400_000
const SHANGHAI_MS = 8 * 3_600_000

export async function runCalendar(run: CalendarRun): Promise<CalendarRunEnd> {
  const downUntilMs: Record<Line, number> = { primary: 0, backup: 0 }
  const simulation = openSimulation(calmSchedule(run.from, { seed: 2026 }), {
    contracts: run.contracts,
    ...(run.log === undefined ? {} : { log: run.log }),
    quirks: { isDown: (line, nowMs) => nowMs < downUntilMs[line] },
  })
  const end: CalendarRunEnd = {
    days: 0,
    accepted: 0,
    offSession: 0,
    switches: 0,
    logins: 0,
    verdicts: new Map(),
    findings: [],
  }
  await simulation.time.drive(async () => {
    try {
      await live(simulation, run, end, downUntilMs)
    } catch (error) {
      simulation.oracle.fault(error)
    }
  })
  const { violation, counts } = simulation.oracle
  if (violation !== null) end.findings.push(`${isoShanghai(simulation.time.nowMs)} ${violation.message}`)
  return {
    ...end,
    accepted: counts.accepted,
    offSession: counts.offSession,
    switches: counts.switches,
    logins: counts.logins,
  }
}

async function live(
  simulation: Simulation,
  run: CalendarRun,
  end: CalendarRunEnd,
  downUntilMs: Record<Line, number>,
): Promise<void> {
  const { time, calendar } = simulation
  await simulation.startDaemon()
  const report = reporter(simulation, end)
  await pass(simulation, time.nowMs + 30_000, run, report)
  while (time.nowMs < run.untilMs) {
    const changeMs = calendar.nextChangeMs(time.nowMs)
    const restartMs = nextRestartMs(time.nowMs)
    if (restartMs < changeMs - run.beforeMs) {
      simulation.leaveOutUntil(restartMs - 1_000)
      await pass(simulation, restartMs, run, report)
      for (const line of LINES) {
        downUntilMs[line] = restartMs + RESTART_TAKES_MS
        simulation.fronts[line].disconnect(READ_FAILED)
      }
      await pass(simulation, restartMs + RESTART_SEEN_MS, run, report)
    } else {
      simulation.leaveOutUntil(changeMs - run.beforeMs)
      await pass(simulation, changeMs + Math.min(run.afterMs, DAY_MS / 24), run, report)
    }
  }
}

async function pass(simulation: Simulation, untilMs: number, run: CalendarRun, report: () => void): Promise<void> {
  while (simulation.time.nowMs < untilMs) {
    await simulation.runUntil(Math.min(untilMs, simulation.time.nowMs + run.healthEveryMs))
    report()
  }
}

/** Only outside sessions: what restarts while the market trades is a fault. */
function nextRestartMs(nowMs: number): number {
  const midnightMs = Math.floor((nowMs + SHANGHAI_MS) / DAY_MS) * DAY_MS - SHANGHAI_MS
  const moments = [0, DAY_MS].flatMap((dayMs) =>
    RESTARTS_AT.map((text) => {
      const [hours = 0, minutes = 0] = text.split(':').map(Number)
      return midnightMs + dayMs + (hours * 60 + minutes) * 60_000
    }),
  )
  return moments.find((ms) => ms > nowMs) ?? Number.POSITIVE_INFINITY
}

function reporter(simulation: Simulation, end: CalendarRunEnd): () => void {
  const { time, calendar } = simulation
  const { life } = simulation
  if (life === null) throw new Error('the daemon runs')
  const startedMonotonicMs = time.monotonicMs()
  const parts = {
    supervisor: life.supervisor,
    sessions: life.sessions,
    path: life.path,
    table: life.slots.table,
    resting: () => new Set<number>(),
    calendar,
    marketClock: wallMarketClock(time),
    clock: time,
    readingSinceMs: () => Number.NEGATIVE_INFINITY,
    latency: new RecentHistogram(30_000),
    throughput: new Throughput(),
    lineThroughput: [new Throughput(), new Throughput()] as const,
    journal: {
      records: 0,
      bytesWritten: 0,
      lastSequence: 0,
      syncedSequence: 0,
      state: 'writing' as const,
      bytes: 0,
      lastSyncMs: 0,
      isUnpublishedAtRisk: false,
    },
    bus: null,
    recovery: null,
    coverageThreshold: 0.995,
    identity: {
      profile: 'sim',
      adapter: 'sim',
      version: '0',
      configFingerprint: '',
      startedAtMs: time.wallMs(),
      startedMonotonicMs,
    },
    paused: () => null,
    secrets: { statusOf: () => null, ageSecondsOf: () => null },
    warnings: () => [],
  }
  let tradingDay = ''
  return () => {
    const { verdict, errors, trading_day, session_state } = healthReport(parts, { mode: 'dry-run', thresholds: {} })
    end.verdicts.set(verdict, (end.verdicts.get(verdict) ?? 0) + 1)
    if (trading_day !== tradingDay) end.days++
    tradingDay = trading_day
    if (verdict !== 'CRITICAL' && verdict !== 'UNKNOWN') return
    end.findings.push(`${isoShanghai(time.nowMs)} ${verdict} while ${session_state}: ${errors.join(' ')}`)
  }
}
