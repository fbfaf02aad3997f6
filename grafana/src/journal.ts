/** The journal: does it take everything, and for how long has it room. */
import { figure, HIGH_IS_BAD, type Page, PROFILE, series, YES_IS_BAD } from './panels.ts'

export const JOURNAL: Page = {
  uid: 'feed-journal',
  title: 'journal',
  about: 'Ticks written and lost, sync times, and the disk under it.',
  from: 'now-12h',
  rows: [
    [
      4,
      [
        8,
        figure(
          { title: 'Failing', about: 'The disk does not take what is written.' },
          [`md_journal_failing{${PROFILE}}`, ''],
          { shown: YES_IS_BAD },
        ),
      ],
      [
        8,
        figure(
          { title: 'Lost', about: 'Ticks that the journal could not take since the daemon started.' },
          [`md_journal_lost_total{${PROFILE}}`, ''],
          { steps: HIGH_IS_BAD(1, 1) },
        ),
      ],
      [
        8,
        figure(
          { title: 'Last heartbeat', about: 'When the daemon last looked at its lines.', unit: 's' },
          [`time() - md_heartbeat_timestamp_seconds{${PROFILE}}`, ''],
          { steps: HIGH_IS_BAD(10, 15) },
        ),
      ],
    ],
    [
      8,
      [
        12,
        series({ title: 'Written', about: 'Ticks taken per second.' }, [
          [`rate(md_journal_records_total{${PROFILE}}[$__rate_interval])`, 'ticks'],
        ]),
      ],
      [
        12,
        series({ title: 'Sync', about: 'How long the last sync of the disk took.', unit: 's' }, [
          [`md_journal_sync_seconds{${PROFILE}}`, 'sync'],
        ]),
      ],
    ],
    [
      8,
      [
        12,
        series({ title: 'Size', about: 'Above the limit the oldest segments are deleted.', unit: 'bytes' }, [
          [`md_journal_bytes{${PROFILE}}`, 'journal'],
          [`md_journal_bytes_max{${PROFILE}}`, 'limit'],
        ]),
      ],
      [
        12,
        series({ title: 'Free', about: 'Below the limit the oldest segments are deleted.', unit: 'bytes' }, [
          [`md_journal_free_bytes{${PROFILE}}`, 'free'],
          [`md_journal_free_bytes_min{${PROFILE}}`, 'limit'],
        ]),
      ],
    ],
  ],
}
