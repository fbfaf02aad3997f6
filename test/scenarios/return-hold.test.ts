// A line that comes back must not overtake the other one: what the other brought meanwhile and nobody has read yet would be lost.
import { beforeEach, describe, expect, test } from 'vitest'
import { ReturnHold } from '#daemon/return-hold.ts'
import type { Outcome } from '#domain/arbitration.ts'
import type { LineIndex } from '#domain/line.ts'
import { TICK_AT, type TickViews } from '#domain/tick.ts'
import { moment, type TickWords, tickRecord } from '../support/tick-builder.ts'

const EVENT_MS = moment('09:31:00')
const [PRIMARY, BACKUP] = [0, 1] as const

/** What reaches the arbiter, in order, as `line stamp`. */
class Rig {
  readonly taken: string[] = []
  readonly slots: number[] = []
  readonly up = [true, true]
  nowMs = 0
  readonly hold: ReturnHold

  constructor() {
    const take = (line: LineIndex, slot: number, views: TickViews, at: number): Outcome | -1 => {
      this.taken.push(
        `${line === PRIMARY ? 'primary' : 'backup'} ${views.f64[(at + TICK_AT.receivedMonotonicMs) >> 3]}`,
      )
      this.slots.push(slot)
      return 0
    }
    const nowMs = () => this.nowMs
    const path = {
      take,
      get readAtMs() {
        return nowMs()
      },
    }
    this.hold = new ReturnHold({ path, isUp: (line) => this.up[line] === true })
  }

  /** The line's ticks with these stamps are read at `nowMs`. */
  read(line: LineIndex, ...stamps: number[]): void {
    for (const receivedMonotonicMs of stamps) this.readTick(line, { receivedMonotonicMs })
  }

  readTick(line: LineIndex, words: Partial<TickWords>, slot = 7): void {
    const views = tickRecord({ eventMs: EVENT_MS, ...words })
    this.hold.take(line, slot, views, 0)
    // The pipe's bytes are used again after the call.
    views.u8.fill(0)
  }
}

let rig = new Rig()
beforeEach(() => {
  rig = new Rig()
})

/** A stamp every 10 ms, both ends included. */
function every10(fromMs: number, toMs: number): number[] {
  return Array.from({ length: (toMs - fromMs) / 10 + 1 }, (_, i) => fromMs + 10 * i)
}

/** Both tick until 1000; then the primary is away and the backup ticks on until 2000. */
function primaryAway(): void {
  for (const stamp of every10(0, 1_000)) {
    rig.nowMs = stamp
    rig.read(PRIMARY, stamp)
    rig.read(BACKUP, stamp)
  }
  rig.nowMs = 2_000
  rig.read(BACKUP, ...every10(1_010, 2_000))
  rig.taken.length = 0
}

describe('a line that was away', () => {
  test('is taken behind what the other brought before its return, though it was read first', () => {
    primaryAway()
    rig.nowMs = 2_300
    rig.read(PRIMARY, ...every10(2_050, 2_300))
    expect(rig.taken).toEqual([])
    rig.read(BACKUP, ...every10(2_010, 2_300))
    const order = rig.taken
    expect(order.indexOf('backup 2040')).toBeLessThan(order.indexOf('primary 2050'))
    expect(order.filter((each) => each.startsWith('primary'))).toEqual(
      every10(2_050, 2_300).map((ms) => `primary ${ms}`),
    )
    expect(new Set(rig.slots)).toEqual(new Set([7]))
  })

  test('for want of a session is waited for even if it missed next to nothing', () => {
    rig.read(PRIMARY, ...every10(0, 100))
    rig.read(BACKUP, ...every10(0, 100))
    rig.up[PRIMARY] = false
    rig.hold.releaseIfDue(110)
    rig.up[PRIMARY] = true
    rig.taken.length = 0
    rig.nowMs = 400
    rig.read(PRIMARY, 130, 400)
    expect(rig.taken).toEqual([])
    rig.read(BACKUP, 110, 390)
    expect(rig.taken).toEqual(['backup 110', 'backup 390', 'primary 130', 'primary 400'])
    rig.read(PRIMARY, 410)
    expect(rig.taken.at(-1)).toBe('primary 410')
  })

  test('need not wait with what the other has passed by: it may be the only one that has it', () => {
    primaryAway()
    rig.nowMs = 2_300
    rig.readTick(PRIMARY, { receivedMonotonicMs: 2_050, volume: 10 })
    rig.readTick(PRIMARY, { receivedMonotonicMs: 2_060, volume: 30 })
    rig.readTick(PRIMARY, { receivedMonotonicMs: 2_070, volume: 5 }, 8)
    rig.readTick(BACKUP, { receivedMonotonicMs: 2_080, volume: 20 })
    expect(rig.taken).toEqual(['primary 2050', 'backup 2080'])
    rig.readTick(BACKUP, { receivedMonotonicMs: 2_090, volume: 30, eventMs: EVENT_MS + 500 })
    expect(rig.taken.slice(2)).toEqual(['primary 2060', 'backup 2090'])
    rig.hold.end()
    expect(rig.taken.slice(4)).toEqual(['primary 2070'])
    expect(rig.slots.slice(-1)).toEqual([8])
  })

  test('is as quick as ever once it has waited', () => {
    primaryAway()
    rig.nowMs = 2_400
    rig.read(PRIMARY, 2_050)
    rig.read(BACKUP, ...every10(2_010, 2_400))
    rig.taken.length = 0
    rig.read(PRIMARY, 2_060, 2_410)
    expect(rig.taken).toEqual(['primary 2060', 'primary 2410'])
  })

  test('waits no longer than the other line lives', () => {
    primaryAway()
    rig.read(PRIMARY, 2_050)
    rig.up[BACKUP] = false
    rig.read(PRIMARY, 2_060)
    expect(rig.taken).toEqual(['primary 2050', 'primary 2060'])
  })

  test('waits less than a second when the other falls silent, and need not tick for it', () => {
    primaryAway()
    rig.read(PRIMARY, 2_050)
    rig.hold.releaseIfDue(2_500)
    expect(rig.taken).toEqual([])
    rig.hold.releaseIfDue(2_800)
    expect(rig.taken).toEqual(['primary 2050'])
  })

  test('loses nothing when the daemon ends meanwhile', () => {
    primaryAway()
    rig.read(PRIMARY, 2_050)
    rig.hold.end()
    expect(rig.taken).toEqual(['primary 2050'])
  })

  test('may bring any number of ticks meanwhile', () => {
    primaryAway()
    const stamps = Array.from({ length: 5_000 }, (_, i) => 2_050 + i / 100)
    rig.read(PRIMARY, ...stamps)
    rig.read(BACKUP, ...every10(2_010, 2_300))
    expect(rig.taken.filter((each) => each.startsWith('primary'))).toEqual(stamps.map((ms) => `primary ${ms}`))
  })
})

describe('of a contract that does not trade', () => {
  test.each([
    ['within the day', '21:00:00', '21:00:01'],
    ['across midnight', '23:59:59', '00:00:00'],
  ])('what is held goes before what the other line brings after it, %s', (_, older, newer) => {
    primaryAway()
    rig.readTick(PRIMARY, { eventMs: moment(older), volume: 5, receivedMonotonicMs: 2_050 })
    rig.readTick(BACKUP, { eventMs: moment(newer), volume: 5, receivedMonotonicMs: 2_060 })
    expect(rig.taken).toEqual(['primary 2050', 'backup 2060'])
  })

  test.each([
    ['within the day', '21:00:00', '21:00:01'],
    ['across midnight', '23:59:59', '00:00:00'],
  ])('what is held waits for older ticks of the other line, %s', (_, older, newer) => {
    primaryAway()
    rig.readTick(PRIMARY, { eventMs: moment(newer), volume: 5, receivedMonotonicMs: 2_050 })
    rig.readTick(BACKUP, { eventMs: moment(older), volume: 5, receivedMonotonicMs: 2_060 })
    expect(rig.taken).toEqual(['backup 2060'])
  })
})

describe('nobody waits', () => {
  test('when the pipes were read one after the other because we were slow ourselves', () => {
    primaryAway()
    rig = new Rig()
    rig.read(PRIMARY, ...every10(0, 100))
    rig.read(BACKUP, ...every10(0, 900))
    rig.read(PRIMARY, ...every10(110, 900))
    expect(rig.taken).toHaveLength(11 + 91 + 80)
  })

  test('in a market so quiet that gaps are usual', () => {
    for (let stamp = 0; stamp < 20_000; stamp += 400) {
      rig.nowMs = stamp
      rig.read(BACKUP, stamp)
      rig.read(PRIMARY, stamp)
    }
    expect(rig.taken).toHaveLength(100)
  })

  test('for a line that is dead: the one that is raised in its place is wanted at once', () => {
    rig.read(PRIMARY, ...every10(0, 1_000))
    rig.up[PRIMARY] = false
    rig.read(BACKUP, 1_050)
    expect(rig.taken.at(-1)).toBe('backup 1050')
  })

  test('for a line that has been silent for long itself', () => {
    rig.read(PRIMARY, ...every10(0, 1_000))
    rig.read(BACKUP, 2_500)
    expect(rig.taken.at(-1)).toBe('backup 2500')
  })
})
