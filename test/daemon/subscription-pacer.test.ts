// How fast contracts may be asked for: evenly, never in a heap, and never stalled by a wall clock that steps.
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { createSubscriptionPacer, type PacingPolicy } from '#daemon/subscription-pacer.ts'
import { ManualClock } from '../support/manual-clock.ts'

let clock: ManualClock
beforeEach(() => {
  clock = new ManualClock()
})
afterEach(() => clock.dispose())

const never = new AbortController().signal
const DEFAULT: PacingPolicy = { batchSize: 500, maxPerWindow: 500, windowMs: 500, retryDelayMs: 1_000 }

/** When each batch was admitted, ms after the first was asked for. */
async function admissions(policy: PacingPolicy, batches: readonly number[], passMs: number): Promise<number[]> {
  const pacer = createSubscriptionPacer(policy)
  const begunMs = clock.monotonicMs()
  const at: number[] = []
  const asking = (async () => {
    for (const contracts of batches) {
      await pacer.admit(contracts, never)
      at.push(Math.round(clock.monotonicMs() - begunMs))
    }
  })()
  for (let passed = 0; passed < passMs; passed += 10) await clock.pass(10)
  await asking
  return at
}

describe('a pacer', () => {
  test('admits the first batch at once and then one batch per window', async () => {
    const at = await admissions(DEFAULT, [500, 500, 500, 500], 2_000)
    expect(at[0]).toBeLessThanOrEqual(20)
    const gaps = at.slice(1).map((ms, i) => ms - (at[i] ?? 0))
    for (const gap of gaps) {
      expect(gap).toBeGreaterThanOrEqual(495)
      expect(gap).toBeLessThanOrEqual(540)
    }
  })

  test('charges a batch for what it holds: half a batch costs half a window', async () => {
    const at = await admissions(DEFAULT, [250, 500, 500], 2_000)
    expect((at[1] ?? 0) - (at[0] ?? 0)).toBeGreaterThanOrEqual(245)
    expect((at[1] ?? 0) - (at[0] ?? 0)).toBeLessThanOrEqual(290)
    expect((at[2] ?? 0) - (at[1] ?? 0)).toBeGreaterThanOrEqual(495)
  })

  test('with a window of no contracts is off', async () => {
    expect(await admissions({ ...DEFAULT, maxPerWindow: 0 }, [25_000, 25_000, 25_000], 10)).toEqual([0, 0, 0])
  })

  test('ends the wait when it is told to, with the reason, and admits nothing afterwards', async () => {
    for (const policy of [DEFAULT, { ...DEFAULT, maxPerWindow: 0 }]) {
      const pacer = createSubscriptionPacer(policy)
      await Promise.all([pacer.admit(500, never), clock.pass(20)])
      const stop = new AbortController()
      const waiting = pacer.admit(500, stop.signal).then(
        () => 'admitted',
        (reason: Error) => reason.message,
      )
      stop.abort(new Error('logged out'))
      await clock.settle()
      if (policy.maxPerWindow > 0) expect(await waiting).toBe('logged out')
      await expect(pacer.admit(1, stop.signal)).rejects.toThrow('logged out')
    }
  })

  test('goes on within seconds when the wall clock steps back by an hour', async () => {
    const pacer = createSubscriptionPacer(DEFAULT)
    await Promise.all([pacer.admit(500, never), clock.pass(20)])
    let admitted = 0
    const asking = (async () => {
      for (let i = 0; i < 3; i++) {
        await pacer.admit(500, never)
        admitted++
      }
    })()
    vi.setSystemTime(Date.now() - 3_600_000)
    for (let passed = 0; passed < 8_000; passed += 50) await clock.pass(50)
    expect(admitted).toBe(3)
    await asking
  })
})
