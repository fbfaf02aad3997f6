/**
 * From settings, one per environment name, to slices, one per reader: every part of the product is handed its own complete slice, units
 * as it uses them, and nothing reads the environment again.
 */
import { isAbsolute, join, resolve } from 'node:path'
import { type ArbitrationPolicy, DEFAULT_ARBITRATION } from '#domain/arbitration.ts'
import type { ContractFilter } from '#domain/contract-filter.ts'
import { DEFAULT_FAILOVER_POLICY, type FailoverPolicy } from '#domain/failover.ts'
import { LINES, type Line } from '#domain/line.ts'
import { DEFAULT_LIVENESS_POLICY, type LivenessPolicy } from '#domain/liveness.ts'
import { HiddenText, type SecretRef } from '#domain/secret-ref.ts'
import type { FrontAddress } from './front-address.ts'
import type { Profile } from './profiles.ts'
import type { Settings } from './schema.ts'
import { secretStoresOf } from './secret-stores.ts'

type Adapter = 'sim' | 'replay' | 'ctp'

/** One line's login. In sim and replay the names are made up, so that latches, budgets and masks work there too. */
export interface LineConfig {
  readonly line: Line
  readonly brokerId: string
  readonly userId: string
  readonly password: SecretRef
  readonly mdFronts: readonly FrontAddress[]
  /** Empty: no trading front, so nothing proves a password and the catalogue comes from a file. */
  readonly tdFronts: readonly FrontAddress[]
  readonly appId: string | null
  readonly authCode: SecretRef | null
  readonly filter: ContractFilter
}

export type Config = ReturnType<typeof configOf>

/** What is no setting: where relative paths start, and the package's own files. */
export interface Surroundings {
  readonly cwd: string
  /** Directory of the installed package: `calendar/` and the built bridge are beneath it. */
  readonly packageDir: string
  /** systemd's CREDENTIALS_DIRECTORY, null where not started by it. */
  readonly credentialsDirectory: string | null
  readonly envFile: string | null
  /** Variables that settings refer to as `env:NAME`. */
  readonly referredVariables: readonly string[]
}

export function adapterOf(settings: Pick<Settings, 'FEED_ADAPTER' | 'FEED_PROFILE'>): Adapter {
  return settings.FEED_ADAPTER ?? (settings.FEED_PROFILE === 'sim' ? 'sim' : 'ctp')
}

/** @param settings must have passed the rules of config-rules.ts: an incomplete primary line gets a made-up login here. */
export function configOf(settings: Settings, around: Surroundings) {
  const path = (text: string) => resolve(around.cwd, text)
  const pathOrNull = (text: string | null) => (text === null ? null : path(text))
  const secret = (ref: SecretRef) => anchoredSecret(ref, around)
  const adapter = adapterOf(settings)
  const profile: Profile = settings.FEED_PROFILE
  const stateDir = path(settings.FEED_STATE_DIR)

  return {
    profile,
    envFile: pathOrNull(around.envFile),
    /** What the daemon must be handed of its starter's environment beside the settings. */
    referredVariables: around.referredVariables,
    stateDir,
    window: settings.FEED_WINDOW,
    supervisor: settings.FEED_SUPERVISOR,
    feed: {
      adapter,
      primary: lineOf('primary', settings, secret),
      backup: hasBackup(settings) ? lineOf('backup', settings, secret) : null,
      standbyMode: settings.STANDBY_MODE,
      routeSelector: settings.CTP_ROUTE_SELECTOR,
      sdkLibDir: pathOrNull(settings.CTP_SDK_LIB_DIR),
      bridgePath: path(settings.CTP_BRIDGE_PATH ?? join(around.packageDir, 'build', 'ctp-bridge')),
      tdLoginFirst: settings.CTP_TD_LOGIN_FIRST,
      productionMode: settings.CTP_PRODUCTION_MODE,
    },
    sim: {
      instruments: settings.SIM_INSTRUMENTS,
      ticksPerSecond: settings.SIM_TICKS_PER_SECOND,
      seed: settings.SIM_SEED,
      marketClock: settings.SIM_MARKET_CLOCK,
      /** Serves replay as well, where its times are recording time. */
      scenarioFile: pathOrNull(settings.SIM_SCENARIO),
    },
    replay: {
      files: (settings.REPLAY_FILES ?? []).map(path),
      /** 1 as recorded, 0 as fast as it goes. */
      speed: settings.REPLAY_SPEED,
    },
    catalogue: {
      /** Null: the adapter knows its contracts itself. */
      file: pathOrNull(settings.CATALOGUE_FILE) ?? (adapter === 'ctp' ? join(stateDir, 'catalogue.json') : null),
      maxAgeHours: settings.CATALOGUE_MAX_AGE_HOURS,
      filter: { include: settings.CONTRACTS_INCLUDE, exclude: settings.CONTRACTS_EXCLUDE },
      /** At most this many contracts, null for all. */
      limit: settings.CONTRACTS_LIMIT,
    },
    calendar: { dir: path(settings.CALENDAR_DIR ?? join(around.packageDir, 'calendar')) },
    pacing: {
      batchSize: batchSizeOf(settings),
      /** Instruments per window; 0 switches pacing off. */
      maxPerWindow: settings.SUBSCRIBE_RATE_LIMIT_MAX_REQUESTS,
      windowMs: settings.SUBSCRIBE_RATE_LIMIT_WINDOW_SECONDS * 1000,
      maxRetries: settings.SUBSCRIBE_MAX_RETRIES,
      retryDelayMs: settings.SUBSCRIBE_RETRY_DELAY_SECONDS * 1000,
      loginPerMinute: settings.RATE_LIMIT_LOGIN_PER_MINUTE,
    },
    timeouts: {
      connectMs: settings.CONNECT_TIMEOUT_SECONDS * 1000,
      loginMs: settings.LOGIN_TIMEOUT_SECONDS * 1000,
      ackMs: settings.SUBSCRIBE_ACK_TIMEOUT_SECONDS * 1000,
      firstTickMs: settings.FIRST_TICK_TIMEOUT_SECONDS * 1000,
      readyMs: settings.READY_TIMEOUT_SECONDS * 1000,
      stopMs: settings.STOP_TIMEOUT_SECONDS * 1000,
    },
    arbitration: arbitrationOf(settings),
    liveness: livenessOf(settings),
    /** Span of time over which the guards judge a line's ticks. */
    guardWindowMs: settings.GUARD_WINDOW_SECONDS * 1000,
    failover: {
      automatic: settings.FAILOVER_AUTOMATIC,
      policy: failoverPolicyOf(settings),
      /** Recovery-time objective of drills. */
      objectiveMs: settings.FAILOVER_OBJECTIVE_SECONDS * 1000,
    },
    coverage: { threshold: settings.COVERAGE_THRESHOLD },
    health: {
      lagWarningSeconds: settings.HEALTH_LAG_WARNING_SECONDS,
      lagCriticalSeconds: settings.HEALTH_LAG_CRITICAL_SECONDS,
    },
    journal: {
      segmentBytes: settings.JOURNAL_SEGMENT_BYTES,
      syncIntervalMs: settings.JOURNAL_SYNC_INTERVAL_MS,
      retentionDays: settings.JOURNAL_RETENTION_DAYS,
      maxBytes: settings.JOURNAL_MAX_BYTES,
      minFreeBytes: settings.JOURNAL_MIN_FREE_BYTES,
      checkpointIntervalMs: settings.CHECKPOINT_INTERVAL_SECONDS * 1000,
    },
    ntpServer: settings.NTP_SERVER === null ? null : ntpEndpoint(settings.NTP_SERVER),
    monitoring: {
      metricsHost: settings.METRICS_HOST,
      /** 0: any free port. */
      metricsPort: settings.METRICS_PORT,
      pushgateway: pushgatewayOf(settings, { pathOrNull, secret }),
    },
    bus: busOf(settings, { pathOrNull, secret }),
    secretStores: secretStoresOf(settings, { path, secret }),
    secrets: {
      /** How often secrets in use are looked up again; a changed file is noticed at once. */
      checkMs: settings.SECRET_CHECK_SECONDS * 1000,
      maxAgeMs: settings.SECRET_MAX_AGE_DAYS * 86_400_000,
    },
    logs: {
      level: settings.LOG_LEVEL,
      maxBytes: settings.LOG_MAX_BYTES,
      retentionDays: settings.LOG_RETENTION_DAYS,
    },
    audit: { retentionDays: settings.AUDIT_RETENTION_DAYS, forward: settings.AUDIT_FORWARD },
    /** Without a reviewed plan nothing is started or restarted. */
    planRequired: settings.REQUIRE_PLAN,
    /** How long a changed configuration is watched after it came up; 0: not at all. */
    rollback: { watchMs: settings.ROLLBACK_WATCH_SECONDS * 1000 },
  }
}

const NTP_PORT = 123

function ntpEndpoint(text: string): { host: string; port: number } {
  const [host = text, port] = text.split(':')
  return { host, port: port === undefined ? NTP_PORT : Number(port) }
}

/** No request holds more contracts than a window permits. */
function batchSizeOf(settings: Settings): number {
  const { SUBSCRIBE_BATCH_SIZE: asked, SUBSCRIBE_RATE_LIMIT_MAX_REQUESTS: permitted } = settings
  return permitted === 0 ? asked : Math.min(asked, permitted)
}

/** With the ctp adapter a backup is there when any of its names is set (the rules see to it that all are). */
export function hasBackup(settings: Settings): boolean {
  if (settings.FEED_LINES === 'primary') return false
  return adapterOf(settings) !== 'ctp' || loginIsBegun('backup', settings)
}

export function loginIsBegun(line: Line, settings: Settings): boolean {
  return Object.values(loginSettings(line, settings)).some((value) => value !== null)
}

/** A line's settings under names without the line. */
export function loginSettings(line: Line, settings: Settings) {
  if (line === 'primary') {
    return {
      BROKER_ID: settings.CTP_PRIMARY_BROKER_ID,
      USER_ID: settings.CTP_PRIMARY_USER_ID,
      PASSWORD: settings.CTP_PRIMARY_PASSWORD,
      MD_ADDRESS: settings.CTP_PRIMARY_MD_ADDRESS,
      TD_ADDRESS: settings.CTP_PRIMARY_TD_ADDRESS,
      APP_ID: settings.CTP_PRIMARY_APP_ID,
      AUTH_CODE: settings.CTP_PRIMARY_AUTH_CODE,
    }
  }
  return {
    BROKER_ID: settings.CTP_BACKUP_BROKER_ID,
    USER_ID: settings.CTP_BACKUP_USER_ID,
    PASSWORD: settings.CTP_BACKUP_PASSWORD,
    MD_ADDRESS: settings.CTP_BACKUP_MD_ADDRESS,
    TD_ADDRESS: settings.CTP_BACKUP_TD_ADDRESS,
    APP_ID: settings.CTP_BACKUP_APP_ID,
    AUTH_CODE: settings.CTP_BACKUP_AUTH_CODE,
  }
}

/** The lines configured, primary first. */
export function linesOf(config: Config): readonly LineConfig[] {
  return LINES.map((line) => config.feed[line]).filter((line) => line !== null)
}

function lineOf(line: Line, settings: Settings, secret: (ref: SecretRef) => SecretRef): LineConfig {
  const login = loginSettings(line, settings)
  const brokerId = login.BROKER_ID ?? adapterOf(settings)
  const userId = login.USER_ID ?? `${adapterOf(settings)}-${line}`
  const filter =
    line === 'primary'
      ? { include: settings.CTP_PRIMARY_INCLUDE, exclude: settings.CTP_PRIMARY_EXCLUDE }
      : { include: settings.CTP_BACKUP_INCLUDE, exclude: settings.CTP_BACKUP_EXCLUDE }
  return {
    line,
    brokerId,
    userId,
    password: secret(login.PASSWORD ?? { source: 'literal', value: new HiddenText(`${adapterOf(settings)}-password`) }),
    mdFronts: login.MD_ADDRESS ?? [],
    tdFronts: login.TD_ADDRESS ?? [],
    appId: login.APP_ID,
    authCode: login.AUTH_CODE === null ? null : secret(login.AUTH_CODE),
    filter,
  }
}

function arbitrationOf(settings: Settings): ArbitrationPolicy {
  return {
    ...DEFAULT_ARBITRATION,
    aheadMaxMs: settings.ARBITRATION_AHEAD_MAX_SECONDS * 1000,
    freshMs: settings.ARBITRATION_FRESH_SECONDS * 1000,
  }
}

/** One knob for silence: the finer limits keep their proportion to it. */
export function livenessOf(settings: Settings): LivenessPolicy {
  const muteMs = settings.LIVENESS_MUTE_SECONDS * 1000
  const { muteMs: usualMuteMs, floodMuteMs, exchangeMuteMs } = DEFAULT_LIVENESS_POLICY
  return {
    ...DEFAULT_LIVENESS_POLICY,
    muteMs,
    floodMuteMs: Math.min(floodMuteMs, muteMs),
    exchangeMuteMs: (muteMs * exchangeMuteMs) / usualMuteMs,
    bridgeSilentMs: settings.LIVENESS_BRIDGE_SILENT_SECONDS * 1000,
    failuresMax: settings.LIVENESS_FAILURES_MAX,
    coverageThreshold: settings.COVERAGE_THRESHOLD,
    invalidRatioMax: settings.GUARD_INVALID_RATIO,
    invalidReceivedMin: settings.GUARD_INVALID_MIN_TICKS,
    delayP95MaxMs: settings.GUARD_DELAY_P95_MS,
  }
}

export function failoverPolicyOf(settings: Settings): FailoverPolicy {
  const holdDownMs = settings.FAILOVER_HOLD_DOWN_SECONDS * 1000
  return {
    ...DEFAULT_FAILOVER_POLICY,
    holdDownMs,
    failbackStableMs: settings.FAILBACK_STABLE_SECONDS * 1000,
    flapLimit: settings.FAILOVER_FLAP_LIMIT,
    flapWindowMs: settings.FAILOVER_FLAP_WINDOW_SECONDS * 1000,
    latchRescueMs: Math.max(DEFAULT_FAILOVER_POLICY.latchRescueMs, 2 * holdDownMs),
  }
}

interface Anchors {
  pathOrNull: (text: string | null) => string | null
  secret: (ref: SecretRef) => SecretRef
}

function busOf(settings: Settings, { pathOrNull, secret }: Anchors) {
  if (settings.NATS_URL === null) return null
  const password = settings.NATS_PASSWORD ?? settings.NATS_TOKEN
  return {
    servers: settings.NATS_URL,
    user: settings.NATS_USER,
    /** Without a user a token. */
    password: password === null ? null : secret(password),
    credsFile: pathOrNull(settings.NATS_CREDS_FILE),
    tls: {
      caFile: pathOrNull(settings.NATS_TLS_CA),
      certFile: pathOrNull(settings.NATS_TLS_CERT),
      keyFile: pathOrNull(settings.NATS_TLS_KEY),
    },
    stream: settings.NATS_STREAM,
    subjectPrefix: settings.NATS_SUBJECT_PREFIX,
    limits: {
      replicas: settings.NATS_STREAM_REPLICAS,
      storage: settings.NATS_STREAM_STORAGE,
      maxAgeMs: settings.NATS_STREAM_MAX_AGE_HOURS * 3_600_000,
      /** Null: no limit but the server's. */
      maxBytes: settings.NATS_STREAM_MAX_BYTES,
    },
    /** Made when missing; where any are named, their backlogs are the ones that count. */
    durables: settings.NATS_DURABLES ?? [],
    consumerBacklogMax: settings.NATS_CONSUMER_BACKLOG_MAX,
  }
}

function pushgatewayOf(settings: Settings, { pathOrNull, secret }: Anchors) {
  if (settings.PUSHGATEWAY_URL === null) return null
  return {
    url: settings.PUSHGATEWAY_URL,
    timeoutMs: settings.PUSHGATEWAY_TIMEOUT_SECONDS * 1000,
    user: settings.PUSHGATEWAY_USER,
    password: settings.PUSHGATEWAY_PASSWORD === null ? null : secret(settings.PUSHGATEWAY_PASSWORD),
    tls: {
      caFile: pathOrNull(settings.PUSHGATEWAY_TLS_CA),
      certFile: pathOrNull(settings.PUSHGATEWAY_TLS_CERT),
      keyFile: pathOrNull(settings.PUSHGATEWAY_TLS_KEY),
    },
  }
}

/** A relative `file:` is a credential that systemd passed, where there are such, else a file beside the working directory. */
function anchoredSecret(ref: SecretRef, around: Surroundings): SecretRef {
  if (ref.source !== 'file' || isAbsolute(ref.path)) return ref
  return { source: 'file', path: resolve(around.credentialsDirectory ?? around.cwd, ref.path) }
}
