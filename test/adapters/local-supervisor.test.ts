import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { controlClient } from '#adapters/control/control-client.ts'
import { localSupervisor } from '#adapters/supervisors/local-supervisor.ts'
import { identify, isAlive, type ProcessIdentity, signalProcess } from '#adapters/supervisors/process-identity.ts'
import type { StartedDaemon, StopPlan, Supervisor } from '#adapters/supervisors/supervisor.ts'
import { sleep, systemClock } from '#clock.ts'
import { bundle } from '../support/bundle.ts'

let script = ''
let stateDir = ''
let supervisor: Supervisor
const started: ProcessIdentity[] = []

beforeAll(async () => {
  script = await bundle(new URL('../support/fake-daemon-process.ts', import.meta.url))
})
afterAll(() => rmSync(dirname(script), { recursive: true, force: true }))
beforeEach(() => {
  stateDir = mkdtempSync(join(tmpdir(), 'supervisor-'))
  const control = controlClient({ socketPath: join(stateDir, 'control.sock'), timeoutMs: 500 })
  supervisor = localSupervisor({ stateDir, program: [process.execPath, script], control, clock: systemClock })
})
afterEach(() => {
  for (const daemon of started.splice(0)) signalProcess(daemon, 'SIGKILL')
  rmSync(stateDir, { recursive: true, force: true })
})

const PLAN: StopPlan = { reason: 'test', drainMs: 3_000, signalMs: 3_000 }
/** For those that will not listen: no test should wait longer than it must. */
const BRIEF_PLAN: StopPlan = { reason: 'test', drainMs: 100, signalMs: 100 }

async function start(manners = ''): Promise<StartedDaemon> {
  const env = { PATH: process.env['PATH'], FAKE_MANNERS: manners }
  const daemon = await supervisor.start({ args: ['run', stateDir], env })
  const identity = identify(daemon.pid)
  if (identity !== null) started.push(identity)
  return daemon
}

async function up(daemon: StartedDaemon): Promise<StartedDaemon> {
  while (!daemon.lastWords(1).includes('up')) await sleep(20)
  return daemon
}

test('a daemon that drains when asked is found, stopped and gone', async () => {
  const { pid } = await up(await start())
  expect(await supervisor.find()).toBe(pid)
  expect(await supervisor.stop(PLAN)).toEqual({ outcome: 'drained', pid, orphans: [] })
  expect(await supervisor.find()).toBeNull()
})

test('stopping what does not run is done already', async () => {
  expect(await supervisor.stop(PLAN)).toEqual({ outcome: 'not-running', pid: null, orphans: [] })
})

test('a daemon without a control socket is found by its lock and ended by SIGTERM', async () => {
  const { pid } = await up(await start('deaf'))
  expect(await supervisor.find()).toBe(pid)
  expect((await supervisor.stop(PLAN)).outcome).toBe('drained')
})

test('a daemon that ignores everything is killed', async () => {
  const { pid } = await up(await start('stubborn'))
  expect(await supervisor.stop(BRIEF_PLAN)).toEqual({ outcome: 'killed', pid, orphans: [] })
})

test('a stopped daemon is woken to end in good order', async () => {
  const { pid } = await up(await start())
  process.kill(pid, 'SIGSTOP')
  expect((await supervisor.stop(PLAN)).outcome).toBe('drained')
})

test('a child that the daemon leaves behind is ended and named', async () => {
  await up(await start('orphans'))
  const { orphans } = await supervisor.stop(PLAN)
  expect(orphans.map(({ command }) => command)).toEqual(['sleep 600'])
  expect(orphans.every(({ pid }) => identify(pid) === null)).toBe(true)
})

test('a daemon that ends by itself tells how, and its last words', async () => {
  const daemon = await start('exit-78')
  let end = await daemon.end()
  while (end === null) {
    await sleep(20)
    end = await daemon.end()
  }
  expect(end).toEqual({ kind: 'exited', code: 78 })
  expect(daemon.lastWords(5)).toEqual(['FEED_PROFILE: expected something else'])
})

test('the console of the run before is kept', async () => {
  await up(await start())
  await supervisor.stop(PLAN)
  await up(await start())
  expect(readFileSync(join(stateDir, 'logs', 'daemon-console.log.1'), 'utf8')).toBe('up\n')
  await supervisor.stop(PLAN)
})

test('what the running daemon was started with can be started again', async () => {
  expect(await supervisor.launchOfRunning()).toBeNull()
  await up(await start())
  const launch = await supervisor.launchOfRunning()
  expect(launch?.args).toEqual(['run', stateDir])
  expect(launch?.env).toMatchObject({ FAKE_MANNERS: '' })
})

test('a program that is not there is a failure, not a crash', async () => {
  const control = controlClient({ socketPath: join(stateDir, 'control.sock') })
  const lost = localSupervisor({ stateDir, program: [join(stateDir, 'nothing')], control, clock: systemClock })
  await expect(lost.start({ args: [], env: {} })).rejects.toMatchObject({ kind: 'spawn' })
})

test('a pid that now means another process gets no signal', () => {
  const self = identify(process.pid)
  if (self === null) throw new Error('this process exists')
  const impostor = { ...self, startTicks: self.startTicks - 1 }
  expect(isAlive(impostor)).toBe(false)
  expect(signalProcess(impostor, 'SIGKILL')).toBe(false)
  expect(isAlive({ ...self, bootId: 'another boot' })).toBe(false)
})
