/**
 * A bounded queue between callbacks and one reader. The reader waits for the kinds it can deal with next, under a deadline and a
 * signal; kinds it does not name stay away from it by being dropped, because a line's story is only ever read forwards. A deadline counts
 * only time in which an answer could have been read.
 */
import type { Clock } from '#clock.ts'
import { assert } from '#domain/assert.ts'

export type Taken<T> = { kind: 'taken'; item: T } | { kind: 'timed-out' } | { kind: 'aborted' }

export interface ReadingTime {
  clock: Clock
  /** CLOCK_MONOTONIC since which answers are read without a break. */
  readingSinceMs(): number
}

export class Inbox<T extends { type: string }> {
  readonly #items: T[] = []
  readonly #capacity: number
  readonly #time: ReadingTime
  #wake: (() => void) | null = null

  constructor(capacity: number, time: ReadingTime) {
    this.#capacity = capacity
    this.#time = time
  }

  put(item: T): void {
    assert(this.#items.length < this.#capacity, `an inbox holds at most ${this.#capacity} items`)
    this.#items.push(item)
    this.#wake?.()
  }

  clear(): void {
    this.#items.length = 0
  }

  /** The next item of one of these types; items of other types before it are discarded. Never rejects. */
  async take<K extends T['type']>(
    types: readonly K[],
    options: { timeoutMs?: number; signal: AbortSignal },
  ): Promise<Taken<Extract<T, { type: K }>>> {
    const { signal, timeoutMs } = options
    const { clock, readingSinceMs } = this.#time
    let timedOut = false
    let fromMs = clock.monotonicMs()
    const expire = () => {
      const sinceMs = readingSinceMs()
      if (timeoutMs !== undefined && sinceMs > fromMs) {
        fromMs = sinceMs
        timer = setTimeout(expire, Math.max(0, sinceMs + timeoutMs - clock.monotonicMs()))
        return
      }
      timedOut = true
      this.#wake?.()
    }
    let timer = timeoutMs === undefined ? undefined : setTimeout(expire, timeoutMs)
    const onAbort = () => this.#wake?.()
    signal.addEventListener('abort', onAbort)
    try {
      for (;;) {
        if (signal.aborted) return { kind: 'aborted' }
        for (let item = this.#items.shift(); item !== undefined; item = this.#items.shift()) {
          if (isOneOf(item, types)) return { kind: 'taken', item }
        }
        if (timedOut) return { kind: 'timed-out' }
        await new Promise<void>((resolve) => {
          this.#wake = resolve
        })
        this.#wake = null
      }
    } finally {
      clearTimeout(timer)
      signal.removeEventListener('abort', onAbort)
    }
  }
}

function isOneOf<T extends { type: string }, K extends T['type']>(
  item: T,
  types: readonly K[],
): item is Extract<T, { type: K }> {
  return types.some((type) => type === item.type)
}
