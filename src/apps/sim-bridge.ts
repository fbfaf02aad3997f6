/** The bridge of the simulator: one line of a market that is a function of seed and time. Run by the supervisor, see wire.ts. */

import type { BridgeWriter } from '#adapters/feeds/bridge-writer.ts'
import { type EmbeddedMarket, runEmbeddedBridge, type StartOptions } from '#adapters/feeds/embedded-bridge.ts'
import { EmbeddedFront, type HostProcess } from '#adapters/feeds/embedded-front.ts'
import { paceSimFeed } from '#adapters/feeds/sim/pace-sim-feed.ts'
import { SimFeed } from '#adapters/feeds/sim/sim-feed.ts'
import { systemClock } from '#clock.ts'
import { readMarketCalendar } from './bridge-calendar.ts'

runEmbeddedBridge({
  adapter: 'sim',
  open: openSimMarket,
  stdin: process.stdin,
  pid: process.pid,
  parentPid: () => process.ppid,
  exit: (code) => process.exit(code),
  crash: () => process.kill(process.pid, 'SIGABRT'),
})

async function openSimMarket(
  options: StartOptions,
  writer: BridgeWriter,
  hostProcess: HostProcess,
): Promise<EmbeddedMarket> {
  const marketStartMs = options.number('market_start_ms')
  const scenarioStartMs = options.number('scenario_start_ms', marketStartMs)
  const isCalendarUsed = options.text('market_clock', 'always-open') === 'calendar'
  const feed = new SimFeed({
    writer,
    clock: systemClock,
    seed: options.text('seed'),
    instruments: options.number('instruments', 500),
    ticksPerSecond: options.number('ticks_per_second', 1000),
    // The same for every bridge of a daemon, where market_start_ms may be any reading of its clock.
    listedAtMs: scenarioStartMs,
    marketStartMs,
    marketStartMonotonicMs: options.number('market_start_monotonic_ms'),
    calendar: isCalendarUsed ? await readMarketCalendar(options.text('calendar')) : undefined,
  })
  const front = new EmbeddedFront({
    writer,
    market: feed,
    process: hostProcess,
    line: options.line,
    scenario: options.scenario,
    scenarioStartMs,
    startMs: feed.marketNowMs(),
  })
  feed.attach(front)
  front.start()
  paceSimFeed(feed, front, writer)
  return { command: (message) => front.command(message), marketNowMs: () => feed.marketNowMs() }
}
