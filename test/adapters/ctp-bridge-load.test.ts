/**
 * The bridge under load: whatever the reader does, memory is bounded, nothing is lost uncounted, and the session lives on. Speed
 * depends on the machine, so that only whoever asks for figures has it checked: FEED_BENCH=1 npx vitest run
 * test/adapters/ctp-bridge-load.test.ts
 */
import { readFileSync } from 'node:fs'
import { beforeAll, describe, expect, it } from 'vitest'
import { systemClock } from '#clock.ts'
import { TICK_AT, type TickViews } from '#domain/tick.ts'
import type { BridgeClient } from '../support/ctp-bridge-client.ts'
import { bridgeOf, frontOf } from '../support/ctp-scene.ts'
import { BUILDS, builtBridge, whyNoBridge } from '../support/ctp-standin.ts'

const IDS = Array.from({ length: 800 }, (_, i) => `rb${i}`)

interface Flow {
  ticks: number
  lastVolumes: Map<number, number>
  fellBack: number
}

/** Counts instead of keeping; Volume grows by one per contract, so an order that is broken shows. */
function watch(bridge: BridgeClient): Flow {
  const flow: Flow = { ticks: 0, lastVolumes: new Map(), fellBack: 0 }
  bridge.onTick = ({ i32 }, at) => {
    const word = at >> 2
    const instrument = i32[word + 3] ?? 0
    const volume = i32[word + (TICK_AT.volume >> 2)] ?? 0
    flow.ticks++
    if (volume <= (flow.lastVolumes.get(instrument) ?? 0)) flow.fellBack++
    flow.lastVolumes.set(instrument, volume)
  }
  return flow
}

async function totals(bridge: BridgeClient, received: number) {
  const counters = await bridge.until(
    () =>
      bridge
        .of('counters')
        .find(({ numbers }) => numbers[0] === received && (numbers[1] ?? 0) + (numbers[2] ?? 0) === received),
    `counters of ${received} ticks`,
    60_000,
  )
  const [, written = 0, dropped = 0, highWater = 0] = counters.numbers
  return { written, dropped, highWater }
}

describe.skipIf(whyNoBridge !== undefined).each(BUILDS)('a bridge under load (%s build)', (build) => {
  let executable: string
  beforeAll(async () => {
    executable = await builtBridge('6.7.7', build)
  }, 300_000)

  it('whose reader keeps up delivers every tick, in order', { timeout: 60_000 }, async () => {
    const market = await frontOf()
    const bridge = bridgeOf(executable)
    await bridge.logIn(market.address)
    const flow = watch(bridge)
    market.session.stream(40_000, 20_000, IDS)
    const { written, dropped } = await totals(bridge, 40_000)
    expect([flow.ticks, flow.fellBack]).toEqual([written, 0])
    // A machine that stops for seconds fills the ring; every tick is accounted for all the same.
    expect(written + dropped).toBe(40_000)
    const sequences = bridge.messages.map(({ sequence }) => sequence)
    expect(sequences).toEqual(sequences.toSorted((a, b) => a - b))
  })

  it('whose reader stalls drops the oldest ticks, counts them, and keeps session, other frames and memory', {
    timeout: 120_000,
  }, async () => {
    const market = await frontOf()
    const bridge = bridgeOf(executable, { args: ['--ring-ticks', '8192'] })
    await bridge.logIn(market.address)
    const flow = watch(bridge)
    bridge.frames.pause()
    market.session.stream(300_000, 0, IDS)
    await market.line('streamed', 60_000)
    for (const id of IDS) market.session.subscribedTo(id)
    for (const id of IDS) market.session.tick(id, { Volume: 1_000_000 })
    market.session.nextReturn('login', 0)
    await market.line('returning')
    const megabytes = residentBytes(bridge) / 1e6
    if (build === 'plain') expect(megabytes).toBeLessThan(60)

    bridge.frames.resume()
    const { written, dropped, highWater } = await totals(bridge, 300_800)
    expect(dropped).toBeGreaterThan(200_000)
    expect(highWater).toBe(8192)
    // Where ticks were dropped there is a hole in the numbers of the frames.
    expect(bridge.missing.beforeCounters).toBe(dropped)
    expect([flow.ticks, flow.fellBack]).toEqual([written, 0])
    // The newest survive: each contract ends on its last tick. No other frame is lost.
    expect([...flow.lastVolumes.values()].every((volume) => volume === 1_000_000)).toBe(true)
    expect(bridge.of('subscribed')).toHaveLength(800)
    expect(bridge.of('disconnected')).toEqual([])
    bridge.send('subscribe', ['rb1'])
    await bridge.message('requested', 2)
  })

  it('whose reader stalls still ends at the end of stdin', { timeout: 60_000 }, async () => {
    const market = await frontOf()
    const bridge = bridgeOf(executable)
    await bridge.logIn(market.address)
    watch(bridge)
    bridge.frames.pause()
    market.session.stream(100_000, 0, IDS)
    await market.line('streamed', 60_000)
    bridge.stdin.end()
    await new Promise((resolve) => bridge.process.on('exit', resolve))
    bridge.frames.resume()
    expect(await bridge.ended).toEqual({ code: 0, signal: null })
  })
})

describe.runIf(process.env['FEED_BENCH'] === '1' && whyNoBridge === undefined)('figures', () => {
  let executable: string
  beforeAll(async () => {
    executable = await builtBridge('6.7.11')
  }, 300_000)

  it.each([500_000, 750_000, 1_000_000, 0])(
    'ticks per second into the frame reader, offered %i/s',
    { timeout: 120_000 },
    async (rate) => {
      const market = await frontOf()
      const bridge = bridgeOf(executable)
      await bridge.logIn(market.address)
      let ticks = 0
      let firstMs = 0
      let lastMs = 0
      let sum = 0
      bridge.onTick = ({ f64, i32 }: TickViews, at: number) => {
        if (ticks++ === 0) firstMs = systemClock.monotonicMs()
        sum += (f64[(at >> 3) + 8] ?? 0) + (i32[(at >> 2) + 3] ?? 0)
        if (ticks % 10_000 === 0) lastMs = systemClock.monotonicMs()
      }
      const count = 3_000_000
      market.session.stream(count, rate, IDS)
      await market.line('streamed', 60_000)
      const { written, dropped, highWater } = await totals(bridge, count)
      const [, , seconds = ''] = await market.line('streamed')
      const perSecond = Math.round((written / (lastMs - firstMs)) * 1000)
      console.info(
        `offered ${count} in ${seconds} s: read ${written} at ${perSecond}/s, dropped ${dropped}, ring high-water ${highWater}, sum ${sum}`,
      )
      expect([written + dropped, bridge.missing.beforeCounters]).toEqual([count, dropped])
      if (rate === 1_000_000) expect(perSecond).toBeGreaterThanOrEqual(500_000)
    },
  )

  it('latency at 20,000 ticks/s', { timeout: 120_000 }, async () => {
    const market = await frontOf()
    const bridge = bridgeOf(executable)
    await bridge.logIn(market.address)
    const count = 200_000
    const latencies = new Float64Array(count)
    let ticks = 0
    bridge.onTick = ({ f64 }: TickViews, at: number) => {
      latencies[ticks++] = systemClock.monotonicMs() - (f64[(at + TICK_AT.receivedMonotonicMs) >> 3] ?? 0)
    }
    const before = cpuSeconds(bridge)
    market.session.stream(count, 20_000, IDS)
    await market.line('streamed', 60_000)
    await bridge.until(() => ticks === count || undefined, 'every tick', 20_000).catch(() => undefined)
    const sorted = latencies.subarray(0, ticks).toSorted()
    const at = (share: number) => (sorted[Math.min(ticks - 1, Math.floor(ticks * share))] ?? Number.NaN).toFixed(2)
    const cores = (cpuSeconds(bridge) - before) / 10
    console.info(
      `${ticks} ticks: p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, p99.9 ${at(0.999)} ms, max ${at(1)} ms; bridge with stand-in ${cores.toFixed(2)} core`,
    )
    expect(ticks).toBe(count)
    expect(Number(at(0.99))).toBeLessThanOrEqual(3)
  })

  it('reader stalled for 10 s at 20,000 ticks/s', { timeout: 120_000 }, async () => {
    const market = await frontOf()
    const bridge = bridgeOf(executable)
    await bridge.logIn(market.address)
    const flow = watch(bridge)
    market.session.stream(240_000, 20_000, IDS)
    bridge.frames.pause()
    await new Promise((resolve) => setTimeout(resolve, 10_000))
    const megabytes = residentBytes(bridge) / 1e6
    bridge.frames.resume()
    await market.line('streamed', 60_000)
    const { written, dropped, highWater } = await totals(bridge, 240_000)
    const disconnects = bridge.of('disconnected').length
    expect(megabytes).toBeLessThan(60)
    expect([written + dropped, bridge.missing.beforeCounters, flow.ticks]).toEqual([240_000, dropped, written])
    expect(dropped).toBeGreaterThan(100_000)
    expect(disconnects).toBe(0)
    console.info(
      `resident ${megabytes.toFixed(0)} MB, read ${flow.ticks}, written ${written}, dropped ${dropped}, ring high-water ${highWater}, disconnects ${disconnects}`,
    )
  })
})

function residentBytes(bridge: BridgeClient): number {
  const kilobytes = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${bridge.process.pid}/status`, 'utf8'))?.[1]
  return Number(kilobytes) * 1024
}

function cpuSeconds(bridge: BridgeClient): number {
  const fields = readFileSync(`/proc/${bridge.process.pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? []
  return (Number(fields[11]) + Number(fields[12])) / 100
}
