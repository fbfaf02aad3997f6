/**
 * Time that moves only when told. The real code waits by the global timers, so these are replaced while a simulation runs; between two
 * moments every promise that can settle is let settle, which makes a run a function of its seed.
 */
import type { Clock } from '#clock.ts'

export const MONOTONIC_START_MS = 1_000_000

export class VirtualTimer {
  isCancelled = false
  atMs: number
  readonly order: number
  readonly act: () => void
  readonly everyMs: number | null

  constructor(atMs: number, order: number, act: () => void, everyMs: number | null) {
    this.atMs = atMs
    this.order = order
    this.act = act
    this.everyMs = everyMs
  }

  unref(): this {
    return this
  }
}

const realGlobals = { setTimeout, clearTimeout, setInterval, clearInterval }
const realSetImmediate = setImmediate

export class VirtualTime implements Clock {
  /** The market's time, ms since the epoch. */
  nowMs: number
  #startMs: number
  /** How far the host's wall clock is ahead of the exchanges'. */
  readonly #skewMs: number
  readonly #heap: VirtualTimer[] = []
  #orders = 0

  constructor(startMs: number, skewMs = 0) {
    this.nowMs = startMs
    this.#startMs = startMs
    this.#skewMs = skewMs
  }

  monotonicMs(): number {
    return this.nowMs - this.#startMs + MONOTONIC_START_MS
  }

  wallMs(): number {
    return this.nowMs + this.#skewMs
  }

  after(ms: number, act: () => void): VirtualTimer {
    return this.#add(Math.max(0, ms), act, null)
  }

  every(ms: number, act: () => void): VirtualTimer {
    return this.#add(ms, act, ms)
  }

  /** Moment of the next timer, Infinity when there is none. */
  get nextMs(): number {
    for (let first = this.#heap[0]; first !== undefined; first = this.#heap[0]) {
      if (!first.isCancelled) return first.atMs
      this.#pop()
    }
    return Number.POSITIVE_INFINITY
  }

  /** Moves to the next timer and performs it. */
  fire(): void {
    const timer = this.#pop()
    if (timer === undefined || timer.isCancelled) return
    this.nowMs = Math.max(this.nowMs, timer.atMs)
    if (timer.everyMs !== null) {
      timer.atMs += Math.max(1, timer.everyMs)
      this.#push(timer)
    }
    timer.act()
  }

  /** Leaves out a stretch of market time in which nothing is looked at: CLOCK_MONOTONIC and every timer stand still meanwhile. */
  leaveOut(ms: number): void {
    this.nowMs += ms
    this.#startMs += ms
    for (const timer of this.#heap) timer.atMs += ms
  }

  /** Lets every promise settle that needs no further moment. */
  settle(): Promise<void> {
    return new Promise((resolve) => {
      realSetImmediate(resolve)
    })
  }

  /** Runs `work` with the global timers replaced by this time's. */
  async drive<T>(work: () => Promise<T>): Promise<T> {
    // Node's timers know whole milliseconds, and none below one.
    const whole = (ms: number) => Math.max(1, Math.trunc(ms))
    const timeout = (act: () => void, ms = 0) => this.after(whole(ms), act)
    const interval = (act: () => void, ms = 0) => this.every(whole(ms), act)
    const cancel = (timer: VirtualTimer | undefined) => {
      if (timer !== undefined) timer.isCancelled = true
    }
    Object.assign(globalThis, {
      setTimeout: timeout,
      setInterval: interval,
      clearTimeout: cancel,
      clearInterval: cancel,
    })
    try {
      return await work()
    } finally {
      Object.assign(globalThis, realGlobals)
    }
  }

  #add(ms: number, act: () => void, everyMs: number | null): VirtualTimer {
    const timer = new VirtualTimer(this.nowMs + ms, this.#orders++, act, everyMs)
    this.#push(timer)
    return timer
  }

  #push(timer: VirtualTimer): void {
    const heap = this.#heap
    let i = heap.length
    heap.push(timer)
    while (i > 0) {
      const parent = (i - 1) >> 1
      const above = heap[parent]
      if (above === undefined || !isBefore(timer, above)) break
      heap[i] = above
      i = parent
    }
    heap[i] = timer
  }

  #pop(): VirtualTimer | undefined {
    const heap = this.#heap
    const first = heap[0]
    const last = heap.pop()
    if (first === undefined || last === undefined || heap.length === 0) return first
    let i = 0
    for (;;) {
      const left = heap[2 * i + 1]
      const right = heap[2 * i + 2]
      if (left === undefined) break
      const child = right !== undefined && isBefore(right, left) ? right : left
      if (!isBefore(child, last)) break
      heap[i] = child
      i = child === right ? 2 * i + 2 : 2 * i + 1
    }
    heap[i] = last
    return first
  }
}

function isBefore(a: VirtualTimer, b: VirtualTimer): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order)
}
