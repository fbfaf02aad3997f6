/**
 * The market's time of day, owned by the daemon and handed to embedded bridges: the wall clock for a real feed, the wall clock shifted to
 * a chosen start in the simulator, recording time in a replay.
 */
import type { Clock } from '#clock.ts'

export interface MarketClock {
  nowMs(): number
  /** Where market time stands at which CLOCK_MONOTONIC, for a bridge that keeps the time itself. */
  reading(): { marketMs: number; monotonicMs: number }
}

export function wallMarketClock(clock: Clock): MarketClock {
  return {
    nowMs: () => clock.wallMs(),
    reading: () => ({ marketMs: clock.wallMs(), monotonicMs: clock.monotonicMs() }),
  }
}

/** Begins at `startMs` now and runs at the pace of CLOCK_MONOTONIC. */
export function shiftedMarketClock(clock: Clock, startMs: number): MarketClock {
  const startMonotonicMs = clock.monotonicMs()
  return {
    nowMs: () => startMs + clock.monotonicMs() - startMonotonicMs,
    reading: () => ({ marketMs: startMs, monotonicMs: startMonotonicMs }),
  }
}

/** Stands where the replay has come to. */
export class RecordingClock implements MarketClock {
  #nowMs: number
  readonly #clock: Clock

  constructor(startMs: number, clock: Clock) {
    this.#nowMs = startMs
    this.#clock = clock
  }

  nowMs(): number {
    return this.#nowMs
  }

  reading(): { marketMs: number; monotonicMs: number } {
    return { marketMs: this.#nowMs, monotonicMs: this.#clock.monotonicMs() }
  }

  moveTo(ms: number): void {
    if (ms > this.#nowMs) this.#nowMs = ms
  }
}
