/** When the serving line changed, why, and how fast; and what drills showed. */
import { figure, HIGH_IS_BAD, type Page, PROFILE, series, table, timeline, YES_NO } from './panels.ts'

export const FAILOVERS: Page = {
  uid: 'feed-failovers',
  title: 'failovers and drills',
  about: 'Timeline of the serving line with its reasons, recovery times against the objective, and drills.',
  from: 'now-7d',
  rows: [
    [
      5,
      [
        16,
        timeline(
          { title: 'Serving line', about: 'Annotations mark switches, drills, starts and sessions.' },
          [[`md_serving_line{${PROFILE}}`, '{{feed}}']],
          YES_NO,
        ),
      ],
      [
        8,
        timeline(
          { title: 'Automation', about: 'Paused or flap-latched: only an operator moves the serving line.' },
          [[`md_failover_automation{${PROFILE}}`, '{{state}}']],
          YES_NO,
        ),
      ],
    ],
    [
      8,
      [
        12,
        series(
          { title: 'Switches', about: 'In the last five minutes, by reason.' },
          [[`increase(md_failovers_total{${PROFILE}}[5m]) > 0`, '{{from}} to {{to}}: {{reason}}']],
          { bars: true },
        ),
      ],
      [
        12,
        series({ title: 'Times of the last switch', about: 'Against the recovery-time objective.', unit: 's' }, [
          [`md_failover_seconds{${PROFILE}}`, '{{phase}}'],
          [`md_failover_objective_seconds{${PROFILE}}`, 'objective'],
        ]),
      ],
    ],
    [
      8,
      [
        6,
        figure(
          { title: 'Last drill that passed', about: 'More than eight days ago is an alert.', unit: 's' },
          [`time() - max(md_runbook_last_success_timestamp_seconds{command="drill", ${PROFILE}})`, ''],
          { steps: HIGH_IS_BAD(7 * 86_400, 8 * 86_400), nothing: 'never' },
        ),
      ],
      [
        9,
        series({ title: 'Phases of drills', about: 'How long each phase of the last drill took.', unit: 's' }, [
          [`md_drill_seconds{${PROFILE}}`, '{{phase}}'],
        ]),
      ],
      [
        9,
        table({ title: 'Switches since the start', about: 'By direction and reason.' }, [
          [`sum by (from, to, reason) (md_failovers_total{${PROFILE}}) > 0`, ''],
        ]),
      ],
    ],
  ],
}
