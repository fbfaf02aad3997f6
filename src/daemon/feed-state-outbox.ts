/**
 * Feed states on their way to the bus: in order, kept over an outage, bounded. When more change than are kept, the oldest go: the last
 * one is what counts, and it is never dropped.
 */
import type { BusLink } from '#adapters/bus/tick-bus.ts'
import type { FeedStateMessage } from '#domain/feed-state.ts'

const KEPT_MAX = 64

export class FeedStateOutbox {
  /** States given up because more came than are kept. */
  dropped = 0
  readonly #waiting: string[] = []
  #link: BusLink | null = null
  #sending: Promise<void> | null = null

  get isEmpty(): boolean {
    return this.#waiting.length === 0
  }

  add(message: FeedStateMessage): void {
    this.#waiting.push(JSON.stringify(message))
    // The first may be on its way already, and stays until it is answered.
    if (this.#waiting.length > KEPT_MAX) {
      this.#waiting.splice(this.#sending === null ? 0 : 1, 1)
      this.dropped++
    }
    this.#send()
  }

  /** From now on over this link; null: over none. */
  use(link: BusLink | null): void {
    this.#link = link
    this.#send()
  }

  /** Resolves when nothing waits or the link fails. */
  async settled(): Promise<void> {
    await this.#sending
  }

  #send(): void {
    if (this.#sending !== null || this.#link === null || this.isEmpty) return
    this.#sending = this.#sendAll(this.#link).finally(() => {
      this.#sending = null
      // A new link may have come while the old one was failing.
      if (this.#link !== null && !this.isEmpty) setImmediate(() => this.#send())
    })
  }

  async #sendAll(link: BusLink): Promise<void> {
    for (let json = this.#waiting[0]; json !== undefined; json = this.#waiting[0]) {
      if (this.#link !== link) return
      try {
        await link.publishState(json)
      } catch {
        // The state stays; the link's failure is told where links are kept, and this one is not used for states any more.
        if (this.#link === link) this.#link = null
        return
      }
      this.#waiting.shift()
    }
  }
}
