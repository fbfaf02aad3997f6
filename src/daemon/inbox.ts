/**
 * A bounded queue between callbacks and one reader. The reader waits for the kinds it can deal with next, under a deadline and a
 * signal; kinds it does not name stay away from it by being dropped, because a line's story is only ever read forwards.
 */
import { assert } from '#domain/assert.ts'

export type Taken<T> = { kind: 'taken'; item: T } | { kind: 'timed-out' } | { kind: 'aborted' }

export class Inbox<T extends { type: string }> {
  readonly #items: T[] = []
  readonly #capacity: number
  #wake: (() => void) | null = null

  constructor(capacity: number) {
    this.#capacity = capacity
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
    let timedOut = false
    const timer = timeoutMs === undefined ? undefined : setTimeout(() => expire(), timeoutMs)
    const expire = () => {
      timedOut = true
      this.#wake?.()
    }
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
