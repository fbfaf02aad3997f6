import { createHash } from 'node:crypto'
import { chmodSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import {
  diskSpaceCheck,
  latchesCheck,
  metricsPortCheck,
  openFilesCheck,
  stateDirCheck,
} from '#adapters/preflight/host-checks.ts'
import {
  calendarCheck,
  catalogueCheck,
  ctpLibraryCheck,
  type NamedSecret,
  recordingsCheck,
  scenarioCheck,
  secretsCheck,
} from '#adapters/preflight/input-checks.ts'
import { frontsCheck, serverCheck } from '#adapters/preflight/network-checks.ts'
import { type Finding, ok, type PreflightCheck, runPreflight } from '#adapters/preflight/run-preflight.ts'
import type { Endpoint } from '#adapters/preflight/tcp-reach.ts'
import { setCredentialLatch, setKillLatch } from '#adapters/state/latches.ts'
import { takeLock } from '#adapters/state/run-lock.ts'
import { preflightChecks } from '#apps/preflight.ts'
import { systemClock } from '#clock.ts'
import { parseConfig } from '#config/parse-config.ts'
import { Failure } from '#domain/failure.ts'
import { HiddenText } from '#domain/secret-ref.ts'
import { alwaysOpenCalendar } from '#domain/session-calendar.ts'

let directory = ''
let servers: Server[] = []
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'preflight-'))
})
afterEach(() => {
  for (const server of servers) server.close()
  servers = []
  rmSync(directory, { recursive: true, force: true })
})

async function listening(): Promise<Endpoint> {
  const server = createServer((socket) => socket.end())
  servers.push(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  return { host: '127.0.0.1', port: typeof address === 'object' ? (address?.port ?? 0) : 0 }
}

/** A port that was free a moment ago: nobody listens there. */
async function deserted(): Promise<Endpoint> {
  const endpoint = await listening()
  const server = servers.pop()
  await new Promise((resolve) => server?.close(resolve))
  return endpoint
}

function run(check: PreflightCheck): Promise<Finding> {
  return check.run(new AbortController().signal)
}

function write(name: string, content: string): string {
  const path = join(directory, name)
  writeFileSync(path, content)
  return path
}

describe('running checks', () => {
  const check = (name: string, answer: () => Promise<Finding>): PreflightCheck => ({ name, run: answer })

  test('results keep the order of the checks and carry name and duration', async () => {
    const results = await runPreflight([check('a', async () => ok('x')), check('b', async () => ok('y'))], systemClock)
    expect(results.map(({ name, result, detail }) => [name, result, detail])).toEqual([
      ['a', 'ok', 'x'],
      ['b', 'ok', 'y'],
    ])
    expect(results.every(({ duration_ms }) => Number.isInteger(duration_ms))).toBe(true)
  })

  test('a failure fails its check with its remedy, an exception too', async () => {
    const results = await runPreflight(
      [
        check('world', () => Promise.reject(new Failure('kind', 'what happened', 'What to do.'))),
        check('ours', () => Promise.reject(new TypeError('oops'))),
      ],
      systemClock,
    )
    expect(results[0]).toMatchObject({ result: 'failed', detail: 'what happened', remedy: 'What to do.' })
    expect(results[1]).toMatchObject({ result: 'failed', detail: 'unexpected fault: oops' })
  })

  test('all run at once, and one that never answers fails at the deadline with its signal aborted', async () => {
    let aborted = false
    const hanging: PreflightCheck = {
      name: 'hanging',
      run: (signal) =>
        new Promise(() => {
          signal.addEventListener('abort', () => {
            aborted = true
          })
        }),
    }
    const results = await runPreflight([hanging, check('quick', async () => ok('x')), hanging], systemClock, 20)
    expect(results.map(({ result }) => result)).toEqual(['failed', 'ok', 'failed'])
    expect(results[0]?.detail).toBe('no answer within 20 ms')
    expect(aborted).toBe(true)
  })
})

describe('fronts', () => {
  const open = () => false
  const closed = () => true
  type Lines = Parameters<typeof frontsCheck>[0]['lines']
  const fronts = (lines: Lines, marketIsClosed: () => boolean, required = true) =>
    frontsCheck({ name: 'fronts', lines, required, marketIsClosed })

  test('all reachable', async () => {
    const lines = [
      { line: 'primary' as const, fronts: [await listening(), await listening()] },
      { line: 'backup' as const, fronts: [await listening()] },
    ]
    expect(await run(fronts(lines, open))).toEqual(ok('reachable: primary 2 of 2 fronts; backup 1 of 1 fronts'))
  })

  test('one line that can serve is enough for a warning', async () => {
    const lines = [
      { line: 'primary' as const, fronts: [await deserted()] },
      { line: 'backup' as const, fronts: [await listening()] },
    ]
    expect(await run(fronts(lines, open))).toMatchObject({
      result: 'warning',
      detail: 'reachable: primary 0 of 1 fronts (ECONNREFUSED); backup 1 of 1 fronts',
    })
  })

  test('none fails in an open market and warns in a closed one, when fronts are down every day', async () => {
    const lines = [{ line: 'primary' as const, fronts: [await deserted()] }]
    expect(await run(fronts(lines, open))).toMatchObject({ result: 'failed' })
    expect(await run(fronts(lines, closed))).toMatchObject({ result: 'warning' })
  })

  test('none of those that only list the instruments is a warning', async () => {
    const lines = [{ line: 'primary' as const, fronts: [await deserted()] }]
    expect(await run(fronts(lines, open, false))).toMatchObject({ result: 'warning' })
  })

  test.each([
    [{}, 'failed', 'ok'],
    [{ swapped: true }, 'ok', 'warning'],
    [{ swapped: true, CTP_TD_LOGIN_FIRST: 'true' }, 'ok', 'failed'],
  ])(
    'of market data are what a line stands on, those for trading only where a login needs them: %j',
    async (about, marketData, trading) => {
      const addressOf = ({ host, port }: Endpoint) => `tcp://${host}:${port}`
      const dead = addressOf(await deserted())
      const alive = addressOf(await listening())
      const { swapped = false, ...more } = about as { swapped?: boolean }
      const parsed = parseConfig({
        env: {
          ...more,
          FEED_PROFILE: 'paper',
          FEED_ADAPTER: 'ctp',
          CTP_PRIMARY_BROKER_ID: '9999',
          CTP_PRIMARY_USER_ID: 'trader',
          CTP_PRIMARY_PASSWORD: 'hunter2-primary',
          CTP_PRIMARY_APP_ID: 'app',
          CTP_PRIMARY_AUTH_CODE: '0',
          CTP_PRIMARY_MD_ADDRESS: swapped ? alive : dead,
          CTP_PRIMARY_TD_ADDRESS: swapped ? dead : alive,
        },
        packageDir: fileURLToPath(new URL('../..', import.meta.url)),
        cwd: directory,
        envFile: { path: join(directory, '.env.paper'), mode: 0o600, values: new Map(), problems: [] },
      })
      if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems))
      const morningMs = Date.parse('2026-11-19T10:00:00+08:00')
      const clock = { ...systemClock, wallMs: () => morningMs }
      const checks = preflightChecks(parsed.config, { offline: false, stateDir: 'inspect', env: {}, clock })
      const results = await runPreflight(
        checks.filter(({ name }) => name.endsWith('fronts')),
        systemClock,
      )
      expect(results.map(({ name, result }) => [name, result])).toEqual([
        ['fronts', marketData],
        ['trading-fronts', trading],
      ])
    },
  )

  test('none configured is skipped', async () => {
    expect(await run(fronts([{ line: 'primary', fronts: [] }], open))).toMatchObject({ result: 'skipped' })
  })
})

describe('a server', () => {
  test.each([
    { required: true, result: 'failed' },
    { required: false, result: 'warning' },
  ])('out of reach, required $required: $result', async ({ required, result }) => {
    const check = serverCheck({ name: 'nats', servers: [await deserted()], required, remedy: 'Start it.' })
    expect(await run(check)).toMatchObject({ result, remedy: 'Start it.' })
  })

  test('of a cluster that is partly up gets a warning', async () => {
    const server = { name: 'nats', required: true, remedy: 'Start it.' }
    expect(await run(serverCheck({ ...server, servers: [await listening()] }))).toMatchObject({ result: 'ok' })
    const half = [await listening(), await deserted()]
    expect(await run(serverCheck({ ...server, servers: half }))).toMatchObject({ result: 'warning' })
  })
})

describe('the metrics port', () => {
  test('free, or any', async () => {
    const { host, port } = await deserted()
    expect(await run(metricsPortCheck({ host, port, stateDir: directory }))).toMatchObject({ result: 'ok' })
    expect(await run(metricsPortCheck({ host, port: 0, stateDir: directory }))).toMatchObject({ result: 'ok' })
  })

  test('taken by a stranger', async () => {
    const { host, port } = await listening()
    const finding = await run(metricsPortCheck({ host, port, stateDir: directory }))
    expect(finding).toMatchObject({ result: 'failed', detail: `${host}:${port} is used by another program` })
  })

  test('taken while a daemon of this state directory runs', async () => {
    const { host, port } = await listening()
    const attempt = await takeLock(directory, 'daemon', { pid: process.pid, command: 'run', since: 'now' })
    const finding = await run(metricsPortCheck({ host, port, stateDir: directory }))
    if (attempt.kind === 'held') await attempt.lock.release()
    expect(finding).toMatchObject({ result: 'ok', detail: `${host}:${port} is held by our own daemon` })
  })

  test('on an address that is not ours', async () => {
    const finding = await run(metricsPortCheck({ host: '192.0.2.1', port: 9101, stateDir: directory }))
    expect(finding).toMatchObject({ result: 'failed', detail: expect.stringContaining('EADDRNOTAVAIL') })
  })
})

describe('the state directory', () => {
  test('inspecting and preparing', async () => {
    const path = join(directory, 'var')
    expect(await run(stateDirCheck(path, 'inspect'))).toMatchObject({ result: 'ok' })
    expect(await run(stateDirCheck(path, 'prepare'))).toMatchObject({ result: 'ok' })
    chmodSync(path, 0o755)
    expect(await run(stateDirCheck(path, 'inspect'))).toMatchObject({ result: 'warning' })
    chmodSync(path, 0o777)
    await expect(run(stateDirCheck(path, 'inspect'))).rejects.toMatchObject({ kind: 'state-dir-exposed' })
  })

  test('disk space is judged against a day of journal', async () => {
    const needs = { stateDir: join(directory, 'not', 'yet'), dayBytes: 1, minFreeBytes: 1 }
    expect(await run(diskSpaceCheck(needs))).toMatchObject({ result: 'ok' })
    expect(await run(diskSpaceCheck({ ...needs, dayBytes: 1e18 }))).toMatchObject({ result: 'warning' })
    expect(await run(diskSpaceCheck({ ...needs, minFreeBytes: 1e18 }))).toMatchObject({ result: 'failed' })
  })

  test('latches are listed, and never a fault of configuration', async () => {
    expect(await run(latchesCheck(directory))).toMatchObject({ result: 'ok' })
    await setKillLatch(directory, { since: '2026-03-02T21:00:00+08:00', reason: 'drill' })
    await setCredentialLatch(directory, {
      since: '2026-03-02T21:00:00+08:00',
      reason: 'refused',
      account: 'a'.repeat(24),
      masked: '***789',
      line: 'primary',
      errorId: 3,
    })
    const { result, detail } = await run(latchesCheck(directory))
    expect(result).toBe('warning')
    expect(detail).toContain('drill')
    expect(detail).toContain('***789')
  })
})

test.each([
  ['Max open files            1024                 4096                 files', 'warning'],
  ['Max open files            4096                 4096                 files', 'ok'],
  ['Max open files            unlimited            unlimited            files', 'ok'],
  ['', 'skipped'],
])('open files: %s', async (limits, result) => {
  expect(await run(openFilesCheck(write('limits', limits)))).toMatchObject({ result })
})

const SECRETS_NOW_MS = Date.UTC(2026, 10, 21)

function checkOf(secrets: readonly NamedSecret[], offline = false) {
  return secretsCheck({ secrets, stores: { env: {} }, maxAgeMs: 30 * 86_400_000, nowMs: SECRETS_NOW_MS, offline })
}

describe('secrets', () => {
  test('are named where they cannot be resolved, all of them', async () => {
    const check = checkOf([
      { name: 'A', ref: { source: 'literal', value: new HiddenText('hunter2') } },
      { name: 'B', ref: { source: 'env', name: 'NOT_THERE' } },
      { name: 'C', ref: { source: 'vault', path: 'a', field: 'b' } },
    ])
    const { result, detail, remedy } = await run(check)
    expect(result).toBe('failed')
    expect(detail).toBe('B: env:NOT_THERE is not set; C: vault:a#b: its store is not configured')
    expect(remedy).toContain('file:PATH')
  })

  test('in files that everyone can read get a warning', async () => {
    const path = write('secret', 'hunter2')
    chmodSync(path, 0o644)
    const finding = await run(checkOf([{ name: 'A', ref: { source: 'file', path } }]))
    expect(finding.result).toBe('warning')
    expect(JSON.stringify(finding)).not.toContain('hunter2')
  })

  test('that are old get a warning, with their age', async () => {
    const path = write('secret', 'hunter2')
    chmodSync(path, 0o600)
    utimesSync(path, SECRETS_NOW_MS / 1000, SECRETS_NOW_MS / 1000 - 31 * 86_400)
    const finding = await run(checkOf([{ name: 'A', ref: { source: 'file', path } }]))
    expect(finding).toMatchObject({ result: 'warning', detail: 'A: 31 days old, more than SECRET_MAX_AGE_DAYS' })
    utimesSync(path, SECRETS_NOW_MS / 1000, SECRETS_NOW_MS / 1000 - 29 * 86_400)
    expect(await run(checkOf([{ name: 'A', ref: { source: 'file', path } }]))).toMatchObject({
      result: 'ok',
      detail: '1 resolved, the oldest 29 days old',
    })
  })

  test.each([
    ['NATS_TOKEN', { NATS_TOKEN: 'env:NOT_THERE' }],
    ['NATS_PASSWORD', { NATS_USER: 'feed', NATS_PASSWORD: 'env:NOT_THERE' }],
  ])('of the bus go by the name under which they are set: %s', async (name, secret) => {
    const parsed = parseConfig({
      env: { FEED_PROFILE: 'sim', NATS_URL: 'nats://127.0.0.1', ...secret },
      packageDir: fileURLToPath(new URL('../..', import.meta.url)),
      cwd: directory,
      envFile: { path: join(directory, '.env.sim'), mode: 0o600, values: new Map(), problems: [] },
    })
    if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems))
    const checks = preflightChecks(parsed.config, { offline: false, stateDir: 'inspect', env: {}, clock: systemClock })
    const [secrets] = checks.filter((check) => check.name === 'secrets')
    if (secrets === undefined) throw new Error('no check of secrets')
    expect(await run(secrets)).toMatchObject({ result: 'failed', detail: `${name}: env:NOT_THERE is not set` })
  })

  test('in a store are left alone with --offline', async () => {
    const vault: NamedSecret = { name: 'C', ref: { source: 'vault', path: 'a', field: 'b' } }
    expect(await run(checkOf([vault], true))).toMatchObject({ result: 'skipped' })
  })
})

describe('the calendar', () => {
  const covering = (daysLeft: number) => {
    const coverage = { covered: daysLeft >= 0, daysLeft, coveredUntil: 20_261_231 }
    return () => ({ ok: true as const, calendar: { ...alwaysOpenCalendar(), coverage: () => coverage } })
  }

  test.each([
    [-1, 'failed'],
    [0, 'warning'],
    [29, 'warning'],
    [30, 'ok'],
  ])('%i days ahead: %s', async (daysLeft, result) => {
    expect(await run(calendarCheck(covering(daysLeft), 0))).toMatchObject({ result })
  })

  test('that cannot be read tells every problem', async () => {
    const problems = [
      { name: 'holidays.json', message: 'is broken', remedy: 'Mend it.' },
      { name: 'sessions.json', message: 'is broken too', remedy: 'Mend it.' },
    ]
    expect(await run(calendarCheck(() => ({ ok: false, problems }), 0))).toEqual({
      result: 'failed',
      detail: 'holidays.json is broken; sessions.json is broken too',
      remedy: 'Mend it.',
    })
  })
})

describe('the catalogue', () => {
  const HOUR_MS = 3_600_000
  const facts = { contracts: 500, duplicates: [] as string[], modifiedMs: 0 }
  const judge = (given: Partial<typeof facts>, nowMs: number) =>
    run(catalogueCheck({ read: async () => ({ ...facts, ...given }), maxAgeHours: 96, nowMs }))

  test('is fresh up to its maximum age', async () => {
    expect(await judge({}, 96 * HOUR_MS)).toEqual(ok('500 contracts, 96.0 hours old'))
    expect(await judge({}, 97 * HOUR_MS)).toMatchObject({ result: 'warning' })
  })

  test('with duplicates gets a warning that names some', async () => {
    expect(await judge({ duplicates: ['rb2605.SHFE'] }, 0)).toMatchObject({
      result: 'warning',
      detail: expect.stringContaining('rb2605.SHFE'),
    })
  })

  test('that is missing says how to get one', async () => {
    const read = () => Promise.reject(new Failure('contract-file-missing', 'there is no file x', 'Other.'))
    expect(await run(catalogueCheck({ read, maxAgeHours: 96, nowMs: 0 }))).toMatchObject({
      result: 'failed',
      remedy: expect.stringContaining('catalogue refresh'),
    })
  })
})

describe('the CTP library', () => {
  const env = { PATH: process.env['PATH'] }
  const judge = (trading: 'none' | 'catalogue' | 'logins', sdkLibDir: string | null = null, path = 'ctp-bridge') =>
    runPreflight(
      [ctpLibraryCheck({ installation: { bridgePath: join(directory, path), sdkLibDir }, env, trading })],
      systemClock,
    ).then(([result]) => result)

  /** A bridge whose `--check` says what it is told to, built for a library with these bytes. */
  const install = ({ answer = '', code = 0, trader = true } = {}) => {
    const sha256 = createHash('sha256').update('library').digest('hex')
    const library = write('thostmduserapi_se.so', 'library')
    const traderLibrary = write('thosttraderapi_se.so', 'library')
    const recorded = (path: string) => ({ library: path, sha256, api_version: 'v6' })
    const md = recorded(library)
    const record = { schema: 1, protocol: 1, md, trader: trader ? recorded(traderLibrary) : null, sanitized: false }
    write('ctp-bridge.json', JSON.stringify(record))
    write(
      'ctp-bridge',
      `#!/bin/sh\necho noise\necho '${answer || '{"session":"md","api_version":"v6.7.11"}'}'\nexit ${code}\n`,
    )
    chmodSync(join(directory, 'ctp-bridge'), 0o755)
  }

  test('is loaded, and its version told', async () => {
    install()
    expect(await judge('none')).toMatchObject({ result: 'ok', detail: expect.stringMatching(/v6\.7\.11; as built$/) })
    expect(await judge('logins')).toMatchObject({ result: 'ok', detail: expect.stringContaining('thosttraderapi') })
  })

  test('without a bridge is a failure that says how to build one', async () => {
    expect(await judge('none')).toMatchObject({ result: 'failed', remedy: expect.stringContaining('build:ctp-bridge') })
  })

  test('other than the one of the build is refused', async () => {
    install()
    write('thostmduserapi_se.so', 'updated')
    expect(await judge('none')).toMatchObject({ result: 'failed', detail: expect.stringContaining('SHA-256') })
    expect(await judge('none', directory)).toMatchObject({
      result: 'failed',
      detail: expect.stringContaining('SHA-256'),
    })
    expect(await judge('none', join(directory, 'elsewhere'))).toMatchObject({
      result: 'failed',
      remedy: expect.stringContaining('CTP_SDK_LIB_DIR'),
    })
  })

  test('that does not load is a failure with the words of the bridge', async () => {
    install({ answer: '{"session":"md","message":"cannot load it","remedy":"Install libz."}', code: 69 })
    expect(await judge('none')).toMatchObject({ result: 'failed', detail: 'cannot load it', remedy: 'Install libz.' })
  })

  test('of the trading session is a must only where logins need it', async () => {
    install({ trader: false })
    expect(await judge('none')).toMatchObject({ result: 'ok' })
    expect(await judge('catalogue')).toMatchObject({
      result: 'warning',
      remedy: expect.stringContaining('catalogue file'),
    })
    expect(await judge('logins')).toMatchObject({ result: 'failed' })
  })
})

describe('recordings and scenarios', () => {
  test('every recording is inspected, every fault is told', async () => {
    const good = write('good.csv', 'x')
    const bad = write('bad.csv', 'x')
    const inspect = async (path: string) => {
      if (path === bad) throw new Failure('replay-columns', `${path} lacks UpdateTime`, 'Record it again.')
      return 'good.csv: 5 rows'
    }
    expect(await run(recordingsCheck({ files: [good], inspect }))).toEqual(ok('good.csv: 5 rows'))
    const missing = join(directory, 'missing.csv')
    const finding = await run(recordingsCheck({ files: [bad, good, missing], inspect }))
    expect(finding).toMatchObject({ result: 'failed', remedy: 'Record it again. Correct REPLAY_FILES.' })
    expect(finding.detail).toContain('lacks UpdateTime')
    expect(finding.detail).toContain('missing.csv')
  })

  test('a scenario must be there and parse', async () => {
    const sound = write('sound.json', '[{"at_ms": 3000, "line": "primary", "fault": "crash"}]')
    expect(await run(scenarioCheck(sound))).toEqual(ok('1 faults'))
    expect(await run(scenarioCheck(join(directory, 'missing')))).toMatchObject({ result: 'failed' })
    await expect(run(scenarioCheck(write('broken.json', '[{"at_ms": 3')))).rejects.toBeInstanceOf(Failure)
  })
})
