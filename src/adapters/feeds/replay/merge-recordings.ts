/**
 * Several recordings as one stream of rows in recording time; rows of the same moment come in the order of the files. A file is opened
 * when the stream reaches its first row and closed at its end, so what is held in memory is bounded by how many files overlap in time.
 */
import { type RecordedInstruments, type RecordingBlock, type RecordingOptions, readRecording } from './recording.ts'

export interface RecordingFile {
  path: string
  firstRowMs: number
}

interface Cursor {
  blocks: AsyncGenerator<RecordingBlock>
  /** Place in the list of files. */
  order: number
  block: RecordingBlock
  row: number
}

export class MergedRecordings {
  readonly #instruments: RecordedInstruments
  readonly #options: RecordingOptions
  readonly #unopened: (RecordingFile & { order: number })[]
  readonly #open: Cursor[] = []
  #current: Cursor | undefined

  constructor(files: readonly RecordingFile[], instruments: RecordedInstruments, options: RecordingOptions) {
    this.#instruments = instruments
    this.#options = options
    this.#unopened = files
      .map((file, order) => ({ ...file, order }))
      .filter(({ firstRowMs }) => firstRowMs !== Number.POSITIVE_INFINITY)
      .sort((a, b) => a.firstRowMs - b.firstRowMs || a.order - b.order)
  }

  /** The row that the stream stands at; undefined until `fill`, and when the next one must be fetched first. */
  get block(): RecordingBlock | undefined {
    return this.#current?.block
  }

  /** Row within `block`. */
  get row(): number {
    return this.#current?.row ?? 0
  }

  get recordingMs(): number {
    return this.#current === undefined ? Number.POSITIVE_INFINITY : timeOf(this.#current)
  }

  /**
   * Fetches what is needed to know the next row; false when there is none.
   * @throws Failure as readRecording does
   */
  async fill(): Promise<boolean> {
    if (this.#current !== undefined) return true
    for (const cursor of [...this.#open]) {
      if (cursor.row >= cursor.block.count) await this.#nextBlock(cursor)
    }
    for (;;) {
      this.#choose()
      const next = this.#unopened[0]
      if (next === undefined || (this.#current !== undefined && next.firstRowMs > this.recordingMs)) break
      this.#unopened.shift()
      await this.#openFile(next)
    }
    return this.#current !== undefined
  }

  /** Passes over the present row. */
  advance(): void {
    const current = this.#current
    if (current === undefined) return
    current.row += 1
    const nextFileMs = this.#unopened[0]?.firstRowMs ?? Number.POSITIVE_INFINITY
    if (current.row >= current.block.count) this.#current = undefined
    else {
      this.#choose()
      if (this.recordingMs >= nextFileMs) this.#current = undefined
    }
  }

  #choose(): void {
    let first: Cursor | undefined
    for (const cursor of this.#open) {
      if (first === undefined) first = cursor
      else {
        const difference = timeOf(cursor) - timeOf(first)
        if (difference < 0 || (difference === 0 && cursor.order < first.order)) first = cursor
      }
    }
    this.#current = first
  }

  async #openFile({ path, order }: RecordingFile & { order: number }): Promise<void> {
    const blocks = readRecording(path, this.#instruments, this.#options)
    const { done, value } = await blocks.next()
    if (!done) this.#open.push({ blocks, order, block: value, row: 0 })
  }

  async #nextBlock(cursor: Cursor): Promise<void> {
    const { done, value } = await cursor.blocks.next()
    if (done) this.#open.splice(this.#open.indexOf(cursor), 1)
    else {
      cursor.block = value
      cursor.row = 0
    }
  }
}

function timeOf({ block, row }: Cursor): number {
  return block.recordingMs[row] ?? Number.POSITIVE_INFINITY
}
