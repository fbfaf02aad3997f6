/**
 * How fast contracts may be asked for on one line. The front drops a session that asks for the whole market at once, so batches go out
 * evenly: `maxPerWindow` contracts in each window.
 */
import Bottleneck from 'bottleneck'
import { sleep } from '#clock.ts'

export interface PacingPolicy {
  batchSize: number
  /** Contracts per window; 0 turns pacing off. */
  maxPerWindow: number
  windowMs: number
  /** Before contracts that gave no answer are asked for again; doubles from time to time. */
  retryDelayMs: number
}

export interface SubscriptionPacer {
  /** Resolves when `contracts` more may be asked for; rejects with the signal's reason. */
  admit(contracts: number, signal: AbortSignal): Promise<void>
}

export function createSubscriptionPacer(policy: PacingPolicy): SubscriptionPacer {
  if (policy.maxPerWindow === 0) return { admit: async (_contracts, signal) => signal.throwIfAborted() }
  const msPerContract = policy.windowMs / policy.maxPerWindow
  let limiter = new Bottleneck({ maxConcurrent: 1 })
  let owedMs = 0
  return {
    async admit(contracts, signal) {
      signal.throwIfAborted()
      const dueMs = owedMs
      owedMs = contracts * msPerContract
      // The limiter adds its minimum time after a job, so what is set now delays the next batch.
      limiter.updateSettings({ minTime: owedMs })
      // Bottleneck counts on the wall clock, and a step back would stall it: after twice the time due a fresh limiter takes over.
      const admitted = limiter.schedule(async () => undefined)
      const deadline = new AbortController()
      const overdue = sleep(2 * dueMs + 1_000, AbortSignal.any([signal, deadline.signal])).then(
        () => 'stalled' as const,
        () => 'stopped' as const,
      )
      const outcome = await Promise.race([admitted.then(() => 'admitted' as const), overdue])
      deadline.abort()
      if (outcome === 'stalled') limiter = new Bottleneck({ maxConcurrent: 1 })
      signal.throwIfAborted()
    },
  }
}
