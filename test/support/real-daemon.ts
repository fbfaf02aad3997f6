/** The daemon as an operator runs it: the built executable with real bridges, in a state directory of its own under a short path. */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { type ControlClient, controlClient } from '#adapters/control/control-client.ts'
import type { JournalTick } from '#adapters/journal/journal-tick.ts'
import type { FeedStatus, TickTotals } from '#domain/status.ts'

const EXECUTABLE = fileURLToPath(new URL('../../bin/full-feed-subscription', import.meta.url))
/** Long enough for a machine that is busy with other things; a test that fails waits this long, one that passes does not. */
const PATIENCE_MS = 60_000
const POLL_MS = 25

export interface DaemonEnd {
  code: number | null
  signal: NodeJS.Signals | null
}

export interface DaemonStart {
  env?: Readonly<Record<string, string>>
  args?: readonly string[]
  scenario?: readonly object[]
}

/** A state directory and everything that was started in it. */
export class DaemonHome {
  readonly directory = mkdtempSync('/tmp/fs-')
  readonly stateDir = `${this.directory}/s`
  readonly daemons: RealDaemon[] = []
  readonly control: ControlClient = controlClient({ socketPath: `${this.stateDir}/control.sock`, timeoutMs: 20_000 })
  #scenarios = 0

  start({ env = {}, args = [], scenario }: DaemonStart = {}): RealDaemon {
    const scenarioFile = `${this.directory}/scenario-${++this.#scenarios}.json`
    if (scenario !== undefined) writeFileSync(scenarioFile, JSON.stringify(scenario))
    const daemon = new RealDaemon(['run', '--state-dir', this.stateDir, '--metrics-port', '0', ...args], {
      ...(scenario === undefined ? {} : { SIM_SCENARIO: scenarioFile }),
      ...env,
    })
    this.daemons.push(daemon)
    return daemon
  }

  async status(): Promise<FeedStatus> {
    return this.control.status()
  }

  /** Waits until the daemon's status is as wanted; between two looks it may not answer. */
  async until(what: string, wanted: (status: FeedStatus) => boolean): Promise<FeedStatus> {
    let last: FeedStatus | undefined
    return eventually(
      async () => {
        last = await this.status().catch(() => undefined)
        return last !== undefined && wanted(last) ? last : undefined
      },
      () => `${what}; last seen ${JSON.stringify(last, null, 1)}\n${this.daemons.at(-1)?.stderr.slice(-4000)}`,
    )
  }

  untilReady(): Promise<FeedStatus> {
    return this.until('the daemon is ready', ({ ready }) => ready)
  }

  /** Everything journalled, in journal order. */
  async ticks({ offSession = false } = {}): Promise<JournalTick[]> {
    const ticks: JournalTick[] = []
    await this.eachTick((tick) => ticks.push(tick), { offSession })
    return ticks
  }

  async eachTick(take: (tick: JournalTick) => void, { offSession = false } = {}): Promise<void> {
    const args = ['export', '--state-dir', this.stateDir, ...(offSession ? ['--off-session'] : [])]
    const child = spawn(EXECUTABLE, args, { env: bareEnvironment(), stdio: ['ignore', 'pipe', 'inherit'] })
    for await (const line of createInterface({ input: child.stdout })) take(JSON.parse(line) as JournalTick)
    if (child.exitCode === null) await new Promise((resolve) => child.once('exit', resolve))
    if (child.exitCode !== 0) throw new Error(`export ended with ${child.exitCode}`)
  }

  async command(...args: readonly string[]): Promise<{ code: number; stdout: string; stderr: string }> {
    return promisify(execFile)(EXECUTABLE, [...args, '--state-dir', this.stateDir], { env: bareEnvironment() }).then(
      ({ stdout, stderr }) => ({ code: 0, stdout, stderr }),
      (error: { code: number; stdout: string; stderr: string }) => error,
    )
  }

  file(name: string): string {
    return `${this.stateDir}/${name}`
  }

  has(name: string): boolean {
    return existsSync(this.file(name))
  }

  /** Ends what still runs and removes the directory. */
  async dispose(): Promise<void> {
    for (const daemon of this.daemons) await daemon.kill()
    rmSync(this.directory, { recursive: true, force: true })
  }
}

export class RealDaemon {
  stdout = ''
  stderr = ''
  readonly pid: number
  readonly ended: Promise<DaemonEnd>
  #end: DaemonEnd | null = null
  readonly #child: ChildProcess
  /** Bridges ever seen, so that orphans are found after their parent is gone. */
  readonly #bridges = new Set<number>()

  constructor(args: readonly string[], env: Readonly<Record<string, string>>) {
    if (!existsSync(new URL('../../dist/full-feed-subscription.js', import.meta.url))) {
      throw new Error('the executables are not built: run npm run build first')
    }
    const child = spawn(EXECUTABLE, args, { env: { ...bareEnvironment(), ...env }, stdio: ['ignore', 'pipe', 'pipe'] })
    this.#child = child
    this.pid = child.pid ?? -1
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      this.stdout += text
    })
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text
    })
    this.ended = new Promise((resolve) => {
      child.on('close', (code, signal) => {
        this.#end = { code, signal }
        resolve(this.#end)
      })
    })
  }

  get isRunning(): boolean {
    return this.#end === null
  }

  signal(signal: NodeJS.Signals): void {
    this.noteBridges()
    this.#child.kill(signal)
  }

  /** Orderly end; resolves when the process is gone. */
  async stop(): Promise<DaemonEnd> {
    this.signal('SIGTERM')
    return within(this.ended, 'the daemon ends after SIGTERM', () => this.stderr.slice(-3000))
  }

  async end(): Promise<DaemonEnd> {
    return within(this.ended, 'the daemon ends', () => this.stderr.slice(-3000))
  }

  async kill(): Promise<void> {
    if (!this.isRunning) return
    this.signal('SIGKILL')
    await this.ended
  }

  /** Pids of the bridges that run now, remembered for `orphans`. */
  noteBridges(): number[] {
    const children = childrenOf(this.pid)
    for (const pid of children) this.#bridges.add(pid)
    return children
  }

  /** Bridges of this daemon that are still there. */
  orphans(): number[] {
    return [...this.#bridges].filter((pid) => isBridge(pid))
  }

  /** The last line on stdout of a run that ended by itself. */
  report(): { outcome: string; exit_code: number; ticks?: TickTotals; reason?: string } {
    return JSON.parse(this.stdout.trim().split('\n').at(-1) ?? '{}')
  }

  /** Log lines whose message holds the text. */
  logged(text: string): { level: string; msg: string; [more: string]: unknown }[] {
    return this.stderr
      .split('\n')
      .filter((line) => line.startsWith('{'))
      .map((line) => JSON.parse(line) as { level: string; msg: string })
      .filter(({ msg }) => msg.includes(text))
  }
}

/** Nothing of the environment that the tests run in reaches the product. */
function bareEnvironment(): Record<string, string> {
  return { PATH: process.env['PATH'] ?? '', HOME: '/nonexistent' }
}

function childrenOf(pid: number): number[] {
  try {
    const text = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8')
    return text.split(' ').filter(Boolean).map(Number)
  } catch {
    return []
  }
}

/** Arguments end with a NUL: an embedded bridge is a script, the CTP bridge the program itself. */
const BRIDGE = /-bridge\.js\0|\/ctp-bridge\0/

function isBridge(pid: number): boolean {
  try {
    const isZombie = readFileSync(`/proc/${pid}/stat`, 'utf8').includes(') Z ')
    return !isZombie && BRIDGE.test(readFileSync(`/proc/${pid}/cmdline`, 'utf8'))
  } catch {
    return false
  }
}

/** Looks again and again until there is something; @throws what `otherwise` tells after a generous while. */
export async function eventually<T>(
  look: () => T | undefined | Promise<T | undefined>,
  otherwise: () => string,
): Promise<T> {
  const deadline = performance.now() + PATIENCE_MS
  for (;;) {
    const found = await look()
    if (found !== undefined) return found
    if (performance.now() > deadline) throw new Error(`not in ${PATIENCE_MS} ms: ${otherwise()}`)
    await new Promise((resolve) => setTimeout(resolve, POLL_MS))
  }
}

async function within<T>(promise: Promise<T>, what: string, more: () => string): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not in ${PATIENCE_MS} ms: ${what}\n${more()}`)), PATIENCE_MS)
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}
