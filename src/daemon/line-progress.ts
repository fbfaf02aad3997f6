/** Where a line stands on its way up, for whoever holds, supervises or reports it. One door for every change, so that none is missed. */
import { type Clock, sleep } from '#clock.ts'
import type { LineState } from '#domain/status.ts'

export class LineProgress {
  state: LineState = 'off'
  detail = 'not started'
  /** CLOCK_MONOTONIC of the last change of `state`. */
  stateSinceMs: number
  /** On its way up without needing the market's time to pass: a replay at full speed would run away from it. */
  isComingUp = false
  readonly #clock: Clock
  readonly #changed: () => void

  constructor(clock: Clock, changed: () => void) {
    this.#clock = clock
    this.#changed = changed
    this.stateSinceMs = clock.monotonicMs()
  }

  become(state: LineState, detail: string): void {
    this.detail = detail
    if (state === this.state) return
    this.isComingUp = state !== 'streaming' && state !== 'latched' && state !== 'failed' && state !== 'logged-in'
    this.state = state
    this.stateSinceMs = this.#clock.monotonicMs()
    this.#changed()
  }
}

/** Longer than any line lives. */
export const FOR_EVER_MS = 2 ** 31 - 1

/** Sleeps, and takes an abort as the end of the sleep. */
export async function quietSleep(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, signal).catch((reason: unknown) => {
    if (!signal.aborted) throw reason
  })
}
