/**
 * Time as a value. Durations come from the monotonic clock, dates from the wall clock; mixing them is a bug.
 * CLOCK_MONOTONIC is one clock for the whole machine, so a stamp taken in a bridge can be compared with one taken here.
 */
export interface Clock {
  /** Milliseconds of CLOCK_MONOTONIC, with a fraction. Only differences mean anything. */
  monotonicMs(): number
  /** Milliseconds since the Unix epoch, with a fraction. May step when the host's clock is set. */
  wallMs(): number
}

export const systemClock: Clock = {
  monotonicMs() {
    const [seconds, nanoseconds] = process.hrtime()
    return seconds * 1000 + nanoseconds / 1e6
  },
  wallMs: () => performance.timeOrigin + performance.now() - wallDriftMs(),
}

/** `performance.timeOrigin` is frozen at process start, so a later step of the wall clock shows only in `Date.now()`. */
function wallDriftMs(): number {
  const drift = performance.timeOrigin + performance.now() - Date.now()
  return Math.abs(drift) < 2 ? 0 : drift
}

/** Resolves after `ms`, or rejects with the signal's reason when it aborts first. */
export function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(signal.reason)
      return
    }
    const onAbort = () => {
      clearTimeout(timer)
      reject(signal?.reason)
    }
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', onAbort)
      resolve()
    }, ms)
    signal?.addEventListener('abort', onAbort, { once: true })
  })
}
