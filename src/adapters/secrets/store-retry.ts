/** How often a secret store is asked again: within the budget of one secret, and only where the answer may change meanwhile. */
import pRetry from 'p-retry'
import { Failure } from '#domain/failure.ts'
import type { SecretFailure } from './secret-source.ts'

const PAUSE_MIN_MS = 100
const PAUSE_MAX_MS = 1_000
/** Beyond what any budget has time for: the budget is what ends it. */
const RETRIES_MAX = 50

const RETRIED: Readonly<Record<SecretFailure, boolean>> = {
  'secret-missing': false,
  'secret-unreadable': false,
  'secret-empty': false,
  'secret-malformed': false,
  'secret-store-unconfigured': false,
  'secret-store-unreachable': true,
  'secret-store-unavailable': true,
  'secret-store-untrusted': false,
  // Repeating a refused login is how accounts get locked, at a store as at a front.
  'secret-store-refused': false,
  'secret-store-garbled': true,
}

export interface StoreAttempt {
  signal: AbortSignal
  /** For one request: never more than what is left of the budget. */
  timeoutMs: number
}

/**
 * `ask` until it succeeds, fails for good, or `budgetMs` is over; then the last failure is thrown.
 * @throws what `ask` throws; when `signal` aborts, its reason
 */
export async function askWithinBudget<T>(
  ask: (attempt: StoreAttempt) => Promise<T>,
  { budgetMs, signal }: { budgetMs: number; signal: AbortSignal },
): Promise<T> {
  const startedMs = performance.now()
  const leftMs = () => budgetMs - (performance.now() - startedMs)
  // Half of the budget at most, so that one connection which hangs leaves time for another.
  const shareMs = budgetMs / 2
  let telling: unknown = null
  const askOnce = async () => {
    const timeoutMs = Math.max(1, Math.min(shareMs, leftMs()))
    try {
      return await ask({ signal, timeoutMs })
    } catch (error) {
      // What the budget's end cut short says less than what an attempt with all its time ended in.
      const isCutShort = timeoutMs < shareMs && error instanceof Failure && error.kind === 'secret-store-unreachable'
      if (!isCutShort || telling === null) telling = error
      throw telling
    }
  }
  try {
    return await pRetry(askOnce, {
      retries: RETRIES_MAX,
      minTimeout: PAUSE_MIN_MS,
      maxTimeout: PAUSE_MAX_MS,
      randomize: true,
      maxRetryTime: budgetMs,
      signal,
      shouldRetry: ({ error }) => isRetried(error) && leftMs() > PAUSE_MIN_MS,
    })
  } catch (error) {
    signal.throwIfAborted()
    throw telling ?? error
  }
}

function isRetried(error: unknown): boolean {
  if (!(error instanceof Failure)) return false
  const kinds: Readonly<Record<string, boolean>> = RETRIED
  return kinds[error.kind] ?? false
}
