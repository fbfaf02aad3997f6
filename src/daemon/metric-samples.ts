/**
 * The daemon's counters as samples, gathered at each scrape. What has to look at every contract is counted once a second at most, however
 * often somebody scrapes.
 */
import type { DaemonMetric, Sample } from '#adapters/metrics/daemon-metrics.ts'
import type { Clock } from '#clock.ts'
import { OUTCOME_NAMES } from '#domain/arbitration.ts'
import type { LineCoverage } from '#domain/coverage.ts'
import type { FailoverReason } from '#domain/failover-reason.ts'
import { EXCHANGES } from '#domain/instrument.ts'
import { LINES, otherLine } from '#domain/line.ts'
import type { Pulse } from '#domain/liveness.ts'
import type { SessionState, WindowSpan } from '#domain/session-calendar.ts'
import type { FeedState, FeedStatus, LineState } from '#domain/status.ts'
import { expectedThroughput } from './expected-throughput.ts'
import type { FaultCounts } from './fault-counts.ts'
import { linesOf, type StatusParts, servingCoverage } from './feed-status.ts'
import type { FeedSupervisor } from './feed-supervisor.ts'
import type { HostFacts } from './host-facts.ts'
import { coverageOf } from './line-evidence.ts'
import { DISCONNECT_REASONS, type LineSession } from './line-session.ts'
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

const PULSES: readonly Pulse[] = ['green', 'yellow', 'red']
const FEED_STATES: readonly FeedState[] = ['ACTIVE', 'SUSPECT', 'SWITCHED', 'GAP', 'CLOSED', 'KILLED']
const AUTOMATIONS: readonly FeedStatus['failover']['automation'][] = ['automatic', 'paused', 'flap-latched']
/** Told as zero from the start: a counter that is born at 1 has never increased, as far as Prometheus can see. */
const SWITCH_REASONS: readonly FailoverReason[] = [
  'exchange-mute',
  'coverage-low',
  'invalid-ticks',
  'lagging',
  'not-connected',
  'connect-failing',
  'login-failing',
  'latched',
  'failed',
  'bridge-silent',
  'line-mute',
  'market-silent',
  'configured-line-late',
  'line-returned',
  'home-proved-stable',
  'target-did-not-rise',
  'flap-latched',
  'latched-line-dead',
  'operator-chose-line',
]
const COUNT_EVERY_MS = 1_000

export interface MetricParts extends StatusParts {
  faults: FaultCounts
  hostFacts: HostFacts
  limits: { failoverObjectiveMs: number; journalBytesMax: number; journalFreeBytesMin: number }
}

/** What is asked at each scrape. */
export function metricSampler(parts: MetricParts): () => ReadonlyMap<DaemonMetric, readonly Sample[]> {
  const { clock, marketClock } = parts
  const counts = onceIn(COUNT_EVERY_MS, clock, () => ({
    coverage: servingCoverage(parts),
    expectedPerSecond: expectedThroughput(parts, marketClock.nowMs()),
  }))
  return () => metricSamples(parts, counts())
}

function onceIn<Value>(ms: number, clock: Clock, make: () => Value): () => Value {
  let kept: { value: Value; atMs: number } | null = null
  return () => {
    const nowMs = clock.monotonicMs()
    if (kept === null || nowMs - kept.atMs >= ms) kept = { value: make(), atMs: nowMs }
    return kept.value
  }
}

function metricSamples(
  parts: MetricParts,
  { coverage, expectedPerSecond }: { coverage: LineCoverage | null; expectedPerSecond: number },
): ReadonlyMap<DaemonMetric, readonly Sample[]> {
  const { supervisor, path, calendar, marketClock, clock, journal, faults, hostFacts, limits, identity } = parts
  const marketMs = marketClock.nowMs()
  const span = calendar.windowAt(marketMs)
  const { window } = span
  const lines = linesOf(parts.sessions)
  const last = supervisor.lastFailover
  const samples: [DaemonMetric, readonly Sample[]][] = [
    [
      'md_build_info',
      [
        {
          labels: { version: identity.version, profile: identity.profile, adapter: identity.adapter },
          value: 1,
        },
      ],
    ],
    ['md_start_time_seconds', [plain(identity.startedAtMs / 1_000)]],
    ['md_expected_throughput_mps', [plain(expectedPerSecond)]],
    ['md_coverage_threshold_ratio', [plain(parts.coverageThreshold)]],
    ['md_contracts', lines.flatMap(contractCounts)],
    [
      'md_line_pulse',
      lines.flatMap(({ line }) => oneOf(PULSES, 'pulse', supervisor.pulses[line]?.pulse ?? 'yellow', { feed: line })),
    ],
    [
      'md_line_delay_seconds',
      lines.flatMap(({ line, index }) => {
        const delayMs = path.lines[index].behind.quantileMs(0.95, clock.monotonicMs())
        return delayMs === null ? [] : [{ labels: { feed: line }, value: delayMs / 1_000 }]
      }),
    ],
    ['md_failover_objective_seconds', [plain(limits.failoverObjectiveMs / 1_000)]],
    ['md_failover_automation', oneOf(AUTOMATIONS, 'state', supervisor.state.automation.kind)],
    ['md_feed_state', oneOf(FEED_STATES, 'state', supervisor.feedState)],
    ...windowSamples(span, clock.wallMs() - marketMs),
    [
      'md_secret_age_seconds',
      lines.flatMap(({ line }) => {
        const age = parts.secrets.ageSecondsOf(line)
        return age === null ? [] : [{ labels: { feed: line }, value: age }]
      }),
    ],
    ['md_journal_failing', [plain(journal.state === 'failing' ? 1 : 0)]],
    ['md_journal_unpublished_at_risk', [plain(journal.isUnpublishedAtRisk ? 1 : 0)]],
    ['md_journal_bytes_max', [plain(limits.journalBytesMax)]],
    ['md_journal_free_bytes', hostFacts.journalFreeBytes === null ? [] : [plain(hostFacts.journalFreeBytes)]],
    ['md_journal_free_bytes_min', [plain(limits.journalFreeBytesMin)]],
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
    ['md_ticks_dropped_total', lines.map(({ line, drops }) => ({ labels: { feed: line }, value: drops?.ticks ?? 0 }))],
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
        DISCONNECT_REASONS.map((reason) => ({ labels: { feed: line, reason }, value: disconnects.get(reason) ?? 0 })),
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
    ['md_line_state', lines.flatMap((session) => oneOf(LINE_STATES, 'state', session.state, { feed: session.line }))],
    [
      'md_line_first_arrival_total',
      lines.map(({ line, index }) => ({ labels: { feed: line }, value: path.lines[index].firstArrivals })),
    ],
    ['md_failovers_total', switchCounts(supervisor, lines.length)],
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
      EXCHANGES.flatMap((exchange) =>
        oneOf(SESSION_STATES, 'state', calendar.exchangeState(exchange, marketMs), { exchange }),
      ),
    ],
    [
      'md_heartbeat_timestamp_seconds',
      [plain((clock.wallMs() - (clock.monotonicMs() - supervisor.lastRoundMs)) / 1_000)],
    ],
    ['md_journal_records_total', [plain(journal.records)]],
    ['md_journal_lost_total', [plain(path.refusedByLog)]],
    ['md_journal_bytes', [plain(journal.bytes)]],
    ['md_journal_sync_seconds', Number.isNaN(journal.lastSyncMs) ? [] : [plain(journal.lastSyncMs / 1_000)]],
    ...busSamples(parts.bus),
  ]
  return new Map(samples.filter(([, list]) => list.length > 0))
}

/** 1 for the present one of a closed set, 0 for the others. */
function oneOf(
  all: readonly string[],
  label: string,
  present: string,
  labels: Readonly<Record<string, string>> = {},
): Sample[] {
  return all.map((each) => ({ labels: { ...labels, [label]: each }, value: each === present ? 1 : 0 }))
}

function contractCounts({ line, book }: LineSession): Sample[] {
  const { expected, subscribed, refused } = book
  return Object.entries({ expected, subscribed, refused }).map(([state, value]) => ({
    labels: { feed: line, state },
    value,
  }))
}

function switchCounts({ failovers }: FeedSupervisor, lines: number): Sample[] {
  const counts = new Map<string, Sample>()
  const add = (labels: Readonly<Record<string, string>>, value: number) =>
    counts.set(Object.values(labels).join(' '), { labels, value })
  if (lines > 1) {
    for (const from of LINES) for (const reason of SWITCH_REASONS) add({ from, to: otherLine(from), reason }, 0)
  }
  for (const { from, to, reason, count } of failovers.values()) add({ from, to, reason }, count)
  return [...counts.values()]
}

/** Market time is this host's in production; in a simulation it is shifted back, so that dashboards and alerts can compare. */
function windowSamples({ window, opensMs, closesMs }: WindowSpan, offsetMs: number): [DaemonMetric, Sample[]][] {
  const labels = { session_window: window }
  return [
    ['md_window_opens_timestamp_seconds', [{ labels, value: (opensMs + offsetMs) / 1_000 }]],
    ['md_window_closes_timestamp_seconds', [{ labels, value: (closesMs + offsetMs) / 1_000 }]],
  ]
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
    ['md_bus_connected', [plain(bus.publisher.connected ? 1 : 0)]],
    ['md_bus_published_total', [plain(published)]],
    ['md_bus_backlog_messages', [plain(backlog)]],
    // A backlog that does not shrink has no time at which it is gone.
    ['md_bus_catch_up_seconds', [plain(catchUpSeconds ?? Number.POSITIVE_INFINITY)]],
    ['md_bus_ack_seconds', ackP99Ms === null ? [] : [plain(ackP99Ms / 1_000)]],
    [
      'consumer_backlog_messages',
      (bus.publisher.consumers ?? []).map(({ consumer, messages }) => ({ labels: { consumer }, value: messages })),
    ],
  ]
}

function plain(value: number): Sample {
  return { labels: {}, value }
}

function phase(name: string, ms: number | null): Sample[] {
  return ms === null ? [] : [{ labels: { phase: name }, value: ms / 1_000 }]
}
