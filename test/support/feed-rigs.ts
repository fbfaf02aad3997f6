/**
 * The same market and the same faults behind every kind of bridge: 40 contracts that tick ten times a second, faults by scenario. What
 * the daemon makes of a fault must not depend on who brings it.
 */
import { spawnSync } from 'node:child_process'
import { chmodSync, copyFileSync, mkdirSync, writeFileSync } from 'node:fs'
import { CtpMarket } from './ctp-market.ts'
import { BUILDS, type Build, builtBridge, shiftedWallClock, whyNoBridge } from './ctp-standin.ts'
import type { DaemonHome, RealDaemon } from './real-daemon.ts'
import { csvOf } from './recordings.ts'

export const CONTRACTS = Array.from({ length: 40 }, (_, i) => `rb27${String(i).padStart(2, '0')}`)

export interface FeedRig {
  readonly name: string
  /** The build of the bridge, where there is more than one. */
  readonly build?: Build
  /** Why it can't run here. */
  readonly whyNot: string | undefined
  /** A contract's volume rises by one with each tick, so that a tick which is missing shows. */
  readonly volumeCountsTicks: boolean
  /** Starts the daemon; `at_ms` of a fault counts from about now. */
  start(home: DaemonHome, scenario?: readonly object[]): Promise<RealDaemon>
  dispose(): Promise<void>
}

/** A Thursday with trading from 09:30 to 10:15 and all of it past for ever. */
const STARTS = '2026-11-19T09:31:00+08:00'
const TRADING_DAY = '20261119'
const EVERY_MS = 100
const PACE = {
  SUBSCRIBE_RATE_LIMIT_MAX_REQUESTS: '0',
  SUBSCRIBE_BATCH_SIZE: '10',
  RATE_LIMIT_LOGIN_PER_MINUTE: '60',
  METRICS_PORT: '0',
}

const sim: FeedRig = {
  name: 'sim',
  whyNot: undefined,
  volumeCountsTicks: false,
  start: async (home, scenario = []) =>
    home.start({ scenario, env: { ...PACE, SIM_INSTRUMENTS: '40', SIM_TICKS_PER_SECOND: '400' } }),
  dispose: async () => undefined,
}

/** Longer than any scenario. */
const RECORDED_SECONDS = 90

const replay: FeedRig = {
  name: 'replay',
  whyNot: undefined,
  volumeCountsTicks: true,
  async start(home, scenario = []) {
    const file = `${home.directory}/recording.csv`
    writeFileSync(file, recording())
    return home.start({ scenario, env: { ...PACE, FEED_ADAPTER: 'replay', REPLAY_FILES: file, REPLAY_SPEED: '1' } })
  },
  dispose: async () => undefined,
}

function recording(): string {
  const rows = Array.from({ length: (RECORDED_SECONDS * 1000) / EVERY_MS }, (_, tick) => {
    const at = new Date(Date.parse(STARTS) + tick * EVERY_MS + 8 * 3_600_000).toISOString()
    return CONTRACTS.map((InstrumentID) => ({
      InstrumentID,
      TradingDay: TRADING_DAY,
      ActionDay: TRADING_DAY,
      UpdateTime: at.slice(11, 19),
      UpdateMillisec: Number(at.slice(20, 23)),
      Volume: tick + 1,
      LastPrice: 3_500 + (tick % 10),
    }))
  })
  return csvOf(rows.flat())
}

const markets = new Set<CtpMarket>()

const ctpRig = (build: Build): FeedRig => ({
  name: `ctp (${build})`,
  build,
  whyNot: whyNoBridge,
  volumeCountsTicks: true,
  async start(home, scenario = []) {
    const shiftSeconds = Math.round((Date.parse(STARTS) - Date.now()) / 1000)
    const shifted = { LD_PRELOAD: await shiftedWallClock(), WALL_SHIFT_SECONDS: String(shiftSeconds) }
    const bridge = await bridgeUnder(shifted, build, `${home.directory}/bridge`)
    const catalogue = `${home.directory}/contracts.json`
    writeFileSync(catalogue, JSON.stringify({ symbols: CONTRACTS.map((symbol) => `${symbol}.SHFE`) }))
    const market = await CtpMarket.open({
      contracts: CONTRACTS,
      everyMs: EVERY_MS,
      shiftMs: shiftSeconds * 1000,
      tradingDay: TRADING_DAY,
      scenario,
    })
    markets.add(market)
    const login = (line: 'PRIMARY' | 'BACKUP', user: string) => ({
      [`CTP_${line}_BROKER_ID`]: '9999',
      [`CTP_${line}_USER_ID`]: user,
      [`CTP_${line}_PASSWORD`]: `password-of-${user}`,
      [`CTP_${line}_MD_ADDRESS`]: market.fronts[line === 'PRIMARY' ? 'primary' : 'backup'].address,
    })
    const env = { ...PACE, ...shifted, FEED_ADAPTER: 'ctp', CTP_BRIDGE_PATH: bridge, CATALOGUE_FILE: catalogue }
    return home.start({ env: { ...env, ...login('PRIMARY', 'trader-1'), ...login('BACKUP', 'trader-2') } })
  },
  async dispose() {
    for (const market of markets) await market.close()
    markets.clear()
  },
})

/** The vendor's library sees next to nothing of the daemon's environment, so a script gives the bridge its other date. */
async function bridgeUnder(env: Readonly<Record<string, string>>, build: Build, directory: string): Promise<string> {
  const bridge = await builtBridge('6.7.11', build)
  const script = `${directory}/ctp-bridge`
  mkdirSync(directory, { recursive: true })
  // A sanitizer's library insists on being the first one.
  const preloaded = [...librariesOf(bridge, 'libasan'), env['LD_PRELOAD']].join(' ')
  const settings = Object.entries({ ...env, LD_PRELOAD: preloaded }).map(([name, value]) => `${name}='${value}'`)
  writeFileSync(script, `#!/bin/sh\nexec env ${settings.join(' ')} ${bridge} "$@"\n`)
  chmodSync(script, 0o755)
  copyFileSync(`${bridge}.json`, `${script}.json`)
  return script
}

function librariesOf(program: string, name: string): string[] {
  const listed = spawnSync(program, { encoding: 'utf8', env: { LD_TRACE_LOADED_OBJECTS: '1' } }).stdout
  return [...listed.matchAll(/=> (\S+)/g)].flatMap(([, path = '']) => (path.includes(`/${name}`) ? [path] : []))
}

export const RIGS: readonly FeedRig[] = [sim, replay, ...BUILDS.map(ctpRig)]
