/**
 * Follows a daemon from its first sign of life to READY and records the milestones on the way, each once. Nothing is demanded of a line
 * that does not serve: what it lacks when the feed is ready is a warning.
 */
import type { DaemonEnd, StartedDaemon } from '#adapters/supervisors/supervisor.ts'
import { sleep } from '#clock.ts'
import { LINES, type Line } from '#domain/line.ts'
import type { FeedStatus, LineState, LineStatus } from '#domain/status.ts'
import type { ProgressBar } from '../terminal.ts'
import type { Run } from './run.ts'

export type ReadyOutcome =
  | { kind: 'ready'; status: FeedStatus }
  | { kind: 'late'; status: FeedStatus | null }
  /** Not ready, and waiting brings nothing. */
  | { kind: 'short'; status: FeedStatus }
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
        readySinceMs !== null && (!secondLineIsComing(run, status) || nowMs > readySinceMs + SECOND_LINE_GRACE_MS)
      if (status.ready && settled) {
        milestones.finish(status)
        return { kind: 'ready', status }
      }
      if (status.ready_remedy !== null) {
        milestones.finish(status)
        return { kind: 'short', status }
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

/** The states that a line passes through on its way to where its standby mode wants it. */
const ON_ITS_WAY = {
  hot: ['connecting', 'logging-in', 'logged-in', 'subscribing'],
  warm: ['connecting', 'logging-in'],
  cold: [],
} as const satisfies Record<StandbyMode, readonly LineState[]>

function secondLineIsComing({ config }: Run, status: FeedStatus): boolean {
  const states: readonly LineState[] = ON_ITS_WAY[config.feed.standbyMode]
  return linesOfStatus(status).some(([name, line]) => name !== status.serving_line && states.includes(line.state))
}

type NamedLine = [Line, LineStatus]

function linesOfStatus(status: FeedStatus): NamedLine[] {
  return LINES.flatMap((name): NamedLine[] => {
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
      return {
        label,
        done: line.subscribed,
        total: line.expected,
        etaMs: paced === 0 || left === 0 ? null : left * paced,
      }
    })
}

type StandbyMode = Run['config']['feed']['standbyMode']

interface Milestone {
  name: string
  /** The standby modes in which the line that does not serve is to get here as well. */
  modes: readonly StandbyMode[]
  reached(line: LineStatus): boolean
  detail(line: LineStatus): string
}

const MILESTONES: readonly Milestone[] = [
  {
    name: 'connect',
    modes: ['hot', 'warm'],
    reached: (line) => line.connected,
    detail: (line) => (line.connected ? 'connected' : line.detail),
  },
  {
    name: 'login',
    modes: ['hot', 'warm'],
    reached: (line) => line.logged_in,
    detail: (line) => (line.logged_in ? 'logged in' : line.detail),
  },
  {
    name: 'subscribe',
    modes: ['hot'],
    reached: (line) => line.expected > 0 && line.subscribed + line.refused >= line.expected,
    detail: ({ subscribed, expected, refused }) =>
      `${subscribed}/${expected}${refused > 0 ? ` (${refused} refused)` : ''}`,
  },
]

/** Each milestone is recorded once, in order, with the time since the one before. */
class Milestones {
  readonly #run: Run
  #answered: boolean
  #next = 0
  #sinceMs: number

  /** A daemon that was found running has answered already. */
  constructor(run: Run, foundRunning: boolean) {
    this.#run = run
    this.#answered = foundRunning
    this.#sinceMs = run.clock.monotonicMs()
  }

  look(status: FeedStatus): void {
    if (!this.#answered) this.#record('daemon', 'ok', `pid ${status.pid} answers on its control socket`)
    this.#answered = true
    for (let milestone = MILESTONES[this.#next]; milestone !== undefined; milestone = MILESTONES[++this.#next]) {
      const lines = this.#linesFor(milestone, status)
      if (!lines.every(([, line]) => milestone?.reached(line))) return
      this.#record(milestone.name, 'ok', detailOf(milestone, lines))
    }
  }

  /** The feed is ready; what was not reached belongs to the line that does not serve. */
  finish(status: FeedStatus): void {
    this.look(status)
    for (const milestone of MILESTONES.slice(this.#next)) {
      const detail = detailOf(milestone, this.#linesFor(milestone, status))
      this.#record(milestone.name, 'warning', detail)
      this.#run.warnings.push(`${milestone.name}: ${detail}`)
    }
  }

  #linesFor({ modes }: Milestone, status: FeedStatus): NamedLine[] {
    const both = modes.includes(this.#run.config.feed.standbyMode)
    return linesOfStatus(status).filter(([name]) => both || name === status.serving_line)
  }

  #record(name: string, outcome: 'ok' | 'warning', detail: string): void {
    this.#run.steps.record(name, outcome, detail, this.#sinceMs)
    this.#sinceMs = this.#run.clock.monotonicMs()
  }
}

function detailOf(milestone: Milestone, lines: readonly NamedLine[]): string {
  return lines.map(([name, line]) => `${name} ${milestone.detail(line)}`).join(', ')
}
