/** Which contracts are missing: by line, by exchange and by product. */
import { cells, figure, HIGH_IS_BAD, LOW_IS_BAD, type Page, PROFILE, type Row, series } from './panels.ts'

const EXCHANGES = ['SHFE', 'INE', 'DCE', 'CZCE', 'CFFEX', 'GFEX'] as const

function productsOf(exchange: string) {
  return cells(
    {
      title: `${exchange} by product`,
      about: 'Subscribed share of each product on the serving line.',
      unit: 'percentunit',
    },
    [`md_product_coverage_ratio{exchange="${exchange}", ${PROFILE}}`, '{{product}}'],
    LOW_IS_BAD(0.9, 0.995),
  )
}

const HEATMAPS: Row[] = [0, 2, 4].map((i) => [
  12,
  ...EXCHANGES.slice(i, i + 2).map((exchange) => [12, productsOf(exchange)] as const),
])

export const COVERAGE: Page = {
  uid: 'feed-coverage',
  title: 'coverage',
  about: 'Expected against subscribed and ticking contracts.',
  from: 'now-3h',
  rows: [
    [
      4,
      [
        6,
        figure(
          { title: 'Coverage, serving line', about: 'Below 99.5 % for two minutes is an alert.', unit: 'percentunit' },
          [`feed:coverage:ratio{${PROFILE}}`, ''],
          { steps: LOW_IS_BAD(0.99, 0.995) },
        ),
      ],
      [
        6,
        figure(
          {
            title: 'Ticked today',
            about: 'Share of the contracts with a tick in this trading day.',
            unit: 'percentunit',
          },
          [`md_tick_coverage_ratio{${PROFILE}}`, ''],
        ),
      ],
      [
        6,
        figure(
          { title: 'Missing', about: 'Expected and not subscribed at the last health check.' },
          [`max(md_subscription_missing_contracts{${PROFILE}})`, ''],
          { steps: HIGH_IS_BAD(1, 50), nothing: 'no check' },
        ),
      ],
      [
        6,
        figure(
          { title: 'Stalled', about: 'Judged stalled and critical at the last health check.' },
          [`max(md_subscription_stalled_contracts{severity="critical", ${PROFILE}})`, ''],
          { steps: HIGH_IS_BAD(1, 10), nothing: 'no check' },
        ),
      ],
    ],
    [
      7,
      [
        12,
        series(
          { title: 'Coverage by line', about: 'Each line against its own list.', unit: 'percentunit' },
          [
            [`md_subscription_coverage_ratio{${PROFILE}}`, '{{feed}}'],
            [`md_coverage_threshold_ratio{${PROFILE}}`, 'threshold'],
          ],
          { fromZero: false, max: 1 },
        ),
      ],
      [
        12,
        series({ title: 'Contracts by line', about: 'Refused ones stay expected.' }, [
          [`md_contracts{${PROFILE}}`, '{{feed}} {{state}}'],
        ]),
      ],
    ],
    ...HEATMAPS,
  ],
}
