/**
 * Since when has this process been reading without a break? While it was stopped, or held up by work of its own, nobody could have been
 * heard, so the silence of that time is evidence against nobody: every silence is counted from here at the earliest.
 */

/** Held up for less, no silence grows long enough to be judged. */
export const PAUSE_MS = 1_000

export interface Attention {
  /** The last time that anything here ran. */
  ranMs: number
  /** Reading without a break since then. */
  sinceMs: number
  /** Length of the pause that has just been found; 0 when there was none. */
  pausedMs: number
}

export function beginAttention(nowMs: number): Attention {
  return { ranMs: nowMs, sinceMs: nowMs, pausedMs: 0 }
}

/** To be asked several times a second, and before any silence is judged. @param nowMs monotonic, and running on in a pause */
export function attend({ ranMs, sinceMs }: Attention, nowMs: number): Attention {
  const pausedMs = nowMs - ranMs
  if (pausedMs < PAUSE_MS) return { ranMs: nowMs, sinceMs, pausedMs: 0 }
  return { ranMs: nowMs, sinceMs: nowMs, pausedMs }
}
