import { describe, expect, test } from 'vitest'
import {
  isSecretOld,
  latchCleared,
  nextRotationAct,
  observeSecret,
  type RotationSituation,
  type RotationState,
  STEP_ASIDE_PATIENCE_MS,
  trialFailed,
} from '#domain/secret-rotation.ts'

const CALM: RotationSituation = {
  isLatched: false,
  hasTradingFront: true,
  isServing: false,
  otherLine: 'ready',
  nowMs: 1_000,
}
const IN_USE: RotationState = { kind: 'in-use', proof: 'login' }
const CHANGED = observeSecret(IN_USE, { found: 'new', inUse: 'old', nowMs: 1_000 })

describe('what is found at the source', () => {
  test('before any login has used it is just unread', () => {
    expect(observeSecret(CHANGED, { found: 'new', inUse: null, nowMs: 0 })).toEqual({ kind: 'unread' })
  })

  test('and is in use already is no change, also after a change that was taken back', () => {
    expect(observeSecret({ kind: 'unread' }, { found: 'old', inUse: 'old', nowMs: 0 })).toEqual(IN_USE)
    expect(observeSecret(CHANGED, { found: 'old', inUse: 'old', nowMs: 0 })).toEqual(IN_USE)
    const refused: RotationState = { kind: 'refused', mark: 'new', proof: 'trading-login' }
    expect(observeSecret(refused, { found: 'old', inUse: 'old', nowMs: 0 })).toEqual({
      kind: 'in-use',
      proof: 'trading-login',
    })
  })

  test('and is not in use is a change, once, until it changes again', () => {
    expect(CHANGED).toMatchObject({ kind: 'changed', mark: 'new', proof: 'login', sinceMs: 1_000, attempts: 0 })
    expect(observeSecret(CHANGED, { found: 'new', inUse: 'old', nowMs: 9_000 })).toBe(CHANGED)
    expect(observeSecret(CHANGED, { found: 'newer', inUse: 'old', nowMs: 9_000 })).toMatchObject({
      mark: 'newer',
      sinceMs: 9_000,
    })
  })

  test('and was refused stays refused, and another one is a change', () => {
    const refused: RotationState = { kind: 'refused', mark: 'new', proof: 'login' }
    expect(observeSecret(refused, { found: 'new', inUse: 'old', nowMs: 0 })).toBe(refused)
    expect(observeSecret(refused, { found: 'newer', inUse: 'old', nowMs: 0 })).toMatchObject({ kind: 'changed' })
  })
})

describe('a changed secret', () => {
  test.each<[string, Partial<RotationSituation>, object]>([
    ['is tried on a line that stands by', {}, { act: 'prove' }],
    ['makes a line that serves step aside first', { isServing: true }, { act: 'step-aside' }],
    ['is tried on a line that serves alone', { isServing: true, otherLine: 'none' }, { act: 'prove' }],
    [
      'waits while the other line cannot serve',
      { isServing: true, otherLine: 'not-ready' },
      { act: 'wait', obstacle: 'line-must-serve' },
    ],
    [
      'but not for ever',
      { isServing: true, otherLine: 'not-ready', nowMs: 1_000 + STEP_ASIDE_PATIENCE_MS },
      { act: 'prove' },
    ],
    ['is adopted where nobody can be asked', { hasTradingFront: false, isServing: true }, { act: 'adopt' }],
    ['is not touched while the account is latched', { isLatched: true }, { act: 'wait', obstacle: 'account-latched' }],
    [
      'is not even adopted then',
      { isLatched: true, hasTradingFront: false },
      { act: 'wait', obstacle: 'account-latched' },
    ],
  ])('%s', (_, situation, act) => {
    expect(nextRotationAct(CHANGED, { ...CALM, ...situation })).toEqual(act)
  })

  test('is tried again at the time that the retry table names, and not before', () => {
    const later = trialFailed(CHANGED, { again: 'at', atMs: 5_000 }, 1_000)
    expect(nextRotationAct(later, { ...CALM, nowMs: 4_999 })).toEqual({ act: 'wait', obstacle: 'no-answer' })
    expect(nextRotationAct(later, { ...CALM, nowMs: 5_000 })).toEqual({ act: 'prove' })
    expect(later).toMatchObject({ attempts: 1 })
  })

  test.each([{ again: 'next-session' as const }, { again: 'after-operator' as const }])(
    'is tried again seldom after a failure that calls for somebody: %j',
    (next) => {
      const later = trialFailed(CHANGED, next, 1_000)
      expect(nextRotationAct(later, { ...CALM, nowMs: 60_000 })).toEqual({ act: 'wait', obstacle: 'no-answer' })
      expect(nextRotationAct(later, { ...CALM, nowMs: 3_600_000 })).toEqual({ act: 'prove' })
    },
  )

  test('that was refused is left alone until an operator clears the latch, and then tried once more', () => {
    const refused = trialFailed(CHANGED, { again: 'never', latch: true }, 1_000)
    expect(nextRotationAct(refused, CALM)).toEqual({ act: 'none' })
    const cleared = latchCleared(refused, 9_000)
    expect(cleared).toMatchObject({ kind: 'changed', mark: 'new', proof: 'login', attempts: 0 })
    expect(nextRotationAct(cleared, { ...CALM, nowMs: 9_000 })).toEqual({ act: 'prove' })
    expect(latchCleared(IN_USE, 0)).toBe(IN_USE)
  })
})

test.each<[string, RotationState]>([
  ['unread', { kind: 'unread' }],
  ['in use', IN_USE],
])('a secret that is %s needs nothing', (_, state) => {
  expect(nextRotationAct(state, { ...CALM, isServing: true })).toEqual({ act: 'none' })
})

test('age counts where the source tells it', () => {
  expect(isSecretOld(null, 1_000_000, 10)).toBe(false)
  expect(isSecretOld(0, 10, 10)).toBe(false)
  expect(isSecretOld(0, 11, 10)).toBe(true)
})
