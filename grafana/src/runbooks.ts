/** What the commands and checks reported, and how old that is. */
import { cells, figure, HIGH_IS_BAD, type Page, PROFILE, series, table } from './panels.ts'

const VERDICTS = [
  { value: null, color: 'green' },
  { value: 1, color: 'yellow' },
  { value: 2, color: 'red' },
  { value: 3, color: 'purple' },
]

export const RUNBOOKS: Page = {
  uid: 'feed-runbooks',
  title: 'runbook results',
  about: 'Exit codes, durations and ages of everything that commands and checks pushed.',
  from: 'now-2d',
  rows: [
    [
      8,
      [
        24,
        table({ title: 'Last runs', about: 'Exit code, seconds it took, and seconds since it was pushed.' }, [
          [`max by (command, check, profile, session_window) (md_runbook_exit_code{${PROFILE}})`, ''],
          [`max by (command, check, profile, session_window) (md_runbook_duration_seconds{${PROFILE}})`, ''],
          [`max by (command, check, profile, session_window) (feed:push_age:seconds{${PROFILE}})`, ''],
        ]),
      ],
    ],
    [
      8,
      [
        12,
        cells(
          {
            title: 'Health verdicts',
            about: 'Green OK, yellow WARNING, red CRITICAL, purple UNKNOWN, empty: not checked.',
          },
          [`feed:health_verdict:fresh{${PROFILE}}`, '{{profile}}'],
          VERDICTS,
        ),
      ],
      [
        12,
        series({ title: 'Exit codes', about: '0 is done; 75, 77 and 78 are refusals.' }, [
          [`md_runbook_exit_code{command!="", ${PROFILE}}`, '{{command}} {{session_window}}'],
        ]),
      ],
    ],
    [
      6,
      [
        6,
        figure(
          { title: 'T-5 checkpoint', about: 'Verdict five minutes before the window opens.' },
          [`md_t5_checkpoint_status{${PROFILE}}`, '{{session_window}}'],
          {
            shown: {
              '1': { text: 'passed', color: 'green' },
              '0': { text: 'failed', color: 'red' },
              '-1': { text: 'not run', color: 'yellow' },
            },
          },
        ),
      ],
      [
        6,
        figure(
          { title: 'Checkpoint judged', about: 'When that was.', unit: 'dateTimeFromNow' },
          [`max(md_t5_checkpoint_timestamp_seconds{${PROFILE}}) * 1000`, ''],
          { nothing: 'never' },
        ),
      ],
      [
        6,
        figure(
          { title: 'Last good start', about: 'Of start or restart.', unit: 'dateTimeFromNow' },
          [`max(md_runbook_last_success_timestamp_seconds{command=~"start|restart", ${PROFILE}}) * 1000`, ''],
          { nothing: 'never' },
        ),
      ],
      [
        6,
        figure(
          {
            title: 'Health check pushed',
            about: 'Seconds ago. More than three minutes in an open market is an alert.',
            unit: 's',
          },
          [`min(feed:push_age:seconds{check="feed-health", ${PROFILE}})`, ''],
          { steps: HIGH_IS_BAD(120, 180), nothing: 'never' },
        ),
      ],
    ],
    [
      6,
      [
        12,
        series(
          { title: 'Windows', about: 'Time until the window opens; below zero while it runs or is over.', unit: 's' },
          [
            [`feed:window_opens_timestamp:seconds{${PROFILE}} - time()`, '{{session_window}} opens'],
            [`feed:window_closes_timestamp:seconds{${PROFILE}} - time()`, '{{session_window}} closes'],
          ],
          { fromZero: false },
        ),
      ],
      [
        12,
        series({ title: 'Duration of runs', about: 'Of the last run of each command.', unit: 's' }, [
          [`md_runbook_duration_seconds{${PROFILE}}`, '{{command}}{{check}} {{session_window}}'],
        ]),
      ],
    ],
  ],
}
