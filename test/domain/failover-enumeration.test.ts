/** Every combination of phase, automation, views, command and market, each stepped once: what may never happen, whatever comes together. */
import { beforeAll, describe, expect, it } from 'vitest'
import {
  type Automation,
  type FailoverCommand,
  type FailoverInput,
  type FailoverPhase,
  type FailoverState,
  type FailoverStep,
  failoverStep,
  DEFAULT_FAILOVER_POLICY as POLICY,
} from '#domain/failover.ts'
import { FAILOVER_SENTENCES } from '#domain/failover-reason.ts'
import { LINES, type Line, otherLine } from '#domain/line.ts'
import { canServe, delivers, faultOf, type LineView, type Readiness } from '#domain/line-fitness.ts'
import { type PulseReason, pulseOf } from '#domain/liveness.ts'
import { linesWanted } from '#domain/standby.ts'

const NOW = 10_000_000
const LONG_AGO = NOW - 2 * POLICY.failbackStableMs
const JUST_NOW = NOW - 100

/** One reason of each fault, and those that the machine treats on their own. */
const REASONS: PulseReason[] = [
  'ticking',
  'standing-by',
  'subscribing',
  'silent-alone',
  'exchange-mute',
  'not-connected',
  'latched',
]
const VIEWS: LineView[] = REASONS.flatMap((reason) =>
  (['ready', 'can-be-raised', 'unable'] satisfies Readiness[]).map((readiness) => ({
    pulse: pulseOf(reason),
    reason,
    readiness,
  })),
)
const COMMANDS: (FailoverCommand | null)[] = [null, 'serve-primary', 'serve-backup', 'pause', 'resume', 'kill']

function phasesAt(sinceMs: number, from: Line): FailoverPhase[] {
  return [
    { kind: 'starting', sinceMs },
    { kind: 'active', sinceMs },
    { kind: 'suspect', sinceMs, cause: 'not-connected', needsOther: true },
    { kind: 'suspect', sinceMs, cause: 'subscribing', needsOther: true },
    { kind: 'suspect', sinceMs, cause: 'exchange-mute', needsOther: false },
    { kind: 'switched', sinceMs, from },
    { kind: 'raising', sinceMs, from },
    { kind: 'gap', sinceMs },
    { kind: 'closed', sinceMs },
    { kind: 'killed', sinceMs },
  ]
}

function states(): FailoverState[] {
  const automations: Automation[] = [
    { kind: 'automatic' },
    { kind: 'paused' },
    { kind: 'flap-latched', deadSinceMs: null },
    { kind: 'flap-latched', deadSinceMs: LONG_AGO },
  ]
  return LINES.flatMap((serving) =>
    LINES.flatMap((home) =>
      automations.flatMap((automation) =>
        [LONG_AGO, JUST_NOW].flatMap((sinceMs) =>
          phasesAt(sinceMs, otherLine(serving)).map((phase) => ({
            phase,
            serving,
            home,
            automation,
            lastSwitchMs: sinceMs,
            automaticSwitchesMs: sinceMs === JUST_NOW ? [JUST_NOW - 1_000, JUST_NOW] : [],
            homeWellSinceMs: serving === home ? null : sinceMs,
            unraised: null,
            gapSinceMs: phase.kind === 'gap' ? sinceMs : null,
          })),
        ),
      ),
    ),
  )
}

function* inputs(serving: Line): Generator<FailoverInput> {
  for (const servingView of VIEWS) {
    for (const otherView of [...VIEWS, null]) {
      for (const command of COMMANDS) {
        for (const marketIsOpen of [true, false]) {
          const lines = { [serving]: servingView, [otherLine(serving)]: otherView } as Record<Line, LineView | null>
          yield { lines, marketIsOpen, linesShareFront: false, lastTickMs: NOW - 700, command, nowMs: NOW }
        }
      }
    }
  }
}

interface Case {
  before: FailoverState
  input: FailoverInput
  step: FailoverStep
}

const moved = ({ before, step }: Case) => step.serve !== before.serving
const servingView = ({ before, input }: Case) => input.lines[before.serving] as LineView
const targetView = ({ before, input }: Case) => input.lines[otherLine(before.serving)] as LineView
const movedByItself = (each: Case) => moved(each) && each.input.command === null
const byItself = ({ input }: Case) => input.command === null
const causeOf = (phase: FailoverPhase) => (phase.kind === 'suspect' ? phase.cause : null)

const WORTH = { none: 3, doubt: 2, rising: 1, impaired: 1, dead: 0 }
const REFUSALS = ['already-serving', 'target-not-configured', 'target-cannot-serve']

/** What holds of every step. All laws are checked in one pass, since there are close to a million cases. */
const LAWS: Record<string, (each: Case) => boolean> = {
  'keeps one configured serving line, and state, answer and epoch agree': ({ before, input, step }) =>
    input.lines[step.serve] !== null &&
    step.state.serving === step.serve &&
    step.epochBump === (step.serve !== before.serving),

  "never makes a line serve that can't, not even for an operator": (each) => !moved(each) || canServe(targetView(each)),

  'never switches by itself without cause: a red or undelivering serving line, or a home line proved stable': (
    each,
  ) => {
    if (!movedByItself(each)) return true
    const { homeWellSinceMs } = each.before
    const isProvedStable = homeWellSinceMs !== null && NOW - homeWellSinceMs >= POLICY.failbackStableMs
    return servingView(each).pulse === 'red' || !delivers(servingView(each)) || isProvedStable
  },

  'never leaves a line that delivers for one that is no better and not green': (each) =>
    !movedByItself(each) ||
    !delivers(servingView(each)) ||
    targetView(each).pulse === 'green' ||
    WORTH[faultOf(targetView(each))] > WORTH[faultOf(servingView(each))],

  'never switches by itself while paused': (each) => each.before.automation.kind !== 'paused' || !movedByItself(each),

  'never switches by itself under the flap latch, but to leave a line long dead': (each) => {
    const { automation } = each.before
    if (automation.kind !== 'flap-latched' || !movedByItself(each)) return true
    return automation.deadSinceMs === LONG_AGO && !delivers(servingView(each))
  },

  'never leaves a line that still delivers within the hold-down': (each) =>
    each.before.lastSwitchMs === LONG_AGO || !movedByItself(each) || !delivers(servingView(each)),

  'never decides anything by itself while no exchange trades': (each) =>
    each.input.marketIsOpen || !movedByItself(each),

  'latches with the switch that reaches the flap limit': ({ before, step }) => {
    const { automaticSwitchesMs, automation } = step.state
    if (automaticSwitchesMs.length < POLICY.flapLimit) return true
    return (
      automaticSwitchesMs.length === POLICY.flapLimit &&
      automation.kind === 'flap-latched' &&
      before.automation.kind === 'automatic'
    )
  },

  'tells a gap exactly when the market is open and neither line delivers, once one has come up': (each) => {
    const { before, input, step } = each
    const isStarted = before.phase.kind !== 'killed' && before.phase.kind !== 'starting'
    if (!isStarted || !byItself(each) || moved(each)) return true
    const isOtherDown = !delivers(input.lines[otherLine(before.serving)])
    if (step.feedState === 'GAP') return input.marketIsOpen && !delivers(servingView(each)) && isOtherDown
    return !(input.marketIsOpen && faultOf(servingView(each)) === 'dead' && isOtherDown)
  },

  'never lets the only line that delivers rest, whatever the standby mode': (each) => {
    const { before, input, step } = each
    const other = otherLine(step.serve)
    // The commands that switch on purpose, and the kill switch, are the operator's.
    if (!byItself(each) || step.feedState === 'KILLED' || !input.marketIsOpen || before.phase.kind === 'starting')
      return true
    const [servingNow, otherNow] = [input.lines[step.serve] ?? null, input.lines[other] ?? null]
    const isOnlyOne = delivers(otherNow) && servingNow !== null && faultOf(servingNow) === 'dead'
    return !isOnlyOne || linesWanted(step.state, 'cold')[other] === 'streaming' || step.reason === 'confirming'
  },

  'gives the bounds of a gap exactly when one ends': ({ before, step }) => {
    const isOver = before.gapSinceMs !== null && step.feedState !== 'GAP'
    return isOver === (step.gap !== null) && (step.gap === null || step.gap.fromMs <= step.gap.toMs)
  },

  'is killed by the kill switch alone, and stays so': ({ before, input, step }) => {
    if (before.phase.kind === 'killed') return step.feedState === 'KILLED' && !step.changed
    return (step.feedState === 'KILLED') === (input.command === 'kill')
  },

  "obeys an operator's choice of line or refuses it, and a refusal changes nothing": (each) => {
    const { before, input, step } = each
    const isChoice = input.command === 'serve-primary' || input.command === 'serve-backup'
    if (!isChoice || before.phase.kind === 'killed') return true
    const asked = input.command === 'serve-primary' ? 'primary' : 'backup'
    if (moved(each)) return step.serve === asked && step.reason === 'operator-chose-line' && step.state.home === asked
    return REFUSALS.includes(step.reason) && !step.changed && step.state.home === before.home
  },

  'has one English sentence for each reason, and says when something changed': ({ before, step }) => {
    const { phase, automation } = step.state
    const isOtherPhase = phase.kind !== before.phase.kind || causeOf(phase) !== causeOf(before.phase)
    const isChanged = step.epochBump || isOtherPhase || automation.kind !== before.automation.kind
    return step.changed === isChanged && /^[A-Z].*\.$/.test(FAILOVER_SENTENCES[step.reason])
  },
}

describe('whatever comes together, the failover machine', () => {
  const broken = new Map<string, string[]>()

  beforeAll(() => {
    const laws = Object.entries(LAWS)
    for (const before of states()) {
      for (const input of inputs(before.serving)) {
        const step = failoverStep(before, input, POLICY)
        for (const [title, law] of laws) {
          if (law({ before, input, step })) continue
          const found = broken.get(title) ?? []
          if (found.length < 3) broken.set(title, [...found, JSON.stringify({ before, input, step })])
        }
      }
    }
  }, 120_000)

  it.each(Object.keys(LAWS))('%s', (title) => {
    expect(broken.get(title) ?? []).toEqual([])
  })
})
