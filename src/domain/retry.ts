/**
 * Error kind -> whether and when to try again. One table, exhaustive by its type: a kind without a decision does not compile. Each number
 * says where it comes from; time and jitter come in as values, so the same inputs give the same instant.
 */
import { assert } from './assert.ts'
import { type FeedErrorKind, isLoginAnswer } from './feed-error.ts'

export type Retry =
  /** Doubles from `firstMs` to `maxMs`; after `attemptsMax` failures in a row an operator has to look. */
  | { again: 'after-backoff'; firstMs: number; maxMs: number; attemptsMax?: number }
  | { again: 'next-session' }
  /** Not by itself, but a restart may try again. */
  | { again: 'after-operator' }
  /** `latch`: the account is latched on disk, so that no restart tries it either. */
  | { again: 'never'; latch: boolean }

export type NextAttempt =
  | { again: 'at'; atMs: number }
  | { again: 'next-session' }
  | { again: 'after-operator' }
  | { again: 'never'; latch: boolean }

const LATCHED: Retry = { again: 'never', latch: true }

export const RETRY_BY_KIND = {
  // Brokers lock an account after 6 to 10 failed logins in a row, so one is all that is risked.
  'credentials-rejected': LATCHED,
  // Only a trading login from this address can change the answer, and each refusal may count towards a lock.
  'trading-login-required': LATCHED,
  'account-locked': LATCHED,
  'password-change-required': LATCHED,
  'address-not-allowed': LATCHED,
  'app-not-authorised': LATCHED,
  // No statement about the account: another library cures it, hence no latch.
  'wrong-library': { again: 'never', latch: false },
  // Ids 7 and 8 last for minutes (front restarts at lunch and before the night session). Vendor notes: at least 30 s.
  'front-not-ready': { again: 'after-backoff', firstMs: 30_000, maxMs: 120_000 },
  // Id 60 clears when the front times out the stale session; hammering keeps it alive. Vendor notes: at least 60 s.
  'too-many-sessions': { again: 'after-backoff', firstMs: 60_000, maxMs: 600_000 },
  // The front's LoginFreq is one login per second by default. Vendor notes: at least 2 s.
  'login-too-frequent': { again: 'after-backoff', firstMs: 2_000, maxMs: 30_000 },
  // Id 5 is not to be answered by sending again; a fresh session after the time a login may take is.
  'duplicate-login': { again: 'after-backoff', firstMs: 10_000, maxMs: 60_000 },
  // Our own ordering is wrong; repeating it cannot help.
  'sent-out-of-order': { again: 'after-operator' },
  // Vendor notes: at most three. It must not start anew each session: nine in a day could reach a broker's lock. So they are counted by
  // account and on disk, and the third latches it (refusalsMax).
  'unknown-market-data-login-error': { again: 'after-backoff', firstMs: 5_000, maxMs: 60_000, attemptsMax: 3 },
  // On the trading side an unlisted error may be a credential error, and a restart must not try again either.
  'unknown-trading-login-error': LATCHED,
  // A login that vanished may still have counted, so it waits longer than a connect.
  'login-timeout': { again: 'after-backoff', firstMs: 2_000, maxMs: 60_000 },

  // A refused TCP connection gives no callback at all; a healthy front is back within seconds, a closed one costs little at 30 s.
  'connect-timeout': { again: 'after-backoff', firstMs: 500, maxMs: 30_000 },
  // A blip heals in the first half second; in the recorded storm of 462 drops in a morning this makes it two a minute.
  disconnected: { again: 'after-backoff', firstMs: 500, maxMs: 30_000 },
  // The front's send buffer (10,000 packets) ran over: let it drain, then subscribe at a lower pace (paceAfterDrops).
  'dropped-while-subscribing': { again: 'after-backoff', firstMs: 5_000, maxMs: 120_000 },
  'not-connected': { again: 'after-backoff', firstMs: 500, maxMs: 30_000 },

  // -2 and -3 count per second, so the next second plus a margin is enough.
  'subscribe-throttled': { again: 'after-backoff', firstMs: 1_100, maxMs: 8_800 },
  'contract-not-ready': { again: 'after-backoff', firstMs: 30_000, maxMs: 300_000 },
  // Id 6000: a per-session limit of the front, the same answer every time.
  'subscription-limit': { again: 'never', latch: false },
  // Refused for good today; the next session has a new instrument list.
  'contract-refused': { again: 'next-session' },
  // Connected, subscribed and silent: a fresh session is the cure that the stories report, but not a storm of them.
  'first-tick-timeout': { again: 'after-backoff', firstMs: 5_000, maxMs: 300_000 },

  // One query in flight and about one per second. Vendor notes: at least 1.1 s.
  'query-not-ready': { again: 'after-backoff', firstMs: 1_100, maxMs: 30_000 },
  'query-timeout': { again: 'after-backoff', firstMs: 5_000, maxMs: 300_000, attemptsMax: 5 },
  'query-refused': { again: 'after-operator' },

  // A process start costs 50 ms; a library that dies in its start-up must not keep a core busy.
  'bridge-crashed': { again: 'after-backoff', firstMs: 200, maxMs: 10_000 },
  // Its session may still be open at the front, so the next login comes later than after a crash.
  'bridge-hung': { again: 'after-backoff', firstMs: 500, maxMs: 10_000 },
  // A missing program or a wrong version stays so until somebody installs another.
  'bridge-unavailable': { again: 'after-operator' },
  // The same file ends in the same place every time.
  'input-unusable': { again: 'after-operator' },
  // Descriptors come back with the connections that hold them; until then each try costs a little of what is short.
  'host-exhausted': { again: 'after-backoff', firstMs: 1_000, maxMs: 30_000 },
  // A trading session takes seconds, and a bridge that lost its supervisor ends within one.
  'flow-directory-busy': { again: 'after-backoff', firstMs: 500, maxMs: 10_000 },
  // The same text is as much too long the next time.
  'configuration-refused': { again: 'after-operator' },
  // A store that restarts is back within a minute, and nothing reaches the front meanwhile.
  'secret-unavailable': { again: 'after-backoff', firstMs: 1_000, maxMs: 30_000 },
  'protocol-fault': { again: 'after-backoff', firstMs: 1_000, maxMs: 60_000, attemptsMax: 3 },
} as const satisfies Record<FeedErrorKind, Retry>

/**
 * When to try again after failure number `attempt` in a row (the first is 1). `jitter` in [0, 1) lengthens the wait by up to a quarter,
 * never beyond the kind's maximum and never below its minimum. `nowMs` and `atMs` are on one monotonic clock.
 */
export function nextAttempt(kind: FeedErrorKind, attempt: number, jitter: number, nowMs: number): NextAttempt {
  assert(Number.isInteger(attempt) && attempt >= 1, `attempt counts from 1, got ${attempt}`)
  assert(jitter >= 0 && jitter < 1, `jitter is in [0, 1), got ${jitter}`)
  const retry: Retry = RETRY_BY_KIND[kind]
  if (retry.again !== 'after-backoff') return retry
  if (retry.attemptsMax !== undefined && attempt >= retry.attemptsMax) return { again: 'after-operator' }
  // 2^16 is beyond every maximum of the table and keeps the product finite.
  const backoffMs = retry.firstMs * 2 ** Math.min(attempt - 1, 16)
  return { again: 'at', atMs: nowMs + Math.min(retry.maxMs, backoffMs * (1 + jitter / 4)) }
}

/** After so many refusals of this kind, with no session between that held, the account is latched. Null: never for this. */
export function refusalsMax(kind: FeedErrorKind): number | null {
  const retry: Retry = RETRY_BY_KIND[kind]
  if (retry.again === 'never') return retry.latch ? 1 : null
  return isLoginAnswer(kind) && retry.again === 'after-backoff' ? (retry.attemptsMax ?? null) : null
}

/** A session that held this long was a success: the failure after it is the first of a new row. Longer than every first backoff. */
export const STABLE_AFTER_MS = 60_000

/** The number of the failure that just happened: counts on from `previous`, or starts anew after a session that held `heldMs`. */
export function attemptNumber(previous: number, heldMs: number): number {
  return heldMs >= STABLE_AFTER_MS ? 1 : previous + 1
}

/** How many times slower to subscribe after `drops` sessions in a row that the front cut during subscription. At most 8. */
export function paceAfterDrops(drops: number): number {
  return 2 ** Math.min(Math.max(drops, 0), 3)
}
