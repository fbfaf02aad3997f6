/** The bridge of the replay: one line that shows recorded ticks at the supervisor's pace. Run by the supervisor, see wire.ts. */
import type { BridgeWriter } from '#adapters/feeds/bridge-writer.ts'
import { type EmbeddedMarket, runEmbeddedBridge, type StartOptions } from '#adapters/feeds/embedded-bridge.ts'
import { EmbeddedFront, type HostProcess } from '#adapters/feeds/embedded-front.ts'
import { ReplayFeed } from '#adapters/feeds/replay/replay-feed.ts'
import { systemClock } from '#clock.ts'
import { readMarketCalendar } from './bridge-calendar.ts'

runEmbeddedBridge({
  adapter: 'replay',
  open: openRecordings,
  stdin: process.stdin,
  pid: process.pid,
  parentPid: () => process.ppid,
  exit: (code) => process.exit(code),
  crash: () => process.kill(process.pid, 'SIGABRT'),
})

async function openRecordings(
  options: StartOptions,
  writer: BridgeWriter,
  hostProcess: HostProcess,
): Promise<EmbeddedMarket> {
  const { line, scenario } = options
  const exchanges = options.textMap('product_exchanges')
  const calendar = await readMarketCalendar(options.text('calendar'))
  const feed = await ReplayFeed.open({
    writer,
    clock: systemClock,
    line,
    scenario,
    scenarioStartMs: options.optionalNumber('scenario_start_ms'),
    startMs: options.optionalNumber('market_start_ms'),
    files: options
      .text('files')
      .split('\n')
      .filter((path) => path !== ''),
    calendar,
    exchangeOfProduct: (product) => exchanges.get(product) ?? calendar?.exchangeOf(product),
  })
  const front = new EmbeddedFront({
    writer,
    market: feed,
    process: hostProcess,
    line,
    scenario,
    scenarioStartMs: feed.scenarioStartMs,
    startMs: feed.marketNowMs(),
  })
  feed.attach(front)
  front.start()
  return {
    command: (message) => (message.type === 'advance' ? feed.advance(message) : front.command(message)),
    marketNowMs: () => feed.marketNowMs(),
  }
}
