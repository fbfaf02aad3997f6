/** The daemon's counters as samples, gathered at each scrape. */
import type { DaemonMetric, Sample } from '#adapters/metrics/daemon-metrics.ts'
import { OUTCOME_NAMES } from '#domain/arbitration.ts'
import type { LineCoverage } from '#domain/coverage.ts'
import { EXCHANGES } from '#domain/instrument.ts'
import type { SessionState } from '#domain/session-calendar.ts'
import type { LineState } from '#domain/status.ts'
import { linesOf, type StatusParts } from './feed-status.ts'
import { coverageOfLines } from './line-coverage.ts'
import { coverageOf } from './line-evidence.ts'
import type { FeedBus } from './open-bus.ts'

const LINE_STATES: readonly LineState[] = [
  'off',
  'connecting',
  'logging-in',
  'logged-in',
  'subscribing',
  'streaming',
  'waiting',
  'latched',
  'failed',
]
const SESSION_STATES: readonly SessionState[] = ['open', 'auction', 'break', 'closed', 'holiday']

/** Warnings and errors logged, by component. */
export type FaultCounts = ReadonlyMap<string, { component: string; severity: string; count: number }>

export function metricSamples(parts: StatusParts, faults: FaultCounts): ReadonlyMap<DaemonMetric, readonly Sample[]> {
  const { supervisor, path, calendar, marketClock, clock, journal } = parts
  const marketMs = marketClock.nowMs()
  const window = calendar.windowAt(marketMs).window
  const lines = linesOf(parts.sessions)
  const last = supervisor.lastFailover
  const coverage = coverageOfLines(parts.sessions, parts, parts.coverageThreshold)[supervisor.serving]
  const samples: [DaemonMetric, readonly Sample[]][] = [
    [
      'md_throughput_mps',
      lines.map(({ line, index, adapter }) => ({
        labels: { feed: line, account: adapter.account ?? '' },
        value: parts.lineThroughput[index].perSecond,
      })),
    ],
    [
      'md_ticks_total',
      lines.flatMap(({ line, index }) =>
        OUTCOME_NAMES.map((outcome, i) => ({
          labels: { feed: line, outcome },
          value: path.lines[index].outcomes[i] ?? 0,
        })),
      ),
    ],
    [
      'md_subscription_coverage_ratio',
      lines.map((session) => ({
        labels: { feed: session.line, account: session.adapter.account ?? '', session_window: window },
        value: coverageOf(session) ?? 0,
      })),
    ],
    ['md_tick_coverage_ratio', [plain(coverage?.tickedRatio ?? 0)]],
    ['md_product_coverage_ratio', productCoverage(coverage)],
    [
      'md_rate_limit_hits_total',
      lines.map(({ line, rateLimitHits }) => ({ labels: { feed: line }, value: rateLimitHits })),
    ],
    [
      'md_login_attempts_total',
      lines.flatMap(({ line, loginOutcomes }) =>
        Object.entries(loginOutcomes).map(([outcome, value]) => ({ labels: { feed: line, outcome }, value })),
      ),
    ],
    [
      'md_disconnects_total',
      lines.flatMap(({ line, disconnects }) =>
        [...disconnects].map(([reason, value]) => ({ labels: { feed: line, reason }, value })),
      ),
    ],
    [
      'md_errors_total',
      [...faults.values()].map(({ component, severity, count }) => ({ labels: { component, severity }, value: count })),
    ],
    [
      'md_serving_line',
      lines.map(({ line }) => ({ labels: { feed: line }, value: line === supervisor.serving ? 1 : 0 })),
    ],
    [
      'md_line_state',
      lines.flatMap((session) =>
        LINE_STATES.map((state) => ({ labels: { feed: session.line, state }, value: session.state === state ? 1 : 0 })),
      ),
    ],
    [
      'md_line_first_arrival_total',
      lines.map(({ line, index }) => ({ labels: { feed: line }, value: path.lines[index].firstArrivals })),
    ],
    [
      'md_failovers_total',
      [...supervisor.failovers.values()].map(({ from, to, reason, count }) => ({
        labels: { from, to, reason },
        value: count,
      })),
    ],
    [
      'md_failover_seconds',
      last === null
        ? []
        : [
            ...phase('detect', last.detect_ms),
            ...phase('decide', last.decide_ms),
            ...phase('first_tick', last.first_tick_ms),
            ...phase('coverage_restored', last.coverage_restored_ms),
            ...phase('gap', last.gap_ms),
          ],
    ],
    [
      'md_session_state',
      EXCHANGES.flatMap((exchange) => {
        const now = calendar.exchangeState(exchange, marketMs)
        return SESSION_STATES.map((state) => ({ labels: { exchange, state }, value: state === now ? 1 : 0 }))
      }),
    ],
    [
      'md_heartbeat_timestamp_seconds',
      [plain((clock.wallMs() - (clock.monotonicMs() - supervisor.lastRoundMs)) / 1_000)],
    ],
    ['md_journal_records_total', [plain(journal.records)]],
    ['md_journal_lost_total', [plain(path.refusedByLog)]],
    ['md_journal_bytes', [plain(journal.bytes)]],
    ['md_journal_sync_seconds', [plain(journal.lastSyncMs / 1_000)]],
    ...busSamples(parts.bus),
  ]
  return new Map(samples.filter(([, list]) => list.length > 0))
}

function productCoverage(coverage: LineCoverage | null): Sample[] {
  return (coverage?.products ?? []).map(({ exchange, product, subscribedRatio }) => ({
    labels: { exchange, product },
    value: subscribedRatio ?? 0,
  }))
}

function busSamples(bus: FeedBus | null): [DaemonMetric, readonly Sample[]][] {
  if (bus === null) return []
  const { published, backlog, catchUpSeconds, ackP99Ms } = bus.publisher
  return [
    ['md_bus_published_total', [plain(published)]],
    ['md_bus_backlog_messages', [plain(backlog)]],
    // A backlog that does not shrink has no time at which it is gone.
    ['md_bus_catch_up_seconds', [plain(catchUpSeconds ?? Number.POSITIVE_INFINITY)]],
    ['md_bus_ack_seconds', ackP99Ms === null ? [] : [plain(ackP99Ms / 1_000)]],
    [
      'consumer_backlog_messages',
      bus.consumers.map(({ consumer, messages }) => ({ labels: { consumer }, value: messages })),
    ],
  ]
}

function plain(value: number): Sample {
  return { labels: {}, value }
}

function phase(name: string, ms: number | null): Sample[] {
  return ms === null ? [] : [{ labels: { phase: name }, value: ms / 1_000 }]
}
