/** The simulated feed: one seeded market, shown by a bridge process of ours. Its logins are made up and never refused by themselves. */
import type { FeedAdapter } from '../feed-adapter.ts'

export interface EmbeddedBridgeOptions {
  /** Path of the bridge's main script. */
  script: string
  line: 'primary' | 'backup'
  account: { masked: string; key: string; userId: string }
  /** JSON text of the scenario, empty for none. */
  scenario: string
  /** Where market time stands, and at which CLOCK_MONOTONIC it stood there: asked at every start of a bridge. */
  marketClock(): { marketMs: number; monotonicMs: number }
  /** Market time at which the scenario's `at_ms` is 0. */
  scenarioStartMs: number
  calendarDir: string
}

export interface SimOptions extends EmbeddedBridgeOptions {
  instruments: number
  ticksPerSecond: number
  seed: number
  alwaysOpen: boolean
}

export function simFeedAdapter(options: SimOptions): FeedAdapter {
  return {
    kind: 'sim',
    account: options.account.masked,
    accountKey: options.account.key,
    front: 'simulator',
    listing: 'bridge',
    command: () => embeddedBridgeCommand(options.script),
    startPairs: () => [
      ...embeddedStartPairs(options),
      ...['market_clock', options.alwaysOpen ? 'always-open' : 'calendar'],
      ...['seed', String(options.seed)],
      ...['instruments', String(options.instruments)],
      ...['ticks_per_second', String(options.ticksPerSecond)],
    ],
    loginPairs: async () => ['user_id', options.account.userId],
  }
}

/** A bridge of ours runs on the same Node; it needs nothing of the environment but the time zone-free basics. */
export function embeddedBridgeCommand(script: string) {
  return { program: process.execPath, args: ['--max-semi-space-size=4', script], env: {} }
}

export function embeddedStartPairs(options: EmbeddedBridgeOptions): string[] {
  const { marketMs, monotonicMs } = options.marketClock()
  return [
    ...['line', options.line],
    ...['market_start_ms', String(marketMs)],
    ...['market_start_monotonic_ms', String(monotonicMs)],
    ...['scenario', options.scenario],
    ...['scenario_start_ms', String(options.scenarioStartMs)],
    ...['calendar', JSON.stringify(options.calendarDir)],
  ]
}
