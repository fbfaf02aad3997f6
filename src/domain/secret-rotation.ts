/**
 * What becomes of a line's secret that has changed at its source. A changed secret is a claim until a front has taken it, and a wrong one
 * costs the account, so the old one stays in use until one short trading login has proven the new one, and the line that tries it
 * does not serve meanwhile. Secrets come in here as marks, which can be compared and say nothing.
 *
 *     unread -> in use -> changed -> (step aside) -> proving -> in use, proven
 *                  ^         |  no trading front: in use, unproven
 *                  |         |  can't be tried now: changed, later
 *                  `---------+- refused: the account is latched, the old one stays; tried again when an operator cleared it
 */
import { unreachable } from './assert.ts'
import type { NextAttempt } from './retry.ts'

/** What stands behind the secret in use: a front took it at a login, a trading login proved it, or nobody could ask. */
export type SecretProof = 'login' | 'trading-login' | 'unproven'

export type RotationState =
  | { readonly kind: 'unread' }
  | { readonly kind: 'in-use'; readonly proof: SecretProof }
  | {
      readonly kind: 'changed'
      readonly mark: string
      /** Of the secret that is still in use. */
      readonly proof: SecretProof
      readonly sinceMs: number
      readonly attempts: number
      /** Not tried before. */
      readonly notBeforeMs: number
      readonly obstacle: RotationObstacle | null
    }
  | { readonly kind: 'refused'; readonly mark: string; readonly proof: SecretProof }

/** Why a changed secret is not tried just now. */
export type RotationObstacle = 'account-latched' | 'line-must-serve' | 'no-answer' | 'login-budget'

export const OBSTACLE_SENTENCES = {
  'account-latched': 'The account is latched; an operator must clear it before the new secret is tried.',
  'line-must-serve': 'The line serves and the other one cannot take over just now.',
  'no-answer': 'The trading front did not answer the trial login; it is tried again.',
  'login-budget': 'The login budget of the account is used up; the trial follows.',
} as const satisfies Record<RotationObstacle, string>

/** The line's secret was looked up at its source. `inUse` null: no login has needed it yet. */
export function observeSecret(
  state: RotationState,
  { found, inUse, nowMs }: { found: string; inUse: string | null; nowMs: number },
): RotationState {
  if (inUse === null) return { kind: 'unread' }
  const proof = 'proof' in state ? state.proof : 'login'
  if (found === inUse) return state.kind === 'in-use' ? state : { kind: 'in-use', proof }
  if ((state.kind === 'changed' || state.kind === 'refused') && state.mark === found) return state
  return { kind: 'changed', mark: found, proof, sinceMs: nowMs, attempts: 0, notBeforeMs: nowMs, obstacle: null }
}

export interface RotationSituation {
  readonly isLatched: boolean
  readonly hasTradingFront: boolean
  readonly isServing: boolean
  /** `ready`: it would serve at once and without a loss. */
  readonly otherLine: 'none' | 'ready' | 'not-ready'
  readonly nowMs: number
}

export type RotationAct =
  | { readonly act: 'none' }
  | { readonly act: 'wait'; readonly obstacle: RotationObstacle }
  /** Nobody can be asked: use it from the next login on. */
  | { readonly act: 'adopt' }
  | { readonly act: 'step-aside' }
  | { readonly act: 'prove' }

/** A lone or tired other line does not keep a secret from being tried for ever: the old login stays up during the trial anyway. */
export const STEP_ASIDE_PATIENCE_MS = 300_000

export function nextRotationAct(state: RotationState, situation: RotationSituation): RotationAct {
  switch (state.kind) {
    case 'unread':
    case 'in-use':
    case 'refused':
      return { act: 'none' }
    case 'changed':
      return changedAct(state, situation)
    default:
      return unreachable(state)
  }
}

function changedAct(
  state: Extract<RotationState, { kind: 'changed' }>,
  { isLatched, hasTradingFront, isServing, otherLine, nowMs }: RotationSituation,
): RotationAct {
  if (isLatched) return { act: 'wait', obstacle: 'account-latched' }
  if (!hasTradingFront) return { act: 'adopt' }
  if (nowMs < state.notBeforeMs) return { act: 'wait', obstacle: state.obstacle ?? 'no-answer' }
  if (!isServing || otherLine === 'none') return { act: 'prove' }
  if (otherLine === 'ready') return { act: 'step-aside' }
  return nowMs - state.sinceMs < STEP_ASIDE_PATIENCE_MS
    ? { act: 'wait', obstacle: 'line-must-serve' }
    : { act: 'prove' }
}

/** The trial login failed. `next` is the retry table's decision about it. */
export function trialFailed(state: RotationState, next: NextAttempt, nowMs: number): RotationState {
  if (state.kind !== 'changed') return state
  const { mark, proof } = state
  switch (next.again) {
    case 'never':
      return { kind: 'refused', mark, proof }
    case 'at':
      return { ...state, attempts: state.attempts + 1, notBeforeMs: next.atMs, obstacle: 'no-answer' }
    case 'next-session':
    case 'after-operator':
      return { ...state, attempts: state.attempts + 1, notBeforeMs: nowMs + LATER_MS, obstacle: 'no-answer' }
    default:
      return unreachable(next)
  }
}

/** Where the retry table would wait for somebody, the trial is repeated seldom: nothing is down meanwhile. */
const LATER_MS = 15 * 60_000

/** An operator cleared the latch that the refusal set: the cause is said to be corrected, so it is tried once more. */
export function latchCleared(state: RotationState, nowMs: number): RotationState {
  if (state.kind !== 'refused') return state
  const { mark, proof } = state
  return { kind: 'changed', mark, proof, sinceMs: nowMs, attempts: 0, notBeforeMs: nowMs, obstacle: null }
}

/** Whether a secret changed at `changedAtMs` (wall clock; null where its store does not tell) is older than it should be. */
export function isSecretOld(changedAtMs: number | null, nowMs: number, maxAgeMs: number): boolean {
  return changedAtMs !== null && nowMs - changedAtMs > maxAgeMs
}
