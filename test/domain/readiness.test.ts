import { describe, expect, test } from 'vitest'
import { type Coming, judgeReadiness, type ListProgress } from '#domain/readiness.ts'

const list = (expected: number, subscribed: number, refused = 0): ListProgress => ({ expected, subscribed, refused })
const NEARLY_ALL = 0.995

describe('a feed', () => {
  test.each<[Coming, string, ListProgress, ListProgress | null]>([
    ['ready', 'with every contract subscribed', list(500, 500), null],
    ['ready', 'at the threshold', list(200, 199), list(200, 0)],
    ['ready', 'at the threshold, whatever is refused', list(1_000, 995, 5), null],
    ['coming', 'below it, with contracts unanswered', list(500, 490, 5), null],
    ['coming', 'before it has a list', list(0, 0), null],
    ['refused', 'below it by refusals alone', list(500, 495, 5), null],
    ['refused', 'with one contract of two refused', list(2, 1, 1), list(2, 1, 1)],
    ['refused', 'with all contracts refused', list(500, 0, 500), list(500, 0, 500)],
    ['coming', 'with refusals, while the other line is still asked', list(500, 490, 10), list(500, 100)],
    ['coming', 'with refusals, while the other line could take over', list(500, 490, 10), list(500, 500)],
  ])('is %s %s', (coming, _, serving, other) => {
    expect(judgeReadiness(serving, other, NEARLY_ALL)).toBe(coming)
  })
})
