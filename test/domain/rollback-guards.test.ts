import { describe, expect, test } from 'vitest'
import { type GuardLook, type GuardState, guardStep, UNGUARDED } from '#domain/rollback-guards.ts'

const LIMITS = { invalidRatioMax: 0.02, receivedMin: 1_000, delayP95MaxMs: 500, lastingMs: 10_000 }
const WELL = { received: 0, invalid: 0, delayP95Ms: 3, state: 'ACTIVE', marketIsOpen: true } as const

/** One look a second. */
function watched(feeds: readonly GuardLook['feed'][]): GuardState['breach'] {
  return feeds.reduce((state, feed, i) => guardStep(state, { atMs: i * 1_000, feed }, LIMITS), UNGUARDED).breach
}

function seconds(count: number, feed: GuardLook['feed']): GuardLook['feed'][] {
  return Array.from({ length: count }, () => feed)
}

describe('a configuration that has just come up', () => {
  test('does well while ticks are good, fast and there', () => {
    const feeds = Array.from({ length: 120 }, (_, i) => ({ ...WELL, received: i * 5_000, invalid: i * 100 }))
    expect(watched(feeds)).toBeNull()
  })

  test('breaches at more than 2 % of invalid ticks, counted from the first look', () => {
    const first = { ...WELL, received: 10_000, invalid: 9_000 }
    expect(watched([first, { ...first, received: 11_000, invalid: 9_020 }])).toBeNull()
    const breach = watched([first, { ...first, received: 11_000, invalid: 9_021 }])
    expect(breach).toEqual({ kind: 'errors', detail: '21 of 1000 ticks received are invalid (2.1 %)' })
  })

  test('is not judged by a handful of ticks', () => {
    expect(watched([WELL, { ...WELL, received: 999, invalid: 999 }])).toBeNull()
  })

  test.each<[string, GuardLook['feed'], string]>([
    ['a latency above 500 ms', { ...WELL, delayP95Ms: 501 }, 'delay'],
    ['a gap of the open market', { ...WELL, state: 'GAP' }, 'gap'],
    ['a daemon that does not answer', null, 'silent'],
  ])('breaches when %s lasts ten seconds, not when it passes', (_, bad, kind) => {
    expect(watched([...seconds(3, WELL), ...seconds(11, bad)])?.kind).toBe(kind)
    expect(watched([...seconds(3, WELL), ...seconds(10, bad), WELL, ...seconds(10, bad)])).toBeNull()
  })

  test('a closed market has no gaps', () => {
    expect(watched(seconds(60, { ...WELL, state: 'GAP', marketIsOpen: false }))).toBeNull()
  })

  test('looks that are not answered neither begin nor end a gap', () => {
    const gap = { ...WELL, state: 'GAP' } as const
    expect(watched([...seconds(5, gap), ...seconds(4, null), ...seconds(2, gap)])?.kind).toBe('gap')
  })

  test('a breach stays', () => {
    expect(watched([...seconds(11, null), ...seconds(20, WELL)])?.kind).toBe('silent')
  })
})
