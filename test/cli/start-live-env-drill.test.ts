/** Drills, the kill switch, pause and resume, as an operator uses them: the real command against the real daemon and its simulator. */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { controlClient } from '#adapters/control/control-client.ts'
import { readAudit, verifyAudit } from '#adapters/state/audit-log.ts'
import { readLatches, setCredentialLatch, setKillLatch } from '#adapters/state/latches.ts'
import { identify } from '#adapters/supervisors/process-identity.ts'
import type { DrillReport, DrillTrend } from '#domain/drill.ts'
import type { Problem } from '#domain/failure.ts'
import type { FeedStatus } from '#domain/status.ts'
import type { StepRecord } from '../../src/apps/terminal.ts'
import { startFakeDaemon, statusOf } from '../support/fake-daemon.ts'
import { eventually } from '../support/real-daemon.ts'
import { runCommand } from '../support/run-command.ts'

let directory = ''
let stateDir = ''
beforeEach(() => {
  directory = mkdtempSync('/tmp/drl-')
  stateDir = join(directory, 's')
})
afterEach(async () => {
  await run('stop')
  rmSync(directory, { recursive: true, force: true })
})

interface RunReport {
  outcome: string
  exit_code: number
  serving_line: string | null
  pid: number | null
  steps: StepRecord[]
  problems: Problem[]
  warnings: string[]
  drill?: DrillReport
  drills?: Record<string, DrillTrend>
  report_files?: { json: string; markdown: string }
  daemon?: FeedStatus
}

const MARKET = { SIM_INSTRUMENTS: '60', SIM_TICKS_PER_SECOND: '1000' }

async function run(
  mode: string,
  args: readonly string[] = [],
  env: Record<string, string> = {},
  onStarted?: (pid: number) => void,
): Promise<RunReport> {
  const options = { cwd: directory, env: { ...MARKET, ...env }, ...(onStarted && { onStarted }) }
  const end = await runCommand('start-live-env', [mode, ...args, '--state-dir', stateDir, '--json'], options)
  const report: RunReport = JSON.parse(end.stdout)
  expect(report.exit_code).toBe(end.code)
  return report
}

function daemonStatus(): Promise<FeedStatus> {
  return controlClient({ socketPath: join(stateDir, 'control.sock'), timeoutMs: 10_000 }).status()
}

function statusWith(what: string, wanted: (status: FeedStatus) => boolean): Promise<FeedStatus> {
  return eventually(
    async () => {
      const status = await daemonStatus().catch(() => undefined)
      return status !== undefined && wanted(status) ? status : undefined
    },
    () => what,
  )
}

/** Runs the mode and interrupts it once the daemon is as told. */
async function interrupted(mode: string, args: readonly string[], when: (status: FeedStatus) => boolean) {
  let pid = 0
  const ending = run(mode, args, {}, (started) => {
    pid = started
  })
  await eventually(
    async () => ((await daemonStatus().then(when, () => false)) ? true : undefined),
    () => 'the moment to interrupt',
  )
  process.kill(pid, 'SIGINT')
  return ending
}

describe('a failover drill', { timeout: 90_000 }, () => {
  test('switches there and back, loses nothing, and leaves a report for programs and for people', async () => {
    await run('start')
    const report = await run('drill', ['--reason', 'weekly'])
    expect(report.problems).toEqual([])
    expect(report).toMatchObject({ outcome: 'passed', exit_code: 0, serving_line: 'primary' })
    const { drill } = report
    expect(drill).toMatchObject({
      kind: 'failover',
      reason: 'weekly',
      began_on: 'primary',
      ended_on: 'primary',
      lost: 0,
      duplicates: 0,
      objective_ms: 5_000,
    })
    expect(drill?.phases.map(({ phase, outcome }) => `${phase} ${outcome}`)).toEqual([
      'health-before ok',
      'backlog-before skipped',
      'failover ok',
      'backlog-after-failover skipped',
      'health-after-failover ok',
      'failback ok',
      'backlog-after-failback skipped',
      'health-after-failback ok',
    ])
    expect(drill?.switches.map(({ from, to }) => `${from} ${to}`)).toEqual(['primary backup', 'backup primary'])
    for (const each of drill?.switches ?? []) {
      for (const ms of [each.detect_ms, each.decide_ms, each.first_tick_ms, each.coverage_restored_ms])
        expect(ms).not.toBeNull()
    }
    // What was counted is what there was: both lines ticked all the while, and the journal holds what was news.
    const { primary, backup } = drill?.lines ?? {}
    expect(primary?.delivered).toBeGreaterThan(1_000)
    expect(backup?.delivered).toBeGreaterThan(1_000)
    expect(primary?.journalled).toBe(primary?.acceptable)
    expect(backup?.journalled).toBe(backup?.acceptable)
    expect(readFileSync(report.report_files?.json ?? '', 'utf8')).toContain('"outcome": "passed"')
    expect(readFileSync(report.report_files?.markdown ?? '', 'utf8')).toMatch(/^# Drill \d{8}-1: failover, passed/)

    const status = await run('status')
    expect(status.drills?.['failover']).toMatchObject({ count: 1, passed: 1, last: { outcome: 'passed' } })
    // A drill chooses no line: automation returns to where it returned before.
    expect(status.daemon?.failover).toMatchObject({ home: 'primary', automation: 'automatic' })
  })

  test('begun on the backup ends on the backup', async () => {
    await run('start')
    await run('failover')
    const { drill, exit_code: code } = await run('drill')
    expect(code).toBe(0)
    expect(drill).toMatchObject({ began_on: 'backup', ended_on: 'backup' })
    expect(await daemonStatus()).toMatchObject({ serving_line: 'backup', failover: { home: 'backup' } })
  })

  test('interrupted half-way ends on the line it began with', async () => {
    await run('start')
    const report = await interrupted('drill', [], ({ serving_line: serving }) => serving === 'backup')
    expect(report.exit_code).toBeGreaterThanOrEqual(43)
    expect(report.problems[0]?.name).toBe('interrupted')
    expect(report.drill).toMatchObject({ outcome: 'failed', ended_on: 'primary' })
    expect((await daemonStatus()).serving_line).toBe('primary')
  })

  test('killed half-way leaves automation to bring the feed home', async () => {
    await run('start', [], { FAILBACK_STABLE_SECONDS: '10', FAILOVER_HOLD_DOWN_SECONDS: '5' })
    let pid = 0
    const onStarted = (started: number) => {
      pid = started
    }
    const options = { cwd: directory, env: MARKET, onStarted }
    const ending = runCommand('start-live-env', ['drill', '--state-dir', stateDir], options)
    await eventually(
      async () => ((await daemonStatus()).serving_line === 'backup' ? true : undefined),
      () => 'the backup serves',
    )
    process.kill(pid, 'SIGKILL')
    await ending
    const after = await daemonStatus()
    expect(after).toMatchObject({ serving_line: 'backup', failover: { home: 'primary' } })
    await eventually(
      async () => ((await daemonStatus()).serving_line === 'primary' ? true : undefined),
      () => 'automation brings the feed back',
    )
  })

  test('refused on a feed with one line only', async () => {
    await run('start', [], { FEED_LINES: 'primary' })
    const report = await run('drill', [], { FEED_LINES: 'primary' })
    expect(report).toMatchObject({ outcome: 'failed', exit_code: 41 })
    expect(report.problems[0]?.message).toMatch(/no backup line/)
  })

  test('pushes the seconds of every phase', async () => {
    const pushed: string[] = []
    const gateway = createServer((request, response) => {
      let body = ''
      request.on('data', (chunk) => {
        body += chunk
      })
      request.on('end', () => {
        pushed.push(body)
        response.end()
      })
    }).listen(0, '127.0.0.1')
    await new Promise((resolve) => gateway.once('listening', resolve))
    const address = gateway.address()
    const url = `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}`
    try {
      await run('start')
      await run('drill', [], { PUSHGATEWAY_URL: url })
    } finally {
      gateway.close()
    }
    const text = pushed.join('\n')
    for (const phase of ['failover', 'health-after-failback', 'first_tick', 'coverage_restored', 'recovery']) {
      expect(text).toMatch(new RegExp(`md_drill_seconds\\{phase="${phase}"\\} [0-9.]+`))
    }
    expect(text).toMatch(/md_runbook_exit_code 0/)
  })
})

describe('the kill switch', { timeout: 90_000 }, () => {
  test('cuts both lines, tells the consumers, and every start is refused until the latch is cleared', async () => {
    const up = await run('start')
    const { lines } = await daemonStatus()
    const cut = await run('kill', ['--reason', 'runaway'])
    expect(cut).toMatchObject({ outcome: 'killed', exit_code: 0 })
    const after = await daemonStatus()
    expect(after).toMatchObject({ pid: up.pid, feed_state: 'KILLED', lines: { primary: { bridge_pid: null } } })
    for (const pid of [lines.primary.bridge_pid, lines.backup?.bridge_pid]) expect(identify(pid ?? 0)).toBeNull()
    expect(await run('start')).toMatchObject({ outcome: 'refused', exit_code: 77 })
    for (const order of ['failover', 'failback', 'pause', 'resume'] as const) {
      expect(await run(order), order).toMatchObject({
        outcome: 'refused',
        exit_code: 77,
        problems: [{ remedy: expect.stringContaining('--clear-latch kill') }],
      })
    }
    expect((await run('status')).warnings.join()).toMatch(/runaway.*--clear-latch kill --reason/)
    await run('status', ['--clear-latch', 'kill', '--reason', 'over'])
    expect(await run('start')).toMatchObject({ outcome: 'ready', exit_code: 0 })
  })

  test('works without a daemon', async () => {
    expect(await run('kill')).toMatchObject({ outcome: 'killed', exit_code: 0 })
    expect(await run('start')).toMatchObject({ exit_code: 77 })
  })

  test('works on a daemon that hangs: it is ended, and its bridges with it', async () => {
    const up = await run('start')
    const { lines } = await daemonStatus()
    process.kill(up.pid ?? 0, 'SIGSTOP')
    const cut = await run('kill')
    expect(cut).toMatchObject({ outcome: 'killed', exit_code: 0 })
    expect(cut.steps).toContainEqual(expect.objectContaining({ name: 'cut', outcome: 'warning' }))
    for (const pid of [up.pid, lines.primary.bridge_pid, lines.backup?.bridge_pid])
      expect(identify(pid ?? 0)).toBeNull()
  })

  test('set on disk cuts a daemon that nobody could tell', async () => {
    await run('start')
    await setKillLatch(stateDir, { since: '2026-03-03T10:00:00.000+08:00', reason: 'by hand' })
    await eventually(
      async () => ((await daemonStatus()).feed_state === 'KILLED' ? true : undefined),
      () => 'the daemon sees the latch',
    )
  })

  test('its drill cuts, proves the refusal and brings the feed back on its line', async () => {
    const up = await run('start')
    await run('failover')
    const report = await run('drill', ['--kind', 'kill-switch'])
    expect(report.problems).toEqual([])
    expect(report).toMatchObject({ outcome: 'passed', exit_code: 0, serving_line: 'backup' })
    expect(report.drill?.phases.map(({ phase, outcome }) => `${phase} ${outcome}`)).toEqual([
      'health-before ok',
      'backlog-before skipped',
      'cut ok',
      'refusal ok',
      'restore ok',
      'backlog-after-restore skipped',
      'health-after-restore ok',
    ])
    expect(report.drill?.duplicates).toBe(0)
    expect(report.pid).not.toBe(up.pid)
    expect(await readLatches(stateDir)).toEqual([])
  })

  test('its drill, interrupted while the feed is cut, brings the feed back all the same', async () => {
    await run('start')
    const report = await interrupted('drill', ['--kind', 'kill-switch'], ({ feed_state: state }) => state === 'KILLED')
    expect(report.exit_code).not.toBe(0)
    expect(await readLatches(stateDir)).toEqual([])
    expect(await daemonStatus()).toMatchObject({ ready: true, serving_line: 'primary' })
  })

  test('pulled in earnest during its drill stays pulled', async () => {
    await run('start')
    const drilling = run('drill', ['--kind', 'kill-switch'])
    await eventually(
      () => (existsSync(join(stateDir, 'latches', 'kill.json')) ? true : undefined),
      () => 'the drill sets its latch',
    )
    await setKillLatch(stateDir, { since: '2026-03-03T10:00:00.000+08:00', reason: 'this is no drill' })
    const report = await drilling
    const latches = await readLatches(stateDir)
    expect(latches).toMatchObject([{ kind: 'kill', reason: 'this is no drill', drill: null }])
    expect(report.exit_code).toBe(46)
    expect(report.problems[0]?.message).toMatch(/in earnest/)
  })
})

describe('pause and resume', { timeout: 60_000 }, () => {
  test('a paused feed stays where it is when its line dies, also after a restart, and says what to do', async () => {
    await run('start')
    await run('pause', ['--reason', 'front 2 is being moved'])
    await run('restart')
    const { daemon, warnings } = await run('status')
    expect(daemon?.failover).toMatchObject({ automation: 'paused', paused: { reason: 'front 2 is being moved' } })
    expect(warnings.join()).toMatch(/paused since .*front 2 is being moved.*start-live-env resume/)
    process.kill(daemon?.lines.primary.bridge_pid ?? 0, 'SIGKILL')
    await eventually(
      async () => ((await daemonStatus()).lines.primary.pulse === 'red' ? true : undefined),
      () => 'the primary is dead',
    )
    expect((await daemonStatus()).serving_line).toBe('primary')
    await run('resume')
    expect((await daemonStatus()).failover).toMatchObject({ automation: 'automatic', paused: null })
    await run('restart')
    expect((await daemonStatus()).failover.automation).toBe('automatic')
  })
})

describe('status tells what an operator has to decide', () => {
  const { failover } = statusOf()
  test.each<[what: string, failover: Partial<FeedStatus['failover']>, words: RegExp]>([
    [
      'a flap latch',
      { automatic: false, automation: 'flap-latched' },
      /latched on primary.*start-live-env resume, or choose/,
    ],
    ['a pause by configuration', { automatic: false, automation: 'paused' }, /by configuration.*start-live-env resume/],
  ])('%s', async (_what, overrides, words) => {
    mkdirSync(stateDir, { mode: 0o700 })
    const daemon = await startFakeDaemon(stateDir)
    daemon.status.failover = { ...failover, ...overrides }
    try {
      expect((await run('status')).warnings.join()).toMatch(words)
    } finally {
      await daemon.close()
    }
  })

  test('a latched account', async () => {
    mkdirSync(stateDir, { mode: 0o700 })
    const latch = { since: '2026-03-03T09:00:00.000+08:00', reason: 'error 3', account: 'f'.repeat(24), errorId: 3 }
    await setCredentialLatch(stateDir, { ...latch, masked: '***789', line: 'backup' })
    const { warnings } = await run('status')
    expect(warnings.join()).toMatch(/account \*\*\*789 \(backup\).*error 3.*--clear-latch backup --reason TEXT/)
  })
})

test('what was done and what the daemon decided is on record, in one chain', { timeout: 120_000 }, async () => {
  await run('start', ['--reason', 'the day begins'])
  const { lines } = await daemonStatus()
  process.kill(lines.primary.bridge_pid ?? 0, 'SIGKILL')
  await statusWith('the backup serves', ({ serving_line: serving }) => serving === 'backup')
  await statusWith('the primary is back', ({ lines: { primary } }) => primary.pulse === 'green')
  expect(await run('failover', ['--reason', 'back'])).toMatchObject({ outcome: 'done', serving_line: 'primary' })
  const cut = await run('kill')
  expect(cut).toMatchObject({ outcome: 'killed', exit_code: 0 })
  // A daemon that is too busy to answer an order within its second is ended from outside, and writes nothing any more.
  const wasAsked = cut.steps.some(({ name, outcome }) => name === 'cut' && outcome === 'ok')
  const expected = [
    /^command start ready$/,
    /^failover {2}not-connected$/,
    /^command failover done$/,
    // It may see the latch before the order reaches it.
    ...(wasAsked ? [/^kill {2}operator-killed$/, /^order kill (operator-killed|killed-stays-killed)$/] : []),
    /^command kill killed$/,
  ]
  // The daemon writes behind its decisions' backs.
  let entries: string[] = []
  await eventually(
    async () => {
      const audit = await readAudit(stateDir, 100)
      entries = audit.map(({ event, command, outcome }) => `${event} ${command ?? ''} ${outcome}`)
      return expected.every((pattern) => entries.some((entry) => pattern.test(entry))) ? true : undefined
    },
    () => `an entry for each of ${expected.join(' ')} in ${JSON.stringify(entries)}`,
  )
  expect((await verifyAudit(stateDir)).intact).toBe(true)
  expect(readdirSync(join(stateDir, 'audit'))).toContain('head')
  const files = readdirSync(join(stateDir, 'audit')).map((file) => join(stateDir, 'audit', file))
  const text = files.map((file) => readFileSync(file, 'utf8')).join('')
  expect(text).not.toMatch(/sim-primary|sim-password/)
})
