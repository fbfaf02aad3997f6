/** The real executable, as an operator or a container's entrypoint runs it. Needs `npm run build`, which `npm test` does first. */
import { spawn } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'

const BIN = fileURLToPath(new URL('../../bin/validate-env', import.meta.url))
const RECORDINGS = fileURLToPath(new URL('../../../shared/data/ticks/', import.meta.url))

beforeAll(() => {
  if (!existsSync(fileURLToPath(new URL('../../dist/validate-env.js', import.meta.url)))) {
    throw new Error('dist/validate-env.js is missing: run npm run build first')
  }
})

let directory = ''
let server: Server | null = null
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'validate-env-'))
})
afterEach(() => {
  server?.close()
  server = null
  rmSync(directory, { recursive: true, force: true })
})

interface Ended {
  code: number | null
  stdout: string
  stderr: string
}

function run(args: readonly string[], env: Record<string, string> = {}): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const child = spawn(BIN, args, {
      cwd: directory,
      env: { PATH: process.env['PATH'], METRICS_PORT: '0', ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let [stdout, stderr] = ['', '']
    child.stdout.setEncoding('utf8').on('data', (text) => {
      stdout += text
    })
    child.stderr.setEncoding('utf8').on('data', (text) => {
      stderr += text
    })
    child.on('error', reject)
    child.on('close', (code) => resolve({ code, stdout, stderr }))
  })
}

interface Report {
  schema: string
  command: string
  outcome: string
  exit_code: number
  profile: string
  checks: { name: string; result: string; detail: string; remedy: string | null; duration_ms: number }[]
  problems: { name: string; message: string; remedy: string }[]
  warnings: { name: string; message: string; remedy: string }[]
}

async function report(args: readonly string[], env: Record<string, string> = {}): Promise<Report> {
  const { code, stdout, stderr } = await run([...args, '--json'], env)
  expect(stderr).toBe('')
  const parsed: Report = JSON.parse(stdout)
  expect(parsed).toMatchObject({ schema: 'feed-supervisor/validate-env/1', command: 'validate-env', exit_code: code })
  expect(parsed.problems.length > 0).toBe(code !== 0)
  for (const { remedy } of [...parsed.problems, ...parsed.warnings]) expect(remedy).toMatch(/\S/)
  return parsed
}

function envFile(name: string, lines: readonly string[], mode = 0o600): string {
  const path = join(directory, name)
  writeFileSync(path, `${lines.join('\n')}\n`)
  chmodSync(path, mode)
  return path
}

const CTP = [
  'CTP_PRIMARY_BROKER_ID=9999',
  'CTP_PRIMARY_USER_ID=123456789',
  'CTP_PRIMARY_PASSWORD=hunter2-primary',
  'CTP_PRIMARY_MD_ADDRESS=tcp://127.0.0.1:9',
]

test('a line that is no setting hides nothing of what else is wrong, and is not echoed', async () => {
  const file = envFile('.env.paper', [
    ...CTP.filter((line) => !line.startsWith('CTP_PRIMARY_PASSWORD')),
    'CTP_PRIMARY_PASSWORD hunter2-primary',
    'METRICS_PORT=many',
    'COVERAGE_THRESHOLD=7',
  ])
  const { problems } = await report(['--profile', 'paper', '--env-file', file, '--offline'], { METRICS_PORT: '' })
  const names = problems.map(({ name }) => name)
  expect(names).toEqual(expect.arrayContaining(['env-file-damaged', 'METRICS_PORT', 'COVERAGE_THRESHOLD']))
  expect(names).not.toContain('CTP_PRIMARY_PASSWORD')
  expect(JSON.stringify(problems)).not.toMatch(/hunter2/)
})

test('--source and --env-file that name two files are bad usage, the same file twice is not', async () => {
  const one = envFile('one', ['SIM_INSTRUMENTS=5'])
  const other = envFile('other', ['SIM_INSTRUMENTS=6'])
  expect((await run(['--source', one, '--env-file', other])).code).toBe(64)
  expect((await run(['--source', one, '--env-file', one, '--offline'])).code).toBe(0)
})

describe('profile sim', () => {
  test('needs nothing: exit 0, nothing created', async () => {
    const { outcome, profile, checks } = await report([])
    expect([outcome, profile]).toEqual(['valid', 'sim'])
    expect(checks.map(({ name }) => name)).toEqual(
      expect.arrayContaining([
        'configuration',
        'secrets',
        'calendar',
        'state-dir',
        'disk-space',
        'metrics-port',
        'latches',
      ]),
    )
    expect(readdirSync(directory)).toEqual([])
  })

  test('reads .env.sim where there is one', async () => {
    envFile('.env.sim', ['SIM_INSTRUMENTS=0'])
    expect((await report([])).problems.map(({ name }) => name)).toEqual(['SIM_INSTRUMENTS'])
  })

  test('finds the metrics port taken', async () => {
    const taken = createServer()
    server = taken
    await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve))
    const address = taken.address()
    const port = String(typeof address === 'object' ? address?.port : 0)
    const { problems } = await report([], { METRICS_PORT: port })
    expect(problems.map(({ name }) => name)).toEqual(['metrics-port'])
  })

  test('finds a state directory that others may write to, or whose path is too long', async () => {
    mkdirSync(join(directory, 'open'))
    chmodSync(join(directory, 'open'), 0o777)
    expect((await report(['--state-dir', 'open'])).problems.map(({ name }) => name)).toEqual(['state-dir'])
    const { problems } = await report(['--state-dir', 'x'.repeat(120)])
    expect(problems[0]?.message).toContain('a unix socket may have 107')
  })
})

describe('configuration that is not sound: exit 78', () => {
  test.each([
    ['an unknown profile', ['--profile', 'prod'], 'FEED_PROFILE'],
    ['a profile without its file', ['--profile', 'paper'], 'env-file-missing'],
    ['a file that is not there', ['--env-file', 'missing'], 'env-file-missing'],
    ['a directory for a file', ['--source', '.'], 'env-file-unreadable'],
  ])('%s', async (_, args, name) => {
    const { problems, exit_code } = await report(args)
    expect(exit_code).toBe(78)
    expect(problems.map((problem) => problem.name)).toEqual([name])
  })

  test('every problem of configuration and surroundings in one report', async () => {
    const source = envFile('mine', [...CTP, 'CTP_BACKUP_USER_ID=1', 'METRICS_PORT=x', 'STANDBY_MOD=hot'])
    mkdirSync(join(directory, 'open'))
    chmodSync(join(directory, 'open'), 0o777)
    const { problems, warnings, profile } = await report(
      ['--source', source, '--profile', 'paper', '--offline', '--state-dir', 'open'],
      { METRICS_PORT: '' },
    )
    expect(profile).toBe('paper')
    expect(problems.map(({ name }) => name).sort()).toEqual([
      'CTP_BACKUP_BROKER_ID',
      'CTP_BACKUP_MD_ADDRESS',
      'CTP_BACKUP_PASSWORD',
      'METRICS_PORT',
      'catalogue',
      'ctp-library',
      'state-dir',
    ])
    expect(warnings.map(({ name }) => name)).toContain('STANDBY_MOD')
  })

  test('live refuses an env file that everyone can read, paper warns', async () => {
    envFile('.env.live', [...CTP, 'FEED_ADAPTER=sim'], 0o644)
    envFile('.env.paper', [...CTP, 'FEED_ADAPTER=sim'], 0o644)
    const live = await report(['--profile', 'live'])
    expect(live.problems.map(({ name }) => name)).toEqual(['env-file-permissions'])
    const paper = await report(['--profile', 'paper'])
    expect(paper.exit_code).toBe(0)
    expect(paper.warnings.map(({ name }) => name)).toEqual(['env-file-permissions'])
  })

  test('--require-backup', async () => {
    envFile('.env.paper', ['FEED_ADAPTER=sim', 'FEED_LINES=primary'])
    expect((await report(['--profile', 'paper'])).exit_code).toBe(0)
    const { problems } = await report(['--profile', 'paper', '--require-backup'])
    expect(problems.map(({ name }) => name)).toEqual(['CTP_BACKUP_*'])
  })
})

describe('network checks', () => {
  const lines = ['FEED_ADAPTER=sim', 'NATS_URL=nats://127.0.0.1:9', 'PUSHGATEWAY_URL=http://127.0.0.1:9']

  test('a bus out of reach fails in staging and warns in paper; a Pushgateway only ever warns', async () => {
    envFile('.env.staging', lines)
    envFile('.env.paper', lines)
    const staging = await report(['--profile', 'staging'])
    expect(staging.problems.map(({ name }) => name)).toEqual(['nats'])
    expect(staging.warnings.map(({ name }) => name)).toEqual(['pushgateway'])
    const paper = await report(['--profile', 'paper'])
    expect(paper.warnings.map(({ name }) => name)).toEqual(['nats', 'pushgateway'])
  })

  test('--offline skips them', async () => {
    envFile('.env.staging', lines)
    const { exit_code, checks } = await report(['--profile', 'staging', '--offline'])
    expect(exit_code).toBe(0)
    const network = checks.filter(({ name }) => name === 'nats' || name === 'pushgateway')
    expect(network.map(({ result }) => result)).toEqual(['skipped', 'skipped'])
  })
})

describe('replay', () => {
  const absent = !existsSync(RECORDINGS)
  if (absent) console.warn(`SKIPPED: no recorded ticks under ${RECORDINGS}`)

  test.skipIf(absent)('a recording is read', async () => {
    const folder = join(RECORDINGS, 'java-trader-czce')
    const file = join(folder, readdirSync(folder)[0] ?? '')
    const { exit_code, checks } = await report([], { FEED_ADAPTER: 'replay', REPLAY_FILES: file })
    expect(exit_code).toBe(0)
    expect(checks.find(({ name }) => name === 'replay-files')?.detail).toMatch(/[1-9]\d* rows, [1-9]\d* instruments/)
  })

  test('missing, without the columns, cut short: each is told', async () => {
    writeFileSync(join(directory, 'columns.csv'), 'a,b\n1,2\n')
    writeFileSync(join(directory, 'cut.csv.gz'), Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 0x4b]))
    const { problems } = await report([], {
      FEED_ADAPTER: 'replay',
      REPLAY_FILES: 'missing.csv,columns.csv,cut.csv.gz',
    })
    expect(problems.map(({ name }) => name)).toEqual(['replay-files'])
    for (const name of ['missing.csv', 'columns.csv', 'cut.csv.gz']) expect(problems[0]?.message).toContain(name)
  })
})

describe('the command line', () => {
  test('--help tells usage, options, exit codes and two examples', async () => {
    const { code, stdout } = await run(['--help'])
    expect(code).toBe(0)
    for (const part of ['Usage: validate-env', '--require-backup', '--profile', 'Exit codes:', '78', 'Examples:']) {
      expect(stdout).toContain(part)
    }
    expect(stdout.match(/\$ validate-env/g)).toHaveLength(2)
  })

  test('--version tells the version of the package', async () => {
    const { code, stdout } = await run(['--version'])
    expect(code).toBe(0)
    expect(stdout).toMatch(/^\d+\.\d+\.\d+\n$/)
  })

  test.each([[['--bogus']], [['start']], [['--profile']]])('bad usage %j exits 64 and says why', async (args) => {
    const { code, stdout, stderr } = await run(args)
    expect(code).toBe(64)
    expect(stdout).toBe('')
    expect(stderr).toMatch(/^error: /)
  })

  test('bad usage with --json is one JSON document too', async () => {
    const { code, stdout } = await run(['--bogus', '--json'])
    expect(code).toBe(64)
    expect(JSON.parse(stdout)).toMatchObject({ outcome: 'usage', exit_code: 64 })
  })

  test('into a pipe: JSON lines, the last one the result', async () => {
    const { code, stdout } = await run([])
    expect(code).toBe(0)
    const events: { event: string }[] = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
    expect(events.at(-1)).toMatchObject({ event: 'result', outcome: 'valid' })
    expect(events.slice(0, -1).every(({ event }) => event === 'step')).toBe(true)
  })
})

test('no secret and no whole account in any output', async () => {
  const source = envFile('.env.paper', [
    ...CTP,
    'CTP_PRIMARY_APP_ID=app',
    'CTP_PRIMARY_AUTH_CODE=hunter2-auth',
    'CTP_BACKUP_USER_ID=123456789 CTP_BACKUP_PASSWORD=hunter2-glued',
    'NATS_URL=nats://feed:hunter2-url@127.0.0.1',
    'NATS_PASSWORD=vault:hunter2',
  ])
  for (const form of [[], ['--json'], ['--verbose'], ['--quiet']]) {
    const { stdout, stderr } = await run(['--source', source, '--profile', 'paper', '--offline', ...form])
    expect(stdout).toContain('NATS_URL')
    expect(stdout + stderr).not.toContain('hunter2')
    expect(stdout + stderr).not.toContain('123456789')
  }
})
