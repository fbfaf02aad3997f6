// Hours of random faults on both lines in seconds of virtual time: nothing may be lost, doubled or decided without cause. More seeds:
// `npm run simulate -- --seeds N`. Rules broken on purpose show that the oracle sees.
import { describe, expect, it } from 'vitest'
import { BROKEN_RULES } from './broken-rules.ts'
import { FOUND_SCHEDULES } from './found-schedules.ts'
import { scheduleOf } from './schedule.ts'
import { simulateSeeds } from './simulate-seeds.ts'
import { simulate } from './simulation.ts'

/** A noisy machine takes long; nothing here depends on how long. */
const PATIENCE_MS = 600_000
const SEEDS = 50

describe('random schedules of faults', { timeout: PATIENCE_MS }, () => {
  it.each([1, 51, 101, 151])(`%i and the ${SEEDS - 1} after it end without a violation`, async (from) => {
    const end = await simulateSeeds({ from, count: SEEDS, failuresMax: 1, shrinks: true })
    expect(end.failures.map(({ story }) => story).join('\n')).toBe('')
    // A simulation in which nothing happens proves nothing.
    expect(end.counts.accepted).toBeGreaterThan(1_000 * SEEDS)
    expect(end.counts.switches).toBeGreaterThan(SEEDS / 4)
    expect(end.counts.logins).toBeGreaterThan(2 * SEEDS)
  })

  it('are the same each time', async () => {
    const schedule = scheduleOf(7)
    const [first, second] = [await simulate(schedule), await simulate(schedule)]
    expect(second).toEqual(first)
  })
})

describe('a rule broken on purpose is noticed', { timeout: PATIENCE_MS }, () => {
  it.each(BROKEN_RULES)('%s', async (_title, noticedBy, broken, seeds) => {
    const rules: string[] = []
    for (let seed = 1; seed <= seeds && !rules.some((rule) => noticedBy.some((each) => each === rule)); seed++) {
      const { violation } = await simulate(scheduleOf(seed), { broken })
      if (violation !== null) rules.push(violation.rule)
    }
    expect(noticedBy).toContain(rules.at(-1))
  })

  it('with its seed and the faults that it takes, and no more', async () => {
    const [, , broken] = BROKEN_RULES.find(([title]) => title === 'logins are not counted') ?? []
    const end = await simulateSeeds({ from: 1, count: 100, failuresMax: 1, shrinks: true, broken: broken ?? {} })
    const [failure] = end.failures
    expect(failure?.rule).toBe('login-budget')
    expect(failure?.story).toMatch(new RegExp(`^seed ${failure?.seed}, \\d+ ms after 2026-`))
    const told = failure?.story.split('\n').filter((line) => line.startsWith('  fault')) ?? []
    expect(told.length).toBeLessThanOrEqual(scheduleOf(failure?.seed ?? 0).faults.length)
    expect(told.length).toBeLessThanOrEqual(3)
  })
})

describe('what simulations have found stays mended', { timeout: PATIENCE_MS }, () => {
  it.each(FOUND_SCHEDULES)('%s', async (_title, schedule, options) => {
    const end = await simulate(schedule, options)
    expect(end.violation?.message).toBeUndefined()
    expect(end.counts.accepted).toBeGreaterThan(0)
  })
})
