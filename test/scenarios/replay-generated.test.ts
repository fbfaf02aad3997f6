// Invented recordings with the vendor's quirks through the real daemon: what replay-recorded.test.ts shows on real ticks, anywhere.
import { readFileSync } from 'node:fs'
import { afterAll, describe, expect, test } from 'vitest'
import { expectationOf } from '../support/expected-ticks.ts'
import { generateRecordings } from '../support/generated-recordings.ts'
import { DaemonHome } from '../support/real-daemon.ts'
import { TemporaryFiles } from '../support/recordings.ts'
import {
  expectFaithful,
  expectOtherLineBrought,
  LATE_AND_LOSSY,
  replayThroughDaemon,
} from '../support/replay-through-daemon.ts'

const files = new TemporaryFiles()
const homes: DaemonHome[] = []
afterAll(async () => {
  for (const home of homes) await home.dispose()
  files.dispose()
})

function newHome(): DaemonHome {
  const home = new DaemonHome()
  homes.push(home)
  return home
}

/** The generator's own columns say which day it truly was. */
const TRUE_DATES = {
  dateOf: (row: Record<string, string>) => row['TrueDate'] ?? '',
  tradingDayOf: (row: Record<string, string>) => row['TrueTradingDay'] ?? '',
}

describe('a weekend of five contracts of three exchanges', { timeout: 60_000 }, () => {
  const seed = 20_261_120
  const { paths, invalid } = generateRecordings(files, seed)
  const expected = expectationOf(paths, TRUE_DATES)

  test('holds every quirk that is to be survived', () => {
    expect(expected.inSession.size).toBe(5)
    expect(expected.invalid).toBe(invalid)
    expect(invalid).toBeGreaterThan(20)
    expect(expected.repeated).toBeGreaterThanOrEqual(10)
    expect(expected.offSession).toBeGreaterThan(20)
    const sugar = expected.inSession.get('SR701') ?? []
    const stamps = sugar.map(({ fields }) => `${fields['datetime']} ${fields['volume']}`)
    expect(stamps.length - new Set(stamps).size).toBeGreaterThan(50)
    const gold = (expected.inSession.get('au2702') ?? []).map(({ fields }) => String(fields['datetime']))
    expect(gold.some((time) => time > '2026-11-20T23:5')).toBe(true)
    expect(gold.some((time) => time > '2026-11-21T00:0' && time < '2026-11-21T02:31')).toBe(true)
  })

  test('the backup late and with holes: accepted is what was traded, once each, in order, field by field', async () => {
    const replayed = await replayThroughDaemon(newHome(), paths, LATE_AND_LOSSY)
    expectFaithful(replayed, expected)
    expectOtherLineBrought(replayed.totals, expected, [0.9, 0.99])
  })

  test('the lines silent by turns: each fills the holes of the other', async () => {
    const [turn, overlap, hours] = [20 * 60_000, 5_000, 24 * 4 + 1]
    const silences = Array.from({ length: (hours * 60) / 40 }, (_, i) => [
      { at_ms: i * 2 * turn, line: 'primary', fault: 'mute', for_ms: turn },
      { at_ms: (i * 2 + 1) * turn + overlap, line: 'backup', fault: 'mute', for_ms: turn - 2 * overlap },
    ]).flat()
    const replayed = await replayThroughDaemon(newHome(), paths, silences)
    expectFaithful({ ...replayed, totals: { ...replayed.totals, duplicate: expected.repeated } }, expected)
    const ticks = [...replayed.accepted.values()].flat()
    for (const line of ['primary', 'backup']) {
      expect(ticks.filter((tick) => tick.line === line).length).toBeGreaterThan(ticks.length / 4)
    }
  })

  test('duplicates and rewinds on top: nothing is accepted twice', async () => {
    const hour = 3_600_000
    const replayed = await replayThroughDaemon(newHome(), paths, [
      ...LATE_AND_LOSSY,
      { at_ms: 0, line: 'both', fault: 'duplicate' },
      ...Array.from({ length: 90 }, (_, i) => ({ at_ms: i * hour, line: 'backup', fault: 'rewind', by_ms: 600_000 })),
      ...Array.from({ length: 90 }, (_, i) => ({
        at_ms: i * hour + hour / 2,
        line: 'primary',
        fault: 'rewind',
        by_ms: 60_000,
      })),
    ])
    // Each copy of a row that no exchange sends is invalid again.
    expectFaithful({ ...replayed, totals: { ...replayed.totals, invalid: expected.invalid } }, expected)
    expect(replayed.totals.invalid).toBeGreaterThan(2 * expected.invalid)
    expect(replayed.totals.duplicate).toBeGreaterThan(expected.rows)
  })

  test('played at a pace instead of as fast as it goes, the outcome is the same', async () => {
    const replayed = await replayThroughDaemon(newHome(), paths, LATE_AND_LOSSY, { REPLAY_SPEED: '20000' })
    expectFaithful(replayed, expected)
  })

  test.each(['primary', 'backup'])('with the other line silent from start to end, %s is enough', async (line) => {
    const other = line === 'primary' ? 'backup' : 'primary'
    const replayed = await replayThroughDaemon(newHome(), paths, [{ at_ms: 0, line: other, fault: 'mute' }])
    expectFaithful(replayed, expected)
    expect([...replayed.accepted.values()].flat().every((tick) => tick.line === line)).toBe(true)
  })
})

test('the same seed gives the same recordings, another seed others', () => {
  const again = new TemporaryFiles()
  const bytes = (seed: number) =>
    generateRecordings(again, seed).paths.map((path) => readFileSync(path).toString('hex'))
  const once = bytes(7)
  expect(bytes(7)).toEqual(once)
  expect(bytes(8)).not.toEqual(once)
  again.dispose()
})
