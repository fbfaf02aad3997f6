/**
 * The typical time between two ticks of one contract, as a running mean: what tells a stalled contract from an illiquid one. One number
 * per contract, so that the tick path keeps them in a typed array.
 */

/** Weight of the newest gap: about the last twenty gaps count. */
const NEWEST_WEIGHT = 0.1

/** "Nothing known yet" in a typed array. */
export const GAP_UNKNOWN = Number.NaN

/**
 * The mean after one more gap (ms). Only gaps within one run of continuous trading may be given: a lunch break is no gap. A negative or
 * non-finite gap teaches nothing.
 */
export function nextExpectedGap(expectedMs: number, gapMs: number): number {
  if (!(gapMs >= 0) || gapMs === Number.POSITIVE_INFINITY) return expectedMs
  return Number.isNaN(expectedMs) ? gapMs : expectedMs + NEWEST_WEIGHT * (gapMs - expectedMs)
}
