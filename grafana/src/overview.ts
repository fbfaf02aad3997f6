/** The first look: is the feed well, and if not, where to go on. */
import { figure, heatmap, LOW_IS_BAD, type Page, PROFILE, series, table, timeline, YES_NO } from './panels.ts'

export const OVERVIEW: Page = {
  uid: 'feed-overview',
  title: 'overview',
  about: 'Serving line, verdict, coverage, throughput, latency and errors of one environment.',
  from: 'now-3h',
  rows: [
    [
      4,
      [
        4,
        figure(
          { title: 'Serving line', about: 'The line whose state decides what consumers are told.' },
          [`md_serving_line{feed="backup", ${PROFILE}}`, ''],
          { shown: { '0': { text: 'primary', color: 'green' }, '1': { text: 'backup', color: 'orange' } } },
        ),
      ],
      [
        4,
        figure(
          {
            title: 'Verdict',
            about: 'Of the last health check. One older than three minutes is no evidence and not shown.',
          },
          [`feed:health_verdict:fresh{${PROFILE}}`, ''],
          {
            nothing: 'no fresh check',
            shown: {
              '0': { text: 'OK', color: 'green' },
              '1': { text: 'WARNING', color: 'yellow' },
              '2': { text: 'CRITICAL', color: 'red' },
              '3': { text: 'UNKNOWN', color: 'purple' },
            },
          },
        ),
      ],
      [
        4,
        figure(
          { title: 'Market', about: 'Whether any exchange is in continuous trading.' },
          [`feed:market_open:bool{${PROFILE}}`, ''],
          { shown: { '1': { text: 'open', color: 'green' }, '0': { text: 'not trading', color: 'blue' } } },
        ),
      ],
      [
        4,
        figure(
          { title: 'Coverage', about: 'Subscribed share of the list of the serving line.', unit: 'percentunit' },
          [`feed:coverage:ratio{${PROFILE}}`, ''],
          { steps: LOW_IS_BAD(0.99, 0.995) },
        ),
      ],
      [
        4,
        figure(
          { title: 'Ticks a second', about: 'Accepted, all lines together.', unit: 'short' },
          [`sum(md_throughput_mps{${PROFILE}})`, ''],
          { spark: true },
        ),
      ],
      [
        4,
        figure({ title: 'Running since', about: 'Start of the daemon.', unit: 'dateTimeFromNow' }, [
          `md_start_time_seconds{${PROFILE}} * 1000`,
          '',
        ]),
      ],
    ],
    [
      8,
      [
        12,
        series(
          {
            title: 'Throughput against expectation',
            about:
              'Expected: what the contracts whose session is open usually bring. Below a third of it for two minutes is an alert.',
            unit: 'short',
          },
          [
            [`sum(md_throughput_mps{${PROFILE}})`, 'accepted'],
            [`md_expected_throughput_mps{${PROFILE}}`, 'expected'],
          ],
        ),
      ],
      [
        12,
        series(
          { title: 'Latency', about: 'Vendor callback to journal or, with a bus, to its acknowledgement.', unit: 's' },
          [
            [`feed:latency_seconds:p50{${PROFILE}}`, 'p50'],
            [`feed:latency_seconds:p95{${PROFILE}}`, 'p95'],
            [`feed:latency_seconds:p99{${PROFILE}}`, 'p99'],
          ],
        ),
      ],
    ],
    [
      8,
      [
        12,
        heatmap(
          { title: 'Latency, all ticks', about: 'How many ticks took how long.' },
          `sum by (le) (increase(md_tick_latency_seconds_bucket{${PROFILE}}[$__rate_interval]))`,
        ),
      ],
      [
        12,
        series(
          { title: 'Errors and warnings logged', about: 'By component, per second. Each has a remedy in the log.' },
          [
            [
              `sum by (component, severity) (rate(md_errors_total{${PROFILE}}[$__rate_interval]))`,
              '{{component}} {{severity}}',
            ],
          ],
          { stacked: true },
        ),
      ],
    ],
    [
      7,
      [
        12,
        timeline(
          { title: 'What consumers are told', about: 'The feed state.' },
          [[`md_feed_state{${PROFILE}}`, '{{state}}']],
          YES_NO,
        ),
      ],
      [
        12,
        timeline(
          { title: 'Sessions', about: 'Exchanges in continuous trading, by the market calendar.' },
          [[`md_session_state{state="open", ${PROFILE}}`, '{{exchange}}']],
          YES_NO,
        ),
      ],
    ],
    [
      7,
      [
        12,
        table({ title: 'Alerts firing', about: 'As Prometheus sees them; inhibited ones included.' }, [
          [`ALERTS{alertstate="firing", alertname!="FeedMonitoringAlive", ${PROFILE}}`, ''],
        ]),
      ],
      [
        12,
        table({ title: 'What runs', about: 'Version and adapter; exported_profile is what the daemon says itself.' }, [
          [`md_build_info{${PROFILE}}`, ''],
        ]),
      ],
    ],
  ],
}
