/** Plays recordings through the real daemon and holds what comes out against what was recorded. */
import { expect } from 'vitest'
import type { JournalTick } from '#adapters/journal/journal-tick.ts'
import type { TickTotals } from '#domain/status.ts'
import type { Expectation } from './expected-ticks.ts'
import type { DaemonHome } from './real-daemon.ts'

/** The backup is late and has holes; for ever, from the first row. */
export const LATE_AND_LOSSY = [
  { at_ms: 0, line: 'backup', fault: 'lag', by_ms: 300 },
  { at_ms: 0, line: 'backup', fault: 'lose', ratio: 0.05 },
]

export interface Replayed {
  totals: TickTotals
  /** In sessions, by instrument, in journal order. */
  accepted: Map<string, JournalTick[]>
  offSession: JournalTick[]
  /** Sequence numbers in journal order. */
  sequences: number[]
}

export async function replayThroughDaemon(
  home: DaemonHome,
  paths: readonly string[],
  scenario: readonly object[],
  env: Readonly<Record<string, string>> = {},
): Promise<Replayed> {
  const daemon = home.start({
    args: ['--until-end'],
    scenario,
    env: { FEED_ADAPTER: 'replay', REPLAY_FILES: paths.join(','), REPLAY_SPEED: '0', ...env },
  })
  const { code } = await daemon.ended
  expect(code, daemon.stderr.slice(-3_000)).toBe(0)
  const { outcome, ticks } = daemon.report()
  expect(outcome).toBe('replay-over')
  if (ticks === undefined) throw new Error('a replay that is over tells its ticks')
  const replayed: Replayed = { totals: ticks, accepted: new Map(), offSession: [], sequences: [] }
  await home.eachTick(
    (tick) => {
      replayed.sequences.push(tick.seq)
      if (tick.off_session === true) {
        replayed.offSession.push(tick)
        return
      }
      const ticksOf = replayed.accepted.get(tick.symbol) ?? []
      replayed.accepted.set(tick.symbol, ticksOf)
      ticksOf.push(tick)
    },
    { offSession: true },
  )
  return replayed
}

/** Accepted is exactly what was traded, in order and field by field; everything else is accounted for. */
export function expectFaithful({ totals, accepted, offSession, sequences }: Replayed, expected: Expectation): void {
  expect([...accepted.keys()].sort()).toEqual([...expected.inSession.keys()].sort())
  let acceptedTotal = 0
  for (const [symbol, wanted] of expected.inSession) {
    const got = accepted.get(symbol) ?? []
    acceptedTotal += wanted.length
    // The first difference says more than two lists of thousands.
    const length = Math.max(got.length, wanted.length)
    for (let i = 0; i < length; i++) {
      const want = wanted[i]?.fields
      const { line: _line, epoch: _epoch, seq: _seq, host: _host, localtime: _local, ...fields } = got[i] ?? {}
      if (!areEqual(fields, want)) {
        expect(fields, `${symbol}: accepted tick ${i} of ${got.length}, expected ${wanted.length}`).toEqual(want)
      }
    }
  }
  expect(totals.accepted).toBe(acceptedTotal)
  expect(totals.off_session).toBe(expected.offSession)
  expect(offSession).toHaveLength(expected.offSession)
  // One line brings every row, the other one may lose some.
  expect(totals.invalid).toBeGreaterThanOrEqual(expected.invalid)
  expect(totals.invalid).toBeLessThanOrEqual(2 * expected.invalid)
  expect(totals.duplicate).toBeGreaterThanOrEqual(expected.repeated)
  expect(sequences.length).toBe(acceptedTotal + expected.offSession)
  for (let i = 1; i < sequences.length; i++) {
    if ((sequences[i] ?? 0) <= (sequences[i - 1] ?? 0)) expect(sequences[i]).toBeGreaterThan(sequences[i - 1] ?? 0)
  }
}

function areEqual(a: object, b: object | undefined): boolean {
  if (b === undefined) return false
  const entries = Object.entries(a)
  return entries.length === Object.keys(b).length && entries.every(([name, value]) => Reflect.get(b, name) === value)
}

/** Every row came at least once from the line that loses nothing; what the other one brought is duplicate or stale, row by row. */
export function expectOtherLineBrought(
  totals: TickTotals,
  expected: Expectation,
  share: readonly [number, number],
): void {
  const delivered = totals.accepted + totals.duplicate + totals.stale + totals.invalid + totals.off_session
  const byOther = (delivered - expected.rows) / expected.rows
  expect(byOther, `the other line brought ${byOther} of all rows`).toBeGreaterThan(share[0])
  expect(byOther, `the other line brought ${byOther} of all rows`).toBeLessThan(share[1])
}
