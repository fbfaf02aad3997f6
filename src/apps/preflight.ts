/**
 * Which checks a configuration calls for. The same list serves `validate-env`, the first step of every start, and a container's
 * entrypoint, so that none of them lets through what another would refuse.
 */

import { basename } from 'node:path'
import { clockCheck } from '#adapters/preflight/clock-check.ts'
import {
  diskSpaceCheck,
  latchesCheck,
  metricsPortCheck,
  openFilesCheck,
  stateDirCheck,
} from '#adapters/preflight/host-checks.ts'
import {
  type CalendarAnswer,
  calendarCheck,
  catalogueCheck,
  ctpLibraryCheck,
  type NamedSecret,
  recordingsCheck,
  scenarioCheck,
  secretsCheck,
} from '#adapters/preflight/input-checks.ts'
import { frontsCheck, serverCheck } from '#adapters/preflight/network-checks.ts'
import { type PreflightCheck, skipped } from '#adapters/preflight/run-preflight.ts'
import type { Endpoint } from '#adapters/preflight/tcp-reach.ts'
import { openSecretStores } from '#adapters/secrets/resolve-secret.ts'
import type { Clock } from '#clock.ts'
import { type Config, linesOf } from '#config/config.ts'
import { loadCalendar } from '#config/parse-calendar.ts'
import type { Environment } from '#config/parse-config.ts'
import type { SettingName } from '#config/schema.ts'
import { Failure } from '#domain/failure.ts'
import { createMarketCalendar } from '#domain/session-calendar.ts'
import { TICK_BYTES } from '#domain/tick.ts'
import { readContractList } from './contract-list.ts'

interface PreflightOptions {
  /** No network checks. */
  readonly offline: boolean
  /** `inspect` leaves no trace; `prepare` creates the state directory. */
  readonly stateDir: 'inspect' | 'prepare'
  /** For secrets by `env:NAME`. */
  readonly env: Environment
  readonly clock: Clock
  /** Settings with a problem of their own: what depends on them is not checked, since it would be checked with the default. */
  readonly doubtful?: ReadonlySet<string>
}

/** To be run by `runPreflight`. */
export function preflightChecks(config: Config, options: PreflightOptions): PreflightCheck[] {
  const calendar = calendarOnce(config)
  return [
    ...inputChecks(config, options, calendar),
    ...networkChecks(config, options, calendar),
    ...hostChecks(config, options),
  ]
}

function inputChecks(config: Config, options: PreflightOptions, calendar: () => CalendarAnswer): PreflightCheck[] {
  const { adapter } = config.feed
  const unless = unlessDoubtful(options)
  const checks = [
    secretsCheck({
      secrets: secretsOf(config, options),
      stores: openSecretStores(config.secretStores, options.env, options.clock),
      maxAgeMs: config.secrets.maxAgeMs,
      nowMs: options.clock.wallMs(),
      offline: options.offline,
    }),
    calendarCheckOf(config, options, calendar),
  ]
  if (adapter === 'ctp') {
    checks.push(unless(['CTP_SDK_LIB_DIR', 'CTP_BRIDGE_PATH', 'CTP_TD_LOGIN_FIRST'], ctpCheckOf(config, options)))
  }
  const { file, maxAgeHours } = config.catalogue
  if (file !== null) {
    const read = async () => {
      const { contracts, duplicates, modifiedMs } = await readContractList(file, config)
      return { contracts: contracts.length, duplicates, modifiedMs }
    }
    checks.push(
      unless(
        ['CATALOGUE_FILE', 'CATALOGUE_MAX_AGE_HOURS'],
        catalogueCheck({ read, maxAgeHours, nowMs: options.clock.wallMs() }),
      ),
    )
  }
  if (adapter === 'replay')
    checks.push(
      unless(
        ['REPLAY_FILES'],
        recordingsCheck({ files: config.replay.files, inspect: recordingReader(calendar, options.clock) }),
      ),
    )
  if (adapter !== 'ctp' && config.sim.scenarioFile !== null) checks.push(scenarioCheck(config.sim.scenarioFile))
  return checks
}

function ctpCheckOf(config: Config, { env }: PreflightOptions): PreflightCheck {
  const { bridgePath, sdkLibDir, tdLoginFirst } = config.feed
  const hasTradingFronts = linesOf(config).some(({ tdFronts }) => tdFronts.length > 0)
  const trading = tdLoginFirst ? 'logins' : hasTradingFronts ? 'catalogue' : 'none'
  return ctpLibraryCheck({ installation: { bridgePath, sdkLibDir }, env, trading })
}

/** Loaded when first asked for: two checks want it, a simulation neither. */
function calendarOnce(config: Config): () => CalendarAnswer {
  let answer: CalendarAnswer | null = null
  return () => {
    if (answer === null) {
      const parsed = loadCalendar(config.calendar.dir)
      answer = parsed.ok ? { ok: true, calendar: createMarketCalendar(parsed.data) } : parsed
    }
    return answer
  }
}

function calendarCheckOf(config: Config, { clock }: PreflightOptions, calendar: () => CalendarAnswer): PreflightCheck {
  const { marketClock } = config.sim
  if (config.feed.adapter === 'replay') return skippedCheck('calendar', 'a replay brings its own dates')
  if (config.feed.adapter === 'ctp') return calendarCheck(calendar, clock.wallMs())
  switch (marketClock.kind) {
    case 'always-open':
      return skippedCheck('calendar', 'the simulated market is always open')
    case 'real':
      return calendarCheck(calendar, clock.wallMs())
    case 'from':
      return calendarCheck(calendar, marketClock.startMs)
  }
}

function secretsOf(config: Config, { doubtful }: PreflightOptions): NamedSecret[] {
  const ofLines = linesOf(config).flatMap(({ line, password, authCode }) => {
    const prefix = line === 'primary' ? 'CTP_PRIMARY' : 'CTP_BACKUP'
    const secrets = [{ name: `${prefix}_PASSWORD`, ref: password }]
    return authCode === null ? secrets : [...secrets, { name: `${prefix}_AUTH_CODE`, ref: authCode }]
  })
  const { pushgateway } = config.monitoring
  const ofGateway = pushgateway?.password ? [{ name: 'PUSHGATEWAY_PASSWORD', ref: pushgateway.password }] : []
  const { bus } = config
  const busSecret = bus?.user === null ? 'NATS_TOKEN' : 'NATS_PASSWORD'
  const ofBus = bus?.password ? [{ name: busSecret, ref: bus.password }] : []
  return [...ofLines, ...ofBus, ...ofGateway].filter(({ name }) => !doubtful?.has(name))
}

const OPENS_SOON_MS = 30 * 60_000

function networkChecks(config: Config, options: PreflightOptions, calendar: () => CalendarAnswer): PreflightCheck[] {
  const checks: PreflightCheck[] = []
  const nowMs = options.clock.wallMs()
  if (config.feed.adapter === 'ctp') {
    const unless = unlessDoubtful(options)
    const marketIsClosed = () => isClosed(calendar(), nowMs)
    const marketData = linesOf(config).map(({ line, mdFronts }) => ({ line, fronts: mdFronts.map(({ dial }) => dial) }))
    const trading = linesOf(config).map(({ line, tdFronts }) => ({ line, fronts: tdFronts.map(({ dial }) => dial) }))
    const required = config.feed.tdLoginFirst
    checks.push(
      unless(
        ['CTP_PRIMARY_MD_ADDRESS', 'CTP_BACKUP_MD_ADDRESS'],
        frontsCheck({ name: 'fronts', lines: marketData, required: true, marketIsClosed }),
      ),
      unless(
        ['CTP_PRIMARY_TD_ADDRESS', 'CTP_BACKUP_TD_ADDRESS', 'CTP_TD_LOGIN_FIRST'],
        frontsCheck({ name: 'trading-fronts', lines: trading, required, marketIsClosed }),
      ),
    )
  }
  if (config.bus !== null) {
    checks.push(
      serverCheck({
        name: 'nats',
        servers: config.bus.servers.map(endpointOf),
        required: config.profile === 'live' || config.profile === 'staging',
        remedy: 'Start NATS, correct NATS_URL, or remove it to run with the journal alone.',
      }),
    )
  }
  if (config.monitoring.pushgateway !== null) {
    checks.push(
      serverCheck({
        name: 'pushgateway',
        servers: [endpointOf(config.monitoring.pushgateway.url)],
        required: false,
        remedy: 'Start the Pushgateway, correct PUSHGATEWAY_URL, or remove it.',
      }),
    )
  }
  return options.offline ? checks.map(({ name }) => skippedCheck(name, '--offline')) : checks
}

/** Without a calendar nobody can tell, and then nothing is excused. */
function isClosed(answer: CalendarAnswer, nowMs: number): boolean {
  if (!answer.ok || !answer.calendar.coverage(nowMs).covered) return false
  const state = answer.calendar.marketState(nowMs)
  if (state !== 'closed' && state !== 'holiday') return false
  return answer.calendar.windowAt(nowMs).opensMs - nowMs > OPENS_SOON_MS
}

const PORT_OF_SCHEME: Readonly<Record<string, number>> = { 'http:': 80, 'https:': 443, 'ws:': 80, 'wss:': 443 }
const NATS_PORT = 4_222

function endpointOf(text: string): Endpoint {
  const { hostname, port, protocol } = new URL(text)
  return {
    host: hostname.replace(/^\[|\]$/g, ''),
    port: port === '' ? (PORT_OF_SCHEME[protocol] ?? NATS_PORT) : Number(port),
  }
}

function hostChecks(config: Config, options: PreflightOptions): PreflightCheck[] {
  const { stateDir, journal, monitoring } = config
  const unless = unlessDoubtful(options)
  const ntpServer = options.offline ? null : config.ntpServer
  return [
    unless(['FEED_STATE_DIR'], stateDirCheck(stateDir, options.stateDir)),
    unless(
      ['FEED_STATE_DIR', 'JOURNAL_MAX_BYTES', 'JOURNAL_MIN_FREE_BYTES'],
      diskSpaceCheck({
        stateDir,
        dayBytes: Math.min(dayBytes(config), journal.maxBytes),
        minFreeBytes: journal.minFreeBytes,
      }),
    ),
    openFilesCheck(),
    unless(
      ['METRICS_HOST', 'METRICS_PORT'],
      metricsPortCheck({ host: monitoring.metricsHost, port: monitoring.metricsPort, stateDir }),
    ),
    unless(['NTP_SERVER'], clockCheck({ ntpServer, clock: options.clock })),
    latchesCheck(stateDir),
  ]
}

/** A whole market of 18,000 contracts has some 40 million snapshots on a lively day. */
const CTP_TICKS_PER_DAY = 40_000_000

function dayBytes(config: Config): number {
  switch (config.feed.adapter) {
    case 'ctp':
      return CTP_TICKS_PER_DAY * TICK_BYTES
    case 'sim':
      return config.sim.ticksPerSecond * 86_400 * TICK_BYTES
    case 'replay':
      return 0
  }
}

function unlessDoubtful(options: PreflightOptions) {
  return (names: readonly SettingName[], check: PreflightCheck): PreflightCheck => {
    const doubtful = names.find((name) => options.doubtful?.has(name))
    return doubtful === undefined ? check : skippedCheck(check.name, `${doubtful} has a problem of its own`)
  }
}

function skippedCheck(name: string, why: string): PreflightCheck {
  return { name, run: async () => skipped(why) }
}

/** Within the deadline of a check; a recording longer than that is believed from then on. */
const RECORDINGS_READ_MS = 2_500

function recordingReader(calendar: () => CalendarAnswer, clock: Clock): (path: string) => Promise<string> {
  const untilMs = clock.monotonicMs() + RECORDINGS_READ_MS
  return async (path) => {
    const { readRecording, RecordedInstruments } = await import('#adapters/feeds/replay/recording.ts')
    const instruments = new RecordedInstruments()
    const answer = calendar()
    let rows = 0
    let end = ''
    for await (const block of readRecording(path, instruments, answer.ok ? { calendar: answer.calendar } : {})) {
      rows += block.count
      if (clock.monotonicMs() > untilMs) {
        end = ' and more'
        break
      }
    }
    if (rows === 0) throw new Failure('replay-empty', `${path}: no rows`, 'Leave the file out of REPLAY_FILES.')
    return `${basename(path)}: ${rows} rows${end}, ${instruments.ids.length} instruments`
  }
}
