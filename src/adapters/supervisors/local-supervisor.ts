/**
 * The daemon as a plain process of this machine: started in a session of its own so that a closing terminal does not take it along,
 * ended by asking first, then SIGTERM, then SIGKILL. Nothing restarts it when it dies; that is what the other supervisors are for.
 */
import { spawn } from 'node:child_process'
import {
  closeSync,
  existsSync,
  fstatSync,
  openSync,
  readFileSync,
  readlinkSync,
  readSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { basename, join } from 'node:path'
import { Writable } from 'node:stream'
import { type Clock, sleep } from '#clock.ts'
import { Failure } from '#domain/failure.ts'
import type { ControlClient } from '../control/control-client.ts'
import { createPath } from '../state/create-path.ts'
import { lockOwnerPid } from '../state/run-lock.ts'
import { commandLine, familyOf, identify, isAlive, type ProcessIdentity, signalProcess } from './process-identity.ts'
import type {
  DaemonEnd,
  DaemonLaunch,
  RunningLaunch,
  StartedDaemon,
  StopOutcome,
  StopPlan,
  Supervisor,
} from './supervisor.ts'

export interface LocalSupervisorOptions {
  stateDir: string
  /** What to run before the launch's own arguments: the interpreter and the daemon's script. */
  program: readonly [string, ...string[]]
  control: ControlClient
  clock: Clock
}

/** The daemon's option that names the secrets coming over this descriptor. */
const HANDED_SECRETS = '--handed-secrets'
const HANDED_FD = 3
const CONSOLE_TAIL_BYTES = 16_384
/** Frames of a stack trace and the banner after it say nothing to an operator, and push what does out of sight. */
const STACK_NOISE = /^ {4}at |^Node\.js v/
/** A crash quotes the line of source that it happened in, and of a bundle that is all of it. */
const WORDS_MAX = 400
const LOOK_EVERY_MS = 50
/** A bridge ends by itself when the daemon's end of its stdin closes. */
const BRIDGE_GRACE_MS = 1_000

export function localSupervisor(options: LocalSupervisorOptions): Supervisor {
  return {
    kind: 'local',
    start: (launch) => startDaemon(options, launch),
    find: async () => (await findDaemon(options))?.process.pid ?? null,
    launchOfRunning: async () => launchOf((await findDaemon(options))?.process ?? null, options),
    stop: (plan, signal) => stopDaemon(options, plan, signal),
  }
}

async function startDaemon(options: LocalSupervisorOptions, launch: DaemonLaunch): Promise<StartedDaemon> {
  const console = await openConsole(options.stateDir)
  const [interpreter, ...script] = options.program
  const { args, env, handed = {}, cwd = null } = launch
  const names = Object.keys(handed)
  const asPipe = names.length > 0
  const child = spawn(interpreter, [...script, ...args, ...(asPipe ? [HANDED_SECRETS, names.join(',')] : [])], {
    detached: true,
    env,
    ...(cwd !== null && existsSync(cwd) && { cwd }),
    stdio: ['ignore', console.fd, console.fd, ...(asPipe ? ['pipe' as const] : [])],
  })
  closeSync(console.fd)
  if (asPipe) handOver(child.stdio[HANDED_FD], handed)
  let end: DaemonEnd | null = null
  child.once('exit', (code, signal) => {
    end = code === null ? { kind: 'killed', signal: signal ?? 'SIGKILL' } : { kind: 'exited', code }
  })
  await new Promise<void>((resolve, reject) => {
    child.once('spawn', resolve)
    child.once('error', (cause) =>
      reject(new Failure('spawn', `the daemon cannot be started: ${cause.message}`, 'Reinstall the package.', cause)),
    )
  })
  const pid = child.pid ?? 0
  rememberDaemon(options.stateDir, pid)
  return { pid, end: async () => end, lastWords: (lines) => lastLines(console.path, lines), letGo: () => child.unref() }
}

/** A daemon that ends before it has read them tells why itself. */
function handOver(pipe: unknown, handed: Readonly<Record<string, string>>): void {
  if (!(pipe instanceof Writable)) return
  pipe.on('error', () => undefined)
  pipe.end(JSON.stringify(handed))
}

/** The daemon's stdout and stderr. Its log proper is elsewhere; this file catches what ends a process before or beside its log. */
async function openConsole(stateDir: string): Promise<{ fd: number; path: string }> {
  const path = join(stateDir, 'logs', 'daemon-console.log')
  try {
    await createPath(join(stateDir, 'logs'))
    rmSync(`${path}.1`, { force: true })
    try {
      renameSync(path, `${path}.1`)
    } catch {
      // The first start has no predecessor to keep.
    }
    return { fd: openSync(path, 'a', 0o600), path }
  } catch (cause) {
    throw new Failure('console', `${path} cannot be written`, 'Make the state directory writable for this user.', cause)
  }
}

function lastLines(path: string, count: number): string[] {
  let fd: number
  try {
    fd = openSync(path, 'r')
  } catch {
    return [] // Somebody removed the log: there are no last words to show, and that is all it means.
  }
  try {
    const { size } = fstatSync(fd)
    const tail = Buffer.alloc(Math.min(size, CONSOLE_TAIL_BYTES))
    const read = readSync(fd, tail, 0, tail.length, size - tail.length)
    const lines = tail.toString('utf8', 0, read).split('\n')
    const telling = lines.filter((line) => line.trim() !== '' && !STACK_NOISE.test(line)).slice(-count)
    return telling.map((line) => (line.length > WORDS_MAX ? `${line.slice(0, WORDS_MAX)}...` : line))
  } finally {
    closeSync(fd)
  }
}

interface FoundDaemon {
  process: ProcessIdentity
  /** Whether it answers on its control socket. */
  answers: boolean
}

/**
 * The daemon's process by the first witness that knows: the daemon itself, its lock, the note made when it was started. The last one
 * finds a daemon that was stopped before it had a lock.
 */
async function findDaemon(options: LocalSupervisorOptions): Promise<FoundDaemon | null> {
  const { stateDir, control } = options
  const answer = await control.status().then(
    (status) => status.pid,
    () => null,
  )
  if (answer !== null) return { process: ownProcess(options, answer), answers: true }
  const pid = await lockOwnerPid(stateDir, 'daemon')
  if (pid !== null) return { process: ownProcess(options, pid), answers: false }
  const noted = rememberedDaemon(stateDir)
  return noted !== null && isAlive(noted) ? { process: noted, answers: false } : null
}

/** What concerned that one start only is left out: secrets go through a new pipe, and a cold start is not asked for twice. */
function launchOf(daemon: ProcessIdentity | null, { program }: LocalSupervisorOptions): RunningLaunch | null {
  if (daemon === null) return null
  try {
    const parts = (file: string) => readFileSync(`/proc/${daemon.pid}/${file}`, 'utf8').split('\0').slice(0, -1)
    const script = basename(program.at(-1) ?? program[0])
    const words = parts('cmdline')
    const told = words.slice(words.findIndex((word) => basename(word) === script) + 1)
    const handedAt = told.indexOf(HANDED_SECRETS)
    const handedNames = handedAt < 0 ? [] : (told[handedAt + 1] ?? '').split(',').filter(Boolean)
    const ofHanding = (index: number) => handedAt >= 0 && (index === handedAt || index === handedAt + 1)
    const args = told.filter((word, index) => word !== '--cold' && !ofHanding(index))
    const env = parts('environ').map((entry) => [
      entry.slice(0, entry.indexOf('=')),
      entry.slice(entry.indexOf('=') + 1),
    ])
    return { args, env: Object.fromEntries(env), handedNames, cwd: readlinkSync(`/proc/${daemon.pid}/cwd`) }
  } catch {
    return null // Another user's process, or it ended meanwhile.
  }
}

/** A daemon in a container tells the pid it has in there; out here that number is somebody else's. */
function ownProcess({ program }: LocalSupervisorOptions, pid: number): ProcessIdentity {
  const identity = identify(pid)
  const script = basename(program.at(-1) ?? program[0])
  if (identity !== null && commandLine(pid).includes(script)) return identity
  throw new Failure(
    'unstoppable',
    `the daemon says that it is process ${pid}, which on this machine is no ${script}`,
    'It runs in a container or under another process namespace: stop it there.',
  )
}

async function stopDaemon(options: LocalSupervisorOptions, plan: StopPlan, signal?: AbortSignal) {
  const found = await findDaemon(options)
  if (found === null) {
    const noted = rememberedDaemon(options.stateDir)
    const left = noted === null ? [] : await endOrphans(familyOf(noted).filter(isBridge))
    return { outcome: 'not-running' as const, pid: null, orphans: left }
  }
  const daemon = found.process
  const family = new Map(familyOf(daemon).map((child) => [child.pid, child]))
  const outcome = await endDaemon(options, found, plan, signal, () => {
    // Bridges may have been replaced while the daemon drained.
    for (const child of familyOf(daemon)) family.set(child.pid, child)
  })
  for (const child of familyOf(daemon)) family.set(child.pid, child)
  const orphans = await endOrphans([...family.values()])
  forgetDaemon(options.stateDir)
  return { outcome, pid: daemon.pid, orphans }
}

async function endDaemon(
  { control, clock }: LocalSupervisorOptions,
  { process: daemon, answers }: FoundDaemon,
  plan: StopPlan,
  signal: AbortSignal | undefined,
  beforeKill: () => void,
): Promise<StopOutcome> {
  const asked = answers && (await isAccepted(control.shutdown(plan.reason)))
  // The daemon drains on the first demand and cuts everything on the second, whichever way they come.
  if (!asked) terminate(daemon)
  if (await gone(daemon, plan.drainMs, clock, signal)) return 'drained'
  terminate(daemon)
  if (await gone(daemon, plan.signalMs, clock)) return 'terminated'
  beforeKill()
  signalProcess(daemon, 'SIGKILL')
  if (await gone(daemon, plan.signalMs, clock)) return 'killed'
  throw new Failure(
    'unstoppable',
    `process ${daemon.pid} did not end within ${plan.signalMs / 1000} s of SIGKILL`,
    'It waits for a disk or network file system; look at dmesg and stop it by hand.',
  )
}

async function isAccepted(demand: Promise<{ kind: 'done' | 'refused' }>): Promise<boolean> {
  return demand.then(
    (answer) => answer.kind === 'done',
    () => false, // Too busy to hear; a signal does not need its cooperation.
  )
}

/** A stopped process (SIGSTOP, a debugger) hears SIGTERM only once it is continued. */
function terminate(daemon: ProcessIdentity): void {
  signalProcess(daemon, 'SIGTERM')
  signalProcess(daemon, 'SIGCONT')
}

/** Whether the process ended in time. An abort of the signal only shortens the wait. */
async function gone(process: ProcessIdentity, withinMs: number, clock: Clock, signal?: AbortSignal): Promise<boolean> {
  const deadline = clock.monotonicMs() + withinMs
  while (isAlive(process)) {
    if (clock.monotonicMs() >= deadline || signal?.aborted) return false
    await sleep(LOOK_EVERY_MS)
  }
  return true
}

async function endOrphans(family: readonly ProcessIdentity[]): Promise<{ pid: number; command: string }[]> {
  await untilGone(family)
  const orphans = family.filter(isAlive).map((orphan) => ({ identity: orphan, command: commandLine(orphan.pid) }))
  for (const { identity } of orphans) signalProcess(identity, 'SIGKILL')
  await untilGone(orphans.map(({ identity }) => identity))
  return orphans.map(({ identity, command }) => ({ pid: identity.pid, command }))
}

async function untilGone(processes: readonly ProcessIdentity[]): Promise<void> {
  for (let waited = 0; waited < BRIDGE_GRACE_MS && processes.some(isAlive); waited += LOOK_EVERY_MS) {
    await sleep(LOOK_EVERY_MS)
  }
}

function isBridge(process: ProcessIdentity): boolean {
  return commandLine(process.pid).includes('-bridge')
}

function notePath(stateDir: string): string {
  return join(stateDir, 'daemon.json')
}

/** The note is the last of three witnesses: a disk that does not take it, or does not let it go, is no reason to fail. */
function rememberDaemon(stateDir: string, pid: number): void {
  const identity = identify(pid)
  try {
    if (identity !== null) writeFileSync(notePath(stateDir), `${JSON.stringify(identity)}\n`, { mode: 0o600 })
  } catch {
    // See above.
  }
}

function forgetDaemon(stateDir: string): void {
  try {
    rmSync(notePath(stateDir), { force: true })
  } catch {
    // See above: what it names is gone, and a pid that is used again has another start time.
  }
}

function rememberedDaemon(stateDir: string): ProcessIdentity | null {
  try {
    const value: unknown = JSON.parse(readFileSync(notePath(stateDir), 'utf8'))
    if (typeof value !== 'object' || value === null) return null
    if (!('pid' in value && 'startTicks' in value && 'bootId' in value)) return null
    const { pid, startTicks, bootId } = value
    if (typeof pid !== 'number' || typeof startTicks !== 'number' || typeof bootId !== 'string') return null
    return { pid, startTicks, bootId }
  } catch {
    return null // No note, or one cut short by a crash: the other witnesses have been asked already.
  }
}
