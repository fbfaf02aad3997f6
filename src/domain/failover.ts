/**
 * Which line serves, and why: one step of the machine from the pulses of both lines, the market, the clock and an operator's command.
 *
 *   starting   the configured line has not come up yet. It is waited for while it makes progress; the other line serves at once if the
 *              configured one has given up, and after `startGraceMs` if it is merely down.
 *   active     the serving line is well.
 *   suspect    the serving line is in doubt, or should be left but can't be: held down, automation off, or no better line. Once the other
 *              line was called upon because this one delivered nothing, it stays up until this one is well.
 *   switched   the serving line has just changed, and the new one has not been seen well yet.
 *   raising    the serving line has changed to a warm or cold one that is still coming up. The line left stays up meanwhile; if the new
 *              one isn't up after `raiseGraceMs` or gives up, the old one serves again, and the new one is not raised again for a while.
 *   gap        neither line delivers. Whatever line returns first ends it. The serving line stays, so two dead lines cannot flap, and it
 *              goes on serving when it returns with the other one, a moment later.
 *   closed     no exchange trades. Nothing is decided: fronts restart in breaks and at night.
 *   killed     cut by the operator. Terminal: only a new start, with the latch cleared, leaves it.
 *
 * Automation is automatic, paused by the operator, or flap-latched: the automatic switch that reaches `flapLimit` within `flapWindowMs`
 * is the last one until an operator commands, save that a latched line which delivers nothing for `latchRescueMs` is left for one that
 * does.
 * An impaired line (delivering, but badly) is left for a green one only, and not within `holdDownMs` of the last switch; a dead one is
 * left for a green one at once, or, where both lines share a front, once it has been dead for `sharedConfirmMs`: such lines tend to die
 * together. After an automatic switch the machine goes back to `home`, the line last chosen by configuration or operator, when that has
 * been green and ready for `failbackStableMs` without a break.
 *
 * The epoch grows exactly when the serving line changes. All times are ms on one monotonic clock.
 */
import { assert, unreachable } from './assert.ts'
import type { FailoverReason } from './failover-reason.ts'
import { type Line, otherLine } from './line.ts'
import {
  canServe,
  delivers,
  faultOf,
  hasGivenUp,
  isRed,
  isWell,
  type LineView,
  mayDeliverAnyMoment,
  sharesSilence,
} from './line-fitness.ts'
import { FAULT_OF_REASON, type PulseReason } from './liveness.ts'
import type { FeedState } from './status.ts'

export type FailoverCommand = 'serve-primary' | 'serve-backup' | 'pause' | 'resume' | 'kill'

export interface FailoverInput {
  /** Null for a line that is not configured. */
  lines: Readonly<Record<Line, LineView | null>>
  /** An exchange is in continuous trading or in an auction. */
  marketIsOpen: boolean
  /** Both lines are on one front or broker, so that one outage may take both. */
  linesShareFront: boolean
  /** The last accepted live tick of any line, also of an earlier run; null when there was none since the market opened. Bounds a gap. */
  lastTickMs: number | null
  command: FailoverCommand | null
  nowMs: number
}

export type Automation =
  | { kind: 'automatic' }
  | { kind: 'paused' }
  /** `deadSinceMs`: since when the latched line has delivered nothing while the other could serve. */
  | { kind: 'flap-latched'; deadSinceMs: number | null }

export type FailoverPhase =
  | { kind: 'starting'; sinceMs: number }
  | { kind: 'active'; sinceMs: number }
  /** `sinceMs`: since when for a cause of this kind. `needsOther`: the other line was called upon, and stays up in every standby mode. */
  | { kind: 'suspect'; sinceMs: number; cause: PulseReason; needsOther: boolean }
  | { kind: 'switched'; sinceMs: number; from: Line }
  | { kind: 'raising'; sinceMs: number; from: Line }
  | { kind: 'gap'; sinceMs: number }
  | { kind: 'closed'; sinceMs: number }
  | { kind: 'killed'; sinceMs: number }

export interface FailoverState {
  phase: FailoverPhase
  serving: Line
  /** Where automatic failback returns to. */
  home: Line
  automation: Automation
  /** When the serving line last changed. */
  lastSwitchMs: number | null
  /** Automatic switches within the flap window, oldest first; never more than the flap limit. */
  automaticSwitchesMs: readonly number[]
  /** Since when `home`, not serving, has been green and ready; null when it serves or isn't. */
  homeWellSinceMs: number | null
  /** A standing-by line that was raised in vain, and when that was given up; null when none was, or it has delivered since. */
  unraised: { line: Line; sinceMs: number } | null
  /** While consumers are told GAP: the last tick before it, or when ticks began to be owed. */
  gapSinceMs: number | null
}

export interface FailoverPolicy {
  holdDownMs: number
  failbackStableMs: number
  flapLimit: number
  flapWindowMs: number
  latchRescueMs: number
  startGraceMs: number
  raiseGraceMs: number
  sharedConfirmMs: number
}

export const DEFAULT_FAILOVER_POLICY: FailoverPolicy = {
  holdDownMs: 10_000,
  failbackStableMs: 300_000,
  flapLimit: 3,
  flapWindowMs: 600_000,
  latchRescueMs: 60_000,
  startGraceMs: 15_000,
  raiseGraceMs: 90_000,
  sharedConfirmMs: 500,
}

export interface FailoverStep {
  state: FailoverState
  serve: Line
  feedState: FeedState
  /** True exactly when `serve` differs from the line that served before. */
  epochBump: boolean
  reason: FailoverReason
  /** What was wrong with the serving line, where that is why; its sentence completes the reason's. */
  cause: PulseReason | null
  /** Phase, serving line or automation changed: worth a log line and a published state. */
  changed: boolean
  /** The gap that ended with this step. */
  gap: { fromMs: number; toMs: number } | null
}

/** The state in which a daemon starts. `paused` is carried over from before by whoever keeps it. */
export function startFailover(start: { serving: Line; nowMs: number; paused: boolean }): FailoverState {
  return {
    phase: { kind: 'starting', sinceMs: start.nowMs },
    serving: start.serving,
    home: start.serving,
    automation: { kind: start.paused ? 'paused' : 'automatic' },
    lastSwitchMs: null,
    automaticSwitchesMs: [],
    homeWellSinceMs: null,
    unraised: null,
    gapSinceMs: null,
  }
}

/** In a gap, the serving line goes on serving when it returns so little after the other one. */
const RETURN_TOGETHER_MS = 500

/**
 * One decision. To be asked at each change of a line's state, at each command, and a few times a second besides.
 * The serving line must be configured.
 */
export function failoverStep(before: FailoverState, input: FailoverInput, policy: FailoverPolicy): FailoverStep {
  const servingView = input.lines[before.serving]
  assert(servingView !== null, 'the serving line is configured')
  const otherView = input.lines[otherLine(before.serving)]
  const moment: Moment = {
    before,
    state: remember(before, servingView, otherView, input, policy),
    input,
    policy,
    servingView,
    otherView,
  }
  if (before.phase.kind === 'killed') return stay(moment, 'killed-stays-killed')
  return input.command === null ? decide(moment) : obey(moment, input.command)
}

/** What the phases are decided on. */
interface Moment {
  before: FailoverState
  /** `before` with the clocks of stability and flapping brought up to now. */
  state: FailoverState
  input: FailoverInput
  policy: FailoverPolicy
  servingView: LineView
  otherView: LineView | null
}

function remember(
  state: FailoverState,
  servingView: LineView,
  otherView: LineView | null,
  input: FailoverInput,
  policy: FailoverPolicy,
): FailoverState {
  const { nowMs } = input
  const homeIsWell = state.serving !== state.home && input.marketIsOpen && isWell(otherView)
  const unraised = stillUnraised(state, otherView, input, policy)
  const couldRescue = isFitTarget({ ...state, unraised }, otherView)
  const rescueIsDue = input.marketIsOpen && !delivers(servingView) && couldRescue
  return {
    ...state,
    unraised,
    automation:
      state.automation.kind === 'flap-latched'
        ? { kind: 'flap-latched', deadSinceMs: rescueIsDue ? (state.automation.deadSinceMs ?? nowMs) : null }
        : state.automation,
    automaticSwitchesMs: state.automaticSwitchesMs.filter((switchMs) => nowMs - switchMs < policy.flapWindowMs),
    homeWellSinceMs: homeIsWell ? (state.homeWellSinceMs ?? nowMs) : null,
  }
}

/** It may be raised again once it has delivered, or when so much time has passed that trying adds nothing to the flap limit. */
function stillUnraised(
  { unraised, serving }: FailoverState,
  otherView: LineView | null,
  { nowMs }: FailoverInput,
  policy: FailoverPolicy,
): FailoverState['unraised'] {
  if (unraised === null || nowMs - unraised.sinceMs >= policy.flapWindowMs) return null
  return unraised.line !== serving && delivers(otherView) ? null : unraised
}

/** The line that does not serve could, at once or after being raised, and was not lately raised in vain. */
function isFitTarget({ unraised, serving }: FailoverState, otherView: LineView | null): otherView is LineView {
  if (otherView === null || !canServe(otherView)) return false
  return otherView.reason !== 'standing-by' || unraised === null || unraised.line === serving
}

function obey(moment: Moment, command: FailoverCommand): FailoverStep {
  const { state, input } = moment
  switch (command) {
    case 'kill':
      return enter(moment, { kind: 'killed', sinceMs: input.nowMs }, 'operator-killed')
    case 'pause':
      return step(moment, { ...state, automation: { kind: 'paused' } }, 'operator-paused')
    case 'resume':
      return step(
        moment,
        { ...state, automation: { kind: 'automatic' }, automaticSwitchesMs: [], unraised: null },
        'operator-resumed',
      )
    case 'serve-primary':
      return serve(moment, 'primary')
    case 'serve-backup':
      return serve(moment, 'backup')
    default:
      return unreachable(command)
  }
}

/** An operator's choice needs no cause and knows no hold-down, but never takes a line that can't serve. */
function serve(moment: Moment, target: Line): FailoverStep {
  const { state, input, otherView } = moment
  if (target === state.serving) return stay(moment, 'already-serving')
  if (otherView === null) return stay(moment, 'target-not-configured')
  if (!canServe(otherView)) return stay(moment, 'target-cannot-serve', otherView.reason)
  const automation: Automation = state.automation.kind === 'paused' ? state.automation : { kind: 'automatic' }
  const chosen: FailoverState = { ...state, home: target, automation, automaticSwitchesMs: [], unraised: null }
  return step(moment, moveServing(chosen, otherView, input), 'operator-chose-line')
}

function decide(moment: Moment): FailoverStep {
  const { phase } = moment.state
  const { nowMs, marketIsOpen } = moment.input
  if (!marketIsOpen && phase.kind !== 'starting') {
    if (phase.kind === 'closed') return stay(moment, 'market-is-closed')
    return enter(moment, { kind: 'closed', sinceMs: nowMs }, 'market-closed')
  }
  switch (phase.kind) {
    case 'starting':
      return decideStarting(moment, phase.sinceMs)
    case 'active':
    case 'suspect':
      return decideServing(moment, 'recovered')
    case 'switched':
      return decideServing(moment, 'target-confirmed')
    case 'closed':
      return decideServing(moment, 'market-opened')
    case 'raising':
      return decideRaising(moment, phase.sinceMs)
    case 'gap':
      return decideGap(moment)
    case 'killed':
      return stay(moment, 'killed-stays-killed')
    default:
      return unreachable(phase)
  }
}

function decideStarting(moment: Moment, sinceMs: number): FailoverStep {
  const { state, input, policy, servingView, otherView } = moment
  if (!input.marketIsOpen) {
    if (faultOf(servingView) !== 'none') return stay(moment, 'coming-up', servingView.reason)
    return enter(moment, { kind: 'closed', sinceMs: input.nowMs }, 'came-up')
  }
  if (delivers(servingView)) return decideServing(moment, 'came-up')
  const isLate = faultOf(servingView) === 'dead' && input.nowMs - sinceMs >= policy.startGraceMs
  if ((isLate || hasGivenUp(servingView)) && otherView !== null && canServe(otherView)) {
    if (state.automation.kind === 'automatic') {
      return switchAutomatically(
        moment,
        otherView,
        hasGivenUp(servingView) ? servingView.reason : 'configured-line-late',
      )
    }
    if (delivers(otherView)) return suspect(moment, 'other-line-delivers')
    return enter(moment, { kind: 'gap', sinceMs: input.nowMs }, 'other-line-called')
  }
  return stay(moment, 'coming-up', servingView.reason)
}

/** The serving line is up, or was a moment ago. `wellReason` names the edge to `active`. */
function decideServing(moment: Moment, wellReason: FailoverReason): FailoverStep {
  const { state, input, policy, servingView, otherView } = moment
  const { nowMs } = input
  if (isRed(servingView) || isOutlived(moment)) {
    const leaving = judgeLeaving(moment)
    switch (leaving.kind) {
      case 'switch':
        return switchAutomatically(moment, leaving.target, isRed(servingView) ? servingView.reason : 'line-returned')
      case 'rescue':
        return rescue(moment, leaving.target)
      case 'stay':
        // While it is being confirmed, a line that only stands by is not yet called upon, and its silence is no gap.
        if (faultOf(servingView) === 'dead' && !delivers(otherView) && leaving.reason !== 'confirming')
          return enterGap(moment)
        return suspect(moment, leaving.reason)
      default:
        return unreachable(leaving)
    }
  }
  const homeIsStable = state.homeWellSinceMs !== null && nowMs - state.homeWellSinceMs >= policy.failbackStableMs
  if (homeIsStable && state.automation.kind === 'automatic' && otherView !== null) {
    return switchAutomatically(moment, otherView, 'home-proved-stable')
  }
  if (servingView.pulse === 'yellow') {
    return suspect(moment, state.phase.kind === 'suspect' ? 'still-in-doubt' : 'in-doubt')
  }
  if (state.phase.kind === 'active') return stay(moment, 'steady')
  return enter(moment, { kind: 'active', sinceMs: nowMs }, wellReason)
}

/** It came up from a gap and brings nothing yet, while the other line does. */
function isOutlived({ state: { phase }, servingView, otherView }: Moment): boolean {
  return phase.kind === 'suspect' && phase.needsOther && !delivers(servingView) && delivers(otherView)
}

type Leaving =
  | { kind: 'switch' | 'rescue'; target: LineView }
  | {
      kind: 'stay'
      reason:
        | 'no-better-line'
        | 'automation-paused'
        | 'flap-latch-holds'
        | 'held-down'
        | 'confirming'
        | 'may-return-together'
    }

/** Whether a serving line that is red, or brings nothing, may be left now. */
function judgeLeaving({ state, input, policy, servingView, otherView: target }: Moment): Leaving {
  const { nowMs } = input
  const isDead = !delivers(servingView)
  const isToGreen = target?.pulse === 'green'
  // Anything that delivers is better than a dead line; only a green line is better than an impaired one.
  const isNoBetter = !isFitTarget(state, target) || (!isDead && !isToGreen) || sharesSilence(servingView, target)
  if (isNoBetter) return { kind: 'stay', reason: 'no-better-line' }

  switch (state.automation.kind) {
    case 'paused':
      return { kind: 'stay', reason: 'automation-paused' }
    case 'flap-latched':
      return isRescueDue(state, policy, nowMs)
        ? { kind: 'rescue', target }
        : { kind: 'stay', reason: 'flap-latch-holds' }
    case 'automatic': {
      if (mayReturnTogether(state, servingView, nowMs)) return { kind: 'stay', reason: 'may-return-together' }
      const isHeldDown = state.lastSwitchMs !== null && nowMs - state.lastSwitchMs < policy.holdDownMs
      if (isHeldDown && !(isDead && isToGreen)) return { kind: 'stay', reason: 'held-down' }
      const isConfirmed = !isDead || !input.linesShareFront || deadForMs(state, nowMs) >= policy.sharedConfirmMs
      return isConfirmed ? { kind: 'switch', target } : { kind: 'stay', reason: 'confirming' }
    }
    default:
      return unreachable(state.automation)
  }
}

/** The other line ended the gap a moment ago, and the serving line holds a session too. */
function mayReturnTogether({ phase }: FailoverState, servingView: LineView, nowMs: number): boolean {
  if (phase.kind !== 'suspect' || !phase.needsOther || !mayDeliverAnyMoment(servingView)) return false
  return nowMs - phase.sinceMs < RETURN_TOGETHER_MS
}

function isRescueDue({ automation }: FailoverState, policy: FailoverPolicy, nowMs: number): boolean {
  const deadSinceMs = automation.kind === 'flap-latched' ? automation.deadSinceMs : null
  return deadSinceMs !== null && nowMs - deadSinceMs >= policy.latchRescueMs
}

function deadForMs({ phase }: FailoverState, nowMs: number): number {
  return phase.kind === 'suspect' && FAULT_OF_REASON[phase.cause] === 'dead' ? nowMs - phase.sinceMs : 0
}

function decideRaising(moment: Moment, sinceMs: number): FailoverStep {
  const { state, input, policy, servingView, otherView } = moment
  if (delivers(servingView)) return decideServing(moment, 'target-confirmed')
  if (otherView === null || !delivers(otherView)) return enterGap(moment)
  const isLate = input.nowMs - sinceMs >= policy.raiseGraceMs || hasGivenUp(servingView)
  if (!isLate) return stay(moment, 'raising-target', servingView.reason)
  const given: Moment = { ...moment, state: { ...state, unraised: { line: state.serving, sinceMs: input.nowMs } } }
  if (state.automation.kind === 'automatic' && canServe(otherView)) {
    return switchAutomatically(given, otherView, 'target-did-not-rise')
  }
  return suspect(given, 'other-line-delivers')
}

function decideGap(moment: Moment): FailoverStep {
  const { state, input, servingView, otherView } = moment
  if (delivers(servingView)) {
    if (servingView.pulse === 'green') return enter(moment, { kind: 'active', sinceMs: input.nowMs }, 'gap-ended')
    return suspect(moment, 'gap-ended-in-doubt')
  }
  if (otherView === null || !delivers(otherView)) return stay(moment, 'neither-line-delivers', servingView.reason)
  const isLeft = state.automation.kind === 'automatic' && canServe(otherView) && !mayDeliverAnyMoment(servingView)
  if (isLeft) return switchAutomatically(moment, otherView, 'line-returned')
  return suspect(moment, 'other-line-delivers')
}

/** Only an automatic switch counts towards the flap limit; the one that reaches it is still made, since it goes to the better line. */
function switchAutomatically(moment: Moment, target: LineView, reason: FailoverReason): FailoverStep {
  const { state, input, policy, servingView } = moment
  const automaticSwitchesMs = [...state.automaticSwitchesMs, input.nowMs]
  const isFlapping = automaticSwitchesMs.length >= policy.flapLimit
  const automation: Automation = isFlapping ? { kind: 'flap-latched', deadSinceMs: null } : state.automation
  const moved = moveServing({ ...state, automation, automaticSwitchesMs }, target, input)
  return step(moment, moved, isFlapping ? 'flap-latched' : reason, servingView.reason)
}

function rescue(moment: Moment, target: LineView): FailoverStep {
  const latched: FailoverState = { ...moment.state, automation: { kind: 'flap-latched', deadSinceMs: null } }
  return step(moment, moveServing(latched, target, moment.input), 'latched-line-dead', moment.servingView.reason)
}

function moveServing(state: FailoverState, target: LineView, { nowMs, marketIsOpen }: FailoverInput): FailoverState {
  const from = state.serving
  const kind = target.reason === 'standing-by' ? 'raising' : 'switched'
  return {
    ...state,
    phase: marketIsOpen ? { kind, sinceMs: nowMs, from } : { kind: 'closed', sinceMs: nowMs },
    serving: otherLine(from),
    lastSwitchMs: nowMs,
    homeWellSinceMs: null,
  }
}

function enterGap(moment: Moment): FailoverStep {
  const { linesShareFront, nowMs } = moment.input
  return enter(moment, { kind: 'gap', sinceMs: nowMs }, linesShareFront ? 'shared-outage' : 'both-lines-dead')
}

function suspect(moment: Moment, reason: FailoverReason): FailoverStep {
  const { phase } = moment.state
  const cause = moment.servingView.reason
  // A line that only stands by is not called upon while it is being seen whether it dies too.
  const isDead = faultOf(moment.servingView) === 'dead' && reason !== 'confirming'
  const needsOther = isDead || wasOtherCalled(phase)
  if (phase.kind === 'suspect' && phase.cause === cause && phase.needsOther === needsOther) {
    return stay(moment, reason, cause)
  }
  const isSameKind = phase.kind === 'suspect' && FAULT_OF_REASON[phase.cause] === FAULT_OF_REASON[cause]
  const sinceMs = isSameKind ? phase.sinceMs : moment.input.nowMs
  return enter(moment, { kind: 'suspect', sinceMs, cause, needsOther }, reason)
}

function wasOtherCalled(phase: FailoverPhase): boolean {
  return phase.kind === 'gap' || phase.kind === 'raising' || (phase.kind === 'suspect' && phase.needsOther)
}

function stay(moment: Moment, reason: FailoverReason, cause: PulseReason | null = null): FailoverStep {
  return step(moment, moment.state, reason, cause)
}

function enter(moment: Moment, phase: FailoverPhase, reason: FailoverReason): FailoverStep {
  const { servingView } = moment
  return step(moment, { ...moment.state, phase }, reason, servingView.pulse === 'green' ? null : servingView.reason)
}

function step(
  moment: Moment,
  state: FailoverState,
  reason: FailoverReason,
  cause: PulseReason | null = null,
): FailoverStep {
  const { before, input } = moment
  const isMoved = state.serving !== before.serving
  const feedState = feedStateAt(moment, state.phase)
  const { gapSinceMs: gapBefore } = before
  const gapSinceMs = feedState === 'GAP' ? (gapBefore ?? gapStartMs(before.phase, input)) : null
  const isGapOver = gapBefore !== null && gapSinceMs === null
  return {
    state: { ...state, gapSinceMs },
    serve: state.serving,
    feedState,
    epochBump: isMoved,
    reason,
    cause,
    changed: isMoved || !isSamePhase(before.phase, state.phase) || state.automation.kind !== before.automation.kind,
    gap: isGapOver ? { fromMs: gapBefore, toMs: gapEndMs(gapBefore, input) } : null,
  }
}

function isSamePhase(a: FailoverPhase, b: FailoverPhase): boolean {
  return a.kind === b.kind && (a.kind !== 'suspect' || b.kind !== 'suspect' || a.cause === b.cause)
}

/** Before the market opened no tick was owed. */
function gapStartMs(before: FailoverPhase, { lastTickMs, nowMs }: FailoverInput): number {
  if (lastTickMs !== null) return lastTickMs
  return before.kind === 'closed' || before.kind === 'starting' ? nowMs : before.sinceMs
}

function gapEndMs(fromMs: number, { lastTickMs, nowMs }: FailoverInput): number {
  return lastTickMs !== null && lastTickMs > fromMs ? lastTickMs : nowMs
}

/** While the configured line is still coming up, consumers may already be getting the ticks of the other one. */
function feedStateAt({ input, otherView }: Moment, phase: FailoverPhase): FeedState {
  if (phase.kind === 'starting' && input.marketIsOpen && delivers(otherView)) return 'SUSPECT'
  return feedStateOf(phase, input.marketIsOpen)
}

export function feedStateOf(phase: FailoverPhase, marketIsOpen: boolean): FeedState {
  switch (phase.kind) {
    case 'starting':
      return marketIsOpen ? 'GAP' : 'CLOSED'
    case 'active':
      return 'ACTIVE'
    case 'suspect':
      return 'SUSPECT'
    case 'switched':
    case 'raising':
      return 'SWITCHED'
    case 'gap':
      return 'GAP'
    case 'closed':
      return 'CLOSED'
    case 'killed':
      return 'KILLED'
    default:
      return unreachable(phase)
  }
}
