/**
 * What a line is worth to the failover machine: its pulse together with whether it could serve.
 */
import { FAULT_OF_REASON, type Fault, type PulseReading, type RedReason } from './liveness.ts'

/**
 * Whether a line could serve: `ready` is logged in with enough of its own list subscribed, `can-be-raised` stands by warm or cold,
 * `unable` is neither.
 */
export type Readiness = 'ready' | 'can-be-raised' | 'unable'

export interface LineView extends PulseReading {
  readiness: Readiness
}

export type RedView = LineView & { reason: RedReason }

export function faultOf(view: LineView): Fault {
  return FAULT_OF_REASON[view.reason]
}

export function isRed(view: LineView): view is RedView {
  return faultOf(view) === 'impaired' || faultOf(view) === 'dead'
}

/** Ticks come, or would come if there were any. */
export function delivers(view: LineView | null): boolean {
  if (view === null || view.reason === 'standing-by') return false
  return faultOf(view) !== 'dead' && faultOf(view) !== 'rising'
}

/** Could serve from now on, at once or after being raised. */
export function canServe(view: LineView): boolean {
  return view.readiness !== 'unable' && faultOf(view) !== 'dead' && faultOf(view) !== 'rising'
}

/** Fit to be relied on without waiting. */
export function isWell(view: LineView | null): view is LineView {
  return view !== null && view.readiness === 'ready' && view.pulse === 'green'
}

/** It holds a session, so that its next tick may be a moment away. */
export function mayDeliverAnyMoment({ reason }: LineView): boolean {
  switch (reason) {
    case 'subscribing':
    case 'awaiting-first-tick':
    case 'line-mute':
    case 'market-silent':
      return true
    default:
      return false
  }
}

/**
 * For all that is known the target is as silent as the serving line: both fell silent together, one of them a moment earlier, or the
 * target only stands by. The market's silence is no reason to leave the one for the other.
 */
export function sharesSilence(serving: LineView, target: LineView): boolean {
  if (serving.reason !== 'market-silent') return false
  return target.reason === 'market-silent-on-both' || target.reason === 'standing-by'
}

/** Down for a reason that waiting does not cure soon. */
export function hasGivenUp(view: LineView): view is RedView {
  switch (view.reason) {
    case 'latched':
    case 'failed':
    case 'connect-failing':
    case 'login-failing':
      return true
    default:
      return false
  }
}
