import { describe, expect, test } from 'vitest'
import { parseConfig } from '#config/parse-config.ts'

const LINES = {
  CTP_PRIMARY_BROKER_ID: '9999',
  CTP_PRIMARY_USER_ID: '123456789',
  CTP_PRIMARY_PASSWORD: 'hunter2-primary',
  CTP_PRIMARY_MD_ADDRESS: 'tcp://192.0.2.1:41213',
  CTP_BACKUP_BROKER_ID: '8888',
  CTP_BACKUP_USER_ID: '987654321',
  CTP_BACKUP_PASSWORD: 'hunter2-backup',
  CTP_BACKUP_MD_ADDRESS: 'tcp://192.0.2.2:41213',
}

interface Given {
  profile?: string
  /** Added to two complete lines; an empty text removes. */
  change?: Record<string, string>
  mode?: number
  requireBackup?: boolean
}

function judge({ profile = 'paper', change = {}, mode = 0o600, requireBackup = false }: Given) {
  const values = new Map(Object.entries({ ...LINES, ...change }))
  const parsed = parseConfig({
    profile,
    env: {},
    envFile: { path: '/srv/.env', mode, values, problems: [] },
    cwd: '/srv',
    packageDir: '/opt',
    requireBackup,
  })
  const told = (list: readonly { name: string; message: string; remedy: string }[]) => {
    for (const { remedy } of list) expect(remedy).toMatch(/\.$/)
    return list.map(({ name, message }) => `${name}: ${message}`)
  }
  return { problems: parsed.ok ? [] : told(parsed.problems), warnings: told(parsed.warnings) }
}

const NO_BACKUP = {
  CTP_BACKUP_BROKER_ID: '',
  CTP_BACKUP_USER_ID: '',
  CTP_BACKUP_PASSWORD: '',
  CTP_BACKUP_MD_ADDRESS: '',
}

test('two complete and different lines are no cause for anything', () => {
  expect(judge({})).toEqual({ problems: [], warnings: [] })
  expect(judge({ profile: 'live', change: { FEED_SUPERVISOR: 'systemd' } })).toEqual({ problems: [], warnings: [] })
})

interface Row extends Given {
  name: string
  problem?: RegExp
  warning?: RegExp
}

const ROWS: readonly Row[] = [
  {
    name: 'a primary without a password',
    change: { CTP_PRIMARY_PASSWORD: '' },
    problem: /^CTP_PRIMARY_PASSWORD: expected .*, got \[missing\]$/,
  },
  {
    name: 'a backup with an account alone',
    change: { ...NO_BACKUP, CTP_BACKUP_BROKER_ID: '8888', CTP_BACKUP_USER_ID: '1', CTP_BACKUP_PASSWORD: 'hunter2' },
    problem: /^CTP_BACKUP_MD_ADDRESS: expected market-data fronts, got \[missing\]$/,
  },
  {
    name: 'no backup in live',
    profile: 'live',
    change: { ...NO_BACKUP, FEED_SUPERVISOR: 'systemd' },
    warning: /^CTP_BACKUP_\*: .* losing the primary is a gap/,
  },
  {
    name: 'no backup where one is required',
    change: NO_BACKUP,
    requireBackup: true,
    problem: /^CTP_BACKUP_\*: expected a complete backup line, got none/,
  },
  {
    name: 'a backup left out where one is required',
    change: { FEED_LINES: 'primary' },
    requireBackup: true,
    problem: /^CTP_BACKUP_\*/,
  },
  {
    name: 'same account, same front',
    change: {
      CTP_BACKUP_BROKER_ID: '9999',
      CTP_BACKUP_USER_ID: '123456789',
      CTP_BACKUP_MD_ADDRESS: 'tcp://192.0.2.9:1,tcp://192.0.2.1:41213',
    },
    problem: /the same account and a shared front/,
  },
  {
    name: 'same account, other front',
    change: { CTP_BACKUP_BROKER_ID: '9999', CTP_BACKUP_USER_ID: '123456789' },
    warning: /one rejected password stops both lines/,
  },
  {
    name: 'other account, same front',
    change: { CTP_BACKUP_MD_ADDRESS: 'ssl://192.0.2.1:41213' },
    warning: /one outage stops both lines/,
  },
  {
    name: 'an app id without its code',
    change: { CTP_PRIMARY_APP_ID: 'app' },
    problem: /^CTP_PRIMARY_AUTH_CODE: .*got \[missing\]/,
  },
  {
    name: 'a code without its app id',
    change: { CTP_BACKUP_AUTH_CODE: 'hunter2' },
    problem: /^CTP_BACKUP_APP_ID: .*got \[missing\]/,
  },
  {
    name: 'a trading front without an app id',
    change: { CTP_PRIMARY_TD_ADDRESS: 'tcp://192.0.2.1:41205' },
    warning: /most brokers refuse/,
  },
  {
    name: 'a trading login first, without a trading front on one line',
    change: {
      CTP_TD_LOGIN_FIRST: 'true',
      CTP_PRIMARY_TD_ADDRESS: 'tcp://192.0.2.1:41205',
      CTP_PRIMARY_APP_ID: 'a',
      CTP_PRIMARY_AUTH_CODE: 'hunter2',
    },
    problem: /^CTP_BACKUP_TD_ADDRESS: .*got \[missing\]/,
  },
  { name: 'a replay of nothing', change: { FEED_ADAPTER: 'replay' }, problem: /^REPLAY_FILES: .*got \[missing\]/ },
  {
    name: 'a bus user without a password',
    change: { NATS_URL: 'nats://a', NATS_USER: 'feed' },
    problem: /^NATS_PASSWORD: /,
  },
  {
    name: 'two ways to log in to the bus',
    change: { NATS_URL: 'nats://a', NATS_USER: 'feed', NATS_PASSWORD: 'hunter2', NATS_CREDS_FILE: 'c' },
    problem: /^NATS_CREDS_FILE: /,
  },
  {
    name: 'a token beside a credentials file',
    change: { NATS_URL: 'nats://a', NATS_TOKEN: 'hunter2', NATS_CREDS_FILE: 'c' },
    problem: /^NATS_CREDS_FILE: /,
  },
  {
    name: 'a stream without any limit',
    change: { NATS_URL: 'nats://a', NATS_STREAM_MAX_AGE_HOURS: '0' },
    warning: /^NATS_STREAM_MAX_BYTES: .*until the disk of the server is full/,
  },
  {
    name: 'a certificate without its key',
    change: { NATS_URL: 'tls://a', NATS_TLS_CERT: 'c' },
    problem: /^NATS_TLS_KEY: /,
  },
  {
    name: 'bus settings without a bus',
    change: { NATS_TLS_CA: 'c' },
    warning: /^NATS_TLS_CA: has no effect without NATS_URL/,
  },
  {
    name: 'a mute line noticed too late',
    change: { LIVENESS_MUTE_SECONDS: '5' },
    problem: /^LIVENESS_MUTE_SECONDS: noticing a mute line takes 5100 ms.* objective of 5000 ms/,
  },
  {
    name: 'a hanging bridge noticed too late',
    change: { LIVENESS_BRIDGE_SILENT_SECONDS: '6' },
    problem: /^LIVENESS_BRIDGE_SILENT_SECONDS: /,
  },
  {
    name: 'flapping that could never be seen',
    change: { FAILOVER_FLAP_WINDOW_SECONDS: '30' },
    problem: /^FAILOVER_FLAP_WINDOW_SECONDS: 3 switches/,
  },
  {
    name: 'failback within the hold-down',
    change: { FAILBACK_STABLE_SECONDS: '10' },
    problem: /^FAILBACK_STABLE_SECONDS: /,
  },
  {
    name: 'a lag allowed that counts as silence',
    change: { GUARD_DELAY_P95_MS: '700' },
    problem: /^LIVENESS_MUTE_SECONDS: a line may lag 700 ms/,
  },
  {
    name: 'critical before warning',
    change: { HEALTH_LAG_WARNING_SECONDS: '120' },
    problem: /^HEALTH_LAG_WARNING_SECONDS: /,
  },
  {
    name: 'a start that gives up before a login can fail',
    change: { READY_TIMEOUT_SECONDS: '25' },
    problem: /^READY_TIMEOUT_SECONDS: expected more than .* \(25\), got 25/,
  },
  {
    name: 'a simulation that cannot be subscribed in time',
    profile: 'sim',
    change: { SIM_INSTRUMENTS: '25000', SUBSCRIBE_RATE_LIMIT_MAX_REQUESTS: '100' },
    problem: /^READY_TIMEOUT_SECONDS: expected more than the 125 s/,
  },
  {
    name: 'a journal of less than two segments',
    change: { JOURNAL_MAX_BYTES: '100MiB' },
    problem: /^JOURNAL_MAX_BYTES: /,
  },
  { name: 'the local supervisor in live', profile: 'live', warning: /^FEED_SUPERVISOR: .*nothing restarts the daemon/ },
  {
    name: 'a simulator in live',
    profile: 'live',
    change: { FEED_ADAPTER: 'sim', FEED_SUPERVISOR: 'systemd' },
    warning: /^FEED_ADAPTER: .*made-up ticks/,
  },
  {
    name: 'the env file of another profile',
    profile: 'staging',
    change: { FEED_PROFILE: 'live' },
    warning: /^FEED_PROFILE: the env file is for profile "live", but staging runs/,
  },
  { name: 'an env file for everyone, in paper', mode: 0o644, warning: /^env-file-permissions: .*0600.*0644/ },
  { name: 'an env file for everyone, in staging', profile: 'staging', mode: 0o604, warning: /^env-file-permissions/ },
  {
    name: 'an env file for everyone, in live',
    profile: 'live',
    change: { FEED_SUPERVISOR: 'systemd' },
    mode: 0o644,
    problem: /^env-file-permissions: .*0600.*0644/,
  },
  {
    name: 'an env file for a group, in live',
    profile: 'live',
    change: { FEED_SUPERVISOR: 'systemd' },
    mode: 0o640,
    warning: /^env-file-permissions: .*its group/,
  },
]

test.each(ROWS)('$name', ({ name: _, problem, warning, ...given }) => {
  const { problems, warnings } = judge(given)
  if (problem === undefined) expect(problems).toEqual([])
  else expect(problems).toEqual([expect.stringMatching(problem)])
  if (warning === undefined) expect(warnings).toEqual([])
  else expect(warnings).toEqual([expect.stringMatching(warning)])
  expect(JSON.stringify([problems, warnings])).not.toContain('hunter2')
})

describe('placeholders', () => {
  test.each([
    'changeme',
    'CHANGE_ME',
    'change-me',
    'xxx',
    'XXXXXX',
    'your_password',
    'your-auth-code',
    '<password>',
    // biome-ignore lint/suspicious/noTemplateCurlyInString: what a template engine leaves behind.
    '${PASSWORD}',
    'todo',
    '***',
    'password',
    'replace_me',
  ])('the password %s is refused outside sim', (text) => {
    for (const profile of ['paper', 'staging', 'live']) {
      const { problems } = judge({ profile, change: { CTP_BACKUP_PASSWORD: text, FEED_SUPERVISOR: 'systemd' } })
      expect(problems).toEqual(['CTP_BACKUP_PASSWORD: expected the real value, got a placeholder'])
    }
    expect(judge({ profile: 'sim', change: { CTP_BACKUP_PASSWORD: text } }).problems).toEqual([])
  })

  test.each(['0000000000000000', 'simnow_client_test', 'Xxx4$', 'changemenot', 'secretariat'])('%s is none', (text) => {
    const change = { CTP_PRIMARY_APP_ID: 'app', CTP_PRIMARY_AUTH_CODE: text }
    expect(judge({ change }).problems).toEqual([])
  })

  test('hosts that can only be placeholders count', () => {
    const { problems } = judge({ change: { CTP_PRIMARY_MD_ADDRESS: 'tcp://192.0.2.1:1,tcp://front.example.com:1' } })
    expect(problems).toEqual(['CTP_PRIMARY_MD_ADDRESS: expected the real value, got a placeholder'])
  })
})

test('a shorter silence and a shorter objective bring the finer limits along', () => {
  const change = {
    LIVENESS_MUTE_SECONDS: '0.6',
    LIVENESS_BRIDGE_SILENT_SECONDS: '2',
    FAILOVER_OBJECTIVE_SECONDS: '2.5',
  }
  expect(judge({ change }).problems).toEqual([])
})

test('a finding about a malformed setting is not told twice', () => {
  const { problems } = judge({ change: { FAILOVER_OBJECTIVE_SECONDS: 'soon', LIVENESS_MUTE_SECONDS: '90' } })
  expect(problems).toHaveLength(1)
  expect(problems[0]).toContain('FAILOVER_OBJECTIVE_SECONDS')
})
