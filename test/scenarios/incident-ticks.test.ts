// Incidents that others had with ticks: stale, doubled, misdated or malformed ones, and readers that were too slow. What each of them
// corrupted there has to be told apart here.
import { Writable } from 'node:stream'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { BridgeProcess } from '#adapters/feeds/bridge-process.ts'
import { BridgeWriter } from '#adapters/feeds/bridge-writer.ts'
import { encodeMessage } from '#adapters/feeds/wire.ts'
import { systemClock } from '#clock.ts'
import { productOfInstrument } from '#domain/instrument.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { hasRecordedData, recordedLog } from '../support/recordings.ts'
import { ScriptedLine } from '../support/scripted-line.ts'
import { at } from '../support/shipped-calendar.ts'
import { ArbiterRig, moment, realCalendar } from '../support/tick-builder.ts'

let rig = new ArbiterRig()
const clocks: ManualClock[] = []
beforeEach(() => {
  rig = new ArbiterRig()
})
afterEach(() => {
  for (const clock of clocks.splice(0)) clock.dispose()
})

function manualClock(): ManualClock {
  const clock = new ManualClock()
  clocks.push(clock)
  return clock
}

const RB = 'rb2605.SHFE'
const NO_BOOK = { LastPrice: 0, BidPrice1: 0, AskPrice1: 0, OpenInterest: 0, Turnover: 0 }

describe('reported: what a front says again', () => {
  test('vnpy 421: a morning replayed from nine at 10:30, faster than it was: nothing of it is news, and the present goes on', () => {
    for (let i = 0; i < 60; i++)
      expect(rig.deliver('primary', RB, { eventMs: moment('09:00:00') + 500 * i, volume: 10 * i + 1 })).toBe('accepted')
    rig.deliver('primary', RB, { eventMs: moment('10:30:01'), volume: 9_000 })
    const receivedMs = moment('10:30:05')
    for (let i = 0; i < 60; i++) {
      const again = { eventMs: moment('09:00:00') + 500 * i, volume: 10 * i + 1, receivedMs: receivedMs + i }
      expect(rig.deliver('primary', RB, again)).not.toBe('accepted')
    }
    expect(rig.deliver('backup', RB, { eventMs: moment('10:30:06'), volume: 9_001 })).toBe('accepted')
  })

  test('vnpy 421: the last twenty seconds replayed, fresh enough to be live: none of it is news', () => {
    const ticks = Array.from({ length: 40 }, (_, i) => ({ eventMs: moment('10:30:00') + 500 * i, volume: 10 * i + 1 }))
    for (const tick of ticks) expect(rig.deliver('primary', RB, tick)).toBe('accepted')
    const again = ticks.slice(0, -1).map((tick) => ({ ...tick, receivedMs: moment('10:30:21') }))
    for (const tick of again) expect(rig.deliver('primary', RB, tick)).toBe('stale')
  })

  test('vnpy 421: last night replayed in the morning never moves the trading day back', () => {
    rig.deliver('primary', RB, { eventMs: moment('10:30:01'), volume: 9_000 })
    const night = { eventMs: moment('2026-11-18 21:30:00'), receivedMs: moment('10:30:05'), volume: 40 }
    expect(['stale', 'off_session', 'invalid']).toContain(rig.deliver('primary', RB, night))
    expect(rig.arbiter.day[rig.slotOf(RB)]).toBe(20261119)
  })

  test('recorded on 2023-12-14: snapshots of 06:32, and rows after the close, are kept apart from live ticks', () => {
    rig.subscribe('primary', 'p2605.DCE')
    const early = { eventMs: moment('06:32:15'), receivedMs: moment('09:16:40'), volume: 0 }
    expect(rig.deliver('primary', 'p2605.DCE', early)).toBe('off_session')
    expect(rig.deliver('primary', 'p2605.DCE', { eventMs: moment('09:16:41'), volume: 3 })).toBe('accepted')
    const late = { eventMs: moment('15:02:16.206'), receivedMs: moment('15:05:19'), volume: 9 }
    expect(rig.deliver('primary', 'p2605.DCE', late)).toBe('off_session')
  })
})

describe('reported: what comes outside sessions', () => {
  test('vnpy 559, 773: the afternoon’s snapshot before 21:00 corrupts no date: the night begins its own trading day', () => {
    rig.subscribe('primary', RB)
    const snapshot = {
      eventMs: moment('15:00:00'),
      receivedMs: moment('20:55:00'),
      volume: 1_000,
      tradingDay: '20261119',
    }
    expect(rig.deliver('primary', RB, snapshot)).toBe('off_session')
    expect(rig.arbiter.day[rig.slotOf(RB)]).toBe(0)
    expect(rig.deliver('primary', RB, { eventMs: moment('21:00:00.5'), volume: 6 })).toBe('accepted')
    expect(rig.arbiter.day[rig.slotOf(RB)]).toBe(20261120)
  })

  test('vnpy 377, 81, 670: an all-zero row on subscribing, or one stamped 19:30, is no live tick', () => {
    rig.subscribe('primary', RB)
    const zero = { eventMs: moment('19:30:42'), receivedMs: moment('20:10:00'), volume: 0, prices: NO_BOOK }
    expect(rig.deliver('primary', RB, zero)).toBe('off_session')
    rig.subscribe('backup', RB)
    const atNoon = { ...zero, eventMs: moment('12:05:00'), receivedMs: moment('12:05:01') }
    expect(rig.deliver('backup', RB, atNoon)).not.toBe('accepted')
    expect(rig.arbiter.day[rig.slotOf(RB)]).toBe(0)
  })

  test('wondertrader 168: a row at 15:30 is off session, the last match at 15:00:00 is not', () => {
    expect(rig.deliver('primary', RB, { eventMs: moment('15:00:00'), volume: 10 })).toBe('accepted')
    expect(rig.deliver('primary', RB, { eventMs: moment('15:30:00'), volume: 10 })).toBe('off_session')
  })

  test.each([
    ['AP309', 'AP'],
    ['AP2309', 'AP'],
    ['SR309', 'SR'],
  ])('wondertrader 168: the future %s is of product %s', (symbol, product) => {
    expect(productOfInstrument(symbol)).toBe(product)
  })

  test('wondertrader 168: an option of a three-digit month is another instrument than its future', () => {
    rig.deliver('primary', 'AP605.CZCE', { eventMs: moment('10:00:00'), volume: 500 })
    expect(rig.slotOf('AP605C9000.CZCE')).not.toBe(rig.slotOf('AP605.CZCE'))
    expect(rig.deliver('primary', 'AP605C9000.CZCE', { eventMs: moment('09:59:00'), volume: 2 })).toBe('accepted')
  })

  test.each(['CFFEX.TL', 'CZCE.PX', 'CZCE.SH', 'GFEX.lc', 'GFEX.si', 'INE.ec', 'SHFE.ao', 'SHFE.br'])(
    'recorded on 2023-12-12: no session was configured for %s, a new product; here it has one',
    (name) => {
      const [exchange = '', product = ''] = name.split('.')
      expect(realCalendar().productState(exchange, product, at('2026-03-10 10:00'))).toBe('open')
      expect(realCalendar().productState(exchange, product, at('2026-03-10 16:00'))).not.toBe('open')
    },
  )
})

describe('reported: stamps that cannot be believed', () => {
  test('vnpy 1052: DCE writes the trading day for the action day: the moment is that of receipt', () => {
    const late = { eventMs: moment('22:59:59.9'), tradingDay: '20261120', actionDay: '20261120', volume: 5 }
    expect(rig.deliver('primary', 'm2605.DCE', late)).toBe('accepted')
    expect(rig.arbiter.lastEventMs).toBe(moment('22:59:59.9'))
    expect(rig.arbiter.lastTradingDay).toBe(20261120)
  })

  test.each([
    ['23:59:59.9 received after midnight', '2026-11-19 23:59:59.9', '2026-11-20 00:00:00.3'],
    ['00:00:00 received a moment early by our clock', '2026-11-20 00:00:00', '2026-11-19 23:59:59.8'],
  ])('vnpy_ctp 34, vnpy 3044: %s keeps its own date', (_what, event, received) => {
    const tick = { eventMs: moment(event), receivedMs: moment(received), volume: 5 }
    expect(rig.deliver('primary', 'ag2606.SHFE', tick)).toBe('accepted')
    expect(rig.arbiter.lastEventMs).toBe(moment(event))
    expect(rig.arbiter.lastTradingDay).toBe(20261120)
  })

  test('vnpy_ctp 34: the first row of 08:30 with the time of last afternoon does not land in the future', () => {
    rig.subscribe('primary', RB)
    const last = { eventMs: moment('2026-11-18 22:59:59.5'), receivedMs: moment('08:30:01'), volume: 77 }
    expect(rig.deliver('primary', RB, last)).toBe('off_session')
    expect(rig.arbiter.lastEventMs).toBeLessThan(moment('08:30:01'))
    expect(rig.deliver('primary', RB, { eventMs: moment('09:00:00.5'), volume: 78 })).toBe('accepted')
  })

  test('vnpy 3044: CZCE twins of one second without milliseconds are each news, from whichever line, and once', () => {
    const twins = [1, 2, 3].map((bidVolume) => ({ eventMs: moment('10:00:01'), volume: 10, bidVolume }))
    expect(twins.map((twin) => rig.deliver('primary', 'CF605.CZCE', twin))).toEqual([
      'accepted',
      'accepted',
      'accepted',
    ])
    expect(twins.map((twin) => rig.deliver('backup', 'CF605.CZCE', twin))).toEqual([
      'duplicate',
      'duplicate',
      'duplicate',
    ])
  })

  test.each(['99:99:99', '', '24:00:00', '9:00:00.', 'ab:cd:ef'])(
    'vnpy 364: the time "%s" is counted as invalid and stops nothing',
    (time) => {
      expect(rig.deliver('primary', RB, { eventMs: moment('10:00:00'), time, volume: 1 })).toBe('invalid')
      expect(rig.deliver('primary', RB, { eventMs: moment('10:00:00.5'), volume: 2 })).toBe('accepted')
    },
  )
})

describe('reported: readers', () => {
  test('CppCTP 62: one that is slow costs ticks that are counted, never the process; the rest goes out when it reads again', async () => {
    const held: (() => void)[] = []
    const out = new Writable({ highWaterMark: 1, write: (_chunk, _encoding, done) => void held.push(done) })
    const writer = new BridgeWriter(out)
    let taken = 0
    for (let i = 0; i < 40_000; i++) {
      if (writer.reserveTick(1) >= 0) taken++
      else writer.dropTicks(1)
    }
    expect(taken).toBeGreaterThan(20_000)
    expect(writer.ticks).toMatchObject({ written: taken, dropped: 40_000 - taken })
    expect(writer.reserveTick(1)).toBe(-1)
    const drained = writer.drained()
    for (let turn = 0; turn < 1_000 && (held.length > 0 || turn < 5); turn++) {
      held.shift()?.()
      await new Promise((resolve) => setImmediate(resolve))
    }
    await drained
    expect(writer.reserveTick(1)).toBeGreaterThanOrEqual(0)
  })
})

const isRecorded = hasRecordedData()

describe.skipIf(!isRecorded)('the recorded logs themselves', { timeout: 120_000 }, () => {
  const CONNECTION =
    /(?:\[|^)(\d{4})\.(\d\d)\.(\d\d) (\d\d):(\d\d):(\d\d).*server (connected|disconnected: (\d+)|logined, (\d+))/
  interface Event {
    second: number
    what: 'connected' | 'disconnected' | 'loggedIn'
    number: number
  }

  function eventsOf(day: string): Event[] {
    return recordedLog(`Parser_${day}`)
      .split('\n')
      .flatMap((line): Event[] => {
        const found = CONNECTION.exec(line)
        if (found === null) return []
        const [, , , , hours, minutes, seconds, text = '', reason, tradingDay] = found
        const second = Number(hours) * 3_600 + Number(minutes) * 60 + Number(seconds)
        if (text === 'connected') return [{ second, what: 'connected', number: 0 }]
        if (reason !== undefined) return [{ second, what: 'disconnected', number: Number(reason) }]
        return [{ second, what: 'loggedIn', number: Number(tradingDay) }]
      })
  }

  test('2023-12-12: the storm as it was recorded ends in a bounded number of logins', async () => {
    const events = eventsOf('2023-12-12')
    const count = (what: Event['what']) => events.filter((event) => event.what === what).length
    expect(count('connected')).toBeGreaterThan(400)
    expect(count('loggedIn')).toBe(0)

    const clock = manualClock()
    const line = new ScriptedLine(clock)
    await line.upToConnected()
    line.bridge.say('disconnected', { code: 0 })
    const logins = () => line.bridges.reduce((sum, bridge) => sum + bridge.count('login'), 0)
    const perSecond = new Map<number, number>()
    for (const { second } of events) perSecond.set(second, (perSecond.get(second) ?? 0) + 1)
    let last = events[0]?.second ?? 0
    for (const { second, what, number } of events) {
      // The hours in which that program was not running say nothing.
      await line.pass(Math.min(second - last, 5) * 1_000)
      last = second
      await clock.pass(Math.floor(900 / (perSecond.get(second) ?? 1)))
      if (what === 'connected') line.bridge.say('connected')
      else line.bridge.say('disconnected', { code: number })
      await clock.settle()
    }
    expect(line.bridges).toHaveLength(1)
    expect(logins()).toBeLessThanOrEqual(15)
    await line.end()
  })

  test.each(['2023-12-14', '2023-12-15', '2023-12-18', '2023-12-19', '2023-12-20'])(
    '%s: after each recorded connection the line logs in once and asks for every contract again',
    async (day) => {
      const events = eventsOf(day)
      const clock = manualClock()
      const line = new ScriptedLine(clock)
      await line.upToStreaming()
      let [connections, expectedDay] = [1, '20261119']
      for (const { what, number } of events) {
        await line.pass(line.session.connected ? 70_000 : 1_000)
        if (what === 'loggedIn') continue
        // A program that was started anew connects without having been disconnected.
        if (line.session.connected) line.bridge.say('disconnected', { code: what === 'connected' ? 0 : number })
        await line.pass(1_000)
        if (what === 'disconnected') continue
        connections++
        line.bridge.say('connected')
        await line.pass(2_000)
        expect(line.bridge.count('login')).toBe(connections)
        const loggedIn = events[events.findIndex((event) => event.what === what) + 1]
        expectedDay = String(loggedIn?.number ?? expectedDay)
        line.bridge.say('loggedIn', { texts: ['', expectedDay] })
        await clock.settle()
        line.bridge.answerSubscribe(0)
        await clock.settle()
        expect(line.session.state).toBe('streaming')
        expect(line.bridge.last('subscribe')?.texts).toHaveLength(3)
      }
      expect(connections).toBeGreaterThan(1)
      await line.end()
    },
  )

  test.each(['2023-12-14', '2023-12-18'])('%s: no row that was skipped for its stamp is a live tick here', (day) => {
    const date = day.replaceAll('-', '')
    const SKIPPED = /(\d\d):(\d\d):(\d\d) - warning\] .*\[([A-Z]+)\.(\w+)\] (\d{8})\.(\d+) is invalid timestamp/
    const rows = recordedLog(`QuoteFact_${day}`)
      .split('\n')
      .map((line) => SKIPPED.exec(line)?.slice(1) ?? [])
      .filter((row) => row.length > 0)
    expect(rows.length).toBeGreaterThan(100)
    for (const [hours, minutes, seconds, exchange, symbol, stampedOn, stamp = ''] of rows) {
      expect(stampedOn).toBe(date)
      const digits = stamp.padStart(9, '0')
      const time = `${digits.slice(0, 2)}:${digits.slice(2, 4)}:${digits.slice(4, 6)}.${digits.slice(6)}`
      const instrument = `${symbol}.${exchange}`
      rig.subscribe('primary', instrument)
      const receivedMs = at(`${day} ${hours}:${minutes}:${seconds}`) + 999
      const outcome = rig.deliver('primary', instrument, { eventMs: at(`${day} ${time}`), receivedMs, volume: 0 })
      expect(`${instrument} ${time} ${outcome}`).toMatch(/ (off_session|duplicate|stale)$/)
      expect(rig.arbiter.day[rig.slotOf(instrument)]).toBe(0)
    }
  })
})

test('webctp 14: a bridge that goes on sending after it was let go is ended, and nothing of it comes later', async () => {
  const frame = encodeMessage('log', { texts: ['still here'], sequence: 1, wallMs: 0, monotonicMs: 0 })
  const bytes = `Buffer.from(${JSON.stringify(Buffer.from(frame).toString('base64'))}, 'base64')`
  const flood = `const f = require('node:fs'), b = ${bytes}; for (;;) try { f.writeSync(3, b) } catch {}`
  const frames = { ended: 0, afterEnd: 0 }
  const heard = () => {
    if (frames.ended > 0) frames.afterEnd++
  }
  const bridge = new BridgeProcess(
    { program: process.execPath, args: ['-e', flood], env: {} },
    {
      reading: heard,
      tick: heard,
      message: heard,
      printed: () => undefined,
      ended: () => void frames.ended++,
    },
    systemClock,
  )
  await bridge.retire(200)
  expect(frames.ended).toBe(1)
  await new Promise((resolve) => setImmediate(resolve))
  expect(frames).toEqual({ ended: 1, afterEnd: 0 })
})
