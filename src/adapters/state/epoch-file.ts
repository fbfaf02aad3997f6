/**
 * The number of the current serving period, on disk before anybody sees it: consumers take a larger epoch for newer, so one must never
 * be used twice.
 */
import { join } from 'node:path'
import { readIfPresent, writeDurably } from './durable-file.ts'

export class EpochFile {
  readonly #path: string

  constructor(stateDir: string) {
    this.#path = join(stateDir, 'epoch')
  }

  /** The last epoch used, 0 when there was none. A damaged file counts as none and is told by `damaged`. */
  async read(): Promise<{ epoch: number; damaged: boolean }> {
    const text = await readIfPresent(this.#path)
    if (text === null) return { epoch: 0, damaged: false }
    const epoch = Number(text.trim())
    return Number.isSafeInteger(epoch) && epoch >= 0 ? { epoch, damaged: false } : { epoch: 0, damaged: true }
  }

  async write(epoch: number): Promise<void> {
    await writeDurably(this.#path, `${epoch}\n`)
  }
}
