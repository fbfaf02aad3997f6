/**
 * Why the failover machine did what it did: a closed union, so that metric labels are bounded, with one sentence each, so that the log of
 * a day reads as prose.
 */
import type { RedReason } from './liveness.ts'

/** One per step: the log line, the metric label, the audit entry and what tests assert on. A red reason is an automatic switch for it. */
export type FailoverReason =
  | RedReason
  // the serving line stays
  | 'steady'
  | 'coming-up'
  | 'still-in-doubt'
  | 'confirming'
  | 'may-return-together'
  | 'held-down'
  | 'automation-paused'
  | 'flap-latch-holds'
  | 'no-better-line'
  | 'raising-target'
  | 'neither-line-delivers'
  | 'market-is-closed'
  | 'killed-stays-killed'
  // the phase or the automation changes, the serving line does not
  | 'came-up'
  | 'in-doubt'
  | 'recovered'
  | 'target-confirmed'
  | 'both-lines-dead'
  | 'shared-outage'
  | 'gap-ended'
  | 'gap-ended-in-doubt'
  | 'other-line-delivers'
  | 'other-line-called'
  | 'market-closed'
  | 'market-opened'
  | 'operator-paused'
  | 'operator-resumed'
  | 'operator-killed'
  // a command that changes nothing
  | 'already-serving'
  | 'target-not-configured'
  | 'target-cannot-serve'
  // the serving line changes
  | 'configured-line-late'
  | 'line-returned'
  | 'home-proved-stable'
  | 'target-did-not-rise'
  | 'flap-latched'
  | 'latched-line-dead'
  | 'operator-chose-line'

export const FAILOVER_SENTENCES: Record<FailoverReason, string> = {
  'exchange-mute': 'Switched because the serving line fell silent on an exchange on which the other line ticks.',
  'coverage-low': 'Switched because the serving line carries fewer contracts than the threshold asks.',
  'invalid-ticks': 'Switched because too many ticks of the serving line are invalid.',
  lagging: 'Switched because the serving line delivers much later than the other line.',
  'not-connected': 'Switched because the serving line lost its session.',
  'connect-failing': 'Switched because the serving line cannot connect.',
  'login-failing': 'Switched because the serving line cannot log in.',
  latched: 'Switched because the account of the serving line is latched.',
  failed: 'Switched because the serving line has given up.',
  'bridge-silent': 'Switched because the bridge of the serving line went silent.',
  'nothing-subscribed': 'Switched because the serving line holds none of its contracts.',
  'line-mute': 'Switched because the serving line fell silent while the other line ticks.',
  'market-silent': 'Switched because the serving line is silent for longer than any market is.',
  steady: 'The serving line is well.',
  'coming-up': 'The configured line is coming up.',
  'still-in-doubt': 'The serving line stays in doubt, which is no cause to leave it.',
  confirming: 'The serving line is dead, and it is being seen whether the other line on the same front dies too.',
  'may-return-together': 'The other line ended the gap; the serving line is given a moment to return with it.',
  'held-down': 'The serving line should be left, but the last switch is too recent.',
  'automation-paused': 'The serving line should be left, but automation is paused.',
  'flap-latch-holds': 'The serving line should be left, but the flap latch waits for an operator.',
  'no-better-line': 'The serving line should be left, but the other line is no better.',
  'raising-target': 'The new serving line is being raised.',
  'neither-line-delivers': 'Neither line delivers.',
  'market-is-closed': 'No exchange trades.',
  'killed-stays-killed': 'The feed is cut by the kill switch until an operator clears it and starts anew.',
  'came-up': 'The configured line came up and serves.',
  'in-doubt': 'The serving line came into doubt.',
  recovered: 'The serving line is well again.',
  'target-confirmed': 'The new serving line is seen well.',
  'both-lines-dead': 'Both lines stopped delivering: a gap began.',
  'shared-outage': 'Both lines, which share a front or broker, stopped delivering: a gap began.',
  'gap-ended': 'The serving line delivers again: the gap ended.',
  'gap-ended-in-doubt': 'The serving line delivers again, though it is in doubt: the gap ended.',
  'other-line-delivers':
    'The serving line delivers nothing and is not left for now; the ticks come from the other line.',
  'other-line-called': 'The configured line did not come up in time: the other line is called upon beside it.',
  'market-closed': 'The last exchange stopped trading.',
  'market-opened': 'An exchange began to trade.',
  'operator-paused': 'An operator paused automatic failover.',
  'operator-resumed': 'An operator resumed automatic failover.',
  'operator-killed': 'An operator pulled the kill switch: both lines are cut.',
  'already-serving': 'The line asked for serves already.',
  'target-not-configured': 'The line asked for is not configured; nothing changed.',
  'target-cannot-serve': 'The line asked for cannot serve; nothing changed.',
  'configured-line-late': 'Switched because the configured line did not come up in time.',
  'line-returned': 'Switched to the line that returned first after both had been down.',
  'home-proved-stable': 'Switched back because the home line proved stable.',
  'target-did-not-rise': 'Switched back because the new serving line did not come up in time.',
  'flap-latched': 'Switched once more and latched there: too many automatic switches, an operator has to decide.',
  'latched-line-dead': 'Switched although flap-latched, because the latched line stayed dead.',
  'operator-chose-line': 'An operator chose the serving line.',
}
