/**
 * Follows a daemon from its first sign of life to READY and records the milestones on the way, each once. Nothing is demanded of a line
 * that does not serve: what it lacks when the feed is ready is a warning.
 */
import type { DaemonEnd, StartedDaemon } from '#adapters/supervisors/supervisor.ts'
import { sleep } from '#clock.ts'
import { LINES } from '#domain/line.ts'
import type { FeedStatus, LineStatus } from '#domain/status.ts'
import type { ProgressBar } from '../terminal.ts'
import type { Run } from './run.ts'

export type ReadyOutcome =
  | { kind: 'ready'; status: FeedStatus }
  | { kind: 'late'; status: FeedStatus | null }
  | { kind: 'died'; end: DaemonEnd }
  | { kind: 'interrupted'; status: FeedStatus | null }

const LOOK_EVERY_MS = 100
/** A second line that is about to be there is worth this much of a start's time; one that is not will be told. */
const SECOND_LINE_GRACE_MS = 2_000

export interface AwaitReadyOptions {
  /** Null for a daemon that was found running. */
  daemon: StartedDaemon | null
  startedMs: number
}

export async function awaitReady(run: Run, { daemon, startedMs }: AwaitReadyOptions): Promise<ReadyOutcome> {
  const { clock, interrupted, terminal } = run
  const milestones = new Milestones(run, daemon === null)
  let status: FeedStatus | null = null
  let readySinceMs: number | null = null
  while (true) {
    status = (await statusOrNull(run)) ?? status
    const end = (await daemon?.end()) ?? null
    if (end !== null) return { kind: 'died', end }
    if (interrupted.aborted) return { kind: 'interrupted', status }
    const nowMs = clock.monotonicMs()
    if (status !== null) {
      milestones.look(status)
      if (status.ready) readySinceMs ??= nowMs
      const settled =
        readySinceMs !== null && (!secondLineIsComing(status) || nowMs > readySinceMs + SECOND_LINE_GRACE_MS)
      if (status.ready && settled) {
        milestones.finish(status)
        return { kind: 'ready', status }
      }
    }
    if (nowMs >= startedMs + allowedMs(run, status)) return { kind: 'late', status }
    terminal.progress(status?.ready_detail ?? 'waiting for the daemon', status === null ? [] : barsOf(run, status))
    await sleep(LOOK_EVERY_MS)
  }
}

/** What the operator allows, else what the configuration allows plus the time that pacing itself takes. */
export function allowedMs(run: Run, status: FeedStatus | null): number {
  if (run.options.timeoutMs !== null) return run.options.timeoutMs
  const expected = status === null ? 0 : Math.max(0, ...linesOfStatus(status).map(([, line]) => line.expected))
  return run.config.timeouts.readyMs + expected * msPerContract(run)
}

function msPerContract({ config }: Run): number {
  const { maxPerWindow, windowMs } = config.pacing
  return maxPerWindow === 0 ? 0 : windowMs / maxPerWindow
}

async function statusOrNull({ control }: Run): Promise<FeedStatus | null> {
  // Not there yet, or too busy for this look: the deadline of the whole wait decides, not one question.
  return control.status().catch(() => null)
}

function secondLineIsComing(status: FeedStatus): boolean {
  return linesOfStatus(status).some(([, line]) => line.state === 'logged-in' || line.state === 'subscribing')
}

function linesOfStatus(status: FeedStatus): ['primary' | 'backup', LineStatus][] {
  return LINES.flatMap((name): ['primary' | 'backup', LineStatus][] => {
    const line = status.lines[name]
    return line === null ? [] : [[name, line]]
  })
}

function barsOf(run: Run, status: FeedStatus): ProgressBar[] {
  return linesOfStatus(status)
    .filter(([, line]) => line.expected > 0)
    .map(([label, line]) => {
      const left = Math.max(0, line.expected - line.subscribed - line.refused)
      const paced = msPerContract(run)
      return { label, done: line.subscribed, total: line.expected, etaMs: paced === 0 ? null : left * paced }
    })
}

interface Milestone {
  name: string
  reached(status: FeedStatus): boolean
  detail(status: FeedStatus): string
}

const MILESTONES: readonly Milestone[] = [
  { name: 'daemon', reached: () => true, detail: (status) => `pid ${status.pid} answers on its control socket` },
  {
    name: 'connect',
    reached: (status) => linesOfStatus(status).every(([, line]) => line.connected),
    detail: (status) => perLine(status, (line) => (line.connected ? 'connected' : line.detail)),
  },
  {
    name: 'login',
    reached: (status) => linesOfStatus(status).every(([, line]) => line.logged_in),
    detail: (status) => perLine(status, (line) => (line.logged_in ? 'logged in' : line.detail)),
  },
  {
    name: 'subscribe',
    reached: (status) =>
      linesOfStatus(status).every(([, line]) => line.expected > 0 && line.subscribed + line.refused >= line.expected),
    detail: (status) => perLine(status, subscribedOf),
  },
]

function perLine(status: FeedStatus, text: (line: LineStatus) => string): string {
  return linesOfStatus(status)
    .map(([name, line]) => `${name} ${text(line)}`)
    .join(', ')
}

function subscribedOf({ subscribed, expected, refused }: LineStatus): string {
  return `${subscribed}/${expected}${refused > 0 ? ` (${refused} refused)` : ''}`
}

/** Each milestone is recorded once, in order, with the time since the one before. */
class Milestones {
  readonly #run: Run
  #next: number
  #sinceMs: number

  /** A daemon that was found running answers already. */
  constructor(run: Run, foundRunning: boolean) {
    this.#run = run
    this.#next = foundRunning ? 1 : 0
    this.#sinceMs = run.clock.monotonicMs()
  }

  look(status: FeedStatus): void {
    for (let milestone = MILESTONES[this.#next]; milestone?.reached(status); milestone = MILESTONES[this.#next]) {
      this.#record(milestone, 'ok', status)
    }
  }

  /** The feed is ready; what was not reached belongs to the line that does not serve. */
  finish(status: FeedStatus): void {
    this.look(status)
    for (let milestone = MILESTONES[this.#next]; milestone !== undefined; milestone = MILESTONES[this.#next]) {
      this.#record(milestone, 'warning', status)
      this.#run.warnings.push(`${milestone.name}: ${milestone.detail(status)}`)
    }
  }

  #record(milestone: Milestone, outcome: 'ok' | 'warning', status: FeedStatus): void {
    this.#run.steps.record(milestone.name, outcome, milestone.detail(status), this.#sinceMs)
    this.#sinceMs = this.#run.clock.monotonicMs()
    this.#next++
  }
}
