/**
 * The daemon's metrics: names, help texts and labels of contract section 6 in one place. Hot counters live in typed arrays elsewhere and
 * are copied in here only when somebody scrapes. Labels are closed sets; no instrument, no error text, no full account.
 */
import { Counter, Gauge, Registry } from 'prom-client'
import { DURATION_EDGES_MS, type IntervalHistogram } from '#domain/interval-histogram.ts'

/** One sample: label values by name, and the value. */
export interface Sample {
  labels: Readonly<Record<string, string>>
  value: number
}

export type MetricKind = 'counter' | 'gauge'

export interface MetricDefinition {
  name: string
  help: string
  kind: MetricKind
  labels: readonly string[]
}

export const DAEMON_METRICS = [
  define('md_build_info', 'gauge', 'Always 1; what runs is in the labels.', ['version', 'profile', 'adapter']),
  define('md_start_time_seconds', 'gauge', 'When the daemon started.', []),
  define('md_throughput_mps', 'gauge', 'Accepted ticks per second, by the line that brought them first.', [
    'feed',
    'account',
  ]),
  define(
    'md_expected_throughput_mps',
    'gauge',
    'Ticks per second that the contracts whose session is open usually bring; 0 in breaks and closed hours.',
    [],
  ),
  define('md_ticks_total', 'counter', 'Ticks received, by line and what arbitration made of them.', [
    'feed',
    'outcome',
  ]),
  define('md_subscription_coverage_ratio', 'gauge', 'Subscribed share of the list of the line.', [
    'feed',
    'account',
    'session_window',
  ]),
  define('md_coverage_threshold_ratio', 'gauge', 'Subscribed share from which on a line may serve.', []),
  define('md_contracts', 'gauge', 'Contracts on the list of the line, and how many of them are in each state.', [
    'feed',
    'state',
  ]),
  define(
    'md_tick_coverage_ratio',
    'gauge',
    'Share of the expected contracts that tick: today, and where trading is open no longer ago than usual.',
    [],
  ),
  define('md_product_coverage_ratio', 'gauge', 'Subscribed share of a product on the serving line.', [
    'exchange',
    'product',
  ]),
  define('md_ticks_dropped_total', 'counter', 'Ticks that a bridge had to drop because they were read too late.', [
    'feed',
  ]),
  define('md_rate_limit_hits_total', 'counter', 'Requests that the front turned down as too many.', ['feed']),
  define('md_login_attempts_total', 'counter', 'Logins sent, and how they ended.', ['feed', 'outcome']),
  define('md_disconnects_total', 'counter', 'Connections to a front that were lost, by reason.', ['feed', 'reason']),
  define('md_errors_total', 'counter', 'Faults that were logged as a warning or an error.', ['component', 'severity']),
  define('md_serving_line', 'gauge', '1 for the line that serves, 0 for the other.', ['feed']),
  define('md_line_state', 'gauge', '1 for the state that the line is in.', ['feed', 'state']),
  define('md_line_pulse', 'gauge', '1 for the pulse that the line was last judged to have.', ['feed', 'pulse']),
  define(
    'md_line_delay_seconds',
    'gauge',
    '95th percentile of how far behind the other line the same tick came, over the last minute.',
    ['feed'],
  ),
  define('md_line_first_arrival_total', 'counter', 'Accepted ticks that this line brought first.', ['feed']),
  define('md_failovers_total', 'counter', 'Changes of the serving line.', ['from', 'to', 'reason']),
  define('md_failover_seconds', 'gauge', 'Times of the last change of the serving line.', ['phase']),
  define('md_failover_objective_seconds', 'gauge', 'Recovery-time objective of the feed.', []),
  define('md_failover_automation', 'gauge', '1 for how the serving line is decided.', ['state']),
  define('md_feed_state', 'gauge', '1 for the state that consumers are told.', ['state']),
  define('md_session_state', 'gauge', '1 for the session state of the exchange.', ['exchange', 'state']),
  define('md_window_opens_timestamp_seconds', 'gauge', 'When the running or next trading window opens.', [
    'session_window',
  ]),
  define('md_window_closes_timestamp_seconds', 'gauge', 'When the running or next trading window closes.', [
    'session_window',
  ]),
  define('md_heartbeat_timestamp_seconds', 'gauge', 'When the daemon last looked at its lines.', []),
  define('md_secret_age_seconds', 'gauge', 'Age of the secret of the line, where it is known.', ['feed']),
  define('md_journal_records_total', 'counter', 'Ticks taken by the journal.', []),
  define('md_journal_bytes', 'gauge', 'Bytes of the journal on disk.', []),
  define('md_journal_bytes_max', 'gauge', 'Bytes from which on the oldest segments of the journal are deleted.', []),
  define('md_journal_free_bytes', 'gauge', 'Bytes free on the file system of the journal.', []),
  define(
    'md_journal_free_bytes_min',
    'gauge',
    'Free bytes below which the oldest segments of the journal are deleted.',
    [],
  ),
  define('md_journal_failing', 'gauge', '1 while the journal cannot be written.', []),
  define(
    'md_journal_unpublished_at_risk',
    'gauge',
    '1 while the journal is at its limits and its oldest segments are not published yet.',
    [],
  ),
  define('md_journal_lost_total', 'counter', 'Ticks that the journal could not take.', []),
  define('md_journal_sync_seconds', 'gauge', 'Duration of the last sync of the journal.', []),
  define('md_bus_connected', 'gauge', '1 while the bus is connected.', []),
  define('md_bus_published_total', 'counter', 'Ticks acknowledged by the bus.', []),
  define('md_bus_backlog_messages', 'gauge', 'Ticks in the journal that the bus has not acknowledged.', []),
  define('md_bus_catch_up_seconds', 'gauge', 'Time until the backlog is published at the present rate.', []),
  define('md_bus_ack_seconds', 'gauge', '99th percentile from sending to acknowledgement.', []),
  define('consumer_backlog_messages', 'gauge', 'Messages that a durable consumer has not taken yet.', ['consumer']),
] as const

export type DaemonMetric = (typeof DAEMON_METRICS)[number]['name']

/** From vendor callback to bus acknowledgement, or to the journal without a bus. */
export const LATENCY_METRIC = 'md_tick_latency_seconds'
const LATENCY_HELP = 'Time from the vendor callback of a tick until the journal (or, with a bus, the bus) has it.'

/** Called at each scrape: what to show. A metric without samples is left out. */
export interface MetricSource {
  samples(): ReadonlyMap<DaemonMetric, readonly Sample[]>
  latency: IntervalHistogram
}

export interface MetricsPage {
  readonly contentType: string
  text(): Promise<string>
}

export function metricsPage(source: MetricSource): MetricsPage {
  return {
    contentType: Registry.PROMETHEUS_CONTENT_TYPE,
    async text() {
      // A fresh registry for each scrape: what has no samples now is absent, not zero.
      const registry = new Registry()
      const samples = source.samples()
      for (const definition of DAEMON_METRICS) addMetric(registry, definition, samples.get(definition.name) ?? [])
      return (await registry.metrics()) + histogramText(source.latency)
    },
  }
}

function addMetric(
  registry: Registry,
  { name, help, kind, labels }: MetricDefinition,
  samples: readonly Sample[],
): void {
  if (samples.length === 0) return
  const options = { name, help, labelNames: [...labels], registers: [registry] }
  if (kind === 'counter') {
    const counter = new Counter(options)
    for (const sample of samples) counter.inc({ ...sample.labels }, sample.value)
  } else {
    const gauge = new Gauge(options)
    for (const sample of samples) gauge.set({ ...sample.labels }, sample.value)
  }
}

function histogramText(histogram: IntervalHistogram): string {
  const lines = [`# HELP ${LATENCY_METRIC} ${LATENCY_HELP}`, `# TYPE ${LATENCY_METRIC} histogram`]
  let below = 0
  DURATION_EDGES_MS.forEach((edgeMs, i) => {
    below += histogram.counts[i] ?? 0
    lines.push(`${LATENCY_METRIC}_bucket{le="${edgeMs / 1_000}"} ${below}`)
  })
  lines.push(`${LATENCY_METRIC}_bucket{le="+Inf"} ${histogram.total}`)
  lines.push(`${LATENCY_METRIC}_sum ${histogram.sumMs / 1_000}`, `${LATENCY_METRIC}_count ${histogram.total}`)
  return `${lines.join('\n')}\n`
}

function define<Name extends string>(name: Name, kind: MetricKind, help: string, labels: readonly string[]) {
  return { name, kind, help, labels }
}
