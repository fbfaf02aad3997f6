/** How long a switch takes and what it costs, by what happened to the primary and by standby mode: real processes at 20,000 ticks/s. */
import type { FailoverRecord } from '#domain/status.ts'
import { type Fault, runTrials, type TrialFigures } from '../support/failover-trials.ts'

interface Case {
  what: string
  fault: Fault
  standby: 'hot' | 'warm' | 'cold'
  /** The serving line must have moved by then, from the primary's last tick; null where only the figure is wanted. */
  movedWithinMs: number | null
}

const CASES: readonly Case[] = [
  { what: 'hot, primary SIGKILLed', fault: 'kill', standby: 'hot', movedWithinMs: 1_000 },
  { what: 'hot, primary SIGSTOPped', fault: 'stop', standby: 'hot', movedWithinMs: 1_000 },
  { what: 'hot, primary disconnected', fault: 'disconnect', standby: 'hot', movedWithinMs: 1_000 },
  { what: 'hot, primary mute', fault: 'mute', standby: 'hot', movedWithinMs: 5_000 },
  { what: 'warm, primary SIGKILLed', fault: 'kill', standby: 'warm', movedWithinMs: null },
  { what: 'warm, primary disconnected', fault: 'disconnect', standby: 'warm', movedWithinMs: null },
  { what: 'cold, primary SIGKILLed', fault: 'kill', standby: 'cold', movedWithinMs: null },
  { what: 'cold, primary disconnected', fault: 'disconnect', standby: 'cold', movedWithinMs: null },
]
const RATE = { instruments: 500, ticksPerSecond: 20_000 }
const GAP_MAX_MS = 50
/** One daemon does no more, so that the market behind it need not be computed for a quarter of an hour. */
const TRIALS_PER_DAEMON = 5

/** Adds its rows. Returns what was promised and not kept, one sentence each. */
export async function benchFailover(
  repetitions: number,
  add: (what: string, figure: string) => void,
): Promise<string[]> {
  const broken: string[] = []
  for (const { what, fault, standby, movedWithinMs } of CASES) {
    const figures = await inBatches(repetitions, (count) => runTrials({ fault, standby, repetitions: count, ...RATE }))
    const { switches, due, missing, duplicates } = figures
    const moved = sorted(switches.map(({ detect_ms: detect, decide_ms: decide }) => (detect ?? 0) + (decide ?? 0)))
    const gaps = sorted(switches.map(({ gap_ms: ms }) => ms ?? Number.NaN))
    add(`failover ${what} (${switches.length}x): last tick to switch p50 / max`, both(moved))
    add(
      '  decision to first tick, to coverage, max',
      `${ms(worst(switches, 'first_tick_ms'))}, ${ms(worst(switches, 'coverage_restored_ms'))}`,
    )
    add('  gap between accepted ticks p50 / max', both(gaps))
    add('  ticks of the market, missing, duplicates', `${due}, ${missing}, ${duplicates}`)
    if (duplicates > 0) broken.push(`${what}: ${duplicates} duplicates`)
    if (figures.lost > 0)
      broken.push(`${what}: ${figures.lost} ticks lost that a line had brought: ${figures.examples.join(', ')}`)
    if (standby === 'hot' && missing > 0)
      broken.push(`${what}: ${missing} of ${due} ticks missing: ${figures.examples.slice(0, 20).join(', ')}`)
    if (standby === 'hot' && (gaps.at(-1) ?? 0) > GAP_MAX_MS) broken.push(`${what}: a gap of ${ms(gaps.at(-1) ?? 0)}`)
    if (movedWithinMs !== null && (moved.at(-1) ?? 0) > movedWithinMs) {
      broken.push(`${what}: the serving line moved after ${ms(moved.at(-1) ?? 0)}, ${ms(movedWithinMs)} are allowed`)
    }
  }
  return broken
}

async function inBatches(repetitions: number, run: (count: number) => Promise<TrialFigures>): Promise<TrialFigures> {
  const all: TrialFigures = { switches: [], due: 0, missing: 0, lost: 0, examples: [], duplicates: 0, dropped: 0 }
  for (let left = repetitions; left > 0; left -= TRIALS_PER_DAEMON) {
    const figures = await run(Math.min(left, TRIALS_PER_DAEMON))
    all.switches.push(...figures.switches)
    all.due += figures.due
    all.missing += figures.missing
    all.lost += figures.lost
    all.examples.push(...figures.examples)
    all.duplicates += figures.duplicates
    all.dropped += figures.dropped
  }
  return all
}

function worst(switches: readonly FailoverRecord[], field: 'first_tick_ms' | 'coverage_restored_ms'): number {
  return Math.max(...switches.map((each) => each[field] ?? Number.NaN))
}

function sorted(values: readonly number[]): number[] {
  return values.toSorted((a, b) => a - b)
}

function both(values: readonly number[]): string {
  return `${ms(values[values.length >> 1] ?? Number.NaN)} / ${ms(values.at(-1) ?? Number.NaN)}`
}

function ms(value: number): string {
  return `${value.toFixed(value < 10 ? 1 : 0)} ms`
}
