/** The health report of contract section 3, from the daemon's own evidence: gathers it, lets `#domain/health.ts` judge, adds the frame. */
import {
  type CatalogueEntry,
  type ContractEvidence,
  type ContractOnLine,
  DEFAULT_HEALTH_THRESHOLDS,
  type HealthThresholds,
  type HealthVerdict,
  judgeHealth,
  type LineFacts,
} from '#domain/health.ts'
import { isoShanghai } from '#domain/iso-time.ts'
import type { Line } from '#domain/line.ts'
import type { SessionState } from '#domain/session-calendar.ts'
import type { LineStatus } from '#domain/status.ts'
import { Subscription } from '#domain/subscription-book.ts'
import { feedStatus, type StatusParts } from './feed-status.ts'
import type { LineSession } from './line-session.ts'

export interface HealthQuestion {
  mode: string
  thresholds: Partial<HealthThresholds>
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
  const { supervisor, sessions, calendar, marketClock, table } = parts
  const marketMs = marketClock.nowMs()
  const status = feedStatus(parts)
  const sessionStates = new ProductStates(parts, marketMs)
  const catalogue: CatalogueEntry[] = []
  const contracts: ContractEvidence[] = []
  for (let slot = 0; slot < table.count; slot++) {
    const { symbol, exchange } = table.name(slot)
    const primary = contractOnLine(parts, sessions.primary, slot)
    const backup = contractOnLine(parts, sessions.backup, slot)
    if (primary?.listed !== true && backup?.listed !== true) continue
    catalogue.push({ symbol, exchange, openDay: null, expiryDay: null })
    const gapMs = parts.path.expectedGapMs[slot] ?? Number.NaN
    contracts.push({
      symbol,
      exchange,
      lines: { primary, backup },
      ...sessionStates.of(slot),
      expectedGapMs: Number.isNaN(gapMs) ? null : gapMs,
      tickEvidence: 'full',
    })
  }
  const { automation } = supervisor.state
  const verdict = judgeHealth({
    sessionState: calendar.marketState(marketMs),
    tradingDay: supervisor.tradingDay,
    catalogue,
    contracts,
    daemon: {
      journal: parts.journal.state,
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

/** Each product is asked of the calendar once per report. */
class ProductStates {
  readonly #parts: StatusParts
  readonly #marketMs: number
  readonly #known = new Map<number, { sessionState: SessionState; inStateForMs: number }>()

  constructor(parts: StatusParts, marketMs: number) {
    this.#parts = parts
    this.#marketMs = marketMs
  }

  of(slot: number): { sessionState: SessionState; inStateForMs: number } {
    const { table, calendar } = this.#parts
    const product = table.productIndex[slot] ?? 0
    const known = this.#known.get(product)
    if (known !== undefined) return known
    const name = table.name(slot)
    const sessionState = calendar.productState(name.exchange, name.product, this.#marketMs)
    const fresh = { sessionState, inStateForMs: this.#heldFor(name.exchange, name.product, sessionState) }
    this.#known.set(product, fresh)
    return fresh
  }

  /** How long the state has held, looked for over the last ten minutes: health asks for no more. */
  #heldFor(exchange: string, product: string, state: SessionState): number {
    const { calendar } = this.#parts
    let provenMs = 0
    for (const minutes of [1, 2, 5, 10]) {
      if (calendar.productState(exchange, product, this.#marketMs - minutes * 60_000) !== state) break
      provenMs = minutes * 60_000
    }
    return provenMs
  }
}

function contractOnLine(parts: StatusParts, session: LineSession | null, slot: number): ContractOnLine | null {
  if (session === null) return null
  const state = session.book.state(slot)
  const ticks = parts.path.lines[session.index]
  const lastLiveMs = ticks.lastLiveMs[slot] ?? 0
  return {
    listed: state !== Subscription.unlisted,
    subscribed: state === Subscription.subscribed,
    refused: state === Subscription.refused,
    lastTickAgeMs: lastLiveMs === 0 ? null : parts.clock.monotonicMs() - lastLiveMs,
    missedTicks: ticks.missed[slot] ?? 0,
  }
}

function lineFacts(parts: StatusParts, line: Line): LineFacts | null {
  const session = parts.sessions[line]
  const pulse = parts.supervisor.pulses[line]
  return session === null ? null : { state: session.state, pulseReason: pulse?.reason ?? 'subscribing' }
}
