/** From configuration to feed adapters, market calendar and market clock: which kind of feed this daemon holds, and whose time it keeps. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ctpFeedAdapter } from '#adapters/feeds/ctp/ctp-feed-adapter.ts'
import { tradingLogin } from '#adapters/feeds/ctp/trading-session.ts'
import type { FeedAdapter } from '#adapters/feeds/feed-adapter.ts'
import { RecordedInstruments, readRecording } from '#adapters/feeds/replay/recording.ts'
import { replayFeedAdapter } from '#adapters/feeds/replay/replay-feed-adapter.ts'
import { parseScenario } from '#adapters/feeds/scenario.ts'
import { type EmbeddedBridgeOptions, type SimOptions, simFeedAdapter } from '#adapters/feeds/sim/sim-feed-adapter.ts'
import { simTradingLogin } from '#adapters/feeds/sim/sim-trading-login.ts'
import { openSecretStores, type SecretStores } from '#adapters/secrets/resolve-secret.ts'
import type { Clock } from '#clock.ts'
import type { Config, LineConfig } from '#config/config.ts'
import { loadCalendar } from '#config/parse-calendar.ts'
import type { Environment } from '#config/parse-config.ts'
import { unreachable } from '#domain/assert.ts'
import { Failure } from '#domain/failure.ts'
import { maskAccount } from '#domain/secret-ref.ts'
import { alwaysOpenCalendar, createMarketCalendar, type MarketCalendar } from '#domain/session-calendar.ts'
import { LineSecrets } from './line-secrets.ts'
import { type MarketClock, RecordingClock, shiftedMarketClock, wallMarketClock } from './market-clock.ts'
import type { TrialLogin, WatchedLine } from './secret-watch.ts'
import { accountOf, tradingSessionOf } from './trading-session.ts'

export interface OpenFeed {
  adapters: { primary: FeedAdapter; backup: FeedAdapter | null }
  /** Where secrets are, for everybody in this process. */
  stores: SecretStores
  /** What the lines log in with, and how a changed secret is tried. */
  secrets: readonly WatchedLine[]
  calendar: MarketCalendar
  marketClock: MarketClock
  /** Set in a replay: the same clock, to be moved by the replay driver. */
  recordingClock: RecordingClock | null
}

/**
 * `env` is where `env:NAME` secrets are read from, and what the vendor's library may see a part of.
 * @throws Failure of configuration: damaged calendar, scenario or recording
 */
export async function openFeed(
  config: Config,
  options: {
    packageDir: string
    clock: Clock
    env: Environment
    log(level: 'debug', message: string, details: Record<string, unknown>): void
  },
): Promise<OpenFeed> {
  const { clock, packageDir, env } = options
  const stores = openSecretStores(config.secretStores, env, clock)
  const scenario = await readScenario(config.sim.scenarioFile)
  const common = (line: LineConfig, marketClock: MarketClock, scenarioStartMs: number): EmbeddedBridgeOptions => ({
    script: join(packageDir, 'dist', `${config.feed.adapter}-bridge.js`),
    line: line.line,
    account: { masked: maskAccount(line.userId), key: accountOf(line), userId: line.userId },
    scenario,
    marketClock: () => marketClock.reading(),
    scenarioStartMs,
    calendarDir: config.calendar.dir,
  })
  const logOf = (line: LineConfig) => (text: string) =>
    options.log('debug', `${line.line} trading session: ${text}`, { component: line.line })
  /** How each line is held, and how a secret of its is tried where it has a trading front. */
  const both = (
    adapterOf: (line: LineConfig, secrets: LineSecrets) => FeedAdapter,
    trialOf: (line: LineConfig) => TrialLogin | null,
  ) => {
    const open = (line: LineConfig) => {
      const secrets = new LineSecrets(line, stores)
      const trial = line.tdFronts.length === 0 ? null : trialOf(line)
      return { adapter: adapterOf(line, secrets), watched: { secrets, trial, accountKey: accountOf(line) } }
    }
    const primary = open(config.feed.primary)
    const backup = config.feed.backup === null ? null : open(config.feed.backup)
    return {
      stores,
      adapters: { primary: primary.adapter, backup: backup?.adapter ?? null },
      secrets: backup === null ? [primary.watched] : [primary.watched, backup.watched],
    }
  }

  switch (config.feed.adapter) {
    case 'sim': {
      const { marketClock: setting, instruments, ticksPerSecond, seed } = config.sim
      const startMs = setting.kind === 'from' ? setting.startMs : clock.wallMs()
      const marketClock = shiftedMarketClock(clock, startMs)
      const alwaysOpen = setting.kind === 'always-open'
      const simOf = (line: LineConfig): SimOptions => ({
        ...common(line, marketClock, startMs),
        ...{ instruments, ticksPerSecond, seed, alwaysOpen },
      })
      return {
        ...both(
          (line, secrets) => readingSecrets(simFeedAdapter(simOf(line)), secrets),
          (line) => (_secrets, signal) =>
            simTradingLogin({ sim: simOf(line), clock, timeouts: config.timeouts }, signal),
        ),
        calendar: alwaysOpen ? alwaysOpenCalendar() : shippedCalendar(config.calendar.dir),
        marketClock,
        recordingClock: null,
      }
    }
    case 'replay': {
      const calendar = shippedCalendar(config.calendar.dir)
      const startMs = await firstRowMs(config.replay.files, calendar)
      const recordingClock = new RecordingClock(startMs, clock)
      return {
        ...both(
          (line) => replayFeedAdapter({ ...common(line, recordingClock, startMs), files: config.replay.files }),
          () => null,
        ),
        calendar,
        marketClock: recordingClock,
        recordingClock,
      }
    }
    case 'ctp':
      return {
        ...both(
          (line, secrets) =>
            ctpFeedAdapter({
              line: line.line,
              account: {
                masked: maskAccount(line.userId),
                key: accountOf(line),
                brokerId: line.brokerId,
                userId: line.userId,
              },
              stateDir: config.stateDir,
              fronts: line.mdFronts.map((front) => front.url),
              bridgePath: config.feed.bridgePath,
              sdkLibDir: config.feed.sdkLibDir,
              productionMode: config.feed.productionMode,
              environment: env,
              password: (signal) => secrets.password(signal),
              authCode: (signal) => secrets.authCode(signal),
              tradingLogin: config.feed.tdLoginFirst
                ? (signal, watch) => {
                    const session = tradingSessionOf(config, line, { env, secrets, clock, log: logOf(line) })
                    return tradingLogin({ ...session, watch }, signal)
                  }
                : null,
            }),
          (line) =>
            ({ password, authCode }, signal) => {
              const secrets = { password: async () => password, authCode: async () => authCode }
              return tradingLogin(tradingSessionOf(config, line, { env, secrets, clock, log: logOf(line) }), signal)
            },
        ),
        calendar: shippedCalendar(config.calendar.dir),
        marketClock: wallMarketClock(clock),
        recordingClock: null,
      }
    default:
      return unreachable(config.feed.adapter)
  }
}

/** The simulator asks for no password; it is read all the same, so that rotations can be rehearsed with it. */
function readingSecrets(adapter: FeedAdapter, secrets: LineSecrets): FeedAdapter {
  return {
    ...adapter,
    loginPairs: async (signal) => {
      await secrets.password(signal)
      return adapter.loginPairs(signal)
    },
  }
}

function shippedCalendar(directory: string): MarketCalendar {
  const parsed = loadCalendar(directory)
  if (parsed.ok) return createMarketCalendar(parsed.data)
  const messages = parsed.problems.map(({ name, message }) => `${name}: ${message}`).join('; ')
  throw new Failure('calendar', messages, parsed.problems[0]?.remedy ?? 'Restore the calendar files.')
}

/** The scenario as the bridges get it, checked here so that a mistake stops the start and not a line. */
async function readScenario(path: string | null): Promise<string> {
  if (path === null) return ''
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    throw new Failure('scenario-unreadable', `the scenario file ${path} can't be read`, 'Correct SIM_SCENARIO.', error)
  }
  parseScenario(text)
  return text
}

async function firstRowMs(files: readonly string[], calendar: MarketCalendar): Promise<number> {
  let firstMs = Number.POSITIVE_INFINITY
  for (const file of files) {
    for await (const block of readRecording(file, new RecordedInstruments(), { calendar })) {
      firstMs = Math.min(firstMs, block.recordingMs[0] ?? Number.POSITIVE_INFINITY)
      break
    }
  }
  if (firstMs === Number.POSITIVE_INFINITY) {
    throw new Failure(
      'replay-empty',
      'none of the recordings holds a row',
      'Name at least one recording in REPLAY_FILES.',
    )
  }
  return firstMs
}
