import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  CONTRACT_MARK,
  type CoverageInput,
  coverageSuffices,
  DEFAULT_COVERAGE_POLICY,
  measureCoverage,
} from '#domain/coverage.ts'

const { expected, subscribed, refused, ticked } = CONTRACT_MARK
const POLICY = DEFAULT_COVERAGE_POLICY
const PRODUCTS = [
  { exchange: 'SHFE', product: 'rb' },
  { exchange: 'DCE', product: 'm' },
  { exchange: 'SHFE', product: 'au' },
]

function market(primary: readonly number[], backup: readonly number[] | null): CoverageInput {
  return {
    slots: primary.length,
    marks: { primary: Uint8Array.from(primary), backup: backup === null ? null : Uint8Array.from(backup) },
    productOf: Uint16Array.from(primary, (_, slot) => slot % PRODUCTS.length),
    products: PRODUCTS,
  }
}

describe('coverage', () => {
  it('keeps a refused contract in what is expected, so that refusals never flatter', () => {
    const { primary } = measureCoverage(market([expected | subscribed, expected | refused], null), POLICY)
    expect(primary).toMatchObject({ expected: 2, subscribed: 1, refused: 1, subscribedRatio: 0.5 })
    expect(primary?.missing).toEqual({ slots: [], total: 0 })
    expect(primary?.refusedSlots).toEqual({ slots: [1], total: 1 })
  })

  it('does not demand a contract that may have left on its last day, and counts it while it is subscribed', () => {
    const lastDay = expected | CONTRACT_MARK.lastDay
    const marks = [expected | subscribed, lastDay, lastDay | refused, lastDay | subscribed | ticked]
    const { primary } = measureCoverage(market(marks, null), POLICY)
    expect(primary).toMatchObject({ expected: 2, subscribed: 2, refused: 0, ticked: 1, subscribedRatio: 1 })
    expect(primary?.missing.total).toBe(0)
    expect(primary?.refusedSlots.total).toBe(0)
  })

  it('measures each line against its own list, and tells the contracts that only one line has', () => {
    const coverage = measureCoverage(
      market([expected | subscribed, expected | subscribed, 0], [expected | subscribed, 0, expected]),
      POLICY,
    )
    expect(coverage.primary).toMatchObject({ subscribedRatio: 1, onlyHere: { slots: [1], total: 1 } })
    expect(coverage.backup).toMatchObject({ subscribedRatio: 0.5, onlyHere: { slots: [2], total: 1 } })
  })

  it('has no single-line contracts where there is one line only', () => {
    const coverage = measureCoverage(market([expected | subscribed], null), POLICY)
    expect(coverage.backup).toBeNull()
    expect(coverage.primary?.onlyHere.total).toBe(0)
  })

  it('is unknown, not full, when nothing is expected', () => {
    const { primary } = measureCoverage(market([0, 0], null), POLICY)
    expect(primary).toMatchObject({ expected: 0, subscribedRatio: null, tickedRatio: null })
    expect(coverageSuffices({ subscribedRatio: null }, { threshold: 0, listedMax: 1 })).toBe(false)
  })

  it('counts per exchange and product', () => {
    const full = expected | subscribed | ticked
    const { primary } = measureCoverage(market([full, expected, expected | subscribed, full], null), POLICY)
    expect(
      primary?.exchanges.map(({ exchange, expected, subscribed, ticked }) => [exchange, expected, subscribed, ticked]),
    ).toEqual([
      ['DCE', 1, 0, 0],
      ['SHFE', 3, 3, 2],
    ])
    expect(
      primary?.products.map(({ product, subscribedRatio, tickedRatio }) => [product, subscribedRatio, tickedRatio]),
    ).toEqual([
      ['rb', 1, 1],
      ['m', 0, 0],
      ['au', 1, 0],
    ])
  })

  it('names what is subscribed without being on the list, and does not count it', () => {
    const { primary } = measureCoverage(market([subscribed | ticked, expected], null), POLICY)
    expect(primary).toMatchObject({ expected: 1, subscribed: 0, ticked: 0, unexpected: { slots: [0], total: 1 } })
  })

  it('cuts its lists but not their totals', () => {
    const { primary } = measureCoverage(market(new Array(1_000).fill(expected), null), { ...POLICY, listedMax: 200 })
    expect(primary?.missing.slots).toHaveLength(200)
    expect(primary?.missing.total).toBe(1_000)
  })

  it('never exceeds 1, is never NaN, and adds up, whatever the marks', () => {
    const marks = fc.array(fc.tuple(fc.nat({ max: 15 }), fc.nat({ max: 15 })), { maxLength: 60 })
    fc.assert(
      fc.property(marks, (pairs) => {
        const coverage = measureCoverage(
          market(
            pairs.map(([a]) => a),
            pairs.map(([, b]) => b),
          ),
          POLICY,
        )
        for (const line of [coverage.primary, coverage.backup]) {
          if (line === null) throw new Error('both lines are configured')
          for (const count of [line, ...line.exchanges, ...line.products]) {
            for (const ratio of [count.subscribedRatio, count.tickedRatio]) {
              if (ratio === null) expect(count.expected).toBe(0)
              else expect(ratio >= 0 && ratio <= 1).toBe(true)
            }
          }
          expect(line.subscribed + line.missing.total + line.refusedSlots.total).toBe(line.expected)
          expect(line.refusedSlots.total).toBe(line.refused)
          expect(line.exchanges.reduce((sum, each) => sum + each.subscribed, 0)).toBe(line.subscribed)
          expect(line.products.reduce((sum, each) => sum + each.expected, 0)).toBe(line.expected)
        }
      }),
    )
  })
})
