import { expect, test } from 'vitest'
import { DAEMON_METRICS, LATENCY_METRIC, metricsPage } from '#adapters/metrics/daemon-metrics.ts'
import { PUSHED_NAMES } from '#adapters/metrics/pushed-metrics.ts'
import { expectedThroughput } from '#daemon/expected-throughput.ts'
import type { TickPath } from '#daemon/tick-path.ts'
import { InstrumentTable } from '#domain/instrument-table.ts'
import { IntervalHistogram } from '#domain/interval-histogram.ts'
import { shippedCalendar } from '../support/shipped-calendar.ts'

/** Names and labels that dashboards and alerts elsewhere rely on. Changing one is a breaking change. */
const PROMISED: Readonly<Record<string, readonly string[]>> = {
  md_throughput_mps: ['feed', 'account'],
  md_ticks_total: ['feed', 'outcome'],
  md_subscription_coverage_ratio: ['feed', 'account', 'session_window'],
  md_tick_coverage_ratio: [],
  md_product_coverage_ratio: ['exchange', 'product'],
  md_rate_limit_hits_total: ['feed'],
  md_login_attempts_total: ['feed', 'outcome'],
  md_disconnects_total: ['feed', 'reason'],
  md_errors_total: ['component', 'severity'],
  md_serving_line: ['feed'],
  md_line_state: ['feed', 'state'],
  md_line_first_arrival_total: ['feed'],
  md_failovers_total: ['from', 'to', 'reason'],
  md_failover_seconds: ['phase'],
  md_session_state: ['exchange', 'state'],
  md_heartbeat_timestamp_seconds: [],
  md_secret_age_seconds: ['feed'],
  md_journal_records_total: [],
  md_journal_bytes: [],
  md_journal_sync_seconds: [],
  md_bus_published_total: [],
  md_bus_backlog_messages: [],
  md_bus_catch_up_seconds: [],
  md_bus_ack_seconds: [],
  consumer_backlog_messages: ['consumer'],
}
const PROMISED_PUSHES = [
  'md_runbook_exit_code',
  'md_runbook_duration_seconds',
  'md_runbook_last_success_timestamp_seconds',
  'md_t5_checkpoint_status',
  'md_drill_seconds',
  'md_subscription_missing_contracts',
  'md_subscription_stalled_contracts',
  'md_health_verdict',
]

test.each(Object.entries(PROMISED))('%s is there with its labels', (name, labels) => {
  expect(DAEMON_METRICS.find((metric) => metric.name === name)?.labels).toEqual(labels)
})

test.each(PROMISED_PUSHES)('%s is pushed', (name) => {
  expect(PUSHED_NAMES).toContain(name)
})

test('every metric has a help text of its own, counters end in _total, and no label could hold an instrument', () => {
  const helps = DAEMON_METRICS.map(({ help }) => help)
  expect(new Set(helps).size).toBe(helps.length)
  for (const { name, kind, labels } of DAEMON_METRICS) {
    expect(name.endsWith('_total'), name).toBe(kind === 'counter')
    expect(labels).not.toContain('instrument')
    expect(labels).not.toContain('symbol')
  }
})

test('what has no sample is absent rather than zero, and the latency is a whole histogram', async () => {
  const latency = new IntervalHistogram()
  latency.observe(0.25)
  latency.observe(60_000)
  const samples = new Map([['md_serving_line' as const, [{ labels: { feed: 'primary' }, value: 1 }]]])
  const text = await metricsPage({ samples: () => samples, latency }).text()
  expect(text).toContain('md_serving_line{feed="primary"} 1\n')
  expect(text).not.toContain('md_bus_backlog_messages')
  expect(text).toContain(`${LATENCY_METRIC}_bucket{le="0.00025"} 1\n`)
  expect(text).toContain(`${LATENCY_METRIC}_bucket{le="+Inf"} 2\n${LATENCY_METRIC}_sum 60.00025\n`)
})

test.each([
  ['in an open session both count', '2026-03-03T10:00:00+08:00', 12],
  ['in the break of the commodities the index future counts alone', '2026-03-03T10:20:00+08:00', 10],
  ['at noon nothing is expected', '2026-03-03T12:00:00+08:00', 0],
  ['at night the commodity counts alone', '2026-03-03T21:30:00+08:00', 2],
  ['on a Sunday nothing is expected', '2026-03-01T10:00:00+08:00', 0],
])('expected throughput: %s', (_what, at, perSecond) => {
  const table = new InstrumentTable()
  table.add({ symbol: 'rb2605', exchange: 'SHFE', product: 'rb' }, 0)
  table.add({ symbol: 'IF2603', exchange: 'CFFEX', product: 'IF' }, 1)
  table.add({ symbol: 'rb2606', exchange: 'SHFE', product: 'rb' }, 0)
  table.add({ symbol: 'rb2607', exchange: 'SHFE', product: 'rb' }, 0)
  const path: Pick<TickPath, 'expectedGapMs' | 'listedOn'> = {
    // The third never ticked, the fourth is on nobody's list any more.
    expectedGapMs: Float64Array.of(500, 100, Number.NaN, 1),
    listedOn: Uint8Array.of(3, 1, 3, 0),
  }
  expect(expectedThroughput({ table, path, calendar: shippedCalendar() }, Date.parse(at))).toBeCloseTo(perSecond)
})
