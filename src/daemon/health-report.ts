/** The health report of contract section 3, from the daemon's own evidence: gathers it, lets `#domain/health.ts` judge, adds the frame. */
import { type CatalogueEntry, type ContractFacts, type ContractOnLine, NO_EVIDENCE } from '#domain/contract-facts.ts'
import { DEFAULT_HEALTH_THRESHOLDS, type HealthThresholds, type HealthVerdict, judgeHealth } from '#domain/health.ts'
import { formatVtSymbol } from '#domain/instrument.ts'
import { isoShanghai } from '#domain/iso-time.ts'
import type { ListingPeriod } from '#domain/listing-period.ts'
import type { SessionState } from '#domain/session-calendar.ts'
import type { LineStatus } from '#domain/status.ts'
import { Subscription, type SubscriptionBook } from '#domain/subscription-book.ts'
import { feedStatus, journalTrouble, lineFacts, type StatusParts } from './feed-status.ts'
import type { LineSession } from './line-session.ts'
import { ProductStates } from './product-states.ts'
import type { LineTicks } from './tick-path.ts'

export interface HealthQuestion {
  mode: string
  thresholds: Partial<HealthThresholds>
  /** What is expected, instead of what the lines' own lists hold. Everything else is judged as ever. */
  catalogue?: readonly CatalogueEntry[]
}

export interface HealthReport extends HealthVerdict {
  schema: 'feed-supervisor/health/1'
  generated_at: string
  mode: string
  profile: string
  window: 'day' | 'night'
  /** When the running or next window opens, on this host's clock. */
  window_opens_at: string
  trading_day: string
  lines: { primary: LineStatus; backup: LineStatus | null }
  throughput_mps: number
  latency_ms_p99: number | null
  bus: { kind: 'none' | 'nats'; backlog: number; connected: boolean }
  remediation: { attempts: number; requested: number; recovered: number; rate_limit_events: number }
}

export function healthReport(parts: StatusParts, question: HealthQuestion): HealthReport {
  const { supervisor, sessions, calendar, marketClock } = parts
  const marketMs = marketClock.nowMs()
  const status = feedStatus(parts)
  const { automation } = supervisor.state
  const verdict = judgeHealth({
    sessionState: calendar.marketState(marketMs),
    tradingDay: supervisor.tradingDay,
    contracts: contractsOf(parts, marketMs, question.catalogue ?? null),
    daemon: {
      journal: parts.journal.state,
      journalTrouble: journalTrouble(parts.journal),
      bus: { kind: status.bus.kind, connected: status.bus.connected },
      lines: { primary: lineFacts(parts, 'primary'), backup: lineFacts(parts, 'backup') },
      serving: supervisor.serving,
      preferred: supervisor.state.home,
      feedState: supervisor.feedState,
      automation: automation.kind,
    },
    failures: [],
    thresholds: { ...DEFAULT_HEALTH_THRESHOLDS, coverageThreshold: parts.coverageThreshold, ...question.thresholds },
  })
  return {
    schema: 'feed-supervisor/health/1',
    generated_at: isoShanghai(parts.clock.wallMs()),
    mode: question.mode,
    profile: status.profile,
    window: status.window,
    window_opens_at: isoShanghai(calendar.windowAt(marketMs).opensMs + parts.clock.wallMs() - marketMs),
    trading_day: status.trading_day,
    ...verdict,
    lines: status.lines,
    throughput_mps: status.throughput_mps,
    latency_ms_p99: status.latency_ms_p99,
    bus: status.bus,
    remediation: {
      attempts: 0,
      requested: 0,
      recovered: 0,
      rate_limit_events: (sessions.primary?.rateLimitHits ?? 0) + (sessions.backup?.rateLimitHits ?? 0),
    },
  }
}

/** Every contract on a list, one after the other in one object: 25,000 times five of them would be most of the work. */
function* contractsOf(
  parts: StatusParts,
  marketMs: number,
  catalogue: readonly CatalogueEntry[] | null,
): Iterable<ContractFacts> {
  const { table, sessions, path } = parts
  const products = new ProductStates(parts, marketMs)
  const resting = parts.resting()
  const primary = sessions.primary && new SlotOnLine(parts, sessions.primary)
  const backup = sessions.backup && new SlotOnLine(parts, sessions.backup)
  const listing: ListingPeriod = { openDay: null, expiryDay: null }
  const demanded = catalogue && new Map(catalogue.map((entry) => [formatVtSymbol(entry.symbol, entry.exchange), entry]))
  const contract = {
    symbol: '',
    exchange: '',
    listing: listing as ListingPeriod | null,
    isDemanded: catalogue !== null,
    lines: { primary, backup },
    sessionState: 'closed' as SessionState,
    inStateForMs: 0,
    expectedGapMs: null as number | null,
    tickEvidence: 'full' as const,
  }
  for (let slot = 0; slot < table.count; slot++) {
    primary?.turnTo(slot)
    backup?.turnTo(slot)
    const isListed = primary?.listed === true || backup?.listed === true
    if (!isListed && demanded === null && !resting.has(slot)) continue
    const name = table.name(slot)
    const key = demanded === null ? '' : formatVtSymbol(name.symbol, name.exchange)
    const entry = demanded?.get(key)
    demanded?.delete(key)
    if (!isListed && demanded !== null && entry === undefined) continue
    const gapMs = path.expectedGapMs[slot] ?? Number.NaN
    contract.symbol = name.symbol
    contract.exchange = name.exchange
    contract.expectedGapMs = Number.isNaN(gapMs) ? null : gapMs
    listing.openDay = table.openDay[slot] || null
    listing.expiryDay = table.expiryDay[slot] || null
    if (demanded !== null) contract.listing = entry ?? null
    const { sessionState, inStateForMs } = products.of(slot)
    contract.sessionState = sessionState
    contract.inStateForMs = inStateForMs
    yield contract
  }
  for (const entry of demanded?.values() ?? []) {
    const { symbol, exchange } = entry
    yield { ...NO_EVIDENCE, symbol, exchange, listing: entry, isDemanded: true }
  }
}

/** What a line knows of the contract in one slot, then in the next. */
class SlotOnLine implements ContractOnLine {
  listed = false
  subscribed = false
  refused = false
  lastTickAgeMs: number | null = null
  watchedForMs = 0
  missedTicks = 0
  readonly #book: SubscriptionBook
  readonly #ticks: LineTicks
  readonly #nowMs: number
  readonly #session: LineSession
  readonly #readingSinceMs: number

  constructor({ path, clock, readingSinceMs }: StatusParts, session: LineSession) {
    this.#book = session.book
    this.#ticks = path.lines[session.index]
    this.#nowMs = clock.monotonicMs()
    this.#session = session
    this.#readingSinceMs = readingSinceMs()
  }

  turnTo(slot: number): void {
    const state = this.#book.state(slot)
    const lastLiveMs = this.#ticks.lastLiveMs[slot] ?? 0
    this.listed = state !== Subscription.unlisted
    this.subscribed = state === Subscription.subscribed
    this.refused = state === Subscription.refused
    this.lastTickAgeMs = lastLiveMs === 0 ? null : this.#nowMs - lastLiveMs
    this.watchedForMs = this.#nowMs - Math.max(this.#session.subscribedSinceMs(slot), this.#readingSinceMs)
    this.missedTicks = this.#ticks.missed[slot] ?? 0
  }
}
