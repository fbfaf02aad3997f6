// What the guards are shown of a line: counts of the configured window, no older ones.
import { expect, test } from 'vitest'
import { EvidenceKeeper } from '#daemon/line-evidence.ts'
import { TickPath } from '#daemon/tick-path.ts'
import { Arbiter, Outcome } from '#domain/arbitration.ts'
import { InstrumentTable } from '#domain/instrument-table.ts'
import { alwaysOpenCalendar, LiveSessions } from '#domain/session-calendar.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { ScriptedLine, SECOND } from '../support/scripted-line.ts'

test.each([
  [{}, 60],
  [{ guardWindowMs: 5_000 }, 5],
  [{ guardWindowMs: 90_500 }, 91],
])('with the window %j invalid ticks of %i seconds count', async (window, seconds) => {
  const clock = new ManualClock()
  const rig = new ScriptedLine(clock, { wanted: 'off' })
  const calendar = alwaysOpenCalendar()
  const path = new TickPath({
    arbiter: new Arbiter(new LiveSessions(calendar)),
    table: new InstrumentTable(),
    log: { append: () => 1 },
  })
  const [primary] = path.lines
  const evidence = new EvidenceKeeper({
    ...{ path, calendar, ...window },
    sessions: { primary: rig.session, backup: null },
    readingSinceMs: () => 0,
    nowMs: clock.monotonicMs(),
    marketMs: clock.wallMs(),
  })
  for (let second = 0; second < 200; second++) {
    await clock.pass(SECOND)
    primary.outcomes[Outcome.accepted] = 9 * (second + 1)
    primary.outcomes[Outcome.invalid] = second + 1
    evidence.update(clock.monotonicMs(), clock.wallMs())
  }
  const { recent } = evidence.evidenceOf(rig.session, clock.monotonicMs())
  expect(recent).toEqual({ received: 10 * seconds, invalid: seconds })
  await rig.end()
  clock.dispose()
})
