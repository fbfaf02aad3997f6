// Durations in fixed buckets: quantiles that are right to a bucket's width, and that speak of the present.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { DURATION_EDGES_MS, IntervalHistogram, RecentHistogram } from '#domain/interval-histogram.ts'

const LARGEST = DURATION_EDGES_MS.at(-1) ?? 0
const edgeOf = (ms: number) => DURATION_EDGES_MS.find((edge) => ms <= edge) ?? LARGEST

describe('a histogram', () => {
  test('has edges that rise', () => {
    expect([...DURATION_EDGES_MS].sort((a, b) => a - b)).toEqual(DURATION_EDGES_MS)
    expect(new Set(DURATION_EDGES_MS).size).toBe(DURATION_EDGES_MS.length)
  })

  test('without observations tells no quantile', () => {
    expect(new IntervalHistogram().quantileMs(0.5)).toBeNull()
  })

  test('counts a duration at an edge below it, and what is above all edges too', () => {
    const histogram = new IntervalHistogram()
    histogram.observe(10)
    histogram.observe(10.1)
    histogram.observe(1e9)
    const at = DURATION_EDGES_MS.indexOf(10)
    expect([...histogram.counts].slice(at, at + 2)).toEqual([1, 1])
    expect(histogram.counts.at(-1)).toBe(1)
    expect(histogram).toMatchObject({ total: 3, sumMs: 1e9 + 20.1 })
    expect(histogram.quantileMs(1)).toBe(LARGEST)
  })

  test('tells each quantile as the upper edge of the bucket that holds it', () => {
    fc.assert(
      fc.property(
        fc.array(fc.double({ min: 0, max: 40_000, noNaN: true }), { minLength: 1, maxLength: 200 }),
        fc.double({ min: 0.001, max: 1, noNaN: true }),
        (durations, quantile) => {
          const histogram = new IntervalHistogram()
          for (const ms of durations) histogram.observe(ms)
          const sorted = [...durations].sort((a, b) => a - b)
          const exact = sorted[Math.ceil(quantile * sorted.length) - 1] ?? 0
          expect(histogram.quantileMs(quantile)).toBe(edgeOf(exact))
        },
      ),
    )
  })
})

describe('a histogram of the present', () => {
  test('says nothing before it has seen enough', () => {
    const recent = new RecentHistogram(30_000)
    for (let i = 0; i < 9; i++) recent.observe(5)
    expect(recent.quantileMs(0.5, 0, 10)).toBeNull()
    recent.observe(5)
    expect(recent.quantileMs(0.5, 0, 10)).toBe(5)
  })

  test('remembers one to two spans and forgets what is older', () => {
    const recent = new RecentHistogram(30_000)
    recent.observe(1_000)
    expect(recent.quantileMs(1, 0)).toBe(1_000)
    recent.observe(5)
    expect(recent.quantileMs(1, 29_000)).toBe(1_000)
    recent.turn(31_000)
    recent.observe(5)
    expect(recent.quantileMs(1, 59_000)).toBe(1_000)
    expect(recent.quantileMs(1, 62_000)).toBe(5)
    expect(recent.quantileMs(1, 125_000)).toBeNull()
  })

  test('has nothing of the hours before it was first asked, if it is turned meanwhile', () => {
    const recent = new RecentHistogram(30_000)
    recent.turn(0)
    recent.observe(1_000)
    for (let nowMs = 0; nowMs <= 600_000; nowMs += 100) recent.turn(nowMs)
    recent.observe(5)
    expect(recent.quantileMs(1, 600_000)).toBe(5)
  })

  test('that nobody asked for a long time does not bring back what is long over', () => {
    const recent = new RecentHistogram(30_000)
    expect(recent.quantileMs(1, 0)).toBeNull()
    recent.observe(1_000)
    expect(recent.quantileMs(1, 600_000)).toBeNull()
  })
})
