// Every recorded tick file through the real daemon as both lines, the backup late and with losses: what was traded comes out once each,
// in order, field by field. Needs the recordings, which are not part of the repository; replay-generated.test.ts shows the same without.
import { basename, dirname } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { type Expectation, expectationOf } from '../support/expected-ticks.ts'
import { DaemonHome } from '../support/real-daemon.ts'
import { hasRecordedData, recordedTickFiles } from '../support/recordings.ts'
import {
  expectFaithful,
  expectOtherLineBrought,
  LATE_AND_LOSSY,
  replayThroughDaemon,
} from '../support/replay-through-daemon.ts'

const isHere = hasRecordedData()
const files = isHere ? recordedTickFiles() : []
/** By recorder and instrument: several days at once are one long recording, as a daemon that is not restarted sees it. */
const groups = new Map<string, string[]>()
for (const file of files) {
  const group = `${basename(dirname(file))} ${basename(file).split('.', 1)}`
  groups.set(group, [...(groups.get(group) ?? []), file])
}

const homes: DaemonHome[] = []
afterAll(async () => {
  for (const home of homes) await home.dispose()
})

describe.skipIf(!isHere)(
  'recorded ticks through both lines, the backup 300 ms late and without every twentieth',
  () => {
    test('are the whole collection', () => {
      expect(files.length).toBeGreaterThanOrEqual(27)
      expect([...groups.keys()].sort()).toEqual([
        'java-trader-czce AP010',
        'java-trader-czce AP101',
        'night ru1901',
        'wondertrader-cffex IF_HOT',
      ])
    })

    test.each([...groups])(
      '%s: accepted is what was traded, once each and in order; the rest is told for what it is',
      { timeout: 120_000 },
      async (_group, paths) => {
        const home = new DaemonHome()
        homes.push(home)
        const expected: Expectation = expectationOf(paths)
        const replayed = await replayThroughDaemon(home, paths, LATE_AND_LOSSY)
        expectFaithful(replayed, expected)
        expectOtherLineBrought(replayed.totals, expected, [0.94, 0.96])
        expect(await home.command('verify')).toMatchObject({ code: 0 })
      },
    )
  },
)
