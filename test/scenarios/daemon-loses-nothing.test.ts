// Bridges are killed while the market runs: what is missing in the journal is told by the market itself, which is a function of seed and
// time and is computed here a second time.
import { afterAll, describe, expect, test } from 'vitest'
import type { JournalTick } from '#adapters/journal/journal-tick.ts'
import { expectOneStream } from '../support/journalled.ts'
import { DaemonHome, eventually } from '../support/real-daemon.ts'
import { at, shippedCalendar } from '../support/shipped-calendar.ts'
import { SimLine, type TickRecord } from '../support/sim-line.ts'

const homes: DaemonHome[] = []
afterAll(async () => {
  for (const home of homes) await home.dispose()
})

const STARTS = '2026-11-19T09:31:00+08:00'
const MARKET = { instruments: 80, ticksPerSecond: 800, seed: '42' }
const ENV = {
  SIM_INSTRUMENTS: String(MARKET.instruments),
  SIM_TICKS_PER_SECOND: String(MARKET.ticksPerSecond),
  SIM_SEED: MARKET.seed,
  SIM_MARKET_CLOCK: STARTS,
  SUBSCRIBE_RATE_LIMIT_MAX_REQUESTS: '0',
}

interface TrueTick {
  marketMs: number
  name: string
}

/** Every tick of the market from its start to `toMs`, by the name under which the journal must have it. */
async function truth(toMs: number): Promise<TrueTick[]> {
  const originMs = Date.parse(STARTS)
  const line = new SimLine({ ...MARKET, originMs, calendar: shippedCalendar() })
  const ticks: TrueTick[] = []
  const ids = line.ids
  await line.subscribe()
  // What subscribing brings is no part of the stream.
  line.ticks.length = 0
  await line.runUntil(toMs, 5)
  for (const tick of line.ticks)
    ticks.push({ marketMs: tick.receivedWallMs, name: nameOf(ids[tick.instrument - 1] ?? '', tick) })
  return ticks
}

function nameOf(id: string, tick: TickRecord): string {
  const price = (name: 'LastPrice' | 'BidPrice1' | 'AskPrice1') => {
    const value = tick.double(name)
    return Number.isNaN(value) ? 'none' : value
  }
  const time = `${tick.time}.${String(tick.millisecond).padStart(3, '0')}`
  return [id, time, tick.volume, price('LastPrice'), price('BidPrice1'), price('AskPrice1'), tick.bidVolume(1)].join(
    ' ',
  )
}

function journalledName(tick: JournalTick): string {
  const { symbol, datetime, volume, last_price, bid_price_1, ask_price_1, bid_volume_1 } = tick
  const prices = [last_price, bid_price_1, ask_price_1].map((price) => price ?? 'none')
  return [symbol, datetime.slice(11, 23), volume, ...prices, bid_volume_1 ?? 0].join(' ')
}

/** Ticks of the market between both moments that the journal does not hold, and how many there were. */
async function lossBetween(home: DaemonHome, fromMs: number, toMs: number): Promise<{ lost: string[]; total: number }> {
  const journalled = await home.ticks()
  expectOneStream(journalled)
  const names = new Set(journalled.map(journalledName))
  const due = (await truth(toMs)).filter(({ marketMs }) => marketMs >= fromMs)
  return { lost: due.filter(({ name }) => !names.has(name)).map(({ name }) => name), total: due.length }
}

describe.concurrent('a bridge that is killed', { timeout: 180_000 }, () => {
  test('of the one line, then of the other, again and again: not one tick of the market is missing', async () => {
    const home = new DaemonHome()
    homes.push(home)
    const daemon = home.start({ env: ENV })
    const bothStream = () =>
      home.until('both lines stream', ({ lines }) =>
        [lines.primary, lines.backup].every((line) => line?.state === 'streaming' && line.pulse === 'green'),
      )
    const fromMs = at((await bothStream()).market_time.slice(0, 19).replace('T', ' ')) + 1_000
    for (const line of ['primary', 'backup', 'primary', 'backup', 'primary'] as const) {
      const { lines } = await bothStream()
      const pid = lines[line]?.bridge_pid
      if (pid === null || pid === undefined) throw new Error(`${line} has a bridge`)
      process.kill(pid, 'SIGKILL')
      await home.until('another bridge', (status) => {
        const now = status.lines[line]?.bridge_pid
        return now !== null && now !== pid
      })
    }
    const { market_time } = await bothStream()
    const toMs = at(market_time.slice(0, 19).replace('T', ' '))
    await eventually(
      async () =>
        at((await home.status()).market_time.slice(0, 19).replace('T', ' ')) > toMs + 1_000 ? true : undefined,
      () => 'the market goes on',
    )
    expect((await daemon.stop()).code).toBe(0)
    expect(toMs - fromMs).toBeGreaterThan(2_000)
    const { lost, total } = await lossBetween(home, fromMs, toMs)
    expect(total).toBeGreaterThan(1_000)
    expect(lost).toEqual([])
  })

  test('while the other line is mute loses what was due meanwhile, and nothing else: the comparison can tell', async () => {
    const home = new DaemonHome()
    homes.push(home)
    const daemon = home.start({ env: ENV, scenario: [{ at_ms: 0, line: 'backup', fault: 'mute' }] })
    const { lines, market_time } = await home.until('the primary streams', (status) => status.ticks.accepted > 500)
    const fromMs = at(market_time.slice(0, 19).replace('T', ' ')) + 1_000
    await home.until('a while', ({ market_time: now }) => at(now.slice(0, 19).replace('T', ' ')) > fromMs + 1_000)
    process.kill(lines.primary.bridge_pid ?? Number.NaN, 'SIGKILL')
    const back = await home.until(
      'the primary is back',
      (status) =>
        status.lines.primary.state === 'streaming' && status.lines.primary.bridge_pid !== lines.primary.bridge_pid,
    )
    const toMs = at(back.market_time.slice(0, 19).replace('T', ' ')) + 1_000
    await home.until('a while', ({ market_time: now }) => at(now.slice(0, 19).replace('T', ' ')) > toMs + 1_000)
    await daemon.stop()
    const { lost, total } = await lossBetween(home, fromMs, toMs)
    expect(lost.length).toBeGreaterThan(0)
    expect(lost.length).toBeLessThan(total)
    // One hole, no holes elsewhere: CZCE stamps whole seconds, so a second at each edge may belong to it.
    const times = lost.map((name) => name.split(' ').find((word) => word.includes(':')) ?? '').sort()
    const [first = '', last = ''] = [times[0], times.at(-1)]
    expect(Date.parse(`2026-11-19T${last}Z`) - Date.parse(`2026-11-19T${first}Z`)).toBeLessThan(10_000)
  })
})
