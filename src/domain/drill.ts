/**
 * What a drill proves: its phases in order, which of them failed and with which exit code, what was lost between the lines and the
 * journal, and how past drills compare. Judgement only; who performs a drill hands in what was seen.
 */
import { LINES, type Line, otherLine } from './line.ts'
import type { BusStatus, FailoverRecord, FeedStatus, LineStatus } from './status.ts'

export type DrillKind = 'failover' | 'kill-switch'

/** Each phase with the exit code of a drill that fails in it. The kill switch's cut and restoration stand where the two switches do. */
export const EXIT_CODE_OF_PHASE = {
  'health-before': 41,
  'backlog-before': 42,
  failover: 44,
  'backlog-after-failover': 43,
  'health-after-failover': 44,
  failback: 46,
  'backlog-after-failback': 45,
  'health-after-failback': 46,
  cut: 44,
  refusal: 44,
  restore: 46,
  'backlog-after-restore': 45,
  'health-after-restore': 46,
} as const
export type DrillPhase = keyof typeof EXIT_CODE_OF_PHASE
export const EXIT_OVER_OBJECTIVE = 47

export interface PhaseRecord {
  phase: DrillPhase
  outcome: 'ok' | 'skipped' | 'failed'
  duration_ms: number
  detail: string
}

/** What one line did during a drill, and what the journal holds of it. */
export interface LineDelivery {
  delivered: number
  acceptable: number
  journalled: number
  dropped: number
}

export interface DrillReport {
  schema: 'feed-supervisor/drill/1'
  /** `<date>-<n>` */
  id: string
  kind: DrillKind
  started_at: string
  finished_at: string
  profile: string
  version: string
  reason: string | null
  outcome: 'passed' | 'failed'
  exit_code: number
  failed_phase: DrillPhase | 'objective' | null
  began_on: Line | null
  ended_on: Line | null
  phases: PhaseRecord[]
  switches: FailoverRecord[]
  recovery_ms: number | null
  objective_ms: number
  /** Longest time between accepted ticks around the switches. */
  gap_ms: number | null
  lost: number | null
  duplicates: number | null
  lines: Partial<Record<Line, LineDelivery>>
  journal: { from: number; to: number } | null
  problems: { name: string; message: string; remedy: string }[]
  warnings: string[]
}

/** From the order to a line that ticks and is covered; in a market without ticks coverage has to do. Null while that is not reached. */
export function recoveryOf(record: FailoverRecord): number | null {
  if (record.coverage_restored_ms === null) return null
  const decided = (record.detect_ms ?? 0) + (record.decide_ms ?? 0)
  return decided + Math.max(record.first_tick_ms ?? 0, record.coverage_restored_ms)
}

export interface Judged {
  outcome: 'ok' | 'skipped' | 'failed'
  detail: string
}

/** So many seconds of ticks may wait for the bus before consumers are late. */
const BACKLOG_SECONDS_MAX = 5
const BACKLOG_MIN = 1_000

export function judgeBacklog({ bus, throughput_mps: perSecond }: Pick<FeedStatus, 'bus' | 'throughput_mps'>): Judged {
  if (bus.kind === 'none') return { outcome: 'skipped', detail: 'no bus is configured, so no consumer can be behind' }
  if (!bus.connected) return { outcome: 'failed', detail: `the bus is not connected, ${bus.backlog} ticks wait` }
  const allowed = Math.max(BACKLOG_MIN, perSecond * BACKLOG_SECONDS_MAX)
  const detail = `${bus.backlog} ticks wait for the bus, ${allowed} are allowed`
  if (bus.backlog > allowed) return { outcome: 'failed', detail }
  const consumers = judgeConsumers(bus)
  return { outcome: consumers.outcome, detail: `${detail}; ${consumers.detail}` }
}

function judgeConsumers({ consumers = [], consumer_backlog_max: allowed = 0 }: BusStatus): Judged {
  if (consumers === null) return { outcome: 'failed', detail: 'how far consumers are behind is not known' }
  const gone = consumers.filter(({ messages }) => messages === null).map(({ consumer }) => consumer)
  if (gone.length > 0) return { outcome: 'failed', detail: `the durable consumer ${gone.join(', ')} is not there` }
  const late = consumers.filter(({ messages }) => (messages ?? 0) > allowed)
  if (late.length > 0) {
    const each = late.map(({ consumer, messages }) => `${consumer} by ${messages}`)
    return { outcome: 'failed', detail: `consumers are behind: ${each.join(', ')} messages, ${allowed} are allowed` }
  }
  return { outcome: 'ok', detail: `${consumers.length} durable consumers are within ${allowed} messages` }
}

/** Why a drill may not begin, or null when it may. A drill on a feed that is not well proves nothing and may break it. */
export function obstacleOf(status: FeedStatus, kind: DrillKind): string | null {
  const { lines, serving_line: serving, feed_state: feedState } = status
  const target = otherLine(serving)
  const line: LineStatus | null = lines[target]
  if (!status.ready) return `the feed is not ready: ${status.ready_detail}`
  if (feedState === 'GAP' || feedState === 'KILLED' || feedState === 'SUSPECT') return `the feed is ${feedState}`
  if (status.failover.automation === 'flap-latched') {
    return 'failover is latched after too many switches: decide which line is better, then start-live-env resume'
  }
  if (kind === 'kill-switch') return null
  if (line === null) return `there is no ${target} line to switch to`
  if (line.pulse === 'red') return `the ${target} line can't serve: ${line.pulse_reason}`
  return null
}

interface HealthFacts {
  verdict: string
  errors: readonly string[]
}

/** Null: as it should be, with this line serving. */
export function ailmentOf(status: FeedStatus, health: HealthFacts, serving: Line): string | null {
  if (status.serving_line !== serving) return `${status.serving_line} serves instead of ${serving}`
  if (!status.ready) return status.ready_detail
  if (health.verdict !== 'OK' && health.verdict !== 'WARNING') return `${health.verdict}: ${health.errors.join(' ')}`
  return null
}

export interface DeliveryFacts {
  before: FeedStatus
  after: FeedStatus
  /** Ticks of each line in the journal between the two; null when it could not be read. */
  journalled: Readonly<Record<Line, number>> | null
}

/** What each line delivered between two looks at the daemon, beside what the journal holds of it. */
export function deliveriesOf({ before, after, journalled }: DeliveryFacts): Partial<Record<Line, LineDelivery>> {
  const deliveries: Partial<Record<Line, LineDelivery>> = {}
  // Another daemon counts from nothing.
  if (before.pid !== after.pid) return deliveries
  for (const line of LINES) {
    const [was, is] = [before.lines[line], after.lines[line]]
    if (was === null || is === null) continue
    deliveries[line] = {
      delivered: is.delivered - was.delivered,
      acceptable: is.acceptable - was.acceptable,
      journalled: journalled?.[line] ?? 0,
      dropped: is.dropped >= was.dropped ? is.dropped - was.dropped : is.dropped,
    }
  }
  return deliveries
}

/**
 * Delivered by a line, acceptable, absent from the journal. What one bridge dropped is no loss if the other line delivered all the while,
 * for it brings the same ticks. Null when neither line delivered, the daemon is another one, or the journal could not be read.
 */
export function lostBetween(facts: DeliveryFacts): number | null {
  const { before, after, journalled } = facts
  if (journalled === null || before.pid !== after.pid) return null
  const deliveries = deliveriesOf(facts)
  if (LINES.every((line) => (deliveries[line]?.delivered ?? 0) === 0)) return null
  return LINES.reduce((lost, line) => {
    const mine = deliveries[line]
    if (mine === undefined) return lost
    const missing = Math.max(0, mine.acceptable - mine.journalled)
    return lost + missing + (wasWhole(facts, otherLine(line)) ? 0 : mine.dropped)
  }, 0)
}

function wasWhole({ before, after }: DeliveryFacts, line: Line): boolean {
  const [was, is] = [before.lines[line], after.lines[line]]
  if (was?.state !== 'streaming' || is?.state !== 'streaming') return false
  return was.bridge_pid === is.bridge_pid && was.disconnects === is.disconnects && was.dropped === is.dropped
}

export interface DrillTrend {
  /** Drills of this kind that are on record; the figures are of those that passed. */
  count: number
  passed: number
  last: { id: string; at: string; outcome: string; exit_code: number; recovery_ms: number | null } | null
  recovery_ms: { median: number; worst: number } | null
  /** The last three against those before; null before there are enough. */
  direction: 'faster' | 'steady' | 'slower' | null
}

const RECENT = 3
/** A change below this is the noise of a busy machine. */
const NOTABLE_RATIO = 1.5
const NOTABLE_MS = 100

/** `reports` of one kind, oldest first. */
export function trendOf(reports: readonly DrillReport[]): DrillTrend {
  const passed = reports.filter(({ outcome }) => outcome === 'passed')
  const times = passed.flatMap(({ recovery_ms: ms }) => (ms === null ? [] : [ms]))
  const last = reports.at(-1)
  return {
    count: reports.length,
    passed: passed.length,
    last:
      last === undefined
        ? null
        : {
            id: last.id,
            at: last.started_at,
            outcome: last.outcome,
            exit_code: last.exit_code,
            recovery_ms: last.recovery_ms,
          },
    recovery_ms: times.length === 0 ? null : { median: median(times), worst: Math.max(...times) },
    direction: times.length < 2 * RECENT ? null : directionOf(times.slice(0, -RECENT), times.slice(-RECENT)),
  }
}

function directionOf(before: readonly number[], now: readonly number[]): 'faster' | 'steady' | 'slower' {
  const [was, is] = [median(before), median(now)]
  if (is > was * NOTABLE_RATIO && is - was > NOTABLE_MS) return 'slower'
  if (was > is * NOTABLE_RATIO && was - is > NOTABLE_MS) return 'faster'
  return 'steady'
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  const upper = sorted[middle] ?? 0
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? 0) + upper) / 2
}
