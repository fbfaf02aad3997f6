/**
 * The one place that notices when this process was held up: whoever is about to judge a silence, or to let a deadline pass, asks it from
 * when on there was anybody to hear an answer. Asked late, it finds the pause by that; the supervisor's rounds ask it all the time.
 */
import type { Clock } from '#clock.ts'
import { type Attention, attend, beginAttention } from '#domain/attention.ts'
import { quietSleep } from './line-progress.ts'

export class OwnPauses {
  readonly #clock: Clock
  readonly #paused: (ms: number) => void
  /** Null until somebody asks for the first time: nothing is read before. */
  #attention: Attention | null = null

  constructor(clock: Clock, paused: (ms: number) => void) {
    this.#clock = clock
    this.#paused = paused
  }

  /** CLOCK_MONOTONIC since which pipes are read without a break. */
  readingSinceMs(): number {
    const nowMs = this.#clock.monotonicMs()
    const { sinceMs, pausedMs } = this.#attention === null ? beginAttention(nowMs) : attend(this.#attention, nowMs)
    this.#attention = { ranMs: nowMs, sinceMs, pausedMs }
    if (pausedMs > 0) this.#paused(pausedMs)
    return sinceMs
  }
}

/** Sleeps until so much time has passed in which an answer could have been read; takes an abort as the end of the sleep. */
export async function sleepReading(
  ms: number,
  signal: AbortSignal,
  { clock, readingSinceMs }: { clock: Clock; readingSinceMs(): number },
): Promise<void> {
  for (let fromMs = clock.monotonicMs(); ; fromMs = readingSinceMs()) {
    await quietSleep(Math.max(0, fromMs + ms - clock.monotonicMs()), signal)
    if (signal.aborted || readingSinceMs() <= fromMs) return
  }
}
