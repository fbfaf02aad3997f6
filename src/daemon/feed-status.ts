/** What the daemon knows, in the shape that operators and commands read: see `#domain/status.ts`. Reads counters; changes nothing. */
import { readFileSync } from 'node:fs'
import { hostname } from 'node:os'
import type { Clock } from '#clock.ts'
import { OUTCOME_NAMES, Outcome } from '#domain/arbitration.ts'
import type { LineCoverage } from '#domain/coverage.ts'
import { FAILOVER_SENTENCES } from '#domain/failover-reason.ts'
import { type Failure, inSentences } from '#domain/failure.ts'
import { DEFAULT_HEALTH_THRESHOLDS, deliversTicks, isTicking, type LineFacts } from '#domain/health.ts'
import { formatVtSymbol } from '#domain/instrument.ts'
import type { InstrumentTable } from '#domain/instrument-table.ts'
import type { RecentHistogram } from '#domain/interval-histogram.ts'
import { isoShanghai } from '#domain/iso-time.ts'
import { LINES, type Line, otherLine } from '#domain/line.ts'
import { PULSE_SENTENCES } from '#domain/liveness.ts'
import { judgeReadiness } from '#domain/readiness.ts'
import type { MarketCalendar } from '#domain/session-calendar.ts'
import type { ExchangeCoverage, FeedStatus, LineState, LineStatus, ReadyState, TickTotals } from '#domain/status.ts'
import { Subscription } from '#domain/subscription-book.ts'
import type { FeedSupervisor } from './feed-supervisor.ts'
import { coverageOfLine } from './line-coverage.ts'
import type { LineSession } from './line-session.ts'
import type { MarketClock } from './market-clock.ts'
import type { FeedBus } from './open-bus.ts'
import { ProductStates } from './product-states.ts'
import type { SecretWatch } from './secret-watch.ts'
import type { TickPath } from './tick-path.ts'

export interface StatusParts {
  supervisor: FeedSupervisor
  sessions: Readonly<Record<Line, LineSession | null>>
  path: TickPath
  table: InstrumentTable
  /** Slots of contracts that are on the list, but not listed at their exchange today. */
  resting(): ReadonlySet<number>
  calendar: MarketCalendar
  marketClock: MarketClock
  clock: Clock
  /** CLOCK_MONOTONIC since which both pipes are read without a break. */
  readingSinceMs(): number
  latency: RecentHistogram
  throughput: Throughput
  /** Of the ticks that the line brought first. */
  lineThroughput: readonly [Throughput, Throughput]
  journal: JournalFacts
  /** Null without a bus. */
  bus: FeedBus | null
  /** What recovery had to say, null when there was nothing. */
  recovery: string | null
  coverageThreshold: number
  identity: {
    profile: string
    adapter: string
    version: string
    configFingerprint: string
    startedAtMs: number
    startedMonotonicMs: number
  }
  secrets: Pick<SecretWatch, 'statusOf' | 'ageSecondsOf'>
  /** The operator's pause, as it is kept on disk. */
  paused(): { since: string; reason: string } | null
  warnings(): string[]
}

/** The journal's counters, read when asked. */
export interface JournalFacts {
  readonly records: number
  readonly bytesWritten: number
  readonly lastSequence: number
  readonly syncedSequence: number
  readonly state: 'writing' | 'failing'
  /** Why writing fails, for as long as it does. */
  readonly trouble?: Pick<Failure, 'message' | 'remedy'> | null
  /** Bytes on disk. */
  readonly bytes: number
  readonly lastSyncMs: number
  /** At its limits with segments that the bus has not got. */
  readonly isUnpublishedAtRisk: boolean
}

const RATE_SPAN_MS = 5_000
const RATE_EVERY_MS = 250

/** Ticks per second over the last five seconds; at the start over as many as there were. */
export class Throughput {
  /** Oldest first; the first one is as old as the span, or where counting began. */
  readonly #samples: { atMs: number; count: number }[] = []
  perSecond = 0

  /** To be called several times a second with a count that only grows. */
  sample(count: number, nowMs: number): void {
    const samples = this.#samples
    // The time before the first tick is no time of the feed: a rate that begins there would take seconds to come true.
    if (count === 0) samples.length = 0
    const newest = samples.at(-1)
    if (newest !== undefined && nowMs - newest.atMs < RATE_EVERY_MS) return
    samples.push({ atMs: nowMs, count })
    while (samples[1] !== undefined && nowMs - samples[1].atMs >= RATE_SPAN_MS) samples.shift()
    const [oldest] = samples
    if (oldest !== undefined && nowMs > oldest.atMs) {
      this.perSecond = ((count - oldest.count) * 1_000) / (nowMs - oldest.atMs)
    }
  }
}

export function feedStatus(parts: StatusParts): FeedStatus {
  const { supervisor, sessions, path, calendar, marketClock, clock, journal, identity } = parts
  const nowMs = clock.monotonicMs()
  const marketMs = marketClock.nowMs()
  const serving = sessions[supervisor.serving]
  const coverage = servingCoverage(parts)
  const ready = readiness(parts)
  // Of the window that runs or is next: between the close of the day and the evening the ticks' own trading day is still the old one.
  const span = calendar.windowAt(marketMs)
  const { step, automation } = { step: supervisor.lastStep, automation: supervisor.state.automation }
  return {
    schema: 'feed-supervisor/status/1',
    pid: process.pid,
    host: hostname(),
    version: identity.version,
    profile: identity.profile,
    adapter: identity.adapter,
    window: span.window,
    trading_day: String(span.tradingDay),
    session_state: calendar.marketState(marketMs),
    market_time: isoShanghai(marketMs),
    serving_line: supervisor.serving,
    epoch: supervisor.epoch,
    feed_state: supervisor.feedState,
    ready: ready.ready,
    ready_detail: ready.detail,
    ready_state: ready.state,
    ready_remedy: ready.remedy,
    started_at: isoShanghai(identity.startedAtMs),
    uptime_ms: Math.round(nowMs - identity.startedMonotonicMs),
    coverage_ratio: coverage?.subscribedRatio ?? 0,
    tick_coverage_ratio: coverage?.tickedRatio ?? 0,
    expected_total: serving?.book.expected ?? 0,
    subscribed_total: serving?.book.subscribed ?? 0,
    ticked_total: coverage?.ticked ?? 0,
    refused_contracts: namesOf(parts.table, coverage?.refusedSlots ?? []),
    exchanges: exchangeCoverage(parts, coverage, marketMs),
    lines: {
      primary: lineStatus(parts, sessions.primary, nowMs),
      backup: sessions.backup === null ? null : lineStatus(parts, sessions.backup, nowMs),
    },
    ticks: tickTotals(path),
    throughput_mps: Math.round(parts.throughput.perSecond),
    latency_ms_p99: parts.latency.quantileMs(0.99, nowMs),
    latency_ms_p95: parts.latency.quantileMs(0.95, nowMs),
    rss_bytes: residentBytes(),
    journal: {
      records: journal.records,
      bytes: journal.bytesWritten,
      last_sequence: journal.lastSequence,
      synced_sequence: journal.syncedSequence,
      lost: path.refusedByLog,
      state: journal.state,
      trouble: troubleOf(journal),
      recovery: parts.recovery,
    },
    bus: parts.bus?.status() ?? { kind: 'none', backlog: 0, connected: false },
    failover: {
      automatic: automation.kind === 'automatic',
      automation: automation.kind,
      paused: automation.kind === 'paused' ? parts.paused() : null,
      home: supervisor.state.home,
      state: supervisor.state.phase.kind,
      detail: step === null ? 'starting' : FAILOVER_SENTENCES[step.reason],
      last: supervisor.lastFailover,
    },
    config_fingerprint: identity.configFingerprint,
    warnings: parts.warnings(),
  }
}

export function servingCoverage(parts: StatusParts): LineCoverage | null {
  const { table, supervisor } = parts
  const { tradingDay, serving } = supervisor
  const session = parts.sessions[serving]
  return session === null ? null : coverageOfLine(session, { table, tradingDay, isTicking: tickingOn(parts, session) })
}

/** The same judgement as in the health report, by the default thresholds. */
function tickingOn(parts: StatusParts, { index }: LineSession): (slot: number) => boolean {
  const { path, supervisor, clock, marketClock } = parts
  const products = new ProductStates(parts, marketClock.nowMs())
  const nowMs = clock.monotonicMs()
  const { lastLiveMs } = path.lines[index]
  const lines = { primary: lineFacts(parts, 'primary'), backup: lineFacts(parts, 'backup') }
  const delivers = deliversTicks({ feedState: supervisor.feedState, lines })
  return (slot) => {
    const lastMs = lastLiveMs[slot] ?? 0
    if (lastMs === 0) return false
    const gapMs = path.expectedGapMs[slot] ?? Number.NaN
    const expectedGapMs = Number.isNaN(gapMs) ? null : gapMs
    const isOpen = products.of(slot).sessionState === 'open'
    return isTicking({ isOpen, delivers, lastTickAgeMs: nowMs - lastMs, expectedGapMs }, DEFAULT_HEALTH_THRESHOLDS)
  }
}

export function lineFacts({ sessions, supervisor, clock }: StatusParts, line: Line): LineFacts | null {
  const session = sessions[line]
  if (session === null) return null
  const { state, drops } = session
  const dropped = drops && { ticks: drops.ticks, agoMs: clock.monotonicMs() - drops.lastMs }
  return { state, pulseReason: supervisor.pulses[line]?.reason ?? 'subscribing', dropped }
}

/** READY is coverage, as `#domain/readiness.ts` has it: what is missing otherwise, and whether it will come by itself. */
export function readiness(parts: StatusParts): FeedReadiness {
  const waited = waitedFor(parts)
  const latched = waited.ready ? null : latchedLines(parts)
  if (latched !== null) return { ready: false, state: 'latched', ...latched }
  const refusals = waited.ready ? null : refusedContracts(parts)
  if (refusals !== null) return { ready: false, state: 'contracts-refused', ...refusals }
  return { ...waited, state: waited.ready ? 'ready' : 'coming-up', remedy: null }
}

export interface FeedReadiness {
  ready: boolean
  state: ReadyState
  detail: string
  /** Null where time will do. */
  remedy: string | null
}

/** What the feed still lacks, as if it came by itself. */
function waitedFor(parts: StatusParts): Pick<FeedReadiness, 'ready' | 'detail'> {
  const serving = parts.sessions[parts.supervisor.serving]
  if (serving === null) return { ready: false, detail: 'no line is configured' }
  // Cut lines are off, as a resting standby's is; the reason is the one to tell.
  if (parts.supervisor.feedState === 'KILLED') return { ready: false, detail: 'the kill switch is set' }
  if (parts.journal.state === 'failing') {
    return { ready: false, detail: journalTrouble(parts.journal) ?? 'the journal cannot be written' }
  }
  const { expected, subscribed } = serving.book
  if (expected === 0) return { ready: false, detail: `${serving.line}: ${serving.detail}` }
  if (!serving.loggedIn) return { ready: false, detail: `${serving.line}: ${serving.detail}` }
  if (judgeReadiness(serving.book, null, parts.coverageThreshold) === 'ready') return { ready: true, detail: 'ready' }
  return { ready: false, detail: `${serving.line}: subscribed ${subscribed} of ${expected}` }
}

const REFUSED_TOLD = 5

/** Null unless refusals alone keep the feed from being ready, and no line is left that could still do better. */
function refusedContracts(parts: StatusParts): Pick<FeedReadiness, 'detail' | 'remedy'> | null {
  const { sessions, supervisor, coverageThreshold } = parts
  const serving = sessions[supervisor.serving]
  if (serving === null || !serving.loggedIn) return null
  const other = sessions[otherLine(supervisor.serving)]
  const otherMayServe = other !== null && other.wanted === 'streaming' && !hasGivenUp(other.state)
  if (judgeReadiness(serving.book, otherMayServe ? other.book : null, coverageThreshold) !== 'refused') return null
  const { expected, subscribed, refused } = serving.book
  const named = namesOf(parts.table, serving.book.slotsIn(Subscription.refused).slice(0, REFUSED_TOLD))
  const more = refused > named.length ? `, and ${refused - named.length} more` : ''
  return {
    detail:
      `${serving.line}: subscribed ${subscribed} of ${expected}, below the threshold of ${percent(coverageThreshold)}; ` +
      `the front refuses ${refused}: ${named.join(', ')}${more}`,
    remedy: `Correct the contract list, or leave them out (CONTRACTS_EXCLUDE, CTP_${serving.line.toUpperCase()}_EXCLUDE); then start-live-env restart.`,
  }
}

/** Null while any line may log in. */
function latchedLines({ sessions }: StatusParts): Pick<FeedReadiness, 'detail' | 'remedy'> | null {
  const lines = linesOf(sessions)
  if (lines.length === 0 || lines.some(({ state }) => state !== 'latched')) return null
  const clearing = lines.map(({ line }) => `start-live-env status --clear-latch ${line} --reason TEXT`).join(', ')
  return {
    detail: `no line may log in: ${lines.map(({ line, detail }) => `${line}: ${detail}`).join('; ')}`,
    // A latch that is cleared is noticed; an environment file that was changed is not.
    remedy: `Correct the credentials, then clear the latch (${clearing}); after a change of the env file, start-live-env restart.`,
  }
}

function hasGivenUp(state: LineState): boolean {
  return state === 'latched' || state === 'failed'
}

function percent(ratio: number): string {
  return `${Math.round(ratio * 10_000) / 100} %`
}

/** In sentences, with the remedy; null while nothing is known to be wrong. */
export function journalTrouble(journal: JournalFacts): string | null {
  const trouble = troubleOf(journal)
  return trouble === null ? null : inSentences(trouble)
}

function troubleOf({ trouble = null }: JournalFacts): { message: string; remedy: string } | null {
  return trouble === null ? null : { message: trouble.message, remedy: trouble.remedy }
}

function lineStatus(parts: StatusParts, session: LineSession | null, nowMs: number): LineStatus {
  if (session === null) return ABSENT_LINE
  const ticks = parts.path.lines[session.index]
  const pulse = parts.supervisor.pulses[session.line]
  const { lastTickMs } = ticks.market
  return {
    state: session.state,
    detail: session.detail,
    bridge_pid: session.bridgePid,
    connected: session.connected,
    logged_in: session.loggedIn,
    expected: session.book.expected,
    subscribed: session.book.subscribed,
    refused: session.book.refused,
    pulse: pulse?.pulse ?? 'yellow',
    pulse_reason: pulse === null ? 'The line has not been looked at yet.' : PULSE_SENTENCES[pulse.reason],
    last_tick_age_ms: lastTickMs === 0 ? null : Math.round(nowMs - lastTickMs),
    account: session.adapter.account,
    front: session.adapter.front,
    first_arrivals: ticks.firstArrivals,
    delivered: ticks.received,
    acceptable: (ticks.outcomes[Outcome.accepted] ?? 0) + (ticks.outcomes[Outcome.offSession] ?? 0),
    rate_limit_hits: session.rateLimitHits,
    login_attempts: session.loginOutcomes.granted,
    disconnects: [...session.disconnects.values()].reduce((sum, count) => sum + count, 0),
    dropped: session.drops?.ticks ?? 0,
    secret: parts.secrets.statusOf(session.line),
  }
}

const ABSENT_LINE: LineStatus = {
  state: 'off',
  detail: 'not configured',
  bridge_pid: null,
  connected: false,
  logged_in: false,
  expected: 0,
  subscribed: 0,
  refused: 0,
  pulse: 'red',
  pulse_reason: 'The line is not configured.',
  last_tick_age_ms: null,
  account: null,
  front: null,
  first_arrivals: 0,
  delivered: 0,
  acceptable: 0,
  rate_limit_hits: 0,
  login_attempts: 0,
  disconnects: 0,
  dropped: 0,
}

export function tickTotals(path: TickPath): TickTotals {
  const totals: TickTotals = { accepted: 0, duplicate: 0, stale: 0, invalid: 0, off_session: 0 }
  for (const line of path.lines) {
    OUTCOME_NAMES.forEach((name, i) => {
      totals[name] += line.outcomes[i] ?? 0
    })
  }
  return totals
}

function exchangeCoverage(parts: StatusParts, coverage: LineCoverage | null, marketMs: number): ExchangeCoverage[] {
  return (coverage?.exchanges ?? []).map(({ exchange, expected, subscribed, refused, ticked }) => ({
    exchange,
    expected,
    subscribed,
    refused,
    ticked,
    session_state: parts.calendar.exchangeState(exchange, marketMs),
  }))
}

function namesOf(table: InstrumentTable, slots: readonly number[]): string[] {
  return slots.map((slot) => {
    const { symbol, exchange } = table.name(slot)
    return formatVtSymbol(symbol, exchange)
  })
}

/** `process.memoryUsage()` walks the heap; the kernel's page count is there for the reading. */
function residentBytes(): number {
  const [, pages = '0'] = readFileSync('/proc/self/statm', 'utf8').split(' ')
  return Number(pages) * 4096
}

export function linesOf(sessions: Readonly<Record<Line, LineSession | null>>): LineSession[] {
  return LINES.map((line) => sessions[line]).filter((session) => session !== null)
}
