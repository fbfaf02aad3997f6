/** From the journal to the bus, and from the bus to its consumers. */
import { figure, HIGH_IS_BAD, NO_IS_BAD, type Page, PROFILE, series } from './panels.ts'

export const BUS: Page = {
  uid: 'feed-bus',
  title: 'bus and consumers',
  about:
    'What waits for NATS JetStream, how fast it acknowledges, and which consumers fall behind. Empty without a bus.',
  from: 'now-3h',
  rows: [
    [
      4,
      [
        8,
        figure(
          { title: 'Connected', about: 'The journal goes on without the bus.' },
          [`md_bus_connected{${PROFILE}}`, ''],
          { shown: NO_IS_BAD, nothing: 'no bus' },
        ),
      ],
      [
        8,
        figure(
          { title: 'Backlog', about: 'Ticks in the journal that the bus has not acknowledged.' },
          [`md_bus_backlog_messages{${PROFILE}}`, ''],
          { steps: HIGH_IS_BAD(5_000, 50_000), spark: true, nothing: 'no bus' },
        ),
      ],
      [
        8,
        figure(
          { title: 'Caught up in', about: 'At the present rate.', unit: 's' },
          [`md_bus_catch_up_seconds{${PROFILE}}`, ''],
          { steps: HIGH_IS_BAD(5, 60), nothing: 'no bus' },
        ),
      ],
    ],
    [
      8,
      [
        12,
        series({ title: 'Published', about: 'Acknowledged by the bus, against what the journal takes, per second.' }, [
          [`rate(md_bus_published_total{${PROFILE}}[$__rate_interval])`, 'published'],
          [`rate(md_journal_records_total{${PROFILE}}[$__rate_interval])`, 'journalled'],
        ]),
      ],
      [
        12,
        series({ title: 'Acknowledgement', about: '99th percentile from sending to acknowledgement.', unit: 's' }, [
          [`md_bus_ack_seconds{${PROFILE}}`, 'p99'],
        ]),
      ],
    ],
    [
      8,
      [
        12,
        series({ title: 'Backlog', about: 'Growing means that the bus takes ticks more slowly than they come.' }, [
          [`md_bus_backlog_messages{${PROFILE}}`, 'backlog'],
        ]),
      ],
      [
        12,
        series({ title: 'Consumers', about: 'Messages that each durable consumer has not taken yet.' }, [
          [`consumer_backlog_messages{${PROFILE}}`, '{{consumer}}'],
        ]),
      ],
    ],
  ],
}
