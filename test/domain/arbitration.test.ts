// Which tick of two lines is news: every row of a table is one story, told by what the lines bring and what each tick is taken for.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { DEFAULT_ARBITRATION, type RestoredTick, TICK_KINDS } from '#domain/arbitration.ts'
import type { Line } from '#domain/line.ts'
import { ArbiterRig, moment, type OutcomeName, type TickWords } from '../support/tick-builder.ts'

interface Said {
  volume?: number
  last?: number
  bid?: number
  ask?: number
  bidVolume?: number
  askVolume?: number
  openInterest?: number
  turnover?: number
  /** Raw text and number where the vendor's are no time. */
  time?: string
  millisecond?: number
  /** When it came, if not a few milliseconds after the event. */
  received?: string
  /** The line had just subscribed. */
  first?: true
  /** The other line delivers nothing. */
  alone?: true
}
type Step = readonly [line: Line, time: string, said: Said, outcome: OutcomeName]
type Story = readonly [title: string, instrument: string, ...steps: Step[]]

const DBL_MAX = Number.MAX_VALUE

function wordsOf(time: string, said: Said): TickWords {
  const { last, bid, ask, openInterest, turnover, received, first: _first, alone: _alone, ...rest } = said
  const prices: NonNullable<TickWords['prices']> = {}
  if (last !== undefined) prices.LastPrice = last
  if (bid !== undefined) prices.BidPrice1 = bid
  if (ask !== undefined) prices.AskPrice1 = ask
  if (openInterest !== undefined) prices.OpenInterest = openInterest
  if (turnover !== undefined) prices.Turnover = turnover
  return { eventMs: moment(time), ...rest, prices, ...(received === undefined ? {} : { receivedMs: moment(received) }) }
}

function tell(rig: ArbiterRig, instrument: string, [line, time, said]: Step): OutcomeName {
  if (said.first === true) rig.subscribe(line, instrument)
  return rig.deliver(line, instrument, wordsOf(time, said), said.alone === true)
}

function stories(...table: Story[]): void {
  test.each(table.map(([title, ...story]) => [title, story] as const))('%s', (_title, [instrument, ...steps]) => {
    const rig = new ArbiterRig()
    const outcomes = steps.map((step) => `${step[0]} ${step[1]} ${tell(rig, instrument, step)}`)
    expect(outcomes).toEqual(steps.map(([line, time, , outcome]) => `${line} ${time} ${outcome}`))
  })
}

describe('a tick that both lines bring', () => {
  stories(
    [
      'is news once, whichever line is first',
      'rb2605.SHFE',
      ['primary', '09:30:00.5', { volume: 10 }, 'accepted'],
      ['backup', '09:30:00.5', { volume: 10 }, 'duplicate'],
      ['backup', '09:30:01.0', { volume: 12 }, 'accepted'],
      ['primary', '09:30:01.0', { volume: 12 }, 'duplicate'],
    ],
    [
      'is a duplicate on its own line as well',
      'rb2605.SHFE',
      ['primary', '09:30:00.5', { volume: 10 }, 'accepted'],
      ['primary', '09:30:00.5', { volume: 10 }, 'duplicate'],
    ],
    [
      'is the same tick although the back-ends compute the turnover in two ways',
      'AP605.CZCE',
      ['primary', '09:30:00', { volume: 10, turnover: 81_000 }, 'accepted'],
      ['backup', '09:30:00', { volume: 10, turnover: 810_000 }, 'duplicate'],
    ],
    [
      'is the same tick when the prices that are missing are the same',
      'rb2605.SHFE',
      ['primary', '09:30:00', { volume: 0, last: Number.NaN, bid: Number.NaN, ask: 3127 }, 'accepted'],
      ['backup', '09:30:00', { volume: 0, last: Number.NaN, bid: Number.NaN, ask: 3127 }, 'duplicate'],
    ],
    [
      'is another tick when a price came to where none was',
      'rb2605.SHFE',
      ['primary', '09:30:00', { volume: 0, bid: Number.NaN }, 'accepted'],
      ['backup', '09:30:00', { volume: 0, bid: 3126 }, 'accepted'],
      ['backup', '09:30:00', { volume: 0, bid: Number.NaN }, 'duplicate'],
    ],
    [
      'is stale when the other line has gone on meanwhile',
      'rb2605.SHFE',
      ['primary', '09:30:00.5', { volume: 10 }, 'accepted'],
      ['primary', '09:30:01.0', { volume: 12 }, 'accepted'],
      ['backup', '09:30:00.5', { volume: 10 }, 'stale'],
      ['backup', '09:30:01.0', { volume: 12 }, 'duplicate'],
    ],
    [
      'is news from the slower line when the faster one lost it',
      'rb2605.SHFE',
      ['primary', '09:30:00.5', { volume: 10 }, 'accepted'],
      ['backup', '09:30:00.5', { volume: 10 }, 'duplicate'],
      ['backup', '09:30:01.0', { volume: 12 }, 'accepted'],
      ['primary', '09:30:01.5', { volume: 15 }, 'accepted'],
    ],
    [
      'is stale when its time is the same and its volume smaller',
      'rb2605.SHFE',
      ['primary', '09:30:00.5', { volume: 10 }, 'accepted'],
      ['backup', '09:30:00.5', { volume: 9 }, 'stale'],
    ],
    [
      'leaves other instruments alone',
      'rb2605.SHFE',
      ['primary', '09:30:00.5', { volume: 10 }, 'accepted'],
      ['primary', '09:30:01.0', { volume: 11 }, 'accepted'],
    ],
  )

  test('of one instrument says nothing about another', () => {
    const rig = new ArbiterRig()
    const words = wordsOf('09:30:00.5', { volume: 10 })
    expect(rig.deliver('primary', 'rb2605.SHFE', words)).toBe('accepted')
    expect(rig.deliver('backup', 'hc2605.SHFE', words)).toBe('accepted')
    expect(rig.deliver('backup', 'rb2605.SHFE', words)).toBe('duplicate')
  })
})

describe('twins, as CZCE sends them within one second and volume', () => {
  const [A, B, C] = [{ bidVolume: 1 }, { bidVolume: 2 }, { bidVolume: 3 }]
  stories(
    [
      'are both news, and duplicates from the other line in the same order',
      'AP605.CZCE',
      ['primary', '09:30:00', { volume: 10, ...A }, 'accepted'],
      ['primary', '09:30:00', { volume: 10, ...B }, 'accepted'],
      ['backup', '09:30:00', { volume: 10, ...A }, 'duplicate'],
      ['backup', '09:30:00', { volume: 10, ...B }, 'duplicate'],
    ],
    [
      'are duplicates from the other line in the other order',
      'AP605.CZCE',
      ['primary', '09:30:00', { volume: 10, ...A }, 'accepted'],
      ['primary', '09:30:00', { volume: 10, ...B }, 'accepted'],
      ['backup', '09:30:00', { volume: 10, ...B }, 'duplicate'],
      ['backup', '09:30:00', { volume: 10, ...A }, 'duplicate'],
    ],
    [
      'interleave: each line brings one that the other did not bring yet',
      'AP605.CZCE',
      ['primary', '09:30:00', { volume: 10, ...A }, 'accepted'],
      ['backup', '09:30:00', { volume: 10, ...B }, 'accepted'],
      ['backup', '09:30:00', { volume: 10, ...A }, 'duplicate'],
      ['primary', '09:30:00', { volume: 10, ...B }, 'duplicate'],
    ],
    [
      'are stale once the volume has grown within the second',
      'AP605.CZCE',
      ['primary', '09:30:00', { volume: 10, ...A }, 'accepted'],
      ['primary', '09:30:00', { volume: 11, ...C }, 'accepted'],
      ['backup', '09:30:00', { volume: 10, ...A }, 'stale'],
      ['backup', '09:30:00', { volume: 10, ...B }, 'stale'],
      ['backup', '09:30:00', { volume: 11, ...C }, 'duplicate'],
    ],
    ...['openInterest', 'last', 'bid', 'ask', 'bidVolume', 'askVolume'].map(
      (field): Story => [
        `are told apart by ${field} alone`,
        'AP605.CZCE',
        ['primary', '09:30:00', { volume: 10 }, 'accepted'],
        ['primary', '09:30:00', { volume: 10, [field]: 77 }, 'accepted'],
        ['backup', '09:30:00', { volume: 10, [field]: 77 }, 'duplicate'],
        ['backup', '09:30:00', { volume: 10 }, 'duplicate'],
      ],
    ),
  )

  const orders = fc.shuffledSubarray([0, 1, 2, 3], { minLength: 4 })
  test('in any order and interleaving of both lines are accepted once each', () => {
    const rig = new ArbiterRig()
    let instruments = 0
    fc.assert(
      fc.property(orders, orders, fc.array(fc.boolean(), { minLength: 8, maxLength: 8 }), (first, second, turns) => {
        const instrument = `AP${++instruments}.CZCE`
        const queues: Record<Line, number[]> = { primary: [...first], backup: [...second] }
        const accepted: number[] = []
        for (const isPrimary of [...turns, ...turns.map((turn) => !turn)]) {
          const line = isPrimary ? 'primary' : 'backup'
          const twin = queues[line].shift()
          if (twin === undefined) continue
          const outcome = rig.deliver(line, instrument, wordsOf('09:30:00', { volume: 10, bidVolume: twin + 1 }))
          if (outcome === 'accepted') accepted.push(twin)
          else expect(outcome).toBe('duplicate')
        }
        expect(accepted.sort()).toEqual([0, 1, 2, 3])
      }),
    )
  })

  test('are remembered up to eight; four are the most that were ever recorded', () => {
    const rig = new ArbiterRig()
    const book = (i: number) => wordsOf('09:30:00', { volume: 10, bidVolume: i })
    for (let i = 1; i <= 8; i++) expect(rig.deliver('primary', 'AP605.CZCE', book(i))).toBe('accepted')
    for (let i = 1; i <= 8; i++) expect(rig.deliver('backup', 'AP605.CZCE', book(i))).toBe('duplicate')
    // Beyond that the oldest is forgotten first, and the newest ones still are known.
    for (let last = 9; last <= 300; last++) {
      expect(rig.deliver('primary', 'AP605.CZCE', book(last))).toBe('accepted')
      for (let i = last - 7; i <= last; i++) expect(rig.deliver('backup', 'AP605.CZCE', book(i))).toBe('duplicate')
    }
    expect(rig.deliver('backup', 'AP605.CZCE', book(292))).toBe('accepted')
  })
})

describe('nights, weekends and trading days', () => {
  stories(
    [
      'the night session goes on across midnight',
      'au2606.SHFE',
      ['primary', '2026-11-19 23:59:59.5', { volume: 10 }, 'accepted'],
      ['backup', '2026-11-19 23:59:59.5', { volume: 10, received: '2026-11-20 00:00:00.2' }, 'duplicate'],
      ['primary', '2026-11-20 00:00:00', { volume: 11 }, 'accepted'],
      ['backup', '2026-11-19 23:59:59', { volume: 9, received: '2026-11-20 00:00:00.3' }, 'stale'],
    ],
    [
      'a tick stamped after midnight that comes before it is no day late',
      'au2606.SHFE',
      ['primary', '2026-11-19 23:59:59.5', { volume: 10 }, 'accepted'],
      ['primary', '2026-11-20 00:00:00', { volume: 11, received: '2026-11-19 23:59:59.8' }, 'accepted'],
      ['primary', '2026-11-20 00:00:00.5', { volume: 12 }, 'accepted'],
    ],
    [
      'the volume starts again with the trading day, on Friday evening for Monday',
      'rb2605.SHFE',
      ['primary', '2026-11-20 14:59:59.5', { volume: 740_820 }, 'accepted'],
      ['primary', '2026-11-20 21:00:00', { volume: 610 }, 'accepted'],
      ['backup', '2026-11-20 21:00:00', { volume: 610 }, 'duplicate'],
      ['primary', '2026-11-23 09:00:00', { volume: 5_000 }, 'accepted'],
      ['backup', '2026-11-23 09:00:01', { volume: 4_000 }, 'stale'],
    ],
    [
      'the night after midnight on Saturday belongs to Monday, and so its volume goes on then',
      'au2606.SHFE',
      ['primary', '2026-11-21 02:29:59.5', { volume: 900 }, 'accepted'],
      ['primary', '2026-11-23 09:00:00', { volume: 899 }, 'stale'],
      ['primary', '2026-11-23 09:00:00.5', { volume: 901 }, 'accepted'],
    ],
    [
      'the vendor dates are not believed: DCE dates its night with the trading day, CZCE the trading day with the night',
      'i2605.DCE',
      ['primary', '2026-11-20 21:00:00.123', { volume: 10 }, 'accepted'],
      ['backup', '2026-11-20 21:00:00.123', { volume: 10 }, 'duplicate'],
    ],
    [
      'a day without night session begins at 09:00',
      'AP605.CZCE',
      ['primary', '2026-11-20 14:59:59', { volume: 500 }, 'accepted'],
      ['primary', '2026-11-20 21:00:00', { volume: 501 }, 'off_session'],
      ['primary', '2026-11-23 09:00:00', { volume: 1 }, 'accepted'],
    ],
  )

  test('the dates that a vendor writes change nothing', () => {
    const rig = new ArbiterRig()
    const words = { eventMs: moment('2026-11-20 21:00:00'), volume: 10 }
    expect(rig.deliver('primary', 'i2605.DCE', { ...words, tradingDay: '20261123', actionDay: '20261123' })).toBe(
      'accepted',
    )
    expect(rig.deliver('backup', 'i2605.DCE', { ...words, tradingDay: '20261120', actionDay: '' })).toBe('duplicate')
    expect(rig.arbiter.lastTradingDay).toBe(20261123)
  })
})

describe('ticks outside sessions', () => {
  stories(
    [
      'the close of Friday, pushed on Monday at 08:50 after subscribing, is kept and is no news',
      'rb2605.SHFE',
      [
        'primary',
        '2026-11-20 14:59:59.5',
        { volume: 740_820, received: '2026-11-23 08:50:00', first: true },
        'off_session',
      ],
      [
        'backup',
        '2026-11-20 14:59:59.5',
        { volume: 740_820, received: '2026-11-23 08:50:01', first: true },
        'duplicate',
      ],
      ['primary', '2026-11-23 09:00:00', { volume: 5 }, 'accepted'],
    ],
    [
      'the close of Friday is dated Friday, so that on Monday it is a duplicate of what was accepted then',
      'rb2605.SHFE',
      ['primary', '2026-11-20 14:59:59.5', { volume: 740_820 }, 'accepted'],
      [
        'primary',
        '2026-11-20 14:59:59.5',
        { volume: 740_820, received: '2026-11-23 08:50:00', first: true },
        'duplicate',
      ],
    ],
    [
      'and so are the end of the night of Friday, in the evening and in the small hours of Saturday, and the day before a long holiday',
      'au2606.SHFE',
      ['primary', '2026-09-30 14:59:59.5', { volume: 3 }, 'accepted'],
      ['primary', '2026-09-30 14:59:59.5', { volume: 3, received: '2026-10-08 08:50:00', first: true }, 'duplicate'],
      ['primary', '2026-11-20 23:30:00', { volume: 7 }, 'accepted'],
      ['primary', '2026-11-20 23:30:00', { volume: 7, received: '2026-11-23 08:50:00', first: true }, 'duplicate'],
      ['primary', '2026-11-21 02:29:59.5', { volume: 9 }, 'accepted'],
      ['backup', '2026-11-21 02:29:59.5', { volume: 9, received: '2026-11-23 08:50:00', first: true }, 'duplicate'],
      ['backup', '2026-11-20 23:30:00', { volume: 7, received: '2026-11-23 08:50:00', first: true }, 'stale'],
    ],
    [
      'the same stamp when it is not the first tick after subscribing lies in the future',
      'rb2605.SHFE',
      ['primary', '2026-11-23 14:59:59.5', { volume: 740_820, received: '2026-11-23 08:50:00' }, 'invalid'],
      ['primary', '2026-11-23 09:00:00', { volume: 5 }, 'accepted'],
    ],
    [
      'only the one tick after subscribing is a snapshot',
      'rb2605.SHFE',
      ['primary', '2026-11-20 14:59:59.5', { volume: 10, received: '2026-11-23 08:50:00', first: true }, 'off_session'],
      ['primary', '2026-11-23 14:59:59.5', { volume: 10, received: '2026-11-23 08:50:01' }, 'invalid'],
    ],
    [
      'a snapshot equal to the last accepted tick is a duplicate',
      'rb2605.SHFE',
      ['primary', '10:14:59.5', { volume: 10 }, 'accepted'],
      ['primary', '10:14:59.5', { volume: 10, received: '10:20:00', first: true }, 'duplicate'],
      ['backup', '10:14:59.5', { volume: 10, received: '10:20:01', first: true }, 'duplicate'],
    ],
    [
      'a snapshot of the present is news like any tick',
      'rb2605.SHFE',
      ['primary', '10:00:00', { volume: 10 }, 'accepted'],
      ['primary', '10:00:20', { volume: 30, received: '10:00:21', first: true }, 'accepted'],
    ],
    [
      'a snapshot that is newer than what is known but minutes old is kept and is no news',
      'rb2605.SHFE',
      ['primary', '10:00:00', { volume: 10 }, 'accepted'],
      ['primary', '10:01:00', { volume: 30, received: '10:04:00', first: true }, 'off_session'],
      ['backup', '10:01:00', { volume: 30, received: '10:04:01', first: true }, 'duplicate'],
      ['primary', '10:04:01', { volume: 31 }, 'accepted'],
    ],
    [
      'a snapshot older than what is known is stale',
      'rb2605.SHFE',
      ['primary', '10:01:00', { volume: 30 }, 'accepted'],
      ['backup', '10:00:00', { volume: 10, received: '10:04:00', first: true }, 'stale'],
    ],
    [
      'settlement rows long after the close are kept once each',
      'IF2612.CFFEX',
      ['primary', '15:00:00', { volume: 90_000 }, 'accepted'],
      ['primary', '15:35:19.4', { volume: 90_000, last: 3_900 }, 'off_session'],
      ['backup', '15:35:19.4', { volume: 90_000, last: 3_900 }, 'duplicate'],
      ['primary', '15:36:15.7', { volume: 90_000, last: 3_901 }, 'off_session'],
      ['backup', '15:36:15.7', { volume: 90_000, last: 3_901 }, 'duplicate'],
      ['backup', '15:35:19.4', { volume: 90_000, last: 3_900, received: '15:36:16' }, 'stale'],
    ],
    [
      'two rows of one moment outside sessions are kept once each, however the lines interleave',
      'AP605.CZCE',
      ['primary', '15:10:00', { volume: 10, last: 8_000 }, 'off_session'],
      ['primary', '15:10:00', { volume: 10, last: 8_001 }, 'off_session'],
      ['backup', '15:10:00', { volume: 10, last: 8_000 }, 'duplicate'],
      ['backup', '15:10:00', { volume: 10, last: 8_001 }, 'duplicate'],
    ],
    [
      'a row outside sessions is known by its moment and not by its book alone',
      'AP605.CZCE',
      ['primary', '15:10:00', { volume: 10, last: 8_000 }, 'off_session'],
      ['primary', '15:11:00', { volume: 10, last: 8_001 }, 'off_session'],
      ['primary', '15:11:00', { volume: 10, last: 8_000 }, 'off_session'],
      ['backup', '15:11:00', { volume: 10, last: 8_000 }, 'duplicate'],
    ],
    [
      'a tick in the break is no sign of life, and a live tick after it is',
      'rb2605.SHFE',
      ['primary', '10:14:59.5', { volume: 10 }, 'accepted'],
      ['primary', '10:20:00', { volume: 10 }, 'off_session'],
      ['primary', '10:30:00', { volume: 12 }, 'accepted'],
    ],
    [
      'order entry before the auction match is not live, the match in its minute is',
      'rb2605.SHFE',
      ['primary', '2026-11-19 20:57:00', { volume: 0 }, 'off_session'],
      ['primary', '2026-11-19 20:59:00.5', { volume: 610 }, 'accepted'],
      ['primary', '2026-11-19 21:00:00.5', { volume: 700 }, 'accepted'],
    ],
    [
      'the whole second of a section end belongs to it, and not one millisecond more',
      'ru2605.SHFE',
      ['primary', '10:15:00', { volume: 10 }, 'accepted'],
      ['primary', '10:15:00.5', { volume: 11 }, 'accepted'],
      ['primary', '10:15:00.999', { volume: 12 }, 'accepted'],
      ['primary', '10:15:01', { volume: 13 }, 'off_session'],
      ['primary', '11:30:00.5', { volume: 14 }, 'accepted'],
      ['primary', '15:00:00.5', { volume: 15 }, 'accepted'],
      ['primary', '15:00:01', { volume: 16 }, 'off_session'],
      ['primary', '23:00:00.5', { volume: 2 }, 'accepted'],
      ['primary', '23:00:01', { volume: 3 }, 'off_session'],
    ],
    [
      'a tick of yesterday can be nothing but old once today has ticked',
      'rb2605.SHFE',
      ['primary', '2026-11-19 21:00:00', { volume: 5 }, 'accepted'],
      ['backup', '2026-11-19 15:00:00', { volume: 900, received: '2026-11-19 21:00:01', first: true }, 'stale'],
    ],
  )
})

describe('what no exchange sends', () => {
  stories(
    [
      'a stamp up to three seconds ahead is a clock that is off',
      'rb2605.SHFE',
      ['primary', '10:00:03', { volume: 10, received: '10:00:00' }, 'accepted'],
      ['primary', '10:00:03.1', { volume: 11, received: '10:00:00' }, 'invalid'],
      ['primary', '10:00:03.5', { volume: 12, received: '10:00:00.5' }, 'accepted'],
    ],
    [
      'a stamp hours ahead does not make the rest of the day stale',
      'rb2605.SHFE',
      ['primary', '10:00:00', { volume: 10 }, 'accepted'],
      ['primary', '14:00:00', { volume: 11, received: '10:00:00.5' }, 'invalid'],
      ['primary', '10:00:01', { volume: 12 }, 'accepted'],
    ],
    ...['99:99:99', '', '25:00:00', '24:00:00', '10:60:00', '10:00:60', '9:30:0x', '10-00-00'].map(
      (time): Story => [
        `${JSON.stringify(time)} is no time`,
        'rb2605.SHFE',
        ['primary', '10:00:00', { volume: 10 }, 'accepted'],
        ['primary', '10:00:01', { volume: 11, time }, 'invalid'],
        ['backup', '10:00:01', { volume: 11 }, 'accepted'],
      ],
    ),
    [
      'a malformed snapshot is not excused for being the first',
      'rb2605.SHFE',
      ['primary', '10:00:01', { volume: 11, time: '', first: true }, 'invalid'],
    ],
    ...[-1, 1000, 2_147_483_647].map(
      (millisecond): Story => [
        `${millisecond} is no millisecond`,
        'rb2605.SHFE',
        ['primary', '10:00:01', { volume: 11, millisecond }, 'invalid'],
      ],
    ),
    [
      'a negative volume',
      'rb2605.SHFE',
      ['primary', '10:00:00', { volume: -1 }, 'invalid'],
      ['primary', '10:00:00', { volume: 0 }, 'accepted'],
    ],
    [
      'more than a billion lots in a day',
      'rb2605.SHFE',
      ['primary', '10:00:00', { volume: 1_000_000_001 }, 'invalid'],
      ['primary', '10:00:00', { volume: 10 }, 'accepted'],
    ],
    [
      'more than a million lots at once, and what both lines agree on after a silence is possible',
      'rb2605.SHFE',
      ['primary', '10:00:00', { volume: 10 }, 'accepted'],
      ['primary', '10:00:00.5', { volume: 1_026_000 }, 'invalid'],
      ['primary', '10:00:00.5', { volume: 1_000_010 }, 'accepted'],
      ['primary', '10:01:00.5', { volume: 4_000_010 }, 'accepted'],
    ],
    [
      'a traded contract that loses its last price',
      'rb2605.SHFE',
      ['primary', '10:00:00', { volume: 10 }, 'accepted'],
      ['primary', '10:00:01', { volume: 10, last: Number.NaN }, 'invalid'],
      ['primary', '10:00:01', { volume: 10, bid: Number.NaN, ask: Number.NaN }, 'accepted'],
    ],
    [
      'but one that has not traded today may have none, whatever it had yesterday',
      'rb2605.SHFE',
      ['primary', '2026-11-19 14:59:00', { volume: 10 }, 'accepted'],
      ['primary', '2026-11-19 20:59:00', { volume: 0, last: Number.NaN }, 'accepted'],
      ['primary', '2026-11-19 21:00:00', { volume: 0, last: 3_120 }, 'accepted'],
      ['primary', '2026-11-19 21:00:01', { volume: 0, last: Number.NaN }, 'accepted'],
    ],
    [
      'and a contract that never traded has none, and a combination never has',
      'SPD RM605&RM609.CZCE',
      ['primary', '10:00:00', { volume: 0, last: Number.NaN }, 'accepted'],
      ['primary', '10:00:01', { volume: 0, last: Number.NaN, bid: 1 }, 'accepted'],
    ],
    ...(['last', 'bid', 'ask'] as const).flatMap((field): Story[] => [
      [
        `the vendor sentinel for "no price" left in ${field}`,
        'rb2605.SHFE',
        ['primary', '10:00:00', { volume: 10, [field]: DBL_MAX }, 'invalid'],
        ['primary', '10:00:00', { volume: 10, [field]: -DBL_MAX }, 'invalid'],
        ['primary', '10:00:00', { volume: 10, [field]: Number.POSITIVE_INFINITY }, 'invalid'],
        ['primary', '10:00:00', { volume: 10 }, 'accepted'],
      ],
    ]),
    [
      'negative volumes in the book',
      'rb2605.SHFE',
      ['primary', '10:00:00', { volume: 10, bidVolume: -1 }, 'invalid'],
      ['primary', '10:00:00', { volume: 10, askVolume: -1 }, 'invalid'],
      ['primary', '10:00:00', { volume: 10, askVolume: 0 }, 'accepted'],
    ],
    [
      'negative prices, which spreads have, are prices',
      'SP a2605&a2607.DCE',
      ['primary', '10:00:00', { volume: 0, last: -25, bid: -26, ask: -25 }, 'accepted'],
    ],
  )
})

describe('a slot that was poisoned by a volume just below the limit', () => {
  const honest = (line: Line, second: number, outcome: OutcomeName, said: Said = {}): Step => [
    line,
    `10:00:${String(second).padStart(2, '0')}`,
    { volume: 100 + second, ...said },
    outcome,
  ]
  const poison: Step[] = [
    ['primary', '10:00:00', { volume: 100 }, 'accepted'],
    ['primary', '10:00:00.5', { volume: 900_000 }, 'accepted'],
  ]
  stories(
    [
      'is reset when each line has contradicted it three times',
      'rb2605.SHFE',
      ...poison,
      honest('primary', 1, 'stale'),
      honest('backup', 1, 'stale'),
      honest('primary', 2, 'stale'),
      honest('backup', 2, 'stale'),
      honest('primary', 3, 'stale'),
      honest('backup', 3, 'accepted'),
      honest('primary', 3, 'duplicate'),
      honest('primary', 4, 'accepted'),
    ],
    [
      'is not reset by one line, however often it says so, while the other could confirm and does not',
      'rb2605.SHFE',
      ...poison,
      ...Array.from({ length: 40 }, (_, i) => honest('primary', i + 1, 'stale')),
    ],
    [
      'is reset by a line alone when it has said so twenty times',
      'rb2605.SHFE',
      ...poison,
      ...Array.from({ length: 19 }, (_, i) => honest('primary', i + 1, 'stale', { alone: true })),
      honest('primary', 20, 'accepted', { alone: true }),
      honest('primary', 21, 'accepted', { alone: true }),
    ],
    [
      'stays as it is when an accepted tick shows that the volume was right',
      'rb2605.SHFE',
      ...poison,
      honest('primary', 1, 'stale'),
      honest('backup', 1, 'stale'),
      honest('primary', 2, 'stale'),
      honest('backup', 2, 'stale'),
      ['backup', '10:00:03', { volume: 900_001 }, 'accepted'],
      honest('primary', 4, 'stale'),
      honest('backup', 4, 'stale'),
      honest('primary', 5, 'stale'),
      honest('backup', 5, 'stale'),
      honest('primary', 6, 'stale'),
      honest('backup', 6, 'accepted'),
    ],
    [
      'counts its contradictions anew, on both lines, after a tick that was accepted',
      'rb2605.SHFE',
      ...poison,
      honest('primary', 1, 'stale'),
      honest('primary', 2, 'stale'),
      honest('backup', 1, 'stale'),
      honest('backup', 2, 'stale'),
      ['backup', '10:00:03', { volume: 900_001 }, 'accepted'],
      honest('backup', 4, 'stale'),
      honest('backup', 5, 'stale'),
      honest('backup', 6, 'stale'),
      honest('primary', 4, 'stale'),
      ['primary', '10:00:07', { volume: 900_002 }, 'accepted'],
      honest('primary', 8, 'stale'),
      honest('primary', 9, 'stale'),
      honest('primary', 10, 'stale'),
      honest('backup', 8, 'stale'),
    ],
    [
      'is none when a line brings the lower volumes of a whole second late',
      'AP605.CZCE',
      ['primary', '10:00:50', { volume: 100 }, 'accepted'],
      ...Array.from({ length: 40 }, (_, i): Step => ['primary', '10:00:50', { volume: 50 + i, alone: true }, 'stale']),
      ...Array.from({ length: 40 }, (_, i): Step => ['backup', '10:00:50', { volume: 50 + i }, 'stale']),
    ],
    [
      'is none when a line merely lags or sends old ticks again, however many',
      'rb2605.SHFE',
      ['primary', '10:00:50', { volume: 5_000 }, 'accepted'],
      ...Array.from({ length: 49 }, (_, i) =>
        honest('primary', i + 1, 'stale', { received: '10:00:50.5', alone: true }),
      ),
      ...Array.from({ length: 49 }, (_, i) =>
        honest('backup', i + 1, 'stale', { received: '10:00:50.5', alone: true }),
      ),
      ['primary', '10:00:51', { volume: 5_001 }, 'accepted'],
    ],
  )

  test('is told as a reset, once', () => {
    const rig = new ArbiterRig()
    const resets: string[] = []
    for (const step of [
      ...poison,
      ...[1, 2, 3, 4].flatMap((second) => [honest('primary', second, 'stale'), honest('backup', second, 'stale')]),
    ]) {
      tell(rig, 'rb2605.SHFE', step)
      if (rig.arbiter.lastReset) resets.push(`${step[0]} ${step[1]}`)
    }
    expect(resets).toEqual(['backup 10:00:03'])
  })
})

describe('a state that is put back', () => {
  const instrument = 'rb2605.SHFE'
  const describeSlot = (rig: ArbiterRig) => {
    const slot = rig.slotOf(instrument)
    return TICK_KINDS.flatMap((kind) => {
      const held = rig.arbiter.booksHeld(slot, kind)
      return Array.from({ length: held }, (_, i) => {
        const row = new Float64Array(10)
        rig.arbiter.describe(slot, kind, row, 0, held - 1 - i)
        return row
      })
    })
  }
  const restoreInto = (rig: ArbiterRig, rows: readonly Float64Array[]) => {
    for (const row of rows) {
      const [tradingDay = 0, eventMs = 0, volume = 0, offSession = 0] = row
      const tick: RestoredTick = { tradingDay, eventMs, volume, offSession: offSession === 1, book: row.subarray(4) }
      rig.arbiter.restore(rig.slotOf(instrument), tick)
    }
  }

  test.each([
    ['a live tick', [['primary', '10:00:00.5', { volume: 10 }, 'accepted']]],
    [
      'a live tick without prices',
      [['primary', '10:00:00.5', { volume: 0, last: Number.NaN, bid: Number.NaN, ask: Number.NaN }, 'accepted']],
    ],
    [
      'twins',
      [
        ['primary', '10:00:00', { volume: 10, bidVolume: 1 }, 'accepted'],
        ['primary', '10:00:00', { volume: 10, bidVolume: 2 }, 'accepted'],
      ],
    ],
    [
      'the last of very many twins, as many as are remembered',
      Array.from({ length: 21 }, (_, i): Step => ['primary', '10:00:00', { volume: 10, bidVolume: i + 1 }, 'accepted']),
    ],
    ['a tick outside sessions', [['primary', '15:30:00', { volume: 10 }, 'off_session']]],
    [
      'a settlement row beside the last live tick',
      [
        ['primary', '15:00:00', { volume: 10 }, 'accepted'],
        ['primary', '15:30:00', { volume: 10 }, 'off_session'],
      ],
    ],
    [
      'the last live tick after an auction row',
      [
        ['primary', '20:57:00', { volume: 0 }, 'off_session'],
        ['primary', '21:00:00', { volume: 10 }, 'accepted'],
      ],
    ],
  ] satisfies [string, Step[]][])('makes %s a duplicate, as before', (_title, steps) => {
    const before = new ArbiterRig()
    for (const step of steps) tell(before, instrument, step)
    const after = new ArbiterRig()
    expect(describeSlot(after)).toEqual([])
    restoreInto(after, describeSlot(before))
    expect(describeSlot(after)).toEqual(describeSlot(before))
    const again = (rig: ArbiterRig) => steps.slice(-1).map((step) => tell(rig, instrument, step))
    expect(again(after)).toEqual(['duplicate'])
    expect(again(before)).toEqual(['duplicate'])
  })

  test('from a checkpoint knows every twin of the last moment', () => {
    const twins = [1, 2, 3].map((bidVolume): Step => ['primary', '10:00:00', { volume: 10, bidVolume }, 'accepted'])
    const before = new ArbiterRig()
    for (const step of twins) tell(before, instrument, step)
    const after = new ArbiterRig()
    restoreInto(after, describeSlot(before))
    expect(twins.map((step) => tell(after, instrument, step))).toEqual(['duplicate', 'duplicate', 'duplicate'])
  })

  test('from the journal, tick by tick, knows every twin of the last moment', () => {
    const rig = new ArbiterRig()
    for (const bidVolume of [1, 2, 3]) {
      const book = [1_500_000, 3127, 3126, 3127, bidVolume, 34]
      const eventMs = moment('10:00:00')
      rig.arbiter.restore(rig.slotOf(instrument), {
        tradingDay: 20261119,
        eventMs,
        volume: 10,
        offSession: false,
        book,
      })
    }
    for (const bidVolume of [1, 2, 3]) {
      expect(rig.deliver('primary', instrument, wordsOf('10:00:00', { volume: 10, bidVolume }))).toBe('duplicate')
    }
    expect(rig.deliver('primary', instrument, wordsOf('10:00:00', { volume: 10, bidVolume: 4 }))).toBe('accepted')
  })

  test('makes first snapshots after a restart no news: equal is a duplicate, older is stale', () => {
    const rig = new ArbiterRig()
    const book = [1_500_000, 3127, 3126, 3127, 12, 34]
    const slot = rig.slotOf(instrument)
    rig.arbiter.restore(slot, {
      tradingDay: 20261119,
      eventMs: moment('10:00:00'),
      volume: 10,
      offSession: false,
      book,
    })
    expect(
      tell(rig, instrument, ['primary', '10:00:00', { volume: 10, first: true, received: '10:00:30' }, 'duplicate']),
    ).toBe('duplicate')
    expect(
      tell(rig, instrument, ['backup', '09:59:50', { volume: 9, first: true, received: '10:00:30' }, 'stale']),
    ).toBe('stale')
  })
})

/** One true stream of an instrument: time and volume never fall, twins differ in their book. */
interface TrueTick {
  eventMs: number
  volume: number
  bidVolume: number
}

const DAY_OPENS = moment('2026-11-20 09:30:00')
const NIGHT_OPENS = moment('2026-11-20 21:00:00')

const trueStream = fc
  .array(
    fc.record({
      afterMs: fc.constantFrom(0, 0, 0, 500, 1000, 1500),
      lots: fc.constantFrom(0, 0, 1, 7),
      nextDay: fc.boolean().map((roll) => roll),
    }),
    { minLength: 1, maxLength: 24 },
  )
  .map((steps) => {
    const stream: TrueTick[] = []
    let eventMs = DAY_OPENS
    let volume = 100
    const rollsAt = Math.floor(steps.length / 2)
    const rolls = steps[0]?.nextDay === true
    for (const [i, { afterMs, lots }] of steps.entries()) {
      if (rolls && i === rollsAt) {
        eventMs = NIGHT_OPENS
        volume = 0
      }
      eventMs += afterMs
      volume += lots
      const twins = stream.filter((tick) => tick.eventMs === eventMs && tick.volume === volume).length
      if (twins < 8) stream.push({ eventMs, volume, bidVolume: twins + 1 })
    }
    return stream
  })

/** What a line does next: brings its next tick, loses it, brings it twice, or goes back a few and brings those again. */
const turn = fc.record({
  line: fc.constantFrom<Line>('primary', 'backup'),
  act: fc.constantFrom('next', 'next', 'next', 'next', 'lose', 'twice', 'back'),
  by: fc.integer({ min: 1, max: 5 }),
})

describe('whatever two lines do with one true stream', () => {
  // An arbiter is megabytes of arrays; every run takes a new instrument of the same one.
  const rig = new ArbiterRig()
  let instruments = 0
  const newInstrument = () => `ru${++instruments}.SHFE`
  const name = (tick: TrueTick) => `${tick.eventMs} ${tick.volume} ${tick.bidVolume}`

  test('nothing is news twice, the order is kept, and nothing newer than the last news is passed over', () => {
    fc.assert(
      fc.property(trueStream, fc.array(turn, { maxLength: 80 }), (stream, turns) => {
        const instrument = newInstrument()
        const at: Record<Line, number> = { primary: 0, backup: 0 }
        const accepted: TrueTick[] = []
        let nowMs = 0
        const bring = (line: Line, tick: TrueTick | undefined) => {
          if (tick === undefined) return
          nowMs = Math.max(nowMs + 1, tick.eventMs + 20)
          const outcome = rig.deliver(line, instrument, {
            eventMs: tick.eventMs,
            receivedMs: nowMs,
            volume: tick.volume,
            bidVolume: tick.bidVolume,
          })
          const last = accepted.at(-1)
          const isFresh = nowMs - tick.eventMs <= DEFAULT_ARBITRATION.freshMs
          const isNewDay = last !== undefined && tick.eventMs >= NIGHT_OPENS && last.eventMs < NIGHT_OPENS
          const isNewer =
            last === undefined ||
            isNewDay ||
            (tick.eventMs >= last.eventMs &&
              tick.volume >= last.volume &&
              !accepted.some((known) => name(known) === name(tick)))
          expect(outcome === 'accepted', `${line} brings ${name(tick)} after ${last && name(last)}: ${outcome}`).toBe(
            isNewer && isFresh,
          )
          expect(rig.arbiter.lastReset).toBe(false)
          if (outcome === 'accepted') accepted.push(tick)
        }
        for (const { line, act, by } of turns) {
          const next = at[line]
          if (act === 'back') {
            for (let i = Math.max(0, next - by); i < next; i++) bring(line, stream[i])
            continue
          }
          at[line] = next + 1
          if (act !== 'lose') bring(line, stream[next])
          if (act === 'twice') bring(line, stream[next])
        }
        expect(new Set(accepted.map(name)).size).toBe(accepted.length)
        for (const [i, tick] of accepted.entries()) {
          const before = accepted[i - 1]
          if (before === undefined) continue
          const sameDay = before.eventMs < NIGHT_OPENS === tick.eventMs < NIGHT_OPENS
          expect(tick.eventMs).toBeGreaterThanOrEqual(before.eventMs)
          if (sameDay) expect(tick.volume).toBeGreaterThanOrEqual(before.volume)
        }
      }),
      { numRuns: 1_000 },
    )
  })

  test('a line that loses nothing makes everything news, whatever the other one does', () => {
    fc.assert(
      fc.property(trueStream, fc.array(turn, { maxLength: 60 }), (stream, turns) => {
        const instrument = newInstrument()
        const news = new Set<string>()
        let nowMs = 0
        const bring = (line: Line, tick: TrueTick) => {
          nowMs = Math.max(nowMs + 1, tick.eventMs + 20)
          const outcome = rig.deliver(line, instrument, { ...tick, receivedMs: nowMs })
          if (outcome === 'accepted') news.add(name(tick))
        }
        // The backup is never ahead: it brings at any time any subset of what the primary has brought.
        const lagging = [...turns]
        for (const [i, tick] of stream.entries()) {
          bring('primary', tick)
          for (const { by } of lagging.splice(0, 3)) {
            const old = stream[Math.max(0, i - by)]
            if (old !== undefined) bring('backup', old)
          }
        }
        expect(news).toEqual(new Set(stream.map(name)))
      }),
      { numRuns: 500 },
    )
  })

  test('a restart between any two ticks, restored from what was kept, makes nothing news again', () => {
    fc.assert(
      fc.property(trueStream, fc.nat(24), (stream, cut) => {
        const instrument = newInstrument()
        const kept: RestoredTick[] = []
        for (const tick of stream.slice(0, cut)) {
          const words = { ...tick, receivedMs: tick.eventMs + 20 }
          if (rig.deliver('primary', instrument, words) !== 'accepted') continue
          const book = [1_500_000, 3127, 3126, 3127, tick.bidVolume, 34]
          const { eventMs, volume } = tick
          kept.push({ tradingDay: rig.arbiter.lastTradingDay, eventMs, volume, offSession: false, book })
        }
        const restored = newInstrument()
        for (const tick of kept) rig.arbiter.restore(rig.slotOf(restored), tick)
        let nowMs = (kept.at(-1)?.eventMs ?? 0) + 30
        for (const [i, tick] of stream.entries()) {
          nowMs = Math.max(nowMs, tick.eventMs + 20)
          const outcome = rig.deliver('backup', restored, { ...tick, receivedMs: nowMs })
          expect(outcome === 'accepted', `tick ${i} of ${stream.length}, cut at ${cut}: ${outcome}`).toBe(i >= cut)
        }
      }),
      { numRuns: 500 },
    )
  })
})
