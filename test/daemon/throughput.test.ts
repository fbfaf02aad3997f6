import { expect, test } from 'vitest'
import { Throughput } from '#daemon/feed-status.ts'

/** Rates told at these moments, sampled ten times a second; nothing comes before `fromMs`, then `perSecond`. */
function ratesOf(
  { fromMs, untilMs, perSecond }: { fromMs: number; untilMs: number; perSecond: number },
  momentsMs: number[],
) {
  const throughput = new Throughput()
  const rates: number[] = []
  for (let nowMs = 0; nowMs <= 60_000; nowMs += 100) {
    throughput.sample((Math.max(0, Math.min(nowMs, untilMs) - fromMs) * perSecond) / 1_000, nowMs + 5_000_000)
    if (momentsMs.includes(nowMs)) rates.push(Math.round(throughput.perSecond))
  }
  return rates
}

test('a rate is told within a second of the first tick, and does not overshoot', () => {
  const rates = ratesOf({ fromMs: 2_000, untilMs: 60_000, perSecond: 1_000 }, [2_000, 3_000, 4_000, 8_000, 30_000])
  expect(rates[0]).toBe(0)
  for (const rate of rates.slice(1)) expect(Math.abs(rate - 1_000)).toBeLessThanOrEqual(150)
})

test('it is zero five seconds after the last tick', () => {
  const rates = ratesOf({ fromMs: 0, untilMs: 20_000, perSecond: 400 }, [20_000, 22_500, 25_500, 40_000])
  expect(rates[0]).toBe(400)
  expect(rates[1]).toBeGreaterThan(150)
  expect(rates.slice(2)).toEqual([0, 0])
})
