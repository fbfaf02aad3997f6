/**
 * The blocks between `append` and the disk: one being filled, those that are full, one being written. Bounded, and planned into
 * segments here, because a block must know which definitions its segment has already.
 */
import { assert } from '#domain/assert.ts'
import { BLOCK_BYTES, BlockBuffer } from './block-buffer.ts'
import { SEGMENT_HEADER_BYTES } from './journal-format.ts'

/** Kept for reuse when little is waiting. */
const SPARE_MAX = 4

export class HeldBlocks {
  readonly #blocksMax: number
  readonly #segmentBytesMax: number
  readonly #full: BlockBuffer[] = []
  readonly #spare: BlockBuffer[] = []
  #filling: BlockBuffer | null = null
  #writing: BlockBuffer | null = null
  #segment = 1
  #segmentBytes = SEGMENT_HEADER_BYTES

  constructor(bounds: { heldBytesMax: number; segmentBytesMax: number }) {
    // One to fill while one is written is the least that works.
    this.#blocksMax = Math.max(2, Math.floor(bounds.heldBytesMax / BLOCK_BYTES))
    this.#segmentBytesMax = bounds.segmentBytesMax
  }

  /** Bytes of all blocks that are not on disk yet. */
  get bytes(): number {
    return this.#full.reduce(
      (sum, block) => sum + block.bytes,
      (this.#filling?.bytes ?? 0) + (this.#writing?.bytes ?? 0),
    )
  }

  /** Ticks in them. */
  get ticks(): number {
    return this.#full.reduce(
      (sum, block) => sum + block.count,
      (this.#filling?.count ?? 0) + (this.#writing?.count ?? 0),
    )
  }

  get hasFull(): boolean {
    return this.#full.length > 0
  }

  get hasWork(): boolean {
    return this.hasFull || (this.#filling !== null && this.#filling.count > 0)
  }

  /** The block for the next tick, which will have `nextSequence`; null when the bound is reached. */
  filling(nextSequence: number): BlockBuffer | null {
    if (this.#filling?.hasRoom()) return this.#filling
    this.#endFilling()
    if (this.#full.length + (this.#writing === null ? 0 : 1) >= this.#blocksMax) return null
    if (this.#segmentBytes >= this.#segmentBytesMax) this.#planSegment()
    this.#filling = this.#spare.pop() ?? new BlockBuffer()
    this.#filling.begin(this.#segment, nextSequence)
    return this.#filling
  }

  /** Begins a segment with the next block, unless the present one is still empty. */
  rotate(): void {
    this.#endFilling()
    if (this.#segmentBytes > SEGMENT_HEADER_BYTES) this.#planSegment()
  }

  /** Hands out the oldest block, full or not, to be written and released. */
  takeOldest(): BlockBuffer | null {
    assert(this.#writing === null, 'one block is written at a time')
    if (!this.hasFull) this.#endFilling()
    this.#writing = this.#full.shift() ?? null
    return this.#writing
  }

  /** The block handed out is on disk, or given up. */
  release(): void {
    if (this.#writing !== null && this.#spare.length < SPARE_MAX) this.#spare.push(this.#writing)
    this.#writing = null
  }

  #endFilling(): void {
    const block = this.#filling
    if (block === null || block.count === 0) return
    this.#full.push(block)
    this.#segmentBytes += block.bytes
    this.#filling = null
  }

  #planSegment(): void {
    this.#segment++
    this.#segmentBytes = SEGMENT_HEADER_BYTES
  }
}
