import { describe, expect, test } from 'vitest'
import { RequestGate } from '#domain/request-gate.ts'

const POLICY = { answerMsPerSecond: 100, requestsPerSecond: 50, bytesPerSecond: 1000, shutMs: 1000 }

describe('requests from strangers', () => {
  test('are answered while answering takes no more than its share of a second', () => {
    const gate = new RequestGate(POLICY)
    expect(gate.admit(1, 0)).toBe('answer')
    gate.spent(99)
    expect(gate.admit(1, 500)).toBe('answer')
    gate.spent(2)
    expect(gate.admit(1, 900)).toBe('busy')
    expect(gate.admit(1, 1000)).toBe('answer')
  })

  test('that took long are paid off over the seconds after', () => {
    const gate = new RequestGate(POLICY)
    gate.admit(1, 0)
    gate.spent(350)
    expect([1000, 2000, 3000, 4000].map((nowMs) => gate.admit(1, nowMs))).toEqual(['busy', 'busy', 'answer', 'answer'])
  })

  test.each([
    ['too many', Array(51).fill(1)],
    ['too large together', [600, 500]],
  ])('that are %s shut the door until the next second', (_what, sizes) => {
    const gate = new RequestGate(POLICY)
    const last = sizes.map((bytes) => gate.admit(bytes, 0)).at(-1)
    expect(last).toBe('shut')
    expect(gate.admit(1, 999)).toBe('shut')
    expect(gate.admit(1, 1000)).toBe('answer')
  })
})
