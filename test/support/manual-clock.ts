/** Time that passes when a test says so: timers, CLOCK_MONOTONIC and the wall clock alike. */
import { vi } from 'vitest'
import type { Clock } from '#clock.ts'

export class ManualClock implements Clock {
  constructor(wallMs = Date.parse('2026-11-19T09:30:00+08:00')) {
    vi.useFakeTimers({
      now: wallMs,
      toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'Date', 'performance'],
    })
  }

  monotonicMs(): number {
    return performance.now()
  }

  wallMs(): number {
    return Date.now()
  }

  /** Lets time pass; what is due happens in order, with everything that follows from it. */
  async pass(ms: number): Promise<void> {
    await this.settle()
    await vi.advanceTimersByTimeAsync(ms)
    await this.settle()
  }

  /** Lets everything happen that waits for no time. */
  async settle(): Promise<void> {
    for (let i = 0; i < 5; i++) await new Promise((resolve) => setImmediate(resolve))
  }

  dispose(): void {
    vi.useRealTimers()
  }
}
