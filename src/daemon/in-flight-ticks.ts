/**
 * The ticks that were sent and not yet acknowledged, oldest first, in typed rings: bounded, and without an object per tick. Stream
 * sequences follow each other, so an acknowledgement of one says how many are done.
 */
import { assert } from '#domain/assert.ts'

export class InFlightTicks {
  count = 0
  /** Stream sequence that the next tick is to get. */
  nextStreamSequence = 1
  readonly #capacity: number
  readonly #sequences: Float64Array
  readonly #sentMs: Float64Array
  readonly #receivedWallMs: Float64Array
  #oldest = 0

  constructor(capacity: number) {
    this.#capacity = capacity
    this.#sequences = new Float64Array(capacity)
    this.#sentMs = new Float64Array(capacity)
    this.#receivedWallMs = new Float64Array(capacity)
  }

  get isFull(): boolean {
    return this.count === this.#capacity
  }

  /** Monotonic ms at which the oldest was sent; Infinity when none is in flight. */
  get oldestSentMs(): number {
    return this.count === 0 ? Number.POSITIVE_INFINITY : (this.#sentMs[this.#oldest] ?? 0)
  }

  restart(nextStreamSequence: number): void {
    this.count = 0
    this.#oldest = 0
    this.nextStreamSequence = nextStreamSequence
  }

  add(sequence: number, sentMs: number, receivedWallMs: number): void {
    assert(!this.isFull, 'a tick is sent only into room')
    const at = (this.#oldest + this.count) % this.#capacity
    this.#sequences[at] = sequence
    this.#sentMs[at] = sentMs
    this.#receivedWallMs[at] = receivedWallMs
    this.count++
    this.nextStreamSequence++
  }

  /**
   * Takes everything up to `streamSequence` out, calling `done` for each; returns the journal sequence of the last, 0 when it was none
   * in flight. An answer for a tick that was never sent is false.
   */
  acknowledge(streamSequence: number, done: (sentMs: number, receivedWallMs: number) => void): number | false {
    if (streamSequence >= this.nextStreamSequence) return false
    const first = this.nextStreamSequence - this.count
    let last = 0
    for (let next = first; next <= streamSequence; next++) {
      last = this.#sequences[this.#oldest] ?? 0
      done(this.#sentMs[this.#oldest] ?? 0, this.#receivedWallMs[this.#oldest] ?? 0)
      this.#oldest = (this.#oldest + 1) % this.#capacity
      this.count--
    }
    return last
  }
}
