/** The runbook command against the real daemon and its simulator, in a state directory of its own. */
import { spawn } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { controlClient } from '#adapters/control/control-client.ts'
import { takeLock } from '#adapters/state/run-lock.ts'
import { identify } from '#adapters/supervisors/process-identity.ts'
import { sleep } from '#clock.ts'
import type { Problem } from '#domain/failure.ts'
import type { FailoverRecord, FeedStatus } from '#domain/status.ts'
import type { StepRecord } from '../../src/apps/terminal.ts'
import { type CommandEnd, runCommand } from '../support/run-command.ts'

let directory = ''
let stateDir = ''
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'live-'))
  stateDir = join(directory, 'state')
})
afterEach(async () => {
  await run('stop')
  rmSync(directory, { recursive: true, force: true })
})

interface RunReport {
  schema: string
  command: string
  outcome: string
  exit_code: number
  profile: string
  window: string | null
  trading_day: string | null
  serving_line: string | null
  started_at: string
  finished_at: string
  duration_ms: number
  steps: StepRecord[]
  pid: number | null
  lines: Record<string, Record<string, unknown>>
  failover?: FailoverRecord
  daemon?: FeedStatus
  problems: Problem[]
  warnings: string[]
}

/** A market small enough to be up in a second. */
const MARKET = { SIM_INSTRUMENTS: '60', SIM_TICKS_PER_SECOND: '500' }

async function run(mode: string, args: readonly string[] = [], env: Record<string, string> = {}): Promise<RunReport> {
  const end = await runText(mode, [...args, '--json'], env)
  const report: RunReport = JSON.parse(end.stdout)
  expect(report.exit_code).toBe(end.code)
  return report
}

function runText(
  mode: string,
  args: readonly string[],
  env: Record<string, string> = {},
  onStarted?: (pid: number) => void,
): Promise<CommandEnd> {
  const options = { cwd: directory, env: { ...MARKET, ...env }, ...(onStarted && { onStarted }) }
  return runCommand('start-live-env', [mode, '--state-dir', stateDir, ...args], options)
}

function stepsOf({ steps }: RunReport): string[] {
  return steps.map(({ name, outcome }) => `${name} ${outcome}`)
}

/** Neither line ever connects. */
function deadFronts(): Record<string, string> {
  const path = join(directory, 'dead-fronts.json')
  const faults = ['primary', 'backup'].map((line) => ({ at_ms: 0, line, fault: 'refuse-connect' }))
  writeFileSync(path, JSON.stringify(faults))
  return { SIM_SCENARIO: path }
}

function bridgePids({ lines }: RunReport): number[] {
  return Object.values(lines).flatMap(({ bridge_pid: pid }) => (typeof pid === 'number' ? [pid] : []))
}

describe('contracts that the front refuses', () => {
  const refusing = (count: number) => {
    const path = join(directory, 'refusing.json')
    writeFileSync(path, JSON.stringify([{ at_ms: 0, line: 'both', fault: 'refuse-contracts', count }]))
    return { SIM_SCENARIO: path }
  }

  test.each([
    ['a few', 3, /subscribed 57 of 60, below the threshold of 99.5 %; the front refuses 3: \S+, \S+, \S+$/],
    ['all', 60, /subscribed 0 of 60, .*; the front refuses 60: (\S+, ){5}and 55 more$/],
  ])(
    '%s of them, and coverage is below the threshold: start ends at once, degraded, and says which',
    async (_, count, told) => {
      const up = await run('start', ['--timeout', '600'], refusing(count))
      expect(up).toMatchObject({ exit_code: 69, outcome: 'degraded', problems: [{ name: 'contracts-refused' }] })
      expect(up.problems[0]?.message).toMatch(told)
      expect(up.problems[0]?.remedy).toMatch(/contract list.*CONTRACTS_EXCLUDE/)
      expect(up.duration_ms).toBeLessThan(120_000)

      const status = await run('status')
      expect(status).toMatchObject({
        exit_code: 69,
        outcome: 'not-ready',
        problems: [{ remedy: up.problems[0]?.remedy }],
      })
      const probe = await runCommand('full-feed-subscription', ['probe', '--ready', '--state-dir', stateDir], {
        cwd: directory,
      })
      expect(probe.code).toBe(69)
      expect((await run('start', ['--timeout', '600'])).exit_code).toBe(69)
    },
  )

  test('too few to matter are listed, and the feed is ready', async () => {
    const env = { ...refusing(1), SIM_INSTRUMENTS: '250' }
    expect(await run('start', [], env)).toMatchObject({ exit_code: 0, outcome: 'ready' })
    expect((await run('status')).daemon).toMatchObject({ ready: true, refused_contracts: [expect.any(String)] })
  })
})

describe('start and stop', () => {
  test('start brings everything up in order, stop takes all of it down', async () => {
    const up = await run('start')
    expect(up).toMatchObject({
      schema: 'feed-supervisor/run/1',
      command: 'start',
      outcome: 'ready',
      profile: 'sim',
      serving_line: 'primary',
      problems: [],
    })
    const order = [
      'latches',
      'preflight',
      'daemon',
      'connect',
      'login',
      'subscribe',
      'health',
      't5-checkpoint',
      'snapshot',
    ]
    expect(up.steps.map(({ name }) => name)).toEqual(order)
    expect(up.lines['backup']).toMatchObject({
      state: 'streaming',
      connected: true,
      logged_in: true,
      subscribed: 60,
      refused: 0,
    })
    expect(String(up.lines['primary']?.['account'])).toMatch(/^\*\*\*.{3}$/)
    for (const at of [up.started_at, up.finished_at])
      expect(at).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+08:00$/)
    expect(readdirSync(join(stateDir, 'snapshots'))).toHaveLength(1)

    const down = await run('stop')
    expect(down).toMatchObject({ outcome: 'stopped', exit_code: 0 })
    for (const pid of [up.pid ?? 0, ...bridgePids(up)]) expect(identify(pid)).toBeNull()
  })

  test('start on a running environment restarts nothing and says so', async () => {
    const first = await run('start')
    const second = await run('start')
    expect(second).toMatchObject({ outcome: 'already-running', exit_code: 0, pid: first.pid, warnings: [] })
    expect(second.lines).toMatchObject({ primary: { bridge_pid: first.lines['primary']?.['bridge_pid'] } })
    const other = await run('start', [], { COVERAGE_THRESHOLD: '0.9' })
    expect(other).toMatchObject({ outcome: 'already-running', exit_code: 0, pid: first.pid })
    expect(other.warnings.join()).toMatch(/another configuration .* restart/)
  })

  test('of two starts at once one works and the other names it', async () => {
    const reports = await Promise.all([run('start'), run('start')])
    const [ready, locked] = reports.sort((a, b) => a.exit_code - b.exit_code)
    expect(ready?.exit_code).toBe(0)
    // The slower of the two may also come so late that the first has ended.
    if (locked?.outcome !== 'already-running') {
      expect(locked).toMatchObject({ outcome: 'locked', exit_code: 75 })
      expect(locked?.problems[0]?.message).toMatch(/^start-live-env start \(process \d+, since /)
    }
  })

  test('stop where nothing runs is done', async () => {
    expect(await run('stop')).toMatchObject({ outcome: 'not-running', exit_code: 0 })
  })

  test('start after kill -9 of the daemon finds nothing in its way', async () => {
    const { pid } = await run('start')
    process.kill(pid ?? 0, 'SIGKILL')
    const again = await run('start')
    expect(again).toMatchObject({ outcome: 'ready', exit_code: 0 })
    expect(again.pid).not.toBe(pid)
  })

  test('a daemon that is stopped by SIGSTOP is reported by start and replaced by restart', async () => {
    const { pid } = await run('start')
    process.kill(pid ?? 0, 'SIGSTOP')
    expect(await run('start')).toMatchObject({ outcome: 'not-answering', exit_code: 69 })
    const replaced = await run('restart')
    expect(replaced).toMatchObject({ outcome: 'ready', exit_code: 0 })
    expect(identify(pid ?? 0)).toBeNull()
  })

  test('--dry-run shows the steps and starts nothing', async () => {
    const report = await run('start', ['--dry-run'])
    expect(report).toMatchObject({ outcome: 'planned', exit_code: 0 })
    expect(stepsOf(report)).toContain('daemon planned')
    expect((await run('status')).outcome).toBe('not-running')
  })

  test('--config backup lets the backup serve first', async () => {
    expect(await run('start', ['--config', 'backup'])).toMatchObject({ exit_code: 0, serving_line: 'backup' })
  })
})

describe('not ready in time', () => {
  test('with nothing before, the daemon stays up degraded', async () => {
    const report = await run('start', ['--timeout', '2'], deadFronts())
    expect(report).toMatchObject({ outcome: 'degraded', exit_code: 69, problems: [{ name: 'not-ready' }] })
    expect(identify(report.pid ?? 0)).not.toBeNull()
    expect(await run('status')).toMatchObject({ outcome: 'not-ready', exit_code: 69, pid: report.pid })
  })

  test('--strict stops it again', async () => {
    const report = await run('start', ['--timeout', '2', '--strict'], deadFronts())
    expect(report).toMatchObject({ outcome: 'stopped-not-ready', exit_code: 69 })
    expect(await run('status')).toMatchObject({ outcome: 'not-running', exit_code: 69 })
  })

  test('a restart puts back what ran before', async () => {
    const before = await run('start', [], { COVERAGE_THRESHOLD: '0.75' })
    const status = await controlClient({ socketPath: join(stateDir, 'control.sock') }).status()
    const report = await run('restart', ['--timeout', '4'], deadFronts())
    expect(report).toMatchObject({ outcome: 'rolled-back', exit_code: 69, problems: [{ name: 'not-ready' }] })
    expect(report.pid).not.toBe(before.pid)
    const after = await controlClient({ socketPath: join(stateDir, 'control.sock') }).status()
    expect(after).toMatchObject({ ready: true, config_fingerprint: status.config_fingerprint })
  })

  test('an interrupt ends the waiting and says how things are left', async () => {
    const end = await runText('start', ['--json'], deadFronts(), async (pid) => {
      while ((await run('status')).outcome === 'not-running') await sleep(50)
      process.kill(pid, 'SIGINT')
    })
    const report: RunReport = JSON.parse(end.stdout)
    expect(report).toMatchObject({ outcome: 'interrupted', exit_code: 69 })
    expect(report.problems[0]?.message).toMatch(/The daemon \(process \d+\) runs on; start-live-env stop ends it/)
    expect(identify(report.pid ?? 0)).not.toBeNull()
  })
})

describe('refusals come before anything is touched', () => {
  let blocker: Server | null = null
  afterEach(() => {
    blocker?.close()
  })

  test.each([
    ['an unknown profile', ['--profile', 'prod'], {}, 78, 'FEED_PROFILE'],
    ['a missing env file', ['--profile', 'live'], {}, 78, 'env-file-missing'],
    ['a wrong number', [], { METRICS_PORT: '99999' }, 78, 'METRICS_PORT'],
    ['a scenario that is not there', [], { SIM_SCENARIO: 'nowhere.json' }, 78, 'scenario'],
    ['a supervisor of another version', [], { FEED_SUPERVISOR: 'systemd' }, 78, 'FEED_SUPERVISOR'],
  ])('%s', async (_what, args, env, exitCode, name) => {
    const report = await run('start', args, env)
    expect(report.exit_code).toBe(exitCode)
    expect(report.problems.map((problem) => problem.name)).toContain(name)
    for (const problem of report.problems) expect(problem.remedy).not.toBe('')
    expect((await run('status')).outcome).toBe('not-running')
  })

  test('a busy metrics port', async () => {
    const server = createServer()
    blocker = server
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const address = server.address()
    const METRICS_PORT = String(typeof address === 'object' ? address?.port : 0)
    expect(await run('start', [], { METRICS_PORT })).toMatchObject({
      outcome: 'preflight-failed',
      exit_code: 78,
      problems: [{ name: 'metrics-port' }],
    })
  })

  test('a state directory that others may write to', async () => {
    mkdirSync(stateDir)
    chmodSync(stateDir, 0o777)
    expect(await run('start')).toMatchObject({ exit_code: 78, problems: [{ name: 'state-dir-exposed' }] })
    chmodSync(stateDir, 0o700)
  })

  test('a state directory whose path no socket can have', async () => {
    stateDir = join(directory, 'x'.repeat(120))
    expect(await run('start')).toMatchObject({ exit_code: 78, problems: [{ name: 'state-dir-path-too-long' }] })
    stateDir = join(directory, 'state')
  })

  test('another run that holds the lock', async () => {
    mkdirSync(stateDir, { mode: 0o700 })
    const since = '2026-03-03T08:55:00.000+08:00'
    const attempt = await takeLock(stateDir, 'run', { pid: 4711, command: 'drill', since })
    if (attempt.kind !== 'held') throw new Error('the lock was free')
    for (const mode of ['start', 'restart', 'stop', 'failover', 'failback']) {
      const report = await run(mode)
      expect(report).toMatchObject({ outcome: 'locked', exit_code: 75 })
      expect(report.problems[0]?.message).toContain(`start-live-env drill (process 4711, since ${since})`)
    }
    await attempt.lock.release()
  })

  test('a configuration that a restart would fail on leaves the running environment alone', async () => {
    const before = await run('start')
    expect((await run('restart', [], { SIM_SCENARIO: 'nowhere.json' })).exit_code).toBe(78)
    expect(await run('status')).toMatchObject({ outcome: 'ready', pid: before.pid })
  })

  test.each([
    [['dance']],
    [['bring-up']],
    [['stop', '--window', 'day']],
    [['status', '--strict']],
    [['start', '--timeout', '0']],
    [['start', '--timeout', 'long']],
    [['start', '--window', 'evening']],
    [['start', '--config', 'third']],
    [['failover', '--reason', ' ']],
    [['status', '--clear-latch', 'kill']],
    [['start', 'twice']],
  ])('bad usage is 64: %j', async (args) => {
    const end = await runCommand('start-live-env', args, { cwd: directory })
    expect(end.code).toBe(64)
    expect(end.stderr).toMatch(/error: /)
  })
})

describe('latches', () => {
  test('the kill switch cuts the feed, refuses every start, and is cleared by an operator', async () => {
    await run('start')
    expect(await run('kill', ['--reason', 'runaway feed'])).toMatchObject({ outcome: 'killed', exit_code: 0 })
    const status = await run('status')
    expect(status.warnings.join()).toContain('runaway feed')
    expect(status.daemon?.feed_state).toBe('KILLED')
    for (const mode of ['start', 'restart']) {
      expect(await run(mode)).toMatchObject({ outcome: 'refused', exit_code: 77, problems: [{ name: 'killed' }] })
    }
    expect(await run('status', ['--clear-latch', 'kill', '--reason', 'mended'])).toMatchObject({
      outcome: 'cleared',
      exit_code: 0,
    })
    expect(await run('start')).toMatchObject({ outcome: 'ready', exit_code: 0 })
  })

  test('the kill switch holds without a daemon, too', async () => {
    expect(await run('kill')).toMatchObject({ outcome: 'killed', exit_code: 0 })
    expect(await run('start')).toMatchObject({ exit_code: 77 })
  })

  test('one refused credential leaves one line and a warning, two leave none', async () => {
    const scenario = join(directory, 'refused.json')
    const refuse = (line: string) => ({ at_ms: 0, line, fault: 'login-error', id: 3 })
    writeFileSync(scenario, JSON.stringify([refuse('backup')]))
    await run('start', [], { SIM_SCENARIO: scenario })
    await run('stop')
    const onOne = await run('start')
    expect(onOne).toMatchObject({ outcome: 'ready', exit_code: 0 })
    expect(onOne.warnings.join()).toMatch(/backup may not log in.*--clear-latch backup/)
    await run('stop')

    writeFileSync(scenario, JSON.stringify([refuse('primary'), refuse('backup')]))
    await run('start', ['--timeout', '3'], { SIM_SCENARIO: scenario })
    await run('stop')
    expect(await run('start')).toMatchObject({ exit_code: 77, problems: [{ name: 'no-line-may-log-in' }] })

    const cleared = await run('status', ['--clear-latch', 'backup', '--reason', 'password renewed'])
    expect(cleared).toMatchObject({ outcome: 'cleared', exit_code: 0 })
    expect(await run('start')).toMatchObject({ outcome: 'ready', exit_code: 0 })
  })
})

describe('the serving line', () => {
  test('failover and failback move it and prove it by ticks', async () => {
    await run('start')
    const away = await run('failover', ['--reason', 'exercise'])
    expect(away).toMatchObject({
      outcome: 'done',
      exit_code: 0,
      serving_line: 'backup',
      failover: { from: 'primary', to: 'backup', lost: 0 },
    })
    expect(away.failover?.first_tick_ms).not.toBeNull()
    expect(await run('failback')).toMatchObject({
      exit_code: 0,
      serving_line: 'primary',
      failover: { from: 'backup', to: 'primary' },
    })
  })

  test('a target that cannot serve: 69, and nothing changed', async () => {
    const scenario = join(directory, 'no-backup.json')
    writeFileSync(scenario, JSON.stringify([{ at_ms: 0, line: 'backup', fault: 'refuse-connect' }]))
    const up = await run('start', [], { SIM_SCENARIO: scenario })
    expect(up).toMatchObject({ outcome: 'ready', exit_code: 0 })
    expect(up.warnings.join()).toMatch(/backup/)
    expect(await run('failover')).toMatchObject({ outcome: 'refused', exit_code: 69, serving_line: 'primary' })
  })

  test('pause and resume switch the automation', async () => {
    await run('start')
    await run('pause')
    expect((await run('status')).daemon?.failover.automatic).toBe(false)
    await run('resume')
    expect((await run('status')).daemon?.failover.automatic).toBe(true)
  })

  test.each(['failover', 'failback', 'pause', 'resume'])('%s without a daemon is 69', async (mode) => {
    expect(await run(mode)).toMatchObject({ exit_code: 69, problems: [{ name: 'not-running' }] })
  })
})

describe('trading days', () => {
  // 2026-10-01 to 07 is a holiday; the last trading day before it has no night session.
  test.each([
    ['a holiday', '2026-10-03T10:00:00+08:00', 'auto', 'skipped'],
    ['the evening before it', '2026-09-30T20:00:00+08:00', 'night', 'skipped'],
    ['the morning before it', '2026-09-30T08:30:00+08:00', 'day', 'planned'],
    ['an ordinary evening', '2026-03-03T20:30:00+08:00', 'night', 'planned'],
  ])('%s', async (_what, clock, window, outcome) => {
    const report = await run('start', ['--if-trading-day', '--dry-run', '--window', window], {
      SIM_MARKET_CLOCK: clock,
    })
    expect(report).toMatchObject({ outcome, exit_code: 0 })
  })

  test('started by hand on a closed day it starts, without demanding ticks', async () => {
    const report = await run('start', [], { SIM_MARKET_CLOCK: '2026-10-03T10:00:00+08:00' })
    expect(report).toMatchObject({ outcome: 'ready', exit_code: 0, problems: [] })
  })
})

describe('what it says', () => {
  test('elsewhere than on a terminal: JSON lines, the result last', async () => {
    const { stdout } = await runText('start', [])
    const events: { event: string }[] = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
    expect(events.at(-1)).toMatchObject({ event: 'result', outcome: 'ready' })
    expect(events.filter(({ event }) => event === 'step').length).toBeGreaterThan(5)
  })

  test('--quiet leaves the result alone', async () => {
    const { stdout } = await runText('stop', ['--quiet'])
    expect(
      stdout
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line).event),
    ).toEqual(['result'])
  })

  test('--help lists the modes that work, and no others', async () => {
    const { stdout } = await runCommand('start-live-env', ['--help'], { cwd: directory })
    for (const part of ['failback', 'Exit codes:', '75  another run', 'Examples:', '--if-trading-day'])
      expect(stdout).toContain(part)
    for (const part of ['schedule']) expect(stdout).not.toContain(part)
  })

  test('no secret and no account appears in output, log, snapshot or process arguments', async () => {
    const secret = 'canary-4711-secret'
    const account = '123456789'
    const env = {
      CTP_PRIMARY_BROKER_ID: '9999',
      CTP_PRIMARY_USER_ID: account,
      CTP_PRIMARY_PASSWORD: secret,
      CTP_PRIMARY_AUTH_CODE: secret,
      NATS_PASSWORD: secret,
    }
    const { stdout, stderr } = await runText('start', ['--verbose'], env)
    const { pid } = await run('status', [], env)
    const files = readdirSync(stateDir, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
    const texts = files.map((entry) => readFileSync(join(entry.parentPath, entry.name), 'latin1'))
    const text = [stdout, stderr, readFileSync(`/proc/${pid}/cmdline`, 'utf8'), ...texts].join('\n')
    expect(text).not.toContain(secret)
    expect(text).not.toContain(account)
  })
})

test('the demo holds every one of its claims', async () => {
  const demo = fileURLToPath(new URL('../../scripts/demo.mjs', import.meta.url))
  const child = spawn(process.execPath, [demo], { cwd: directory, stdio: ['ignore', 'pipe', 'inherit'] })
  let text = ''
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk
  })
  const code = await new Promise((resolve) => child.on('close', resolve))
  expect(text).not.toContain('NOT TRUE')
  expect(code).toBe(0)
})
