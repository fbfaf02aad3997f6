/** When a front said "too many": what was asked of it at that time. */
import { type Page, PROFILE, series, timeline, YES_IS_BAD } from './panels.ts'

export const RATE_LIMITS: Page = {
  uid: 'feed-rate-limits',
  title: 'rate limits and logins',
  about: 'Requests turned down, the pace of subscribing, and logins against their budget.',
  from: 'now-6h',
  rows: [
    [
      8,
      [
        12,
        series(
          {
            title: 'Requests turned down',
            about: 'With -2 or -3, in the last five minutes. More than five is an alert.',
          },
          [[`increase(md_rate_limit_hits_total{${PROFILE}}[5m])`, '{{feed}}']],
          { bars: true },
        ),
      ],
      [
        12,
        series(
          { title: 'Subscribing', about: 'How fast contracts come up; pacing keeps it below the limit of the front.' },
          [[`md_contracts{state="subscribed", ${PROFILE}}`, '{{feed}}']],
        ),
      ],
    ],
    [
      8,
      [
        12,
        series(
          { title: 'Logins', about: 'In the last five minutes, and how they ended.' },
          [[`increase(md_login_attempts_total{${PROFILE}}[5m])`, '{{feed}} {{outcome}}']],
          { bars: true },
        ),
      ],
      [
        12,
        timeline(
          { title: 'Latched', about: 'No login until an operator clears the latch.' },
          [[`md_line_state{state="latched", ${PROFILE}}`, '{{feed}}']],
          YES_IS_BAD,
        ),
      ],
    ],
    [
      7,
      [
        24,
        series({ title: 'Age of secrets', about: 'Older than thirty days is an alert.', unit: 's' }, [
          [`md_secret_age_seconds{${PROFILE}}`, '{{feed}}'],
        ]),
      ],
    ],
  ],
}
