// The simulated market: one market on both lines, plausible to an arbiter, under the calendar, with its faults.

import { Writable } from 'node:stream'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { BridgeWriter, ReaderStalled } from '#adapters/feeds/bridge-writer.ts'
import { MarketDay } from '#adapters/feeds/sim/market-day.ts'
import { SimMarket } from '#adapters/feeds/sim/sim-market.ts'
import { listUniverse, SIM_INSTRUMENTS_MAX } from '#adapters/feeds/sim/sim-universe.ts'
import { TickSchedule, weightsByActivity } from '#adapters/feeds/sim/tick-schedule.ts'
import { vendorText } from '#adapters/feeds/wire.ts'
import { Arbiter, OUTCOME_NAMES } from '#domain/arbitration.ts'
import { EXCHANGES, productOfInstrument } from '#domain/instrument.ts'
import { alwaysOpenCalendar, LiveSessions, type MarketCalendar } from '#domain/session-calendar.ts'
import { TICK_AT, TICK_BYTES, tickViews } from '#domain/tick.ts'
import { at, shippedCalendar } from '../support/shipped-calendar.ts'
import { SimLine, type SimLineOptions, type TickRecord } from '../support/sim-line.ts'

const originMs = at('2026-03-04T10:00:00')

async function ticksOf(options: SimLineOptions, untilMs: number, stepMs?: number): Promise<TickRecord[]> {
  const line = new SimLine(options)
  await line.subscribe()
  await line.runUntil(untilMs, stepMs)
  return line.ticks
}

/** Outcomes of an arbiter that sees the ticks as one line's. */
function arbitrate(line: SimLine, ticks: readonly TickRecord[], calendar: MarketCalendar): Map<string, number> {
  const sessions = new LiveSessions(calendar)
  const arbiter = new Arbiter(sessions)
  const counts = new Map<string, number>()
  for (const tick of ticks) {
    const index = tick.instrument - 1
    const product = sessions.productIndex(line.feed.exchange(index), productOfInstrument(line.feed.id(index)))
    const outcome = OUTCOME_NAMES[arbiter.classify(0, index, product, tick.views, 0, false)] ?? ''
    counts.set(outcome, (counts.get(outcome) ?? 0) + 1)
  }
  return counts
}

describe('the universe', () => {
  test.each([1, 6, 7, 13, 100, 500, 3000, SIM_INSTRUMENTS_MAX])('has %i instruments, no two alike', (count) => {
    const listed = listUniverse(count, 20260304)
    expect(listed.length).toBe(count)
    expect(new Set(listed.map(({ id }) => id)).size).toBe(count)
  })

  test('covers the six exchanges from six instruments on', () => {
    for (const count of [6, 500]) {
      expect(new Set(listUniverse(count, 20260304).map(({ exchange }) => exchange))).toEqual(new Set(EXCHANGES))
    }
  })

  test('uses the ids that the exchanges use', () => {
    const patterns = {
      SHFE: /^[a-z]{2}26\d\d$|^[a-z]{2}27\d\d$|^[a-z]{2}2[67]\d\d[CP]\d+$/,
      INE: /^[a-z]{2}2[67]\d\d([CP]\d+)?$/,
      DCE: /^[a-z]{1,2}2[67]\d\d(-[CP]-\d+)?$|^SPC? [a-z]+2[67]\d\d&[a-z]+2[67]\d\d$/,
      CZCE: /^[A-Z]{2}[67]\d\d([CP]\d+)?$|^SPD [A-Z]{2}[67]\d\d&[A-Z]{2}[67]\d\d$/,
      CFFEX: /^[A-Z]{1,2}2[67]\d\d(-[CP]-\d+)?$/,
      GFEX: /^[a-z]{2}2[67]\d\d(-[CP]-\d+)?$/,
    }
    for (const { id, exchange } of listUniverse(5000, 20260304)) expect(id).toMatch(patterns[exchange])
  })

  test('lists nothing that has expired, in any month', () => {
    for (let month = 1; month <= 12; month++) {
      const tradingDay = 20270000 + month * 100 + 28
      for (const { expiry, openDate } of listUniverse(2000, tradingDay)) {
        expect(expiry).toBeGreaterThan(tradingDay)
        expect(openDate).toBeLessThan(expiry)
      }
    }
  })

  test('trades products that the market calendar knows', () => {
    const calendar = shippedCalendar()
    const unknown = listUniverse(SIM_INSTRUMENTS_MAX, 20260304).filter(
      ({ id, exchange }) => !calendar.knowsProduct(exchange, productOfInstrument(id)),
    )
    expect([...new Set(unknown.map(({ id }) => productOfInstrument(id)))]).toEqual([])
  })

  test.each([0, -1, 1.5, SIM_INSTRUMENTS_MAX + 1, Number.NaN])('refuses a size of %d', (count) => {
    expect(() => listUniverse(count, 20260304)).toThrow(RangeError)
  })
})

describe('the schedule of ticks', () => {
  const schedules = fc
    .tuple(
      fc.array(fc.constantFrom(1, 4, 16, 64), { minLength: 1, maxLength: 40 }),
      fc.double({ min: 0, max: 0.999, noNaN: true }),
    )
    .map(([weights, phase]) => new TickSchedule(Uint8Array.from(weights), (i) => (phase + i * 0.37) % 1))

  test('can be asked at any tick number as if it had been counted from the first', () => {
    fc.assert(
      fc.property(schedules, fc.integer({ min: 0, max: 5000 }), (schedule, until) => {
        const counted = new Int32Array(schedule.weight.length)
        for (let n = 0; n < until; n++) {
          const place = n % schedule.length
          const instrument = schedule.instrumentAt[place] ?? 0
          const ordinal = counted[instrument] ?? 0
          const cycle = Math.floor(n / schedule.length)
          expect(cycle * (schedule.weight[instrument] ?? 0) + (schedule.ordinalAt[place] ?? 0)).toBe(ordinal)
          expect(schedule.numberOf(instrument, ordinal)).toBe(n)
          counted[instrument] = ordinal + 1
        }
        for (const [instrument, ordinal] of counted.entries())
          expect(schedule.ordinalsBefore(instrument, until)).toBe(ordinal)
      }),
      { numRuns: 30 },
    )
  })

  test('spreads the ticks of an instrument over the cycle', () => {
    const weights = weightsByActivity(Array.from({ length: 500 }, (_, i) => -i))
    const schedule = new TickSchedule(weights, (i) => (i * 0.618) % 1)
    for (let instrument = 0; instrument < 500; instrument++) {
      const weight = weights[instrument] ?? 1
      for (let ordinal = 0; ordinal < weight; ordinal++) {
        const gap = schedule.numberOf(instrument, ordinal + 1) - schedule.numberOf(instrument, ordinal)
        expect(Math.abs(gap - schedule.length / weight)).toBeLessThan(40)
      }
    }
  })

  test('lets every instrument of the default market tick within three seconds', async () => {
    const ticks = await ticksOf({ originMs, instruments: 500, ticksPerSecond: 1000 }, originMs + 3000, 10)
    const afterSnapshots = ticks.slice(500)
    expect(new Set(afterSnapshots.map(({ instrument }) => instrument)).size).toBe(500)
    expect(afterSnapshots.length).toBeGreaterThanOrEqual(2999)
  })
})

describe('both lines', () => {
  const until = originMs + 4000
  test.each([
    ['stepping at another rhythm', { line: 'backup' } as const, 37],
    ['joining midway', { line: 'backup', startMs: originMs + 1234.5 } as const, 3],
  ])('say the same, the second %s', async (_how, options, stepMs) => {
    const [primary, backup] = [
      await ticksOf({ originMs, line: 'primary' }, until),
      await ticksOf({ originMs, ...options }, until, stepMs),
    ]
    // The 60 snapshots come first; of a line that joins late they repeat what the other had live.
    const live = backup.slice(60).map(({ said }) => said)
    expect(live).toEqual(primary.slice(-live.length).map(({ said }) => said))
    expect(live.length).toBeGreaterThan(2700)
    const seen = new Set(primary.map(({ said }) => said))
    expect(backup.slice(0, 60).every(({ said }) => seen.has(said))).toBe(true)
  })

  test('say something else under another seed', async () => {
    const [one, two] = [await ticksOf({ originMs, seed: '1' }, until), await ticksOf({ originMs, seed: '2' }, until)]
    const seen = new Set(one.map(({ said }) => said))
    expect(two.filter(({ said }) => seen.has(said)).length).toBeLessThan(two.length / 100)
  })

  test('agree over midnight, where an always-open market begins a new trading day', async () => {
    const beforeMidnight = at('2026-03-04T23:59:58')
    const options = { originMs: beforeMidnight, instruments: 20, ticksPerSecond: 200 }
    const primary = await ticksOf(options, beforeMidnight + 6000)
    const joined = await ticksOf({ ...options, startMs: beforeMidnight + 3000 }, beforeMidnight + 6000)
    const live = joined.slice(20).map(({ said }) => said)
    expect(primary.slice(-live.length).map(({ said }) => said)).toEqual(live)
    expect(new Set(primary.map(({ tradingDay }) => tradingDay))).toEqual(new Set(['20260304', '20260305']))
    const first = primary.find(({ tradingDay }) => tradingDay === '20260305')
    expect(first).toMatchObject({ time: '00:00:00', actionDay: '20260305' })
    expect(first?.volume).toBeLessThan(100)
  })
})

describe('a tick', () => {
  test('is always news to the arbiter, however dense the market is', async () => {
    for (const [instruments, ticksPerSecond] of [
      [12, 2000],
      [500, 5000],
    ] as const) {
      const line = new SimLine({ originMs, instruments, ticksPerSecond })
      await line.subscribe()
      await line.runUntil(originMs + 3000)
      const counts = arbitrate(line, line.ticks, alwaysOpenCalendar())
      const { length } = line.ticks
      // A snapshot is the tick before the first live one, so it is fresh here and no duplicate of any.
      expect(Object.fromEntries(counts)).toEqual({ accepted: length })
    }
  })

  test('shows another book than any of its 255 neighbours', () => {
    const instruments = listUniverse(100, 20260304)
    const schedule = new TickSchedule(weightsByActivity(instruments.map(({ activity }) => activity)), () => 0)
    const market = new SimMarket({ seed: 1, instruments, schedule, ticksPerSecond: 1000 })
    market.openDay(20260304)
    const views = tickViews(new ArrayBuffer(TICK_BYTES))
    for (let instrument = 0; instrument < instruments.length; instrument += 9) {
      const volumes = Array.from({ length: 256 }, (_, ordinal) => {
        market.write(views, 0, instrument, 1000 + ordinal, originMs)
        return views.i32[TICK_AT.bidVolumes / 4]
      })
      expect(new Set(volumes).size).toBe(256)
    }
  })

  test('never takes volume or time back, and stays within its own day', async () => {
    const line = new SimLine({ originMs, instruments: 200, ticksPerSecond: 4000 })
    await line.subscribe()
    await line.runUntil(originMs + 4000, 5)
    const before = new Map<number, TickRecord>()
    for (const tick of line.ticks) {
      const last = before.get(tick.instrument)
      before.set(tick.instrument, tick)
      if (last !== undefined) {
        expect(tick.volume).toBeGreaterThanOrEqual(last.volume)
        expect(`${tick.time}.${tick.millisecond + 1000}` >= `${last.time}.${last.millisecond + 1000}`).toBe(true)
        expect(tick.double('Turnover')).toBeGreaterThanOrEqual(last.double('Turnover'))
      }
      const price = tick.double('LastPrice')
      if (Number.isNaN(price)) continue
      expect(price).toBeGreaterThanOrEqual(tick.double('LowestPrice'))
      expect(price).toBeLessThanOrEqual(tick.double('HighestPrice'))
      expect(tick.double('HighestPrice')).toBeLessThanOrEqual(tick.double('UpperLimitPrice'))
      expect(tick.double('LowestPrice')).toBeGreaterThanOrEqual(tick.double('LowerLimitPrice'))
      expect(tick.double('BidPrice1')).toBeLessThan(tick.double('AskPrice1'))
    }
  })

  test('has five levels on SHFE and INE and one elsewhere, and no number where nothing was given', async () => {
    const line = new SimLine({ originMs, instruments: 100 })
    await line.subscribe()
    await line.runUntil(originMs + 500)
    for (const tick of line.ticks) {
      const exchange = line.feed.exchange(tick.instrument - 1)
      const isDeep = exchange === 'SHFE' || exchange === 'INE'
      expect(Number.isNaN(tick.double('AskPrice5'))).toBe(!isDeep)
      expect(tick.double('SettlementPrice')).toBeNaN()
      expect(tick.double('BandingUpperPrice')).toBeNaN()
      if (!isDeep) expect(tick.bidVolume(5)).toBe(0)
    }
  })

  test('of CZCE has no milliseconds, so that twins of one second occur', async () => {
    const line = new SimLine({ originMs, instruments: 30 })
    await line.subscribe()
    await line.runUntil(originMs + 2000)
    const czce = line.ticks.filter(({ instrument }) => line.feed.exchange(instrument - 1) === 'CZCE')
    expect(czce.every(({ millisecond }) => millisecond === 0)).toBe(true)
    const moments = czce.map(({ instrument, time, volume }) => `${instrument} ${time} ${volume}`)
    expect(new Set(moments).size).toBeLessThan(moments.length)
  })
})

describe('a line that was stopped for a while', () => {
  test('makes up for the last five seconds, and counts what is older as dropped', async () => {
    const line = new SimLine({ originMs })
    await line.subscribe()
    await line.runUntil(originMs + 1000)
    const before = line.ticks.length
    await line.runUntil(originMs + 61_000, 60_000)
    const madeUp = line.ticks.length - before
    expect(madeUp).toBeGreaterThanOrEqual(5000)
    expect(madeUp).toBeLessThanOrEqual(5001)
    const { received, written, dropped } = line.writer.ticks
    expect({ dropped, all: written + dropped }).toEqual({ dropped: 60_000 - madeUp, all: received })
    const [last, first] = [line.ticks[before - 1], line.ticks[before]]
    expect((first?.sequence ?? 0) - (last?.sequence ?? 0)).toBe(dropped + 1)
  })

  test('takes no more ticks than the pipe has room for, and ends before answers eat the memory', () => {
    const out = new Writable({ highWaterMark: 1, write: () => {} })
    const writer = new BridgeWriter(out)
    const room = writer.room
    for (let i = 0; i < room; i++) expect(writer.reserveTick(1)).toBeGreaterThanOrEqual(0)
    expect(writer.room).toBe(0)
    expect(writer.reserveTick(1)).toBe(-1)
    // Answers still fit, up to a limit that only a supervisor can reach which asks and never reads.
    writer.send('log', 0, { texts: ['still here'] })
    expect(() => {
      for (let i = 0; i < 100_000; i++) writer.send('log', 0, { texts: ['x'.repeat(60_000)] })
    }).toThrow(ReaderStalled)
  })
})

describe('under the market calendar', () => {
  const calendar = shippedCalendar()
  /** A Friday night: ru and rb end at 23:00, au at 02:30 of Saturday, IF has none; trading day is Monday. */
  const friday = at('2026-03-06T20:50:00')
  const options = { originMs: friday, calendar, instruments: 200, ticksPerSecond: 50 }

  test('a contract ticks only while its sessions are live', async () => {
    const line = new SimLine(options)
    await line.subscribe()
    line.ticks.length = 0
    await line.runUntil(at('2026-03-07T03:00:00'), 1000)
    const lastOf = (product: string) =>
      line.ticks.filter(({ instrument }) => productOfInstrument(line.feed.id(instrument - 1)) === product).at(-1)
        ?.time ?? ''
    expect(line.ticks[0]?.time).toBe('21:00:00')
    expect(lastOf('rb')).toMatch(/^(22:59:|23:00:00)/)
    expect(lastOf('au')).toMatch(/^(02:29:|02:30:00)/)
    expect(lastOf('IF')).toBe('')
    const counts = arbitrate(line, line.ticks, calendar)
    expect(Object.fromEntries(counts)).toEqual({ accepted: line.ticks.length })
  }, 60_000)

  test('the exchanges date the night as the real ones do', async () => {
    const line = new SimLine({ ...options, startMs: at('2026-03-06T21:30:00') })
    await line.subscribe()
    await line.runUntil(at('2026-03-06T21:30:20'), 100)
    const live = line.ticks.filter(({ time }) => time >= '21:30:00')
    const dates = new Map(
      live.map((tick) => [line.feed.exchange(tick.instrument - 1), `${tick.tradingDay} ${tick.actionDay}`]),
    )
    expect(Object.fromEntries(dates)).toEqual({
      SHFE: '20260309 20260306',
      INE: '20260309 20260306',
      DCE: '20260309 20260309',
      CZCE: '20260306 20260306',
    })
    line.command('login')
    await line.settle()
    expect(line.messages.filter(({ type }) => type === 'loggedIn').map(({ texts }) => vendorText(texts[1]))).toContain(
      '20260309',
    )
  })

  test('volume stands still over a break, and a line that joins later agrees', async () => {
    const beforeBreak = at('2026-03-09T10:14:50')
    const line = new SimLine({ ...options, startMs: beforeBreak })
    await line.subscribe(['rb2604'])
    await line.runUntil(at('2026-03-09T10:31:00'), 500)
    const morning = line.ticks.filter(({ time }) => time < '10:20:00').at(-1)
    const after = line.ticks.find(({ time }) => time >= '10:30:00')
    expect(after?.volume).toBeGreaterThan(0)
    expect((after?.volume ?? 0) - (morning?.volume ?? 0)).toBeLessThan(20)

    const joined = new SimLine({ ...options, startMs: at('2026-03-09T10:30:30') })
    await joined.subscribe(['rb2604'])
    await joined.runUntil(at('2026-03-09T10:31:00'), 500)
    const said = joined.ticks.map((tick) => tick.said)
    expect(line.ticks.slice(-said.length).map((tick) => tick.said)).toEqual(said)
  })

  test.each([
    ['on Sunday, the last tick of Friday night', '2026-03-08T12:00:00', 'rb2604', /^22:59:|^23:00:00/],
    ['in a break, the last tick before it', '2026-03-09T10:20:00', 'rb2604', /^10:14:|^10:15:00/],
    ['after the close, the last tick of the day', '2026-03-09T16:00:00', 'IF2603', /^14:59:|^15:00:00/],
    ['before the first session, an untraded state', '2026-03-09T08:30:00', 'IF2606', /^17:00:00/],
  ])('the snapshot is %s', async (_when, moment, id, time) => {
    const line = new SimLine({ ...options, startMs: at(moment), originMs: at('2026-02-25T12:00:00') })
    await line.subscribe([id])
    expect(line.ticks.length).toBe(1)
    expect(line.ticks[0]?.time).toMatch(time)
  })

  test('a day is found by its number from either side', () => {
    const schedule = new TickSchedule(Uint8Array.of(1), () => 0)
    const day = new MarketDay({ schedule, ticksPerSecond: 3, instruments: [], calendar }, friday)
    expect(day.tradingDay).toBe(20260309)
    expect(new Date(day.startMs).toISOString()).toBe(new Date(at('2026-03-06T17:00:00')).toISOString())
    expect(new Date(day.endMs).toISOString()).toBe(new Date(at('2026-03-09T17:00:00')).toISOString())
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 700_000 }), (n) => {
        expect(day.numberFrom(day.momentOf(n))).toBe(n)
        expect(day.numberFrom(day.momentOf(n) + 0.01)).toBe(n + 1)
      }),
    )
  })
})
