import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { CONTRACT_MARK, type LineCoverage, measureCoverage, REFUSED_LISTED_MAX } from '#domain/coverage.ts'

const { expected, subscribed, refused, ticked, lastDay } = CONTRACT_MARK
const PRODUCTS = [
  { exchange: 'SHFE', product: 'rb' },
  { exchange: 'DCE', product: 'm' },
  { exchange: 'SHFE', product: 'au' },
]

/** Contracts with these marks, of one product after the other. */
function coverage(marks: readonly number[]): LineCoverage {
  return measureCoverage({
    marks: Uint8Array.from(marks),
    productOf: Uint16Array.from(marks, (_, slot) => slot % PRODUCTS.length),
    products: PRODUCTS,
  })
}

describe('coverage', () => {
  it('keeps a refused contract in what is expected, so that refusals never flatter', () => {
    const count = coverage([expected | subscribed, expected | refused])
    expect(count).toMatchObject({ expected: 2, subscribed: 1, refused: 1, subscribedRatio: 0.5, refusedSlots: [1] })
  })

  it('does not demand a contract that may have left on its last day, and counts it while it is subscribed', () => {
    const leaving = expected | lastDay
    const count = coverage([expected | subscribed, leaving, leaving | refused, leaving | subscribed | ticked])
    expect(count).toMatchObject({ expected: 2, subscribed: 2, refused: 0, ticked: 1, subscribedRatio: 1 })
    expect(count.refusedSlots).toEqual([])
  })

  it('is unknown, not full, when nothing is expected', () => {
    expect(coverage([0, 0])).toMatchObject({ expected: 0, subscribedRatio: null, tickedRatio: null, exchanges: [] })
  })

  it('counts per exchange and product', () => {
    const full = expected | subscribed | ticked
    const { exchanges, products } = coverage([full, expected, expected | subscribed, full])
    expect(
      exchanges.map(({ exchange, expected, subscribed, ticked }) => [exchange, expected, subscribed, ticked]),
    ).toEqual([
      ['DCE', 1, 0, 0],
      ['SHFE', 3, 3, 2],
    ])
    expect(
      products.map(({ product, subscribedRatio, tickedRatio }) => [product, subscribedRatio, tickedRatio]),
    ).toEqual([
      ['rb', 1, 1],
      ['m', 0, 0],
      ['au', 1, 0],
    ])
  })

  it('does not count what is subscribed without being on the list', () => {
    expect(coverage([subscribed | ticked, expected])).toMatchObject({ expected: 1, subscribed: 0, ticked: 0 })
  })

  it('cuts the list of refused contracts but not their number', () => {
    const count = coverage(new Array(1_000).fill(expected | refused))
    expect(count.refusedSlots).toHaveLength(REFUSED_LISTED_MAX)
    expect(count.refused).toBe(1_000)
  })

  it('never exceeds 1, is never NaN, and adds up, whatever the marks', () => {
    fc.assert(
      fc.property(fc.array(fc.nat({ max: 31 }), { maxLength: 60 }), (marks) => {
        const line = coverage(marks)
        for (const count of [line, ...line.exchanges, ...line.products]) {
          expect(count.subscribed + count.refused).toBeLessThanOrEqual(count.expected)
          for (const ratio of [count.subscribedRatio, count.tickedRatio]) {
            if (ratio === null) expect(count.expected).toBe(0)
            else expect(ratio >= 0 && ratio <= 1).toBe(true)
          }
        }
        expect(line.refusedSlots).toHaveLength(line.refused)
        expect(line.exchanges.reduce((sum, each) => sum + each.subscribed, 0)).toBe(line.subscribed)
        expect(line.products.reduce((sum, each) => sum + each.expected, 0)).toBe(line.expected)
      }),
    )
  })
})
