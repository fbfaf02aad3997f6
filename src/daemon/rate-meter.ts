/** How fast ticks arrive in the journal and leave it for the bus, over the last five to ten seconds: what a catch-up time is told from. */
import type { Clock } from '#clock.ts'

const SPAN_MS = 5_000

interface Sample {
  atMs: number
  written: number
  published: number
}

const NONE: Sample = { atMs: Number.NEGATIVE_INFINITY, written: 0, published: 0 }

export class RateMeter {
  readonly #clock: Clock
  #recent = NONE
  #before = NONE

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** To be called a few times a second with the last sequences written and published. */
  sample(written: number, published: number): void {
    const atMs = this.#clock.monotonicMs()
    if (atMs - this.#recent.atMs <= SPAN_MS) return
    this.#before = this.#recent
    this.#recent = { atMs, written, published }
  }

  /** 0 before there is anything to compare with. */
  perSecond(written: number, published: number): { arriving: number; publishing: number } {
    const since = Number.isFinite(this.#before.atMs) ? this.#before : this.#recent
    const seconds = (this.#clock.monotonicMs() - since.atMs) / 1000
    if (!(seconds > 0) || !Number.isFinite(seconds)) return { arriving: 0, publishing: 0 }
    return { arriving: (written - since.written) / seconds, publishing: (published - since.published) / seconds }
  }
}
