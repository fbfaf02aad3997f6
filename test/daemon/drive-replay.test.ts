// Playing a recording on both lines in step: the outcome follows recording time and not the speed of the bridges.
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { sleep } from '#clock.ts'
import { ReplayDriver } from '#daemon/drive-replay.ts'
import { RecordingClock } from '#daemon/market-clock.ts'
import { LINES, type Line, lineIndex } from '#domain/line.ts'
import { TICK_AT } from '#domain/tick.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { ScriptedLine } from '../support/scripted-line.ts'
import { moment, realCalendar } from '../support/tick-builder.ts'

/** What the bridge of a line has to send: when it is received there, and a mark to know it by. */
interface Due {
  atMs: number
  mark: number
}

const CONTRACT = 'rb2605'

class Stage {
  readonly clock = new ManualClock()
  readonly names: string[] = []
  readonly marketClock: RecordingClock
  readonly driver: ReplayDriver
  readonly lines: Record<Line, ScriptedLine>
  readonly taken: string[] = []
  readonly due: Record<Line, Due[]> = { primary: [], backup: [] }
  /** Of each line: moments permitted and not yet answered. */
  readonly permits: Record<Line, number[]> = { primary: [], backup: [] }
  readonly #answered: Record<Line, number> = { primary: 0, backup: 0 }
  /** How long a bridge takes to answer, in turns of the test. */
  slow: Line | null = null
  endings = 0
  readonly stop = new AbortController()
  running: Promise<void> | null = null

  constructor(startMs: number, speed = 0) {
    this.marketClock = new RecordingClock(startMs, this.clock)
    const line = (name: Line) =>
      new ScriptedLine(this.clock, {
        line: name,
        names: this.names,
        tick: (slot, views, at) => this.driver.hold(lineIndex(name), slot, views, at),
        reached: (reachedMs, nextMs) => this.driver.reached(name, reachedMs, nextMs),
      })
    this.lines = { primary: line('primary'), backup: line('backup') }
    this.driver = new ReplayDriver(
      {
        clock: this.clock,
        marketClock: this.marketClock,
        calendar: realCalendar(),
        sessions: { primary: this.lines.primary.session, backup: this.lines.backup.session },
        speed,
        isBacklogged: () => false,
        take: (index, _slot, views, at) => {
          this.taken.push(`${LINES[index]} ${views.i32[(at + TICK_AT.volume) >> 2]}`)
        },
        ended: () => {
          this.endings++
        },
        damaged: () => undefined,
      },
      startMs - 1,
    )
  }

  async begin(): Promise<void> {
    for (const line of LINES) await this.lines[line].upToStreaming([CONTRACT])
    this.running = this.driver.run(this.stop.signal, sleep)
    await this.clock.settle()
  }

  /** Both bridges obey what they were last permitted: rows up to then, then that they are there. */
  async obey(line: Line): Promise<boolean> {
    const { bridge } = this.lines[line]
    const permits = bridge.sent.filter(({ type }) => type === 'advance')
    const permit = permits[this.#answered[line]]
    if (permit === undefined) return false
    this.#answered[line]++
    const [toMs = 0] = permit.numbers
    const rows = this.due[line]
    while (rows[0] !== undefined && rows[0].atMs <= toMs) {
      const { atMs, mark } = rows.shift() ?? { atMs: 0, mark: 0 }
      bridge.tick(CONTRACT, { eventMs: atMs, receivedMs: atMs, volume: mark })
    }
    bridge.say('reached', { numbers: [toMs, rows[0]?.atMs ?? Number.POSITIVE_INFINITY] })
    await this.clock.settle()
    return true
  }

  /** Plays to the end, the bridges answering as they like. */
  async play(turns = 2_000): Promise<void> {
    for (let turn = 0; turn < turns && this.endings === 0; turn++) {
      const order: Line[] = turn % 3 === 0 ? ['backup', 'primary'] : ['primary', 'backup']
      for (const line of order) if (line !== this.slow || turn % 5 === 0) await this.obey(line)
      await this.clock.pass(10)
      for (const line of LINES) if (turn % 50 === 0) this.lines[line].bridge.say('counters', { numbers: [0, 0, 0, 0] })
    }
  }

  async end(): Promise<void> {
    this.stop.abort()
    await this.clock.pass(100)
    await this.running
    for (const line of LINES) await this.lines[line].end()
    this.clock.dispose()
  }
}

const START = moment('09:30:00')
let stage: Stage
beforeEach(() => {
  stage = new Stage(START)
})
afterEach(() => stage.end())

describe('a replay as fast as it goes', () => {
  test.each([null, 'primary', 'backup'] as const)(
    'takes the rows of both lines by recording time, whichever bridge is slow (%s)',
    async (slow) => {
      stage.slow = slow
      const expected: { atMs: number; text: string }[] = []
      for (let i = 0; i < 60; i++) {
        const atMs = START + i * 500
        stage.due.primary.push({ atMs, mark: i })
        stage.due.backup.push({ atMs: atMs + 300, mark: i })
        expected.push({ atMs, text: `primary ${i}` }, { atMs: atMs + 300, text: `backup ${i}` })
      }
      await stage.begin()
      await stage.play()
      expected.sort((a, b) => a.atMs - b.atMs)
      expect(stage.taken).toEqual(expected.map(({ text }) => text))
      expect(stage.endings).toBe(1)
    },
  )

  test('takes the primary first where both have the same moment', async () => {
    stage.due.primary.push({ atMs: START, mark: 1 }, { atMs: START, mark: 2 })
    stage.due.backup.push({ atMs: START, mark: 1 }, { atMs: START, mark: 2 })
    await stage.begin()
    await stage.play()
    expect(stage.taken).toEqual(['primary 1', 'primary 2', 'backup 1', 'backup 2'])
  })

  test('takes nothing of a step before both lines are there, and moves the market clock only then', async () => {
    stage.due.primary.push({ atMs: START + 100, mark: 1 })
    stage.due.backup.push({ atMs: START + 100, mark: 1 })
    await stage.begin()
    for (let i = 0; i < 20; i++) await stage.obey('primary')
    expect(stage.taken).toEqual([])
    expect(stage.marketClock.nowMs()).toBe(START)
    await stage.play()
    expect(stage.taken).toHaveLength(2)
    expect(stage.marketClock.nowMs()).toBeGreaterThanOrEqual(START + 100)
  })

  test('waits for a line that is coming up, but not for ever', async () => {
    stage.due.primary.push({ atMs: START + 100, mark: 1 }, { atMs: START + 200_000, mark: 2 })
    stage.due.backup.push({ atMs: START + 100, mark: 1 }, { atMs: START + 200_000, mark: 2 })
    await stage.begin()
    for (let turn = 0; turn < 100 && stage.taken.length < 2; turn++) {
      for (const line of LINES) await stage.obey(line)
      await stage.clock.pass(10)
    }
    stage.lines.backup.bridge.say('disconnected', { code: 0x1001 })
    stage.lines.backup.bridge.say('connected')
    // The login is answered late; until then no row is let go.
    for (let turn = 0; turn < 50; turn++) {
      for (const line of LINES) await stage.obey(line)
      await stage.clock.pass(100)
    }
    expect(stage.taken).toHaveLength(2)
    expect(stage.lines.backup.session.state).toBe('logging-in')
    for (let turn = 0; turn < 200 && stage.endings === 0; turn++) {
      for (const line of LINES) await stage.obey(line)
      await stage.clock.pass(100)
      for (const line of LINES) stage.lines[line].bridges.at(-1)?.say('counters', { numbers: [0, 0, 0, 0] })
    }
    expect(stage.taken.filter((text) => text.startsWith('primary'))).toEqual(['primary 1', 'primary 2'])
    expect(stage.endings).toBe(1)
  })

  test('goes over years without rows in one step', async () => {
    const later = moment('2026-12-01 09:30:00')
    stage.due.primary.push({ atMs: START, mark: 1 }, { atMs: later, mark: 2 })
    stage.due.backup.push({ atMs: START, mark: 1 }, { atMs: later, mark: 2 })
    await stage.begin()
    await stage.play(60)
    expect(stage.taken).toHaveLength(4)
    expect(stage.endings).toBe(1)
  })
})

describe('a replay at a pace', () => {
  test.each([
    [1, 9_000],
    [5, 1_800],
  ])('at speed %d lets nine seconds of recording take %d ms', async (speed, tookMs) => {
    await stage.end()
    stage = new Stage(START, speed)
    for (let i = 0; i < 10; i++) {
      stage.due.primary.push({ atMs: START + i * 1_000, mark: i })
      stage.due.backup.push({ atMs: START + i * 1_000, mark: i })
    }
    await stage.begin()
    const begunMs = stage.clock.monotonicMs()
    await stage.play()
    expect(stage.endings).toBe(1)
    expect(stage.clock.monotonicMs() - begunMs).toBeGreaterThan(tookMs - 100)
    expect(stage.clock.monotonicMs() - begunMs).toBeLessThan(tookMs + 1_500)
  })

  test('skips the hours in which the market is closed', async () => {
    await stage.end()
    // Bond futures trade until 15:15.
    const close = moment('15:16:00')
    stage = new Stage(close, 1)
    for (const atMs of [close, moment('21:00:00'), moment('21:00:01')]) {
      stage.due.primary.push({ atMs, mark: atMs % 1_000_000 })
      stage.due.backup.push({ atMs, mark: atMs % 1_000_000 })
    }
    await stage.begin()
    const begunMs = stage.clock.monotonicMs()
    await stage.play()
    expect(stage.endings).toBe(1)
    expect(stage.taken).toHaveLength(6)
    expect(stage.clock.monotonicMs() - begunMs).toBeLessThan(20_000)
  })
})
