/** Which of the lines is the better one. */
import { NO_IS_BAD, type Page, PROFILE, series, timeline, YES_IS_BAD, YES_NO } from './panels.ts'

export const LINES: Page = {
  uid: 'feed-lines',
  title: 'line comparison',
  about: 'First arrivals, delay, outcomes and sessions of primary and backup, side by side.',
  from: 'now-3h',
  rows: [
    [
      8,
      [
        12,
        series(
          {
            title: 'First-arrival share',
            about: 'Of the accepted ticks, how many this line brought first.',
            unit: 'percentunit',
          },
          [[`feed:first_arrival:share{${PROFILE}}`, '{{feed}}']],
          { stacked: true, max: 1 },
        ),
      ],
      [
        12,
        series(
          {
            title: 'Behind the other line',
            about:
              '95th percentile of how much later the same tick came. A line above GUARD_DELAY_P95_MS is not trusted.',
            unit: 's',
          },
          [[`md_line_delay_seconds{${PROFILE}}`, '{{feed}}']],
        ),
      ],
    ],
    [
      8,
      [
        12,
        series({ title: 'Accepted ticks a second', about: 'By the line that brought them first.' }, [
          [`md_throughput_mps{${PROFILE}}`, '{{feed}}'],
        ]),
      ],
      [
        12,
        series({ title: 'What became of the ticks', about: 'Per second, by line and outcome.' }, [
          [`rate(md_ticks_total{${PROFILE}}[$__rate_interval])`, '{{feed}} {{outcome}}'],
          [`rate(md_ticks_dropped_total{${PROFILE}}[$__rate_interval])`, '{{feed}} dropped by its bridge'],
        ]),
      ],
    ],
    [
      7,
      [
        12,
        timeline(
          { title: 'State', about: 'Where each session stands.' },
          [[`md_line_state{${PROFILE}} == 1`, '{{feed}} {{state}}']],
          YES_NO,
        ),
      ],
      [
        12,
        timeline(
          { title: 'Dead', about: 'Red pulse: the line does not deliver what it should.' },
          [[`md_line_pulse{pulse="red", ${PROFILE}}`, '{{feed}}']],
          YES_IS_BAD,
        ),
      ],
    ],
    [
      7,
      [
        8,
        series(
          { title: 'Disconnects', about: 'By the reason that the front gave, in the last five minutes.' },
          [[`increase(md_disconnects_total{${PROFILE}}[5m])`, '{{feed}} {{reason}}']],
          { bars: true },
        ),
      ],
      [
        8,
        series(
          { title: 'First arrivals', about: 'Ticks per second that the line brought first.' },
          [[`rate(md_line_first_arrival_total{${PROFILE}}[$__rate_interval])`, '{{feed}}']],
          { stacked: true },
        ),
      ],
      [
        8,
        timeline(
          { title: 'Streaming', about: 'Connected, logged in and subscribed.' },
          [[`md_line_state{state="streaming", ${PROFILE}}`, '{{feed}}']],
          NO_IS_BAD,
        ),
      ],
    ],
  ],
}
