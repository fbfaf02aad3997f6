/**
 * The single schema: every environment name the product reads, its form and its default. Types are inferred from it; `.env.example`
 * documents it, and a test holds the two equal. What the names mean together is in config.ts, what must not be combined in config-rules.ts.
 */
import { z } from 'zod'
import { PROFILES } from './profiles.ts'
import {
  bytes,
  decimal,
  filePath,
  filePaths,
  flag,
  fronts,
  globs,
  marketClock,
  oneOf,
  orNull,
  plainText,
  secret,
  streamNames,
  url,
  urls,
  whole,
} from './value-forms.ts'

const ID = 'an id of up to 64 printable characters without spaces'
const ID_PATTERN = /^[\x21-\x7e]{1,64}$/
const NATS_SCHEMES = ['nats', 'tls']
const DAY_SECONDS = 86_400
const MOUNT_PATTERN = /^[A-Za-z0-9._-]+(\/[A-Za-z0-9._-]+)*$/

export const settingsSchema = z.object({
  FEED_PROFILE: oneOf(...PROFILES).prefault('sim'),
  FEED_STATE_DIR: filePath('the path of a directory').prefault('./var'),
  // The default depends on the profile: sim in sim, ctp elsewhere.
  FEED_ADAPTER: orNull(oneOf('sim', 'replay', 'ctp')),
  FEED_LINES: oneOf('auto', 'primary').prefault('auto'),
  FEED_WINDOW: oneOf('auto', 'day', 'night').prefault('auto'),
  FEED_SUPERVISOR: oneOf('local', 'systemd', 'compose').prefault('local'),
  STANDBY_MODE: oneOf('hot', 'warm', 'cold').prefault('hot'),

  CTP_PRIMARY_BROKER_ID: orNull(plainText(ID, ID_PATTERN)),
  CTP_PRIMARY_USER_ID: orNull(plainText(ID, ID_PATTERN)),
  CTP_PRIMARY_PASSWORD: orNull(secret()),
  CTP_PRIMARY_MD_ADDRESS: orNull(fronts()),
  CTP_PRIMARY_TD_ADDRESS: orNull(fronts()),
  CTP_PRIMARY_APP_ID: orNull(plainText(ID, ID_PATTERN)),
  CTP_PRIMARY_AUTH_CODE: orNull(secret()),
  CTP_PRIMARY_INCLUDE: globs().prefault(''),
  CTP_PRIMARY_EXCLUDE: globs().prefault(''),
  CTP_BACKUP_BROKER_ID: orNull(plainText(ID, ID_PATTERN)),
  CTP_BACKUP_USER_ID: orNull(plainText(ID, ID_PATTERN)),
  CTP_BACKUP_PASSWORD: orNull(secret()),
  CTP_BACKUP_MD_ADDRESS: orNull(fronts()),
  CTP_BACKUP_TD_ADDRESS: orNull(fronts()),
  CTP_BACKUP_APP_ID: orNull(plainText(ID, ID_PATTERN)),
  CTP_BACKUP_AUTH_CODE: orNull(secret()),
  CTP_BACKUP_INCLUDE: globs().prefault(''),
  CTP_BACKUP_EXCLUDE: globs().prefault(''),
  CTP_SDK_LIB_DIR: orNull(filePath('the path of a directory')),
  CTP_BRIDGE_PATH: orNull(filePath()),
  CTP_ROUTE_SELECTOR: oneOf('primary', 'backup', 'auto').prefault('auto'),
  CTP_TD_LOGIN_FIRST: flag().prefault('false'),
  CTP_PRODUCTION_MODE: flag().prefault('true'),

  SIM_INSTRUMENTS: whole({ min: 1, max: 25_000 }).prefault('500'),
  SIM_TICKS_PER_SECOND: whole({ min: 0, max: 500_000 }).prefault('1000'),
  SIM_SEED: whole({ min: 0, max: 4_294_967_295 }).prefault('1'),
  SIM_MARKET_CLOCK: marketClock().prefault('always-open'),
  SIM_SCENARIO: orNull(filePath()),
  REPLAY_FILES: orNull(filePaths()),
  REPLAY_SPEED: decimal({ min: 0, max: 100_000 }).prefault('1'),

  CATALOGUE_FILE: orNull(filePath()),
  CATALOGUE_MAX_AGE_HOURS: whole({ min: 1, max: 8_760 }).prefault('96'),
  CONTRACTS_INCLUDE: globs().prefault(''),
  CONTRACTS_EXCLUDE: globs().prefault(''),
  CONTRACTS_LIMIT: orNull(whole({ min: 1, max: 200_000 })),
  CALENDAR_DIR: orNull(filePath('the path of a directory')),

  SUBSCRIBE_BATCH_SIZE: whole({ min: 1, max: 5_000 }).prefault('500'),
  SUBSCRIBE_RATE_LIMIT_MAX_REQUESTS: whole({ min: 0, max: 100_000 }).prefault('500'),
  SUBSCRIBE_RATE_LIMIT_WINDOW_SECONDS: decimal({ min: 0.01, max: 60 }).prefault('0.5'),
  SUBSCRIBE_MAX_RETRIES: whole({ min: 0, max: 100 }).prefault('3'),
  SUBSCRIBE_RETRY_DELAY_SECONDS: decimal({ min: 0.01, max: 600 }).prefault('1'),
  RATE_LIMIT_LOGIN_PER_MINUTE: whole({ min: 1, max: 60 }).prefault('5'),

  CONNECT_TIMEOUT_SECONDS: decimal({ min: 0.1, max: 600 }).prefault('10'),
  LOGIN_TIMEOUT_SECONDS: decimal({ min: 0.1, max: 600 }).prefault('15'),
  SUBSCRIBE_ACK_TIMEOUT_SECONDS: decimal({ min: 0.1, max: 600 }).prefault('10'),
  FIRST_TICK_TIMEOUT_SECONDS: decimal({ min: 0.1, max: 600 }).prefault('30'),
  READY_TIMEOUT_SECONDS: decimal({ min: 1, max: 3_600 }).prefault('120'),
  STOP_TIMEOUT_SECONDS: decimal({ min: 1, max: 600 }).prefault('20'),

  ARBITRATION_AHEAD_MAX_SECONDS: decimal({ min: 0.1, max: 600 }).prefault('3'),
  ARBITRATION_FRESH_SECONDS: decimal({ min: 1, max: 3_600 }).prefault('60'),
  LIVENESS_MUTE_SECONDS: decimal({ min: 0.1, max: 600 }).prefault('2'),
  LIVENESS_BRIDGE_SILENT_SECONDS: decimal({ min: 2, max: 600 }).prefault('3'),
  LIVENESS_FAILURES_MAX: whole({ min: 1, max: 100 }).prefault('3'),
  GUARD_INVALID_RATIO: decimal({ min: 0.0001, max: 1 }).prefault('0.02'),
  GUARD_INVALID_MIN_TICKS: whole({ min: 1, max: 10_000_000 }).prefault('1000'),
  GUARD_WINDOW_SECONDS: decimal({ min: 1, max: 3_600 }).prefault('60'),
  GUARD_DELAY_P95_MS: whole({ min: 1, max: 600_000 }).prefault('500'),
  FAILOVER_AUTOMATIC: flag().prefault('true'),
  FAILOVER_HOLD_DOWN_SECONDS: decimal({ min: 0.1, max: 3_600 }).prefault('10'),
  FAILOVER_FLAP_LIMIT: whole({ min: 2, max: 100 }).prefault('3'),
  FAILOVER_FLAP_WINDOW_SECONDS: decimal({ min: 1, max: DAY_SECONDS }).prefault('600'),
  FAILOVER_OBJECTIVE_SECONDS: decimal({ min: 0.1, max: 3_600 }).prefault('5'),
  FAILBACK_STABLE_SECONDS: decimal({ min: 0.1, max: DAY_SECONDS }).prefault('300'),

  COVERAGE_THRESHOLD: decimal({ min: 0.01, max: 1 }).prefault('0.995'),
  HEALTH_LAG_WARNING_SECONDS: decimal({ min: 0.1, max: DAY_SECONDS }).prefault('30'),
  HEALTH_LAG_CRITICAL_SECONDS: decimal({ min: 0.1, max: DAY_SECONDS }).prefault('120'),

  JOURNAL_SEGMENT_BYTES: bytes({ min: '1MiB', max: '1GiB' }).prefault('64MiB'),
  JOURNAL_SYNC_INTERVAL_MS: whole({ min: 1, max: 10_000 }).prefault('50'),
  JOURNAL_RETENTION_DAYS: whole({ min: 1, max: 3_650 }).prefault('7'),
  JOURNAL_MAX_BYTES: bytes({ min: '2MiB', max: '100TiB' }).prefault('50GiB'),
  JOURNAL_MIN_FREE_BYTES: bytes({ min: '0', max: '100TiB' }).prefault('256MiB'),
  CHECKPOINT_INTERVAL_SECONDS: decimal({ min: 0.1, max: 3_600 }).prefault('10'),

  NTP_SERVER: orNull(plainText('a host, or host:port', /^[A-Za-z0-9._-]{1,253}(:\d{1,5})?$/)),
  METRICS_HOST: plainText('a host name or address', /^[A-Za-z0-9.:[\]_-]{1,253}$/).prefault('127.0.0.1'),
  METRICS_PORT: whole({ min: 0, max: 65_535 }).prefault('9101'),
  PUSHGATEWAY_URL: orNull(url('an http or https URL without a password in it', ['http', 'https'])),
  PUSHGATEWAY_TIMEOUT_SECONDS: decimal({ min: 0.1, max: 60 }).prefault('3'),
  PUSHGATEWAY_USER: orNull(plainText(ID, ID_PATTERN)),
  PUSHGATEWAY_PASSWORD: orNull(secret()),
  PUSHGATEWAY_TLS_CA: orNull(filePath()),
  PUSHGATEWAY_TLS_CERT: orNull(filePath()),
  PUSHGATEWAY_TLS_KEY: orNull(filePath()),

  NATS_URL: orNull(urls('nats:// or tls:// URLs without a password in them, comma-separated', NATS_SCHEMES)),
  NATS_USER: orNull(plainText(ID, ID_PATTERN)),
  NATS_PASSWORD: orNull(secret()),
  NATS_TOKEN: orNull(secret()),
  NATS_CREDS_FILE: orNull(filePath()),
  NATS_TLS_CA: orNull(filePath()),
  NATS_TLS_CERT: orNull(filePath()),
  NATS_TLS_KEY: orNull(filePath()),
  NATS_STREAM: plainText('a stream name of letters, digits, - and _', /^[A-Za-z0-9_-]{1,128}$/).prefault(
    'MARKET_TICKS',
  ),
  NATS_SUBJECT_PREFIX: plainText(
    'a subject of up to 128 letters, digits, - and _, parted by dots, without wildcards',
    /^(?=.{1,128}$)[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$/,
  ).prefault('market'),
  NATS_STREAM_REPLICAS: whole({ min: 1, max: 5 }).prefault('1'),
  NATS_STREAM_STORAGE: oneOf('file', 'memory').prefault('file'),
  // 0: no limit.
  NATS_STREAM_MAX_AGE_HOURS: decimal({ min: 0, max: 87_600 }).prefault('48'),
  NATS_STREAM_MAX_BYTES: orNull(bytes({ min: '1MiB', max: '100TiB' })),
  NATS_DURABLES: orNull(streamNames('names of durable consumers, comma-separated, at most 100')),
  NATS_CONSUMER_BACKLOG_MAX: whole({ min: 0, max: 1_000_000_000 }).prefault('100000'),

  SECRET_TIMEOUT_SECONDS: decimal({ min: 0.1, max: 60 }).prefault('3'),
  SECRET_CHECK_SECONDS: decimal({ min: 1, max: DAY_SECONDS }).prefault('60'),
  SECRET_MAX_AGE_DAYS: decimal({ min: 0.01, max: 3_650 }).prefault('30'),
  VAULT_ADDR: orNull(url('an http or https URL without a password in it', ['http', 'https'])),
  VAULT_NAMESPACE: orNull(plainText('a namespace such as team/feeds', /^[A-Za-z0-9._/-]{1,256}$/)),
  VAULT_CACERT: orNull(filePath()),
  VAULT_AUTH: oneOf('token', 'approle', 'kubernetes').prefault('token'),
  // The default is the method's own name.
  VAULT_AUTH_MOUNT: orNull(plainText('the path of an auth method, such as approle', MOUNT_PATTERN)),
  VAULT_TOKEN: orNull(secret()),
  VAULT_ROLE_ID: orNull(plainText(ID, ID_PATTERN)),
  VAULT_SECRET_ID: orNull(secret()),
  VAULT_KUBERNETES_ROLE: orNull(plainText(ID, ID_PATTERN)),
  VAULT_KUBERNETES_TOKEN_FILE: filePath().prefault('/var/run/secrets/kubernetes.io/serviceaccount/token'),
  VAULT_KV_VERSION: oneOf('auto', '1', '2').prefault('auto'),
  AWS_REGION: orNull(plainText('a region such as cn-north-1', /^[a-z0-9-]{1,32}$/)),
  AWS_ENDPOINT_URL_SECRETS_MANAGER: orNull(url('an http or https URL without a password in it', ['http', 'https'])),
  AWS_CA_BUNDLE: orNull(filePath()),
  AWS_ACCESS_KEY_ID: orNull(plainText('an access key id', /^\w{4,128}$/)),
  AWS_SECRET_ACCESS_KEY: orNull(secret()),
  AWS_SESSION_TOKEN: orNull(secret()),

  LOG_LEVEL: oneOf('trace', 'debug', 'info', 'warn', 'error').prefault('info'),
  LOG_MAX_BYTES: bytes({ min: '1MiB', max: '100GiB' }).prefault('256MiB'),
  LOG_RETENTION_DAYS: whole({ min: 1, max: 3_650 }).prefault('14'),
  AUDIT_RETENTION_DAYS: whole({ min: 1, max: 3_650 }).prefault('90'),
  AUDIT_FORWARD: oneOf('none', 'syslog', 'journald').prefault('none'),

  REQUIRE_PLAN: flag().prefault('false'),
  ROLLBACK_WATCH_SECONDS: decimal({ min: 0, max: 3_600 }).prefault('120'),
})

export type Settings = z.output<typeof settingsSchema>
export type SettingName = keyof Settings

const NAMES = new Set<string>(Object.keys(settingsSchema.shape))

export function isSettingName(name: string): name is SettingName {
  return NAMES.has(name)
}

export const SETTING_NAMES: readonly SettingName[] = [...NAMES].filter(isSettingName)

/** Shown as [set] or [missing], never as text. */
export const SECRET_SETTINGS: ReadonlySet<string> = new Set<SettingName>([
  'CTP_PRIMARY_PASSWORD',
  'CTP_PRIMARY_AUTH_CODE',
  'CTP_BACKUP_PASSWORD',
  'CTP_BACKUP_AUTH_CODE',
  'NATS_PASSWORD',
  'NATS_TOKEN',
  'PUSHGATEWAY_PASSWORD',
  'VAULT_TOKEN',
  'VAULT_SECRET_ID',
  'AWS_SECRET_ACCESS_KEY',
  'AWS_SESSION_TOKEN',
])

/** Shown by their last three characters. */
export const ACCOUNT_SETTINGS: ReadonlySet<string> = new Set<SettingName>([
  'CTP_PRIMARY_USER_ID',
  'CTP_BACKUP_USER_ID',
  'NATS_USER',
  'PUSHGATEWAY_USER',
  'VAULT_ROLE_ID',
  'AWS_ACCESS_KEY_ID',
])

/** What is needed before a reference can be followed at all, or by commands that follow none: never a reference itself. */
export function mayBeReference(name: SettingName): boolean {
  return !SECRET_SETTINGS.has(name) && !/^(FEED_|SECRET_|VAULT_|AWS_)/.test(name)
}

/** The default as it would be written in an env file, or null where the name has none. */
export function defaultText(name: SettingName): string | null {
  const schema = settingsSchema.shape[name]
  return schema instanceof z.ZodPrefault ? String(schema.def.defaultValue) : null
}
