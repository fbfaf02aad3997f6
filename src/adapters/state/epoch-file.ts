/**
 * The number of the current serving period, on disk before anybody sees it: consumers take a larger epoch for newer, so one must never
 * be used twice.
 */
import { join } from 'node:path'
import { sleep } from '#clock.ts'
import { problemOf } from '#domain/failure.ts'
import { readIfPresent, writeDurably } from './durable-file.ts'

export class EpochFile {
  readonly #path: string

  constructor(stateDir: string) {
    this.#path = join(stateDir, 'epoch')
  }

  /** The last epoch used or reserved, 0 when there was none. A damaged file counts as none and is told by `damaged`. */
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

/** So many epochs are on disk before any of them is used, and more are asked for while this many are left. */
const RESERVED = 16
const RENEW_BELOW = 8
/** A failover must not wait for a disk that does not answer. */
const WRITE_DEADLINE_MS = 1_500

/**
 * Epochs are reserved some ahead: the next one is known not to be used again without a word from the disk, which may be full or hang just
 * when the line is changed. What was reserved and not used is left out by the next life.
 */
export class EpochReserve {
  readonly #file: Pick<EpochFile, 'write'>
  readonly #onTrouble: (message: string) => void
  #reserved = 0
  #renewing: Promise<void> | null = null

  constructor(file: Pick<EpochFile, 'write'>, onTrouble: (message: string) => void) {
    this.#file = file
    this.#onTrouble = onTrouble
  }

  /** Resolves when this epoch can't be used again after a crash. Rejects when the disk does not take it, or not in time. */
  async write(epoch: number): Promise<void> {
    if (epoch <= this.#reserved) {
      if (this.#reserved - epoch < RENEW_BELOW) {
        this.#renew(epoch).catch((error: unknown) =>
          this.#onTrouble(`no further epochs can be reserved on disk: ${problemOf(error).message}`),
        )
      }
      return
    }
    const answered = new AbortController()
    const tooLate = sleep(WRITE_DEADLINE_MS, answered.signal).then(() => {
      throw new Error(`the disk did not answer within ${WRITE_DEADLINE_MS} ms`)
    })
    const renewed = this.#renew(epoch)
    await Promise.race([renewed, tooLate]).finally(() => {
      answered.abort()
      for (const late of [renewed, tooLate]) late.catch(() => undefined)
    })
  }

  /** One write at a time: a disk that hangs is not asked over and over. */
  #renew(epoch: number): Promise<void> {
    const upTo = epoch + RESERVED - 1
    this.#renewing ??= this.#file
      .write(upTo)
      .then(() => {
        this.#reserved = Math.max(this.#reserved, upTo)
      })
      .finally(() => {
        this.#renewing = null
      })
    return this.#renewing
  }
}
