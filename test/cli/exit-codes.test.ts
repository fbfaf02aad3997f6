// Every way in which start-live-env can fail, with the exit code that its manual promises, and a remedy each time. What fails for a reason
// of the daemon's is played by a fake one; whatever was asked for and refused is on record in the audit log.
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { readAudit, verifyAudit } from '#adapters/state/audit-log.ts'
import { accountKey, setCredentialLatch, setKillLatch } from '#adapters/state/latches.ts'
import { takeLock } from '#adapters/state/run-lock.ts'
import { Failure } from '#domain/failure.ts'
import type { Line } from '#domain/line.ts'
import type { FailoverRecord } from '#domain/status.ts'
import { MODES } from '../../src/apps/start-live-env/modes.ts'
import { type FakeDaemon, healthOf, startFakeDaemon, statusOf } from '../support/fake-daemon.ts'
import { runCommand } from '../support/run-command.ts'

const SINCE = '2026-03-03T09:00:00.000+08:00'
const RECORD: FailoverRecord = {
  at: '2026-03-03T10:00:00.000+08:00',
  from: 'primary',
  to: 'backup',
  reason: 'operator-chose-line',
  detect_ms: 1,
  decide_ms: 1,
  first_tick_ms: 5,
  coverage_restored_ms: 5,
  gap_ms: 5,
  lost: 0,
  duplicates: null,
}

/** A place to run in, and what was put there. */
class Place {
  readonly directory = mkdtempSync(join(tmpdir(), 'exit-'))
  readonly stateDir = join(this.directory, 's')
  readonly env: Record<string, string> = { SIM_INSTRUMENTS: '20', SIM_TICKS_PER_SECOND: '100' }
  readonly closers: (() => Promise<unknown>)[] = []

  constructor() {
    mkdirSync(this.stateDir, { mode: 0o700 })
  }

  async fakeDaemon(): Promise<FakeDaemon> {
    const daemon = await startFakeDaemon(this.stateDir)
    this.closers.push(() => daemon.close())
    return daemon
  }

  deadFronts(): void {
    const file = join(this.directory, 'dead-fronts.json')
    const lines = ['primary', 'backup']
    writeFileSync(file, JSON.stringify(lines.map((line) => ({ at_ms: 0, line, fault: 'refuse-connect' }))))
    this.env['SIM_SCENARIO'] = file
  }

  async run(args: readonly string[]) {
    const end = await runCommand('start-live-env', [...args, '--state-dir', this.stateDir, '--json'], {
      cwd: this.directory,
      env: this.env,
    })
    return { code: end.code, report: JSON.parse(end.stdout) as Report, stderr: end.stderr }
  }

  async dispose(): Promise<void> {
    for (const close of this.closers.reverse()) await close()
    // The note of a daemon that was started and not stopped again.
    if (existsSync(join(this.stateDir, 'daemon.json'))) await this.run(['stop'])
    rmSync(this.directory, { recursive: true, force: true })
  }
}

interface Report {
  outcome: string
  exit_code: number
  problems: { name: string; message: string; remedy: string }[]
  steps: { name: string; outcome: string }[]
  drill?: { failed_phase: string | null; ended_on: string | null; id: string }
}

const places: Place[] = []
afterAll(async () => {
  await Promise.all(places.map((place) => place.dispose()))
})

type Row = [what: string, args: string[], arrange: (place: Place) => unknown, code: number, problem: string | RegExp]

async function expectEnd(args: readonly string[], arrange: Row[2], code: number, problem: Row[4]): Promise<void> {
  const place = new Place()
  places.push(place)
  await arrange(place)
  const { code: found, report, stderr } = await place.run(args)
  expect(found, JSON.stringify(report) + stderr).toBe(code)
  expect(report.exit_code).toBe(code)
  const [first] = report.problems
  if (typeof problem === 'string') expect(first?.name).toBe(problem)
  else expect(JSON.stringify(report)).toMatch(problem)
  for (const each of report.problems) expect(each.remedy, each.message).not.toBe('')
}

const nothing = () => undefined
// A rollback asks first for a start that was healthy.
const ALL = (Object.keys(MODES) as (keyof typeof MODES)[]).filter((mode) => mode !== 'rollback')
const LOCKING = ALL.filter((mode) => MODES[mode].locks)
/** A mode with the words that it needs. */
const wordsOf = (mode: string) => (['backup', 'restore', 'bundle'].includes(mode) ? [mode, 'file.zip'] : [mode])

describe.concurrent('64: bad usage', () => {
  test.for<[string, string[]]>([
    ['an unknown mode', ['bring-up']],
    ['an option of another mode', ['stop', '--strict']],
    ['a kind of drill that there is not', ['drill', '--kind', 'earthquake']],
    ['a kind without a drill', ['failover', '--kind', 'failover']],
    ['a word that the mode does not know', ['audit', 'forge']],
    ['a word where none belongs', ['failover', 'backup']],
    ['a latch cleared without a reason', ['status', '--clear-latch', 'kill']],
    ['no time at all', ['start', '--timeout', '0']],
    ['an empty reason', ['pause', '--reason', ' ']],
  ])('%s', async ([, args]) => {
    await expectEnd(args, nothing, 64, 'usage')
  })
})

describe.concurrent('75: another run holds the lock', () => {
  const hold = async (place: Place) => {
    const attempt = await takeLock(place.stateDir, 'run', { pid: process.pid, command: 'start', since: SINCE })
    if (attempt.kind === 'held') place.closers.push(() => attempt.lock.release())
  }
  test.for(LOCKING)('%s', async (mode) => {
    await expectEnd(wordsOf(mode), hold, 75, 'locked')
  })

  test('what must work at any time does not ask for it', async () => {
    await expectEnd(['kill'], hold, 0, /killed/)
    await expectEnd(['audit'], hold, 0, /shown/)
  })
})

describe.concurrent('78: configuration', () => {
  test.for(ALL)('%s with a broken setting', async (mode) => {
    await expectEnd(
      wordsOf(mode),
      (place) => Object.assign(place.env, { SIM_INSTRUMENTS: 'many' }),
      78,
      'SIM_INSTRUMENTS',
    )
  })

  test.for(ALL.filter((mode) => MODES[mode].changes && mode !== 'bundle'))(
    '%s in a state directory that is none',
    async (mode) => {
      const spoil = (place: Place) => {
        rmSync(place.stateDir, { recursive: true })
        writeFileSync(place.stateDir, '')
      }
      await expectEnd(wordsOf(mode), spoil, 78, 'state-dir-unusable')
    },
  )

  test('rollback before any start was healthy', async () => {
    await expectEnd(['rollback', '--reason', 'a test'], nothing, 78, 'no-last-known-good')
  })

  const taken = async (place: Place) => {
    const server = createServer().listen(0, '127.0.0.1')
    await new Promise((resolve) => server.once('listening', resolve))
    const address = server.address()
    place.env['METRICS_PORT'] = String(typeof address === 'object' ? address?.port : 0)
    place.closers.push(() => new Promise((resolve) => server.close(resolve)))
  }
  test.for(['start', 'restart'])('%s whose preflight fails', async (mode) => {
    await expectEnd([mode], taken, 78, /preflight-failed/)
  })
})

describe.concurrent('77: refused for safety', () => {
  const killed = (place: Place) => setKillLatch(place.stateDir, { since: SINCE, reason: 'runaway' })
  const damaged = (place: Place) => {
    mkdirSync(join(place.stateDir, 'latches'))
    writeFileSync(join(place.stateDir, 'latches', 'kill.json'), 'half a lat')
  }
  const bothLatched = async (place: Place) => {
    for (const line of ['primary', 'backup'] as const) {
      const account = accountKey(`sim/sim-${line}`)
      const latch = { since: SINCE, reason: 'error 3', account, masked: '***', line, errorId: 3 }
      await setCredentialLatch(place.stateDir, latch)
    }
  }
  test.for<[string, string, Row[2], string]>([
    ['start', 'under the kill latch', killed, 'killed'],
    ['restart', 'under the kill latch', killed, 'killed'],
    ['drill', 'under the kill latch', killed, 'killed'],
    ['start', 'under a kill latch that can not be read', damaged, 'killed'],
    ['start', 'with both accounts latched', bothLatched, 'no-line-may-log-in'],
    ['restart', 'with both accounts latched', bothLatched, 'no-line-may-log-in'],
    ['drill', 'with both accounts latched', bothLatched, 'no-line-may-log-in'],
  ])('%s %s', async ([mode, , arrange, problem]) => {
    await expectEnd([mode], arrange, 77, problem)
  })
})

describe.concurrent('69: not there, not ready, not able', { timeout: 60_000 }, () => {
  test.for(['status', 'failover', 'failback', 'pause', 'resume'])('%s without a daemon', async (mode) => {
    await expectEnd([mode], nothing, 69, 'not-running')
  })

  const refusing = async (place: Place) => {
    const daemon = await place.fakeDaemon()
    daemon.refusal = new Failure('target-cannot-serve', 'the other line is not logged in', 'Look at it.')
  }
  test.for(['failover', 'failback', 'pause', 'resume'])('%s that the daemon refuses', async (mode) => {
    await expectEnd([mode], refusing, 69, 'target-cannot-serve')
  })

  test.for(['failover', 'failback'])('%s that no tick proves in time', async (mode) => {
    const silent = async (place: Place) => {
      const daemon = await place.fakeDaemon()
      const record = { ...RECORD, first_tick_ms: null }
      daemon.failover = record
      daemon.status.failover.last = record
    }
    await expectEnd([mode, '--timeout', '1'], silent, 69, 'not-proven')
  })

  test('status of a feed that is not ready', async () => {
    const unready = async (place: Place) => {
      const daemon = await place.fakeDaemon()
      daemon.status.ready = false
    }
    await expectEnd(['status'], unready, 69, 'not-ready')
  })

  const dead = (place: Place) => place.deadFronts()
  test.for([
    ['start', /degraded/],
    ['start --strict', /stopped-not-ready/],
    ['restart', /degraded/],
    ['restart --strict', /stopped-not-ready/],
  ] as const)('%s of a feed whose fronts are dead', async ([command, outcome]) => {
    await expectEnd([...command.split(' '), '--timeout', '2'], dead, 69, outcome)
  })
})

test.for(['start', 'restart'])(
  '%s of a daemon that dies at once passes its exit code on',
  { timeout: 60_000 },
  async (mode) => {
    const spoil = (place: Place) => writeFileSync(join(place.stateDir, 'journal'), 'no directory')
    await expectEnd([mode], spoil, 78, 'daemon-died')
  },
)

describe.concurrent('a drill ends with the code of the phase that failed', { timeout: 60_000 }, () => {
  /** Orders move the serving line at once; `after` spoils something behind the n-th of them. */
  async function obedient(
    place: Place,
    after: Readonly<Record<number, (daemon: FakeDaemon) => void>>,
    record = RECORD,
  ) {
    const daemon = await place.fakeDaemon()
    let orders = 0
    daemon.onOrder = (_path, body) => {
      const { line } = body as { line: Line }
      daemon.failover = { ...record, from: daemon.status.serving_line, to: line, at: `${RECORD.at}${++orders}` }
      daemon.status = { ...daemon.status, serving_line: line }
      daemon.status.failover = { ...daemon.status.failover, last: daemon.failover }
      after[orders]?.(daemon)
    }
    return daemon
  }
  const lateBus = (daemon: FakeDaemon) => {
    daemon.status = { ...daemon.status, bus: { kind: 'nats', backlog: 1e6, connected: true } }
  }
  const critical = (daemon: FakeDaemon) => {
    daemon.health = healthOf({ verdict: 'CRITICAL', errors: ['Neither line delivers.'] })
  }
  const refuse = (daemon: FakeDaemon) => {
    daemon.refusal = new Failure('target-cannot-serve', 'the other line is not logged in', 'Look at it.')
  }

  test.for<[what: string, code: number, phase: string, arrange: Row[2]]>([
    ['no daemon', 41, 'health-before', nothing],
    [
      'a feed that is not ready',
      41,
      'health-before',
      async (place) => {
        const daemon = await obedient(place, {})
        daemon.status = statusOf({ ready: false, ready_detail: 'subscribed 1 of 3' })
      },
    ],
    ['a critical verdict', 41, 'health-before', async (place) => critical(await obedient(place, {}))],
    ['a bus that is far behind', 42, 'backlog-before', async (place) => lateBus(await obedient(place, {}))],
    ['a target that refuses', 44, 'failover', async (place) => refuse(await obedient(place, {}))],
    [
      'a bus that fell behind by the failover',
      43,
      'backlog-after-failover',
      (place) => obedient(place, { 1: lateBus }),
    ],
    ['a feed that is ill after the failover', 44, 'health-after-failover', (place) => obedient(place, { 1: critical })],
    [
      'a bus that fell behind by the failback',
      45,
      'backlog-after-failback',
      (place) => obedient(place, { 2: lateBus }),
    ],
    ['a feed that is ill after the failback', 46, 'health-after-failback', (place) => obedient(place, { 2: critical })],
    ['no way back', 46, 'failback', (place) => obedient(place, { 1: refuse })],
    [
      'a recovery that took too long',
      47,
      'objective',
      (place) => obedient(place, {}, { ...RECORD, coverage_restored_ms: 9_000 }),
    ],
  ])('%s: %i', async ([, code, phase, arrange]) => {
    const place = new Place()
    places.push(place)
    await arrange(place)
    const { code: found, report } = await place.run(['drill', '--timeout', '1'])
    expect(found, JSON.stringify(report)).toBe(code)
    expect(report.drill?.failed_phase).toBe(phase)
    if (code > 42 && phase !== 'failback') expect(report.drill?.ended_on).toBe('primary')
    const [last] = (await readAudit(place.stateDir, 10)).slice(-1)
    expect(last).toMatchObject({ command: 'drill', exit_code: code, drill: report.drill?.id })
  })
})

describe.concurrent('1: damaged', () => {
  test('audit verify of a log that was changed', async () => {
    const tampered = async (place: Place) => {
      await place.run(['pause'])
      writeFileSync(join(place.stateDir, 'audit', 'head'), '{"n":7,"hash":"none"}')
    }
    await expectEnd(['audit', 'verify'], tampered, 1, 'audit-damaged')
  })
})

describe.concurrent('runs that failed or were refused are in the audit log', () => {
  test.for<[string[], number]>([
    [['failover', '--reason', 'front 2 is slow'], 69],
    [['pause'], 69],
    [['kill', '--reason', 'runaway'], 0],
    [['stop'], 0],
    [['status', '--clear-latch', 'kill', '--reason', 'over'], 0],
  ])('%j', async ([args, code]) => {
    const place = new Place()
    places.push(place)
    await place.run(args)
    const [entry] = await readAudit(place.stateDir, 1)
    expect(entry).toMatchObject({ event: 'command', exit_code: code, who: { uid: process.getuid?.() } })
    if (args.includes('--reason')) expect(entry?.reason).toBe(args[args.indexOf('--reason') + 1])
    expect((await verifyAudit(place.stateDir)).intact).toBe(true)
  })

  test('also where the configuration was not valid', async () => {
    const place = new Place()
    places.push(place)
    place.env['SIM_INSTRUMENTS'] = 'many'
    await place.run(['start'])
    expect((await readAudit(place.stateDir, 1))[0]).toMatchObject({ command: 'start', exit_code: 78 })
  })

  test('a question is not', async () => {
    const place = new Place()
    places.push(place)
    await place.run(['status'])
    expect(await readAudit(place.stateDir, 1)).toEqual([])
  })

  test('and a log that can not be written is a warning', async () => {
    const place = new Place()
    places.push(place)
    writeFileSync(join(place.stateDir, 'audit'), '')
    const { code, report } = await place.run(['stop'])
    expect(code).toBe(0)
    expect(JSON.stringify(report)).toMatch(/audit log could not be written/)
  })
})
