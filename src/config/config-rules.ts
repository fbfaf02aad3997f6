/**
 * What no single value shows: combinations that can't work, or that work until the day they are needed. One named rule per sentence an
 * operator would say; all of them run, so that every problem is told at once.
 */
import { timingProblems } from '#domain/failover-timing.ts'
import { LINES, type Line } from '#domain/line.ts'
import type { SecretRef } from '#domain/secret-ref.ts'
import { adapterOf, failoverPolicyOf, hasBackup, livenessOf, loginIsBegun, loginSettings } from './config.ts'
import type { EnvFile } from './env-file.ts'
import { type Finding, problem, warning } from './finding.ts'
import type { FrontAddress } from './front-address.ts'
import type { SettingName, Settings } from './schema.ts'
import { type Reference, storesAreComplete } from './secret-store-rules.ts'

interface RuleInput {
  readonly settings: Settings
  /** Every reference to a place outside, whichever setting holds it. */
  readonly references: readonly Reference[]
  readonly envFile: EnvFile | null
  readonly requireBackup: boolean
}

type Rule = (input: RuleInput) => Finding[]

const RULES: readonly Rule[] = [
  primaryIsComplete,
  backupIsCompleteOrAbsent,
  authenticationComesInPairs,
  tradingLoginHasAFront,
  linesDiffer,
  credentialsAreNoPlaceholders,
  storesAreComplete,
  replayHasFiles,
  busSettingsFitTogether,
  pushgatewaySettingsFitTogether,
  failoverKeepsItsPromise,
  timingsArePossible,
  sizesArePossible,
  profileFitsItsUse,
  envFileIsPrivate,
]

export function applyRules(input: RuleInput): Finding[] {
  return RULES.flatMap((rule) => rule(input))
}

const REQUIRED_LOGIN = ['BROKER_ID', 'USER_ID', 'PASSWORD', 'MD_ADDRESS'] as const

function lineSetting(line: Line, name: keyof ReturnType<typeof loginSettings>): SettingName {
  return line === 'primary' ? `CTP_PRIMARY_${name}` : `CTP_BACKUP_${name}`
}

function primaryIsComplete({ settings }: RuleInput): Finding[] {
  return adapterOf(settings) === 'ctp' ? missingLogin('primary', settings) : []
}

function backupIsCompleteOrAbsent({ settings, requireBackup }: RuleInput): Finding[] {
  if (adapterOf(settings) === 'ctp' && loginIsBegun('backup', settings) && settings.FEED_LINES !== 'primary') {
    return missingLogin('backup', settings)
  }
  if (hasBackup(settings)) return []
  const message = 'expected a complete backup line, got none'
  const remedy = 'Set every CTP_BACKUP_* login name of another account or front, and leave FEED_LINES at auto.'
  if (requireBackup) return [problem(['CTP_BACKUP_USER_ID', 'FEED_LINES'], message, remedy, 'CTP_BACKUP_*')]
  return settings.FEED_PROFILE === 'live'
    ? [warning(['CTP_BACKUP_USER_ID'], `${message}: losing the primary is a gap`, remedy, 'CTP_BACKUP_*')]
    : []
}

function missingLogin(line: Line, settings: Settings): Finding[] {
  const login = loginSettings(line, settings)
  const remedy =
    line === 'primary'
      ? 'Set it in the env file; .env.example says what it is.'
      : 'Complete the backup line, or remove all CTP_BACKUP_* names.'
  return REQUIRED_LOGIN.filter((name) => login[name] === null).map((name) =>
    problem([lineSetting(line, name)], `expected ${MEANING[name]}, got [missing]`, remedy),
  )
}

const MEANING = {
  BROKER_ID: "the broker's id",
  USER_ID: 'the account',
  PASSWORD: "the account's password or a reference to it",
  MD_ADDRESS: 'market-data fronts',
} as const

function authenticationComesInPairs({ settings }: RuleInput): Finding[] {
  if (adapterOf(settings) !== 'ctp') return []
  return LINES.flatMap((line) => {
    const login = loginSettings(line, settings)
    const missing = login.APP_ID === null ? 'APP_ID' : 'AUTH_CODE'
    const names = [lineSetting(line, 'APP_ID'), lineSetting(line, 'AUTH_CODE')]
    if ((login.APP_ID === null) !== (login.AUTH_CODE === null)) {
      const message = 'expected APP_ID and AUTH_CODE together, got [missing]'
      return [problem(names, message, 'Set both or neither: the broker gives out both.', lineSetting(line, missing))]
    }
    if (login.TD_ADDRESS === null || login.APP_ID !== null) return []
    const message = 'a trading front without APP_ID and AUTH_CODE: most brokers refuse such a login'
    return [warning(names, message, 'Set APP_ID and AUTH_CODE as the broker gave them out.')]
  })
}

function tradingLoginHasAFront({ settings }: RuleInput): Finding[] {
  if (!settings.CTP_TD_LOGIN_FIRST || adapterOf(settings) !== 'ctp') return []
  return LINES.filter((line) => line === 'primary' || hasBackup(settings))
    .filter((line) => loginSettings(line, settings).TD_ADDRESS === null)
    .map((line) =>
      problem(
        [lineSetting(line, 'TD_ADDRESS'), 'CTP_TD_LOGIN_FIRST'],
        'expected trading fronts, since CTP_TD_LOGIN_FIRST is set, got [missing]',
        'Set the trading fronts of this line, or CTP_TD_LOGIN_FIRST=false.',
      ),
    )
}

function linesDiffer({ settings }: RuleInput): Finding[] {
  if (adapterOf(settings) !== 'ctp' || !hasBackup(settings)) return []
  const primary = loginSettings('primary', settings)
  const backup = loginSettings('backup', settings)
  if (primary.USER_ID === null || primary.MD_ADDRESS === null || backup.MD_ADDRESS === null) return []
  const sameAccount = primary.BROKER_ID === backup.BROKER_ID && primary.USER_ID === backup.USER_ID
  const sameFront = shareAFront(primary.MD_ADDRESS, backup.MD_ADDRESS)
  const about: SettingName[] = [
    'CTP_BACKUP_USER_ID',
    'CTP_BACKUP_MD_ADDRESS',
    'CTP_PRIMARY_USER_ID',
    'CTP_PRIMARY_MD_ADDRESS',
  ]
  if (sameAccount && sameFront) {
    const message =
      'expected another account or another front than the primary, got the same account and a shared front'
    return [problem(about, message, 'Give the backup another account and other fronts, or remove CTP_BACKUP_*.')]
  }
  if (sameAccount) {
    const message = 'the same account as the primary: one rejected password stops both lines'
    return [warning(about, message, 'Give the backup an account of its own.')]
  }
  if (!sameFront) return []
  const message = 'shares a front with the primary: one outage stops both lines'
  return [warning(about, message, 'Give the backup fronts of another site or broker.', 'CTP_BACKUP_MD_ADDRESS')]
}

function shareAFront(a: readonly FrontAddress[], b: readonly FrontAddress[]): boolean {
  const place = (front: FrontAddress) => `${front.host.toLowerCase()}:${front.port}`
  const places = new Set(a.map(place))
  return b.some((front) => places.has(place(front)))
}

const PLACEHOLDER =
  /^(change[-_ ]?(me|it|this)|x{3,}|your[-_ ].*|.*[-_ ]here|<.*>|\$\{.*\}|\{\{.*\}\}|todo|tbd|fixme|none|null|undefined|placeholder|replace[-_ ]?(me|this)|password|passwd|secret|example.*|dummy|\*+|\.{3,}|-+)$/i
const PLACEHOLDER_HOST = /(^|\.)(example(\.(com|org|net))?|invalid)$|^your[-_.]/i

function credentialsAreNoPlaceholders({ settings }: RuleInput): Finding[] {
  if (settings.FEED_PROFILE === 'sim') return []
  const findings = LINES.flatMap((line) => {
    const login = loginSettings(line, settings)
    const words = (['BROKER_ID', 'USER_ID', 'PASSWORD', 'APP_ID', 'AUTH_CODE'] as const)
      .filter((name) => isPlaceholder(login[name]))
      .map((name) => lineSetting(line, name))
    const hosts = (['MD_ADDRESS', 'TD_ADDRESS'] as const)
      .filter((name) => login[name]?.some((front) => PLACEHOLDER_HOST.test(front.host)))
      .map((name) => lineSetting(line, name))
    return [...words, ...hosts]
  })
  if (isPlaceholder(settings.NATS_PASSWORD)) findings.push('NATS_PASSWORD')
  if (isPlaceholder(settings.NATS_TOKEN)) findings.push('NATS_TOKEN')
  if (isPlaceholder(settings.PUSHGATEWAY_PASSWORD)) findings.push('PUSHGATEWAY_PASSWORD')
  return findings.map((name) =>
    problem([name], 'expected the real value, got a placeholder', 'Put in what the broker or administrator gave out.'),
  )
}

function isPlaceholder(value: string | SecretRef | null): boolean {
  if (value === null) return false
  if (typeof value === 'string') return PLACEHOLDER.test(value)
  return value.source === 'literal' && PLACEHOLDER.test(value.value.reveal())
}

function replayHasFiles({ settings }: RuleInput): Finding[] {
  if (adapterOf(settings) !== 'replay' || settings.REPLAY_FILES !== null) return []
  const remedy = 'Name the recorded CSV or .csv.gz files, comma-separated.'
  return [problem(['REPLAY_FILES'], 'expected files, since FEED_ADAPTER is replay, got [missing]', remedy)]
}

function busSettingsFitTogether({ settings }: RuleInput): Finding[] {
  const findings: Finding[] = []
  const given = (
    [
      'NATS_USER',
      'NATS_PASSWORD',
      'NATS_TOKEN',
      'NATS_CREDS_FILE',
      'NATS_TLS_CA',
      'NATS_TLS_CERT',
      'NATS_TLS_KEY',
      'NATS_STREAM_MAX_BYTES',
      'NATS_DURABLES',
    ] as const
  ).filter((name) => settings[name] !== null)
  if (settings.NATS_URL === null) {
    return given.map((name) =>
      warning([name, 'NATS_URL'], 'has no effect without NATS_URL', 'Set NATS_URL, or remove this name.'),
    )
  }
  if ((settings.NATS_USER === null) !== (settings.NATS_PASSWORD === null)) {
    const missing = settings.NATS_USER === null ? 'NATS_USER' : 'NATS_PASSWORD'
    const message = 'expected NATS_USER and NATS_PASSWORD together, got [missing]'
    findings.push(problem(['NATS_USER', 'NATS_PASSWORD'], message, 'Set both or neither.', missing))
  }
  const ways = (['NATS_CREDS_FILE', 'NATS_TOKEN', 'NATS_USER'] as const).filter((name) => settings[name] !== null)
  if (ways.length > 1) {
    const message = `expected one way to log in, got ${ways.join(' and ')}`
    findings.push(problem(ways, message, 'Keep one of them.'))
  }
  if (settings.NATS_STREAM_MAX_BYTES === null && settings.NATS_STREAM_MAX_AGE_HOURS === 0) {
    const message = 'expected a limit in bytes or age, got none: the stream grows until the disk of the server is full'
    const remedy = 'Set NATS_STREAM_MAX_BYTES to what that disk bears, or NATS_STREAM_MAX_AGE_HOURS.'
    findings.push(warning(['NATS_STREAM_MAX_BYTES', 'NATS_STREAM_MAX_AGE_HOURS'], message, remedy))
  }
  if ((settings.NATS_TLS_CERT === null) !== (settings.NATS_TLS_KEY === null)) {
    const missing = settings.NATS_TLS_CERT === null ? 'NATS_TLS_CERT' : 'NATS_TLS_KEY'
    const message = 'expected certificate and key together, got [missing]'
    findings.push(problem(['NATS_TLS_CERT', 'NATS_TLS_KEY'], message, 'Set both or neither.', missing))
  }
  return findings
}

function pushgatewaySettingsFitTogether({ settings }: RuleInput): Finding[] {
  const pairs = [
    ['PUSHGATEWAY_USER', 'PUSHGATEWAY_PASSWORD'],
    ['PUSHGATEWAY_TLS_CERT', 'PUSHGATEWAY_TLS_KEY'],
  ] as const
  const { PUSHGATEWAY_URL: url } = settings
  if (url === null) {
    return [...pairs.flat(), 'PUSHGATEWAY_TLS_CA' as const]
      .filter((name) => settings[name] !== null)
      .map((name) =>
        warning(
          [name, 'PUSHGATEWAY_URL'],
          'has no effect without PUSHGATEWAY_URL',
          'Set PUSHGATEWAY_URL, or remove this name.',
        ),
      )
  }
  const findings = pairs
    .filter(([one, other]) => (settings[one] === null) !== (settings[other] === null))
    .map(([one, other]) => {
      const missing = settings[one] === null ? one : other
      return problem(
        [one, other],
        `expected ${one} and ${other} together, got [missing]`,
        'Set both or neither.',
        missing,
      )
    })
  const { protocol, hostname } = new URL(url)
  if (settings.PUSHGATEWAY_PASSWORD !== null && protocol === 'http:' && !isLoopback(hostname)) {
    const message = 'the password of the gateway goes over the network in the clear'
    findings.push(warning(['PUSHGATEWAY_URL', 'PUSHGATEWAY_PASSWORD'], message, 'Use an https URL.'))
  }
  return findings
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '[::1]' || host.startsWith('127.')
}

/** Which setting to blame for a field that the domain's safety sums name; an unnamed one follows from LIVENESS_MUTE_SECONDS. */
const SETTING_OF_FIELD: Readonly<Record<string, SettingName>> = {
  'liveness.bridgeSilentMs': 'LIVENESS_BRIDGE_SILENT_SECONDS',
  'failover.failbackStableMs': 'FAILBACK_STABLE_SECONDS',
  'failover.flapLimit': 'FAILOVER_FLAP_LIMIT',
  'failover.flapWindowMs': 'FAILOVER_FLAP_WINDOW_SECONDS',
  'failover.sharedConfirmMs': 'FAILOVER_OBJECTIVE_SECONDS',
}
/** How often the daemon judges its lines. */
const STEP_MS = 100

function failoverKeepsItsPromise({ settings }: RuleInput): Finding[] {
  const findings = timingProblems({
    liveness: livenessOf(settings),
    failover: failoverPolicyOf(settings),
    objectiveMs: settings.FAILOVER_OBJECTIVE_SECONDS * 1000,
    stepMs: STEP_MS,
  }).map(({ name, message, remedy }) => {
    const setting = SETTING_OF_FIELD[name] ?? 'LIVENESS_MUTE_SECONDS'
    return problem(
      [setting, 'FAILOVER_OBJECTIVE_SECONDS', 'FAILOVER_HOLD_DOWN_SECONDS', 'GUARD_DELAY_P95_MS'],
      message,
      remedy,
    )
  })
  // Several sums may blame one setting; the first one says enough.
  return findings.filter((one, i) => findings.findIndex(({ problem: { name } }) => name === one.problem.name) === i)
}

function timingsArePossible({ settings }: RuleInput): Finding[] {
  const findings: Finding[] = []
  if (settings.HEALTH_LAG_WARNING_SECONDS >= settings.HEALTH_LAG_CRITICAL_SECONDS) {
    const message = `expected less than HEALTH_LAG_CRITICAL_SECONDS (${settings.HEALTH_LAG_CRITICAL_SECONDS}), got ${settings.HEALTH_LAG_WARNING_SECONDS}: critical would come before the warning`
    const about: SettingName[] = ['HEALTH_LAG_WARNING_SECONDS', 'HEALTH_LAG_CRITICAL_SECONDS']
    findings.push(problem(about, message, 'Lower HEALTH_LAG_WARNING_SECONDS or raise HEALTH_LAG_CRITICAL_SECONDS.'))
  }
  const login = settings.CONNECT_TIMEOUT_SECONDS + settings.LOGIN_TIMEOUT_SECONDS
  if (login >= settings.READY_TIMEOUT_SECONDS) {
    const message = `expected more than CONNECT_TIMEOUT_SECONDS + LOGIN_TIMEOUT_SECONDS (${login}), got ${settings.READY_TIMEOUT_SECONDS}: a start would give up before a login can fail`
    const about: SettingName[] = ['READY_TIMEOUT_SECONDS', 'CONNECT_TIMEOUT_SECONDS', 'LOGIN_TIMEOUT_SECONDS']
    findings.push(problem(about, message, 'Raise READY_TIMEOUT_SECONDS or lower the other two.'))
  }
  const subscribing = subscribingSeconds(settings)
  if (adapterOf(settings) === 'sim' && subscribing >= settings.READY_TIMEOUT_SECONDS) {
    const message = `expected more than the ${Math.ceil(subscribing)} s that subscribing SIM_INSTRUMENTS takes at this pace, got ${settings.READY_TIMEOUT_SECONDS}`
    const about: SettingName[] = [
      'READY_TIMEOUT_SECONDS',
      'SIM_INSTRUMENTS',
      'SUBSCRIBE_RATE_LIMIT_MAX_REQUESTS',
      'SUBSCRIBE_RATE_LIMIT_WINDOW_SECONDS',
    ]
    findings.push(problem(about, message, 'Raise READY_TIMEOUT_SECONDS or the subscribe rate.'))
  }
  return findings
}

function subscribingSeconds(settings: Settings): number {
  if (settings.SUBSCRIBE_RATE_LIMIT_MAX_REQUESTS === 0) return 0
  const windows = Math.ceil(settings.SIM_INSTRUMENTS / settings.SUBSCRIBE_RATE_LIMIT_MAX_REQUESTS)
  return (windows - 1) * settings.SUBSCRIBE_RATE_LIMIT_WINDOW_SECONDS
}

function sizesArePossible({ settings }: RuleInput): Finding[] {
  if (settings.JOURNAL_MAX_BYTES >= 2 * settings.JOURNAL_SEGMENT_BYTES) return []
  const message = 'expected at least two segments of JOURNAL_SEGMENT_BYTES, got less: the journal frees whole segments'
  return [
    problem(
      ['JOURNAL_MAX_BYTES', 'JOURNAL_SEGMENT_BYTES'],
      message,
      'Raise JOURNAL_MAX_BYTES or lower JOURNAL_SEGMENT_BYTES.',
    ),
  ]
}

function profileFitsItsUse({ settings, envFile }: RuleInput): Finding[] {
  const findings: Finding[] = []
  if (settings.FEED_PROFILE === 'live' && settings.FEED_SUPERVISOR === 'local') {
    const message = 'local in profile live: nothing restarts the daemon when it dies'
    findings.push(
      warning(
        ['FEED_SUPERVISOR'],
        message,
        'Watch it and start it again by hand; this version has no other supervisor yet.',
      ),
    )
  }
  if (settings.FEED_PROFILE === 'live' && adapterOf(settings) !== 'ctp') {
    const message = `${adapterOf(settings)} in profile live: consumers would take made-up ticks for the market`
    findings.push(warning(['FEED_ADAPTER'], message, 'Set FEED_ADAPTER=ctp.'))
  }
  const named = envFile?.values.get('FEED_PROFILE')
  if (named !== undefined && named !== '' && named !== settings.FEED_PROFILE) {
    const message = `the env file is for profile ${JSON.stringify(named.slice(0, 20))}, but ${settings.FEED_PROFILE} runs`
    findings.push(warning(['FEED_PROFILE'], message, 'Check that this is the env file that you mean.'))
  }
  return findings
}

/** Group access alone may be a service's own group, so it is told and never refused. */
function envFileIsPrivate({ settings, envFile }: RuleInput): Finding[] {
  if (envFile === null || (envFile.mode & 0o077) === 0) return []
  const everyone = (envFile.mode & 0o007) !== 0
  const mode = envFile.mode.toString(8).padStart(4, '0')
  const message = `expected mode 0600 of ${envFile.path}, got ${mode}: ${everyone ? 'everyone' : 'its group'} can get at the secrets in it`
  const remedy = `Run chmod 600 ${envFile.path}, and change the secrets if others had access.`
  const finding = everyone && settings.FEED_PROFILE === 'live' ? problem : warning
  return [finding([], message, remedy, 'env-file-permissions')]
}
