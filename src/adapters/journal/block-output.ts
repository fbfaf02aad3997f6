/**
 * Puts blocks into the right segment. A block may have to go to another file than it was planned for, when its own could not be written:
 * that file then begins with the definitions that the lost one had, because each segment must be readable alone.
 */
import type { Clock } from '#clock.ts'
import { BlockBuffer } from './block-buffer.ts'
import type { InstrumentDefinitions } from './instrument-definitions.ts'
import type { SegmentStore } from './segment-store.ts'

export class BlockOutput {
  readonly #store: SegmentStore
  readonly #instruments: InstrumentDefinitions
  readonly #clock: Clock
  /** The planned segment (BlockBuffer.segment) that the store's current file stands for. */
  #storedSegment = 0
  #definitionsAreDue = false
  #isDoubtful = false

  constructor(store: SegmentStore, instruments: InstrumentDefinitions, clock: Clock) {
    this.#store = store
    this.#instruments = instruments
    this.#clock = clock
  }

  /** The next block begins a new file, because the disk may not have kept what the present one was given. */
  distrust(): void {
    this.#isDoubtful = true
  }

  /** Returns the bytes written. @throws Node's error; a second try with the same block is safe. */
  async write(block: BlockBuffer): Promise<number> {
    if (this.#isDoubtful) {
      this.#isDoubtful = false
      await this.#store.abandon()
    }
    if (!this.#store.hasCurrent || this.#storedSegment !== block.segment) {
      const isAgain = this.#storedSegment === block.segment
      await this.#store.start(block.firstSequence)
      this.#storedSegment = block.segment
      this.#definitionsAreDue = isAgain
      void this.#store.sweep()
    }
    if (this.#definitionsAreDue) {
      await this.#repeatDefinitions(block)
      this.#definitionsAreDue = false
    }
    const bytes = block.sealed(this.#clock.wallMs())
    await this.#store.append(bytes, block.lastSequence)
    return bytes.length
  }

  async #repeatDefinitions(before: BlockBuffer): Promise<void> {
    const block = new BlockBuffer()
    const write = async () => {
      await this.#store.append(block.sealed(this.#clock.wallMs()), 0)
      block.begin(before.segment, before.firstSequence)
    }
    block.begin(before.segment, before.firstSequence)
    for (const definition of this.#instruments.definitionsSince(before.segment)) {
      block.addInstrument(definition)
      if (!block.hasRoom()) await write()
    }
    if (!block.isEmpty) await write()
  }
}
