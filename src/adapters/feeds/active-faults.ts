/**
 * What is wrong on a line at a moment: a pure function of scenario, line and time, which the bridges only perform. A fault either holds
 * for a stretch of time or happens at a moment. A bridge that was restarted is under every fault whose stretch still lasts, while
 * moments that have passed don't come again.
 */
import { unreachable } from '#domain/assert.ts'
import type { Exchange } from '#domain/instrument.ts'
import type { Line } from '#domain/line.ts'
import type { Fault, GarbageKind, Scenario } from './scenario.ts'

/** What is wrong on a line at one moment, and until when that does not change. */
export interface ActiveFaults {
  /** Neither connected nor connectable. */
  down: boolean
  /** Error id of a login, 0 when it works. */
  loginError: number
  muted: boolean
  /** Share of the answers to subscriptions that arrive. */
  ackRatio: number
  refuse: { count: number; id: number } | undefined
  /** Return code of subscription requests. */
  throttleCode: number
  duplicate: boolean
  garbage: readonly { kinds: readonly GarbageKind[]; ratio: number; replace: boolean; salt: number }[]
  lagMs: number
  lose: readonly { ratio: number; salt: number }[]
  halted: ReadonlySet<Exchange>
  /** A tick is not simply passed on. */
  touchesTicks: boolean
  /** All of the above holds for moments from `fromMs` to before `untilMs`. */
  fromMs: number
  untilMs: number
}

/** @param atMs since the scenario's zero */
export function faultsAt(scenario: Scenario, line: Line, atMs: number): ActiveFaults {
  const active: ActiveFaults = {
    down: false,
    loginError: 0,
    muted: false,
    ackRatio: 1,
    refuse: undefined,
    throttleCode: 0,
    duplicate: false,
    garbage: [],
    lagMs: 0,
    lose: [],
    halted: new Set(),
    touchesTicks: false,
    fromMs: Number.NEGATIVE_INFINITY,
    untilMs: Number.POSITIVE_INFINITY,
  }
  for (const [i, fault] of scenario.faults.entries()) {
    if (fault.line !== 'both' && fault.line !== line) continue
    const endMs = fault.atMs + fault.forMs
    for (const edge of [fault.atMs, endMs]) {
      if (edge <= atMs) active.fromMs = Math.max(active.fromMs, edge)
      else active.untilMs = Math.min(active.untilMs, edge)
    }
    // Both lines of one fault draw their own lots, or `lose` on both would lose the same ticks.
    if (fault.atMs <= atMs && atMs < endMs) apply(fault, active, i * 2 + (line === 'primary' ? 0 : 1))
  }
  active.touchesTicks =
    active.muted || active.duplicate || active.garbage.length > 0 || active.lose.length > 0 || active.halted.size > 0
  return active
}

function apply(fault: Fault, active: ActiveFaults, salt: number): void {
  switch (fault.fault) {
    case 'disconnect':
    case 'refuse-connect':
      active.down = true
      return
    case 'login-error':
      if (!fault.once) active.loginError = fault.id
      return
    case 'mute':
      active.muted = true
      return
    case 'partial-acks':
      active.ackRatio = Math.min(active.ackRatio, fault.ratio)
      return
    case 'refuse-contracts':
      active.refuse = { count: Math.max(active.refuse?.count ?? 0, fault.count), id: fault.id }
      return
    case 'throttle':
      active.throttleCode = fault.code
      return
    case 'duplicate':
      active.duplicate = true
      return
    case 'garbage':
      active.garbage = [...active.garbage, { kinds: fault.kinds, ratio: fault.ratio, replace: fault.replace, salt }]
      return
    case 'lag':
      active.lagMs += fault.byMs
      return
    case 'lose':
      active.lose = [...active.lose, { ratio: fault.ratio, salt }]
      return
    case 'exchange-halt':
      active.halted = new Set([...active.halted, fault.exchange])
      return
    case 'drop-subscriptions':
    case 'rewind':
    case 'crash':
    case 'hang':
      return
    default:
      unreachable(fault)
  }
}

/** What happens on a line at one moment and not again. */
export type Moment = { atMs: number } & (
  | { kind: 'disconnect'; reason: number }
  | { kind: 'drop-subscriptions' }
  | { kind: 'rewind'; byMs: number }
  | { kind: 'crash' }
  | { kind: 'hang'; forMs: number }
  | { kind: 'login-error'; id: number }
)

/**
 * A process that starts this soon after a single login error was due still meets it: at_ms 0 means the first login, and no process
 * is up at 0. It is not long enough for another process to fail in the same way.
 */
const LOGIN_ERROR_GRACE_MS = 5000

/** The moments ahead of a process that starts at `startMs`, in order. */
export function momentsFrom(scenario: Scenario, line: Line, startMs: number): Moment[] {
  const moments: Moment[] = []
  for (const fault of scenario.faults) {
    if (fault.line !== 'both' && fault.line !== line) continue
    const { atMs } = fault
    const passed = atMs < startMs
    switch (fault.fault) {
      case 'disconnect':
        if (!passed) moments.push({ atMs, kind: 'disconnect', reason: fault.reason })
        break
      case 'drop-subscriptions':
      case 'crash':
        if (!passed) moments.push({ atMs, kind: fault.fault })
        break
      case 'rewind':
        if (!passed) moments.push({ atMs, kind: 'rewind', byMs: fault.byMs })
        break
      case 'hang':
        if (!passed) moments.push({ atMs, kind: 'hang', forMs: fault.forMs })
        break
      case 'login-error':
        if (fault.once && atMs >= startMs - LOGIN_ERROR_GRACE_MS)
          moments.push({ atMs, kind: 'login-error', id: fault.id })
        break
      case 'refuse-connect':
      case 'mute':
      case 'partial-acks':
      case 'refuse-contracts':
      case 'throttle':
      case 'duplicate':
      case 'garbage':
      case 'lag':
      case 'lose':
      case 'exchange-halt':
        break
      default:
        unreachable(fault)
    }
  }
  return moments
}
