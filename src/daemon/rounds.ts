/** What the daemon does again and again, and how one sees that it still does: the supervisor's rounds, timers, the journal's progress. */
import type { JournalWriter } from '#adapters/journal/journal-writer.ts'
import type { Clock } from '#clock.ts'

export const ROUND_MS = 100
/** A round that comes later than this was held up with everything else here; the pipes are read before lines are judged by them. */
const ROUND_LATE_MS = 500
/** A write that takes longer than this will not come back. */
const JOURNAL_STUCK_MS = 20_000

/** The supervisor's rounds: at an interval, and soon after something changed. */
export class Rounds {
  perform: (nowMs: number) => void = () => undefined
  readonly #clock: Clock
  readonly #isOver: () => boolean
  #lastMs: number
  #isDue = false

  constructor(clock: Clock, isOver: () => boolean) {
    this.#clock = clock
    this.#isOver = isOver
    this.#lastMs = clock.monotonicMs()
  }

  /** For the watchdog: the event loop turns. */
  get areKept(): boolean {
    return this.#clock.monotonicMs() - this.#lastMs < 10 * ROUND_MS + ROUND_LATE_MS
  }

  now(): void {
    const nowMs = this.#clock.monotonicMs()
    const isLate = nowMs - this.#lastMs > ROUND_MS + ROUND_LATE_MS
    this.#lastMs = nowMs
    if (isLate) this.soon()
    else if (!this.#isOver()) this.perform(nowMs)
  }

  soon(): void {
    if (this.#isDue) return
    this.#isDue = true
    setImmediate(() => {
      this.#isDue = false
      if (!this.#isOver()) this.perform(this.#clock.monotonicMs())
    })
  }
}

export class Timers {
  readonly #timers: NodeJS.Timeout[] = []

  every(ms: number, act: () => unknown): void {
    this.#timers.push(setInterval(act, ms))
  }

  clear(): void {
    for (const timer of this.#timers) clearInterval(timer)
  }
}

/** Whether the journal's writer gets on: a disk that refuses is its business, one that never answers needs a new process. */
export function writerProgress(writer: JournalWriter, clock: Clock): () => boolean {
  let written = writer.writtenSequence
  let movedAtMs = clock.monotonicMs()
  return () => {
    const hasWork = writer.heldBytes > 0 && writer.state === 'writing'
    if (!hasWork || writer.writtenSequence !== written) movedAtMs = clock.monotonicMs()
    written = writer.writtenSequence
    return clock.monotonicMs() - movedAtMs < JOURNAL_STUCK_MS
  }
}
