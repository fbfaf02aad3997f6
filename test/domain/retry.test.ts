import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  FEED_ERROR_TEXTS,
  type FeedErrorKind,
  kindOfLoginError,
  kindOfReturnCode,
  kindOfSubscribeError,
} from '#domain/feed-error.ts'
import { attemptNumber, nextAttempt, paceAfterDrops, RETRY_BY_KIND, STABLE_AFTER_MS } from '#domain/retry.ts'

const KINDS = Object.keys(RETRY_BY_KIND) as FeedErrorKind[]
const LATCHES = { again: 'never', latch: true }

function delayMs(kind: FeedErrorKind, attempt: number, jitter = 0): number | null {
  const next = nextAttempt(kind, attempt, jitter, 1_000)
  return next.again === 'at' ? next.atMs - 1_000 : null
}

describe('a refused login', () => {
  it.each([
    [3, 'wrong user or password'],
    [48, 'wrong investor or password'],
    [4, 'user not active'],
    [9, 'no privilege'],
    [11, 'user not found'],
    [12, 'broker not found'],
    [13, 'investor not found'],
    [56, 'one-time password'],
    [59, 'one-time password'],
    [49, 'address not allowed'],
    [144, 'address on the black list'],
    [4042, 'address check failed'],
    [63, 'authentication failed'],
    [145, 'no right to authenticate'],
    [4043, 'application not granted'],
    [75, 'locked after failures'],
    [143, 'address banned'],
    [4060, 'address banned after authentications'],
    [131, 'weak password'],
    [140, 'first login'],
    [141, 'password expired'],
    [987654, 'an id nobody listed'],
  ])('on the trading front with %i (%s) is never repeated and latches the account', (id) => {
    expect(nextAttempt(kindOfLoginError('trading', id, ''), 1, 0, 0)).toEqual(LATCHES)
  })

  it.each([
    ['trading', 7, 30_000],
    ['market-data', 7, 30_000],
    ['trading', 8, 30_000],
    ['market-data', 8, 30_000],
    ['market-data', 60, 60_000],
    ['trading', 60, 60_000],
  ] as const)('on the %s front with %i is repeated after %i ms at the earliest', (session, id, earliestMs) => {
    const kind = kindOfLoginError(session, id, '')
    for (let attempt = 1; attempt < 50; attempt++) expect(delayMs(kind, attempt)).toBeGreaterThanOrEqual(earliestMs)
  })

  it('is told by its text when the front counts too many per second, whatever the id', () => {
    const kind = kindOfLoginError('trading', 4711, 'CTP: API login over limit  freq')
    expect(kind).toBe('login-too-frequent')
    expect(delayMs(kind, 1)).toBeGreaterThanOrEqual(2_000)
  })

  it('with 3 on the market-data front asks for a trading login and is not repeated', () => {
    expect(kindOfLoginError('trading', 3, '')).toBe('credentials-rejected')
    expect(kindOfLoginError('market-data', 3, '')).toBe('trading-login-required')
    expect(nextAttempt('trading-login-required', 1, 0, 0)).toEqual(LATCHES)
  })

  it('for an unlisted reason is tried three times on the market-data front, then left to the operator', () => {
    const kind = kindOfLoginError('market-data', 987654, '')
    expect([1, 2, 3, 4].map((attempt) => nextAttempt(kind, attempt, 0, 0).again)).toEqual([
      'at',
      'at',
      'after-operator',
      'after-operator',
    ])
  })

  it('because the library does not fit the front is not repeated, but says nothing against the account', () => {
    expect(nextAttempt(kindOfLoginError('market-data', 4040, ''), 1, 0, 0)).toEqual({ again: 'never', latch: false })
  })

  it('is no question for error id 0, which is success', () => {
    expect(() => kindOfLoginError('trading', 0, '')).toThrow('success')
  })

  it('for missing privileges latches on the market-data front too', () => {
    expect(nextAttempt(kindOfLoginError('market-data', 75, ''), 1, 0, 0)).toEqual(LATCHES)
  })
})

describe('a subscription', () => {
  it.each([
    [-1, 'not-connected'],
    [-2, 'subscribe-throttled'],
    [-3, 'subscribe-throttled'],
    [-99, 'not-connected'],
  ])('that returns %i means %s', (code, kind) => {
    expect(kindOfReturnCode(code)).toBe(kind)
  })

  it('that was throttled waits for the next second', () => {
    expect(delayMs('subscribe-throttled', 1)).toBe(1_100)
  })

  it.each([
    [6000, 'subscription-limit', 'never'],
    [16, 'contract-refused', 'next-session'],
    [7, 'contract-not-ready', 'at'],
    [90, 'contract-not-ready', 'at'],
    [6, 'not-connected', 'at'],
  ])('answered with %i is %s and comes again %s', (id, kind, again) => {
    expect(kindOfSubscribeError(id)).toBe(kind)
    expect(nextAttempt(kindOfSubscribeError(id), 1, 0, 0).again).toBe(again)
  })

  it('whose sessions the front keeps cutting is paced slower, up to eightfold', () => {
    expect([0, 1, 2, 3, 4, 99].map(paceAfterDrops)).toEqual([1, 2, 4, 8, 8, 8])
  })
})

describe('the backoff', () => {
  it.each([
    ['connect-timeout', 500, 30_000],
    ['disconnected', 500, 30_000],
    ['bridge-crashed', 200, 10_000],
    ['too-many-sessions', 60_000, 600_000],
  ] as const)('of %s goes from %i ms to %i ms', (kind, firstMs, maxMs) => {
    expect(delayMs(kind, 1)).toBe(firstMs)
    expect(delayMs(kind, 2)).toBe(firstMs * 2)
    expect(delayMs(kind, 1_000_000)).toBe(maxMs)
  })

  it('never shrinks, stays within its bounds, and jitter only lengthens it, by a quarter at most', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...KINDS),
        fc.integer({ min: 1, max: 200 }),
        fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
        (kind, attempt, jitter) => {
          const plain = delayMs(kind, attempt)
          const jittered = delayMs(kind, attempt, jitter)
          fc.pre(plain !== null && jittered !== null)
          expect(jittered).toBeGreaterThanOrEqual(plain)
          expect(jittered).toBeLessThanOrEqual(plain * 1.25)
          expect(delayMs(kind, attempt + 1) ?? Number.POSITIVE_INFINITY).toBeGreaterThanOrEqual(plain)
        },
      ),
    )
  })

  it('turns the recorded storm of 462 drops in a morning into a few dials a minute', () => {
    const storm = { untilMs: 4 * 3_600_000 }
    let nowMs = 0
    let attempt = 0
    let dials = 0
    while (nowMs < storm.untilMs) {
      dials++
      attempt = attemptNumber(attempt, 0)
      const next = nextAttempt('disconnected', attempt, 0, nowMs)
      nowMs = next.again === 'at' ? next.atMs : storm.untilMs
    }
    expect(dials).toBeLessThanOrEqual((storm.untilMs / 60_000) * 2 + 10)
  })

  it('starts anew after a session that held, and counts on after one that did not', () => {
    expect(attemptNumber(7, STABLE_AFTER_MS)).toBe(1)
    expect(attemptNumber(7, STABLE_AFTER_MS - 1)).toBe(8)
  })

  it('rejects an attempt or a jitter that the caller got wrong', () => {
    expect(() => nextAttempt('disconnected', 0, 0, 0)).toThrow('attempt')
    expect(() => nextAttempt('disconnected', 1, 1, 0)).toThrow('jitter')
  })
})

it.each(KINDS)('%s has a message and a remedy that is a sentence', (kind) => {
  const { message, remedy } = FEED_ERROR_TEXTS[kind]
  expect(message).toMatch(/^[a-z].*[a-z]$/)
  expect(remedy).toMatch(/^[A-Z].*\.$/)
})
