/** Runs many seeds and tells what went wrong, each with its seed and the smallest schedule that still shows it. */
import { isoShanghai } from '#domain/iso-time.ts'
import { type Schedule, scheduleOf } from './schedule.ts'
import { shrink } from './shrink.ts'
import { type SimulationEnd, type SimulationOptions, simulate } from './simulation.ts'

export interface SeedFailure {
  seed: number
  rule: string
  /** Ready to be read: what went wrong and in which schedule. */
  story: string
}

export interface SeedsEnd {
  seeds: number
  events: number
  counts: SimulationEnd['counts']
  simulatedMs: number
  failures: SeedFailure[]
}

export interface SeedsOptions extends SimulationOptions {
  from: number
  count: number
  /** Stop after so many failures. */
  failuresMax: number
  shrinks: boolean
  progress?: (seed: number) => void
}

export async function simulateSeeds(options: SeedsOptions): Promise<SeedsEnd> {
  const total: SeedsEnd = {
    seeds: 0,
    events: 0,
    counts: {
      delivered: 0,
      accepted: 0,
      duplicate: 0,
      stale: 0,
      invalid: 0,
      offSession: 0,
      rounds: 0,
      switches: 0,
      logins: 0,
    },
    simulatedMs: 0,
    failures: [],
  }
  for (let seed = options.from; seed < options.from + options.count; seed++) {
    const schedule = scheduleOf(seed)
    const end = await simulate(schedule, options)
    total.seeds++
    total.events += end.events
    total.simulatedMs += end.atMs
    for (const [name, count] of Object.entries(end.counts)) total.counts[name as keyof typeof end.counts] += count
    if (end.violation !== null) {
      const smallest = options.shrinks ? await shrink(schedule, end.violation.rule, options) : { schedule, end }
      total.failures.push({ seed, rule: end.violation.rule, story: tell(seed, smallest) })
      if (total.failures.length >= options.failuresMax) break
    }
    options.progress?.(seed)
  }
  return total
}

function tell(seed: number, { schedule, end }: { schedule: Schedule; end: SimulationEnd }): string {
  const { faults, acts, readLate, startMs, ...rest } = schedule
  return [
    `seed ${seed}, ${Math.round(end.atMs)} ms after ${isoShanghai(startMs)}: ${end.violation?.message ?? 'not repeated'}`,
    `  ${JSON.stringify({ startMs, ...rest })}`,
    ...faults.map((fault) => `  fault ${JSON.stringify(fault)}`),
    ...acts.map((act) => `  act   ${JSON.stringify(act)}`),
    ...readLate.map((each) => `  late  ${JSON.stringify(each)}`),
  ].join('\n')
}
