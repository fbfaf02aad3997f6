/**
 * Facts of the host that a scrape shows but must not wait for: free space under the journal. Looked up now and then; what can't be found
 * out is unknown, never zero.
 */
import { statfs } from 'node:fs/promises'

const LOOK_EVERY_MS = 10_000

export class HostFacts {
  journalFreeBytes: number | null = null
  readonly #journalDirectory: string
  readonly #timer: NodeJS.Timeout
  #looking = false

  constructor(journalDirectory: string) {
    this.#journalDirectory = journalDirectory
    this.#timer = setInterval(() => void this.look(), LOOK_EVERY_MS)
  }

  /** Never throws. A disk that does not answer is asked once, not again and again. */
  async look(): Promise<void> {
    if (this.#looking) return
    this.#looking = true
    this.journalFreeBytes = await statfs(this.#journalDirectory).then(
      ({ bavail, bsize }) => bavail * bsize,
      () => null,
    )
    this.#looking = false
  }

  close(): void {
    clearInterval(this.#timer)
  }
}
