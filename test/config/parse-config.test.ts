import { inspect } from 'node:util'
import { describe, expect, test } from 'vitest'
import { configFingerprint } from '#config/fingerprint.ts'
import { type ConfigInputs, type ParsedConfig, parseConfig } from '#config/parse-config.ts'
import { SETTING_NAMES } from '#config/schema.ts'

const PLACE = { cwd: '/srv/feed', packageDir: '/opt/feed-supervisor' }
const PRIMARY = {
  CTP_PRIMARY_BROKER_ID: '9999',
  CTP_PRIMARY_USER_ID: '123456789',
  CTP_PRIMARY_PASSWORD: 'hunter2-primary',
  CTP_PRIMARY_MD_ADDRESS: 'tcp://192.0.2.1:41213',
}
const BACKUP = {
  CTP_BACKUP_BROKER_ID: '8888',
  CTP_BACKUP_USER_ID: '987654321',
  CTP_BACKUP_PASSWORD: 'hunter2-backup',
  CTP_BACKUP_MD_ADDRESS: 'tcp://192.0.2.2:41213',
}

interface Given extends Partial<Omit<ConfigInputs, 'envFile'>> {
  file?: Record<string, string>
  mode?: number
}

function parse({ file, mode = 0o600, ...inputs }: Given = {}): ParsedConfig {
  const values = new Map(Object.entries(file ?? {}))
  const envFile = file === undefined ? null : { path: '/srv/feed/.env.paper', mode, values, problems: [] }
  return parseConfig({ env: {}, ...PLACE, ...inputs, envFile })
}

function configOf(given: Given = {}) {
  const parsed = parse(given)
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems))
  return parsed.config
}

function problemsOf(given: Given): string[] {
  const parsed = parse(given)
  return parsed.ok ? [] : parsed.problems.map(({ name, message }) => `${name}: ${message}`)
}

function warningsOf(given: Given): string[] {
  return parse(given).warnings.map(({ name, message }) => `${name}: ${message}`)
}

describe('with nothing given', () => {
  test('profile sim runs both lines in the state directory beside it', () => {
    const config = configOf()
    expect(config.profile).toBe('sim')
    expect(config.feed.adapter).toBe('sim')
    expect(config.feed.backup?.line).toBe('backup')
    expect(config.stateDir).toBe('/srv/feed/var')
    expect(config.calendar.dir).toBe('/opt/feed-supervisor/calendar')
    expect(parse().warnings).toEqual([])
  })

  test('the defaults are those of the contract', () => {
    const config = configOf()
    expect(config.pacing).toMatchObject({ batchSize: 500, maxPerWindow: 500, windowMs: 500, loginPerMinute: 5 })
    expect(config.sim).toMatchObject({ instruments: 500, ticksPerSecond: 1000, marketClock: { kind: 'always-open' } })
    expect(config.monitoring).toMatchObject({ metricsHost: '127.0.0.1', metricsPort: 9101 })
    expect(config.coverage.threshold).toBe(0.995)
    expect(config.journal).toMatchObject({ syncIntervalMs: 50, retentionDays: 7 })
    expect(config.bus).toBeNull()
  })

  test('no value of any slice is undefined', () => {
    expect(JSON.stringify(configOf(), (_, value) => (value === undefined ? 'UNDEFINED' : value))).not.toContain(
      'UNDEFINED',
    )
  })
})

describe('precedence', () => {
  const file = { METRICS_PORT: '1', ...PRIMARY }
  test.each([
    ['the flag wins over all', { flags: { METRICS_PORT: '3' }, env: { METRICS_PORT: '2' }, file }, 3],
    ['then the process environment', { env: { METRICS_PORT: '2' }, file }, 2],
    ['then the env file', { file }, 1],
    ['then the default', { file: PRIMARY }, 9101],
    ['an empty variable is an absent one', { env: { METRICS_PORT: '' }, file }, 1],
  ])('%s', (_, given, port) => {
    expect(configOf({ profile: 'paper', ...given }).monitoring.metricsPort).toBe(port)
  })

  test.each([
    ['--profile over FEED_PROFILE', { profile: 'paper', env: { FEED_PROFILE: 'live' }, file: PRIMARY }, 'paper'],
    [
      'FEED_PROFILE of the environment over the file',
      { env: { FEED_PROFILE: 'staging' }, file: { FEED_PROFILE: 'paper', ...PRIMARY } },
      'staging',
    ],
    ['FEED_PROFILE of the file over the default', { file: { FEED_PROFILE: 'paper', ...PRIMARY } }, 'paper'],
  ])('%s', (_, given, profile) => {
    expect(configOf(given).profile).toBe(profile)
  })

  test.each([
    [
      '--state-dir',
      { flags: { FEED_STATE_DIR: 'here' }, env: { FEED_STATE_DIR: '/a', STATE_DIRECTORY: '/b' } },
      '/srv/feed/here',
    ],
    ['FEED_STATE_DIR', { env: { FEED_STATE_DIR: '/a', STATE_DIRECTORY: '/b' } }, '/a'],
    ["systemd's STATE_DIRECTORY, the first of several", { env: { STATE_DIRECTORY: '/b:/c' } }, '/b'],
  ])('the state directory is taken from %s', (_, given, stateDir) => {
    expect(configOf(given).stateDir).toBe(stateDir)
  })

  test('the adapter is sim in profile sim, ctp in the others, and may be chosen', () => {
    expect(configOf({ profile: 'paper', file: PRIMARY }).feed.adapter).toBe('ctp')
    expect(configOf({ profile: 'paper', env: { FEED_ADAPTER: 'sim' } }).feed.adapter).toBe('sim')
  })
})

describe('a malformed value is told as expected and got', () => {
  test.each([
    ['METRICS_PORT', '99999', 'a whole number from 0 to 65535'],
    ['METRICS_PORT', '9101 ', 'a whole number'],
    ['METRICS_PORT', '0x10', 'a whole number'],
    ['SIM_INSTRUMENTS', '25001', 'a whole number from 1 to 25000'],
    ['SIM_INSTRUMENTS', '1e3', 'a whole number'],
    ['SUBSCRIBE_RATE_LIMIT_WINDOW_SECONDS', '-1', 'a number from 0.01 to 60'],
    ['SUBSCRIBE_RATE_LIMIT_WINDOW_SECONDS', 'Infinity', 'a number'],
    ['COVERAGE_THRESHOLD', '99.5', 'a number from 0.01 to 1'],
    ['COVERAGE_THRESHOLD', 'NaN', 'a number'],
    ['JOURNAL_MAX_BYTES', '50 GB', 'a size from 2MiB to 100TiB'],
    ['JOURNAL_SEGMENT_BYTES', '1K', 'a size from 1MiB to 1GiB'],
    ['STANDBY_MODE', 'Hot', 'one of hot, warm, cold'],
    ['FEED_ADAPTER', 'ctp2', 'one of sim, replay, ctp'],
    ['FAILOVER_AUTOMATIC', 'maybe', 'true or false'],
    ['SIM_MARKET_CLOCK', 'tomorrow', 'always-open, real, or an ISO start time'],
    ['SIM_MARKET_CLOCK', '2026-02-30T21:00', 'always-open, real, or an ISO start time'],
    ['NATS_URL', 'localhost:4222', 'nats:// or tls:// URLs'],
    ['NATS_SUBJECT_PREFIX', 'market.>', 'a subject'],
    ['NATS_STREAM', 'MARKET TICKS', 'a stream name'],
    ['PUSHGATEWAY_URL', 'ftp://gateway', 'an http or https URL'],
    ['CTP_PRIMARY_MD_ADDRESS', '192.0.2.1:41213', 'front addresses such as'],
    ['CTP_PRIMARY_BROKER_ID', 'two words', 'an id'],
    ['CONTRACTS_INCLUDE', 'rb\u0007', 'contract globs'],
  ])('%s=%s', (name, text, expected) => {
    const [problem] = problemsOf({ env: { [name]: text } })
    expect(problem).toContain(`${name}: expected ${expected}`)
    expect(problem).toContain(`got ${JSON.stringify(text)} from the environment`)
  })

  test('a long value is cut', () => {
    const [problem] = problemsOf({ env: { STANDBY_MODE: 'x'.repeat(10_000) } })
    expect(problem?.length).toBeLessThan(200)
  })

  test('everything that is wrong is told in one go', () => {
    const problems = problemsOf({
      profile: 'paper',
      env: { METRICS_PORT: 'x', STANDBY_MODE: 'x' },
      file: { SIM_SEED: 'x', CTP_PRIMARY_USER_ID: 'changeme', CTP_BACKUP_USER_ID: '987654321' },
    })
    const names = problems.map((problem) => problem.slice(0, problem.indexOf(':')))
    expect(new Set(names)).toEqual(
      new Set([
        'METRICS_PORT',
        'STANDBY_MODE',
        'SIM_SEED',
        'CTP_PRIMARY_USER_ID',
        'CTP_PRIMARY_BROKER_ID',
        'CTP_PRIMARY_PASSWORD',
        'CTP_PRIMARY_MD_ADDRESS',
        'CTP_BACKUP_BROKER_ID',
        'CTP_BACKUP_PASSWORD',
        'CTP_BACKUP_MD_ADDRESS',
      ]),
    )
  })

  test('an unknown profile is one problem, not a cascade', () => {
    expect(problemsOf({ profile: 'prod', file: {} })).toEqual([
      'FEED_PROFILE: expected one of sim, paper, staging, live, got "prod" from the command line',
    ])
  })
})

describe('forms', () => {
  test.each([
    ['1048576', 1_048_576],
    ['2M', 2_097_152],
    ['2MiB', 2_097_152],
    ['2MB', 2_097_152],
    ['1G', 1_073_741_824],
  ])('size %s is %i bytes', (text, bytes) => {
    expect(configOf({ env: { JOURNAL_SEGMENT_BYTES: text } }).journal.segmentBytes).toBe(bytes)
  })

  test.each([
    ['2026-03-02T20:59:00+08:00', Date.UTC(2026, 2, 2, 12, 59)],
    ['2026-03-02T20:59', Date.UTC(2026, 2, 2, 12, 59)],
    ['2026-03-02T12:59:00Z', Date.UTC(2026, 2, 2, 12, 59)],
  ])('market clock %s starts there, in Shanghai time unless said otherwise', (text, startMs) => {
    expect(configOf({ env: { SIM_MARKET_CLOCK: text } }).sim.marketClock).toEqual({ kind: 'from', startMs })
  })

  test('paths start at the working directory, lists keep their order', () => {
    const config = configOf({ env: { FEED_ADAPTER: 'replay', REPLAY_FILES: 'b.csv, /a.csv.gz,', REPLAY_SPEED: '0' } })
    expect(config.replay).toEqual({ files: ['/srv/feed/b.csv', '/a.csv.gz'], speed: 0 })
  })
})

describe('secrets', () => {
  const given: Given = {
    profile: 'paper',
    file: {
      ...PRIMARY,
      ...BACKUP,
      CTP_PRIMARY_APP_ID: 'app',
      CTP_PRIMARY_AUTH_CODE: 'vault:secret/data/ctp#auth',
      CTP_BACKUP_PASSWORD: 'file:backup-password',
      NATS_URL: 'nats://127.0.0.1',
      NATS_USER: 'feed',
      NATS_PASSWORD: 'aws-sm:prod/nats#password',
      VAULT_ADDR: 'https://vault.example.net:8200',
      VAULT_TOKEN: 'file:/run/vault-token',
      AWS_REGION: 'cn-north-1',
    },
  }

  test('are references in the configuration', () => {
    const { feed, bus } = configOf(given)
    expect(feed.primary.authCode).toEqual({ source: 'vault', path: 'secret/data/ctp', field: 'auth' })
    expect(feed.backup?.password).toEqual({ source: 'file', path: '/srv/feed/backup-password' })
    expect(bus?.password).toEqual({ source: 'aws-sm', id: 'prod/nats', field: 'password' })
  })

  test('a token for the bus is a password without a user', () => {
    const file = { NATS_URL: 'nats://127.0.0.1', NATS_TOKEN: 'file:token' }
    const { bus } = configOf({ profile: 'sim', file })
    expect(bus).toMatchObject({ user: null, password: { source: 'file', path: '/srv/feed/token' } })
  })

  test("a relative file is one of systemd's credentials where it passes any", () => {
    const { feed } = configOf({ ...given, env: { CREDENTIALS_DIRECTORY: '/run/credentials/feed' } })
    expect(feed.backup?.password).toEqual({ source: 'file', path: '/run/credentials/feed/backup-password' })
  })

  test('a literal one is revealed on request and by nothing else', () => {
    const { feed } = configOf(given)
    const { password } = feed.primary
    expect(password.source === 'literal' && password.value.reveal()).toBe('hunter2-primary')
    for (const shown of [
      JSON.stringify(feed),
      inspect(feed, { depth: 9, showHidden: true }),
      `${Object.values(password)}`,
    ]) {
      expect(shown).not.toContain('hunter2')
      expect(shown).toContain('[set]')
    }
  })

  test.each([
    'vault:secret/ctp',
    'vault:#password',
    'file:',
    'env:',
    'env:no-name',
    'aws-sm:',
    'literal:',
    'two\nlines',
  ])('a broken reference %j is told without its text', (text) => {
    const problems = problemsOf({ ...given, env: { CTP_PRIMARY_PASSWORD: text } })
    expect(problems).toHaveLength(1)
    expect(problems[0]).toMatch(/^CTP_PRIMARY_PASSWORD: expected a secret, or a reference .* got \[set\]/)
  })

  test('literal: allows a password that begins like a reference', () => {
    const { password } = configOf({ ...given, env: { CTP_PRIMARY_PASSWORD: 'literal:file:x' } }).feed.primary
    expect(password.source === 'literal' && password.value.reveal()).toBe('file:x')
  })

  test('accounts are masked in problems', () => {
    const [problem] = problemsOf({ ...given, env: { CTP_PRIMARY_USER_ID: '1234 56789' } })
    expect(problem).toContain('got ***789')
    expect(problem).not.toContain('1234')
  })

  test('a value that swallowed the line of a secret is not shown', () => {
    const problems = problemsOf({ ...given, env: { METRICS_PORT: '9101 CTP_PRIMARY_PASSWORD=hunter2' } })
    expect(problems[0]).toMatch(/^METRICS_PORT: .* got \[set\]/)
  })

  test('a password inside a URL is refused and not repeated', () => {
    const [problem] = problemsOf({ ...given, env: { NATS_URL: 'nats://feed:hunter2@127.0.0.1' } })
    expect(problem).toMatch(/^NATS_URL: expected .* got "nats:\/\/\*\*\*@127\.0\.0\.1"/)
  })
})

describe('names that look like settings and are none', () => {
  test.each([
    ['CTP_PRIMARY_PASWORD', 'did you mean CTP_PRIMARY_PASSWORD?'],
    ['ctp_primary_password', 'did you mean CTP_PRIMARY_PASSWORD?'],
    ['METRIC_PORT', 'did you mean METRICS_PORT?'],
    ['CTP_PRIMARY_COLOUR', 'no such setting; it has no effect'],
  ])('%s in the env file', (name, message) => {
    const [warning] = warningsOf({ file: { [name]: 'x' } })
    expect(warning).toContain(`${name}: `)
    expect(warning).toContain(message)
  })

  test.each(['NODE_OPTIONS', 'TZ', 'VAULT_ADDR', 'PATH'])("%s in the env file is somebody else's", (name) => {
    expect(warningsOf({ file: { [name]: 'x' } })).toEqual([])
  })

  test('in the process environment other programs may use our first words', () => {
    expect(warningsOf({ env: { NATS_SERVICE_HOST: 'x', LOG_FORMAT: 'x', METRICS_INTERVAL: 'x' } })).toEqual([])
    expect(warningsOf({ env: { FEED_COLOUR: 'x', SUBSCRIBE_BATCH_SIZ: 'x' } })).toHaveLength(2)
  })

  test('no setting is taken for a misspelling of another', () => {
    const everything = Object.fromEntries(SETTING_NAMES.map((name) => [name, '']))
    expect(warningsOf({ file: everything })).toEqual([])
  })
})

describe('the fingerprint', () => {
  test('is the same whichever way a setting came in', () => {
    const fromFile = configFingerprint(configOf({ profile: 'paper', file: { ...PRIMARY, METRICS_PORT: '1' } }))
    const fromFlag = configFingerprint(configOf({ profile: 'paper', file: PRIMARY, flags: { METRICS_PORT: '1' } }))
    expect(fromFile).toBe(fromFlag)
    expect(fromFile).toMatch(/^[0-9a-f]{64}$/)
  })

  test.each([
    ['another setting', { METRICS_PORT: '1' }],
    ['another reference to a secret', { CTP_PRIMARY_PASSWORD: 'env:OTHER' }],
    ['another account', { CTP_PRIMARY_USER_ID: '123456780' }],
  ])('changes with %s', (_, change) => {
    const before = configFingerprint(configOf({ profile: 'paper', file: PRIMARY }))
    expect(configFingerprint(configOf({ profile: 'paper', file: { ...PRIMARY, ...change } }))).not.toBe(before)
  })

  test('does not depend on the text of a secret, nor on what only the command typed cares for', () => {
    const before = configFingerprint(configOf({ profile: 'paper', file: PRIMARY }))
    const after = { ...PRIMARY, CTP_PRIMARY_PASSWORD: 'hunter3', FEED_SUPERVISOR: 'systemd', LOG_LEVEL: 'debug' }
    expect(configFingerprint(configOf({ profile: 'paper', file: after }))).toBe(before)
  })
})

test('a password that went into the wrong line is not quoted by the problem of that line', () => {
  const problems = problemsOf({ env: { ...PRIMARY, SIM_INSTRUMENTS: PRIMARY.CTP_PRIMARY_PASSWORD } })
  expect(problems).toEqual([
    'SIM_INSTRUMENTS: expected a whole number from 1 to 25000, got "[set]" from the environment',
  ])
})
