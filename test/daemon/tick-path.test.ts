// What happens to every tick: classified, counted, kept; and which ticks speak for a line being alive.
import { describe, expect, test } from 'vitest'
import { TickPath } from '#daemon/tick-path.ts'
import { Arbiter, OUTCOME_NAMES } from '#domain/arbitration.ts'
import { InstrumentTable } from '#domain/instrument-table.ts'
import { type Line, lineIndex } from '#domain/line.ts'
import { LiveSessions } from '#domain/session-calendar.ts'
import { moment, realCalendar, type TickWords, tickRecord } from '../support/tick-builder.ts'

interface Kept {
  slot: number
  line: number
  eventMs: number
  tradingDay: number
  epoch: number
  offSession: boolean
}

class Rig {
  readonly kept: Kept[] = []
  readonly path: TickPath
  readonly arbiter: Arbiter
  readonly slot: number
  sequence = 0
  logIsFull = false

  constructor() {
    const sessions = new LiveSessions(realCalendar())
    const table = new InstrumentTable()
    this.slot = table.add({ symbol: 'rb2605', exchange: 'SHFE', product: 'rb' }, sessions.productIndex('SHFE', 'rb'))
    this.arbiter = new Arbiter(sessions)
    this.path = new TickPath({
      arbiter: this.arbiter,
      table,
      log: {
        append: (_views, _at, slot, line, tick) => {
          if (this.logIsFull) return 0
          this.kept.push({ slot, line, ...tick })
          return ++this.sequence
        },
      },
    })
    this.path.epoch = 7
  }

  take(line: Line, time: string, volume: number, words: Partial<TickWords> = {}): string {
    const eventMs = moment(time)
    this.path.readAtMs = words.receivedMonotonicMs ?? eventMs
    const outcome = this.path.take(lineIndex(line), this.slot, tickRecord({ eventMs, volume, ...words }), 0)
    return outcome < 0 ? 'unknown' : (OUTCOME_NAMES[outcome as 0] as string)
  }
}

describe('the tick path', () => {
  test('keeps news and what was said outside sessions, stamped with epoch, day and line, and nothing else', () => {
    const rig = new Rig()
    expect(rig.take('primary', '10:00:00', 10)).toBe('accepted')
    expect(rig.take('backup', '10:00:00', 10)).toBe('duplicate')
    expect(rig.take('backup', '09:59:59', 9)).toBe('stale')
    expect(rig.take('primary', '10:00:01', -1)).toBe('invalid')
    expect(rig.take('backup', '15:30:00', 10)).toBe('off_session')
    expect(rig.take('backup', '2026-11-19 21:00:00', 1)).toBe('accepted')
    expect(rig.kept).toEqual([
      { slot: 0, line: 0, eventMs: moment('10:00:00'), tradingDay: 20261119, epoch: 7, offSession: false },
      { slot: 0, line: 1, eventMs: moment('15:30:00'), tradingDay: 20261119, epoch: 7, offSession: true },
      { slot: 0, line: 1, eventMs: moment('21:00:00'), tradingDay: 20261120, epoch: 7, offSession: false },
    ])
    expect(rig.path.accepted).toBe(2)
    expect([...rig.path.lines[0].outcomes]).toEqual([1, 0, 0, 1, 0])
    expect([...rig.path.lines[1].outcomes]).toEqual([1, 1, 1, 0, 1])
    expect(rig.path.lines.map(({ firstArrivals }) => firstArrivals)).toEqual([1, 1])
  })

  test('counts ticks of instruments that were never explained, and looks no further at them', () => {
    const rig = new Rig()
    expect(rig.path.take(0, -1, tickRecord({ eventMs: moment('10:00:00') }), 0)).toBe(-1)
    expect(rig.path.lines[0]).toMatchObject({ unknown: 1, received: 0 })
    expect(rig.kept).toEqual([])
  })

  test('counts news that the journal did not take', () => {
    const rig = new Rig()
    rig.logIsFull = true
    rig.take('primary', '10:00:00', 10)
    rig.take('primary', '10:00:00', 10)
    expect(rig.path.refusedByLog).toBe(1)
  })

  test('counts the instruments that ticked today', () => {
    const rig = new Rig()
    rig.take('primary', '10:00:00', 10)
    rig.take('primary', '10:00:01', 11)
    expect(rig.path.tickedCount).toBe(1)
    rig.path.forgetTicked()
    expect(rig.path.tickedCount).toBe(0)
    rig.take('backup', '10:00:02', 12)
    expect(rig.path.tickedCount).toBe(1)
  })
})

describe('a sign of life of a line', () => {
  const life = (rig: Rig, line: Line) => rig.path.lines[lineIndex(line)].market.lastTickMs
  test.each([
    ['news', 'accepted', true, (rig: Rig) => rig.take('backup', '10:00:01', 11)],
    ['what the other line brought first', 'duplicate', true, (rig: Rig) => rig.take('backup', '10:00:00', 10)],
    ['what is seconds behind the other line', 'stale', true, (rig: Rig) => rig.take('backup', '09:59:57', 9)],
    ['what is long behind the other line', 'stale', false, (rig: Rig) => rig.take('backup', '09:59:50', 9)],
    ['nonsense', 'invalid', false, (rig: Rig) => rig.take('backup', '10:00:01', -1)],
    ['what was said outside sessions', 'off_session', false, (rig: Rig) => rig.take('backup', '10:20:00', 10)],
  ] as const)('%s (%s): %s', (_what, outcome, isLife, bring) => {
    const rig = new Rig()
    rig.take('primary', '10:00:00', 10)
    expect(bring(rig)).toBe(outcome)
    expect(life(rig, 'backup') > 0).toBe(isLife)
  })

  test('ends what was held against it; news that it did not bring is held against it, where both lines should have it', () => {
    const rig = new Rig()
    rig.take('primary', '10:00:00', 10)
    expect(rig.path.lines[1].market.unanswered).toBe(0)
    rig.path.listedOn[rig.slot] = 0b11
    rig.take('primary', '10:00:01', 11)
    rig.take('primary', '10:00:02', 12)
    expect(rig.path.lines[1].market).toMatchObject({ unanswered: 2, unansweredSinceMs: moment('10:00:01') })
    expect(rig.path.lines[1].missed[rig.slot]).toBe(2)
    rig.take('backup', '10:00:02', 12)
    expect(rig.path.lines[1].market.unanswered).toBe(0)
    expect(rig.path.lines[1].missed[rig.slot]).toBe(0)
    expect(rig.path.lines[0].market.unanswered).toBe(0)
  })

  test('that is the snapshot after subscribing holds nothing against the other line', () => {
    const rig = new Rig()
    rig.path.listedOn[rig.slot] = 0b11
    rig.arbiter.expectSnapshot(0, rig.slot)
    expect(rig.take('primary', '10:00:00', 10)).toBe('accepted')
    expect(rig.path.lines[1].market.unanswered).toBe(0)
  })
})

describe('what a switch is measured by', () => {
  test('the longest time between news, and the first live tick of the line switched to', () => {
    const rig = new Rig()
    const at = (seconds: number) => ({ receivedMonotonicMs: 1_000 * seconds })
    rig.take('primary', '10:00:00', 10, at(1))
    rig.take('primary', '10:00:09', 20, at(10))
    rig.path.watchSwitch(1)
    expect(rig.path).toMatchObject({ gapMs: 0, firstTickReadMs: 0 })
    rig.take('primary', '10:00:10', 21, at(11))
    expect(rig.path).toMatchObject({ gapMs: 1_000, firstTickReadMs: 0 })
    rig.take('backup', '10:00:13', 22, at(14))
    rig.take('backup', '10:00:14', 23, at(15))
    expect(rig.path).toMatchObject({ gapMs: 3_000, firstTickReadMs: 14_000 })
  })

  test('the delay of a line, by ticks that both brought', () => {
    const rig = new Rig()
    for (let i = 0; i < 20; i++) {
      const time = `10:00:${String(i).padStart(2, '0')}`
      rig.take('primary', time, 10 + i, { receivedMonotonicMs: 1_000 * i })
      rig.take('backup', time, 10 + i, { receivedMonotonicMs: 1_000 * i + 290 })
    }
    const [primary, backup] = rig.path.lines
    expect(backup.behind.quantileMs(0.95, 0, 10)).toBe(500)
    expect(primary.behind.quantileMs(0.95, 0, 10)).toBeLessThan(1)
  })

  test('the delay of a line that is nearly always first is not that of its few late ticks', () => {
    const rig = new Rig()
    for (let i = 0; i < 50; i++) {
      const time = `10:00:${String(i).padStart(2, '0')}`
      const [early, late] = i % 25 === 24 ? (['backup', 'primary'] as const) : (['primary', 'backup'] as const)
      rig.take(early, time, 10 + i, { receivedMonotonicMs: 1_000 * i })
      rig.take(late, time, 10 + i, { receivedMonotonicMs: 1_000 * i + (late === 'primary' ? 900 : 5) })
    }
    const [primary, backup] = rig.path.lines
    expect(primary.behind.quantileMs(0.95, 0, 50)).toBeLessThan(1)
    expect(primary.behind.quantileMs(0.97, 0, 50)).toBe(1_000)
    expect(backup.behind.quantileMs(0.95, 0, 50)).toBe(5)
  })

  test('a slot that was poisoned and reset', () => {
    const rig = new Rig()
    rig.path.alone = true
    rig.take('primary', '10:00:00', 100)
    rig.take('primary', '10:00:00.5', 900_000)
    for (let i = 1; i <= 20; i++) rig.take('primary', `10:00:${String(i).padStart(2, '0')}`, 100 + i)
    expect(rig.path.resets).toBe(1)
  })
})
