/** The smallest part of a schedule that still goes wrong in the same way: faults and acts are left out one by one while it does. */
import type { Rule } from './oracle.ts'
import type { Schedule } from './schedule.ts'
import { type SimulationEnd, type SimulationOptions, simulate } from './simulation.ts'

const ATTEMPTS_MAX = 300

export async function shrink(
  schedule: Schedule,
  rule: Rule,
  options: SimulationOptions = {},
): Promise<{ schedule: Schedule; end: SimulationEnd }> {
  let smallest = schedule
  let end = await simulate(schedule, options)
  let attempts = 0
  const goesWrong = async (candidate: Schedule): Promise<boolean> => {
    if (++attempts > ATTEMPTS_MAX) return false
    const outcome = await simulate(candidate, options)
    if (outcome.violation?.rule !== rule) return false
    smallest = candidate
    end = outcome
    return true
  }
  for (let isSmaller = true; isSmaller; ) {
    isSmaller = false
    for (let i = smallest.faults.length - 1; i >= 0; i--) {
      const faults = smallest.faults.filter((_, k) => k !== i)
      isSmaller = (await goesWrong({ ...smallest, faults })) || isSmaller
    }
    for (let i = smallest.acts.length - 1; i >= 0; i--) {
      const acts = smallest.acts.filter((_, k) => k !== i)
      isSmaller = (await goesWrong({ ...smallest, acts })) || isSmaller
    }
    for (let i = smallest.readLate.length - 1; i >= 0; i--) {
      const readLate = smallest.readLate.filter((_, k) => k !== i)
      isSmaller = (await goesWrong({ ...smallest, readLate })) || isSmaller
    }
  }
  const plain: Partial<Schedule>[] = [
    { standby: 'hot' },
    { linesShareAccount: false },
    { linesShareFront: false },
    { skewMs: 0 },
    { loginsPerMinute: 5 },
    { home: 'primary' },
    { reconnectMs: 1_000 },
  ]
  for (const simpler of plain) {
    if (JSON.stringify({ ...smallest, ...simpler }) !== JSON.stringify(smallest))
      await goesWrong({ ...smallest, ...simpler })
  }
  return { schedule: smallest, end }
}
