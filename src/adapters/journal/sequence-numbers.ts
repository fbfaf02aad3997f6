/** Gives sequence numbers out of a block that is reserved on disk, and reserves the next block while half of the last is left. */
import type { FileOperations } from './file-operations.ts'
import { isDiskFull } from './journal-trouble.ts'
import { overwriteReservation, writeReservation } from './sequence-file.ts'

export interface SequenceNumbersOptions {
  directory: string
  files: FileOperations
  reservedAtOnce: number
  retryAfterMs: number
  onFailure(error: unknown, left: number): void
}

export class SequenceNumbers {
  readonly #options: SequenceNumbersOptions
  #next: number
  #end: number
  #reserveAt: number
  #reserving: Promise<void> | null = null
  #failureTold = false

  /** @param range the numbers reserved on disk: from `next` up to but not including `end`. */
  constructor(options: SequenceNumbersOptions, range: { next: number; end: number }) {
    this.#options = options
    this.#next = range.next
    this.#end = range.end
    this.#reserveAt = range.end - options.reservedAtOnce / 2
  }

  get next(): number {
    return this.#next
  }

  /** The next number, or 0 when none is reserved. */
  take(): number {
    if (this.#next >= this.#reserveAt) this.#reserve()
    return this.#next < this.#end ? this.#next++ : 0
  }

  #reserve(): void {
    const { directory, files, reservedAtOnce, retryAfterMs } = this.#options
    const end = this.#end + reservedAtOnce
    // Not asked again while under way, nor before a failure was waited out.
    this.#reserveAt = Number.POSITIVE_INFINITY
    this.#reserving = writeReservation(files, directory, { next: end, last: this.#next - 1, clean: false })
      .then(() => {
        this.#end = end
        this.#reserveAt = end - reservedAtOnce / 2
        this.#failureTold = false
      })
      .catch((error: unknown) => {
        if (!this.#failureTold) this.#options.onFailure(error, this.#end - this.#next)
        this.#failureTold = true
        setTimeout(() => {
          this.#reserveAt = 0
        }, retryAfterMs).unref()
      })
  }

  /** Stores the exact next number. @throws Node's error; the next start then goes on after the reserved block. */
  async close(lastWritten: number, lost: number): Promise<void> {
    await this.#reserving
    this.#end = 0
    const { files, directory } = this.#options
    const reservation = { next: this.#next, last: lastWritten, clean: true, lost }
    try {
      await writeReservation(files, directory, reservation)
    } catch (error) {
      if (!isDiskFull(error)) throw error
      await overwriteReservation(files, directory, reservation)
    }
  }
}
