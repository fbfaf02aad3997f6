import { describe, expect, test } from 'vitest'
import { attend, beginAttention } from '#domain/attention.ts'

describe('a process that is asked whether it was held up', () => {
  test.each([
    ['goes on reading while it runs often enough', [100, 200, 900, 1_899], 0, 0],
    ['begins anew after a pause', [100, 200, 12_300], 12_300, 12_100],
    ['has read since the last of several pauses', [100, 9_000, 9_100, 20_000], 20_000, 10_900],
    ['tells of a pause once', [100, 9_000, 9_100], 9_000, 0],
  ])('%s', (_, looksMs, sinceMs, pausedMs) => {
    const attention = looksMs.reduce(attend, beginAttention(0))
    expect(attention).toMatchObject({ sinceMs, pausedMs })
  })
})
