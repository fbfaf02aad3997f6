/**
 * One run of start-live-env: what a mode has at hand, how it records its steps, and how it ends. A mode returns its end or throws; an
 * EndRun carries an exit code chosen where the reason was known, any other Failure gets its code from the table here.
 */
import type { ControlClient } from '#adapters/control/control-client.ts'
import type { Logger } from '#adapters/log/logger.ts'
import type { PushedSample } from '#adapters/metrics/pushed-metrics.ts'
import type { Supervisor } from '#adapters/supervisors/supervisor.ts'
import type { Clock } from '#clock.ts'
import type { Config } from '#config/config.ts'
import type { GivenSettings } from '#config/parse-config.ts'
import type { ConfigSnapshot } from '#domain/config-snapshot.ts'
import { Failure, type Problem, problemOf } from '#domain/failure.ts'
import type { FailoverRecord, FeedStatus, LineStatus } from '#domain/status.ts'
import { EXIT } from '../exit-codes.ts'
import type { StepOutcome, StepRecord, Terminal } from '../terminal.ts'
import type { WindowFacts } from '../trading-window.ts'
import type { RunOptions } from './options.ts'

export interface Run {
  readonly options: RunOptions
  readonly config: Config
  readonly env: NodeJS.ProcessEnv
  /** What the configuration was made from. */
  readonly given: GivenSettings
  /** Where its relative paths start. */
  readonly cwd: string
  /** The snapshot that the configuration comes from; null where it comes from the present environment. */
  readonly snapshot: ConfigSnapshot | null
  readonly window: WindowFacts
  readonly control: ControlClient
  readonly supervisor: Supervisor
  readonly terminal: Terminal
  readonly logger: Logger
  readonly clock: Clock
  /** Aborts at the first SIGINT or SIGTERM. */
  readonly interrupted: AbortSignal
  readonly steps: StepLog
  readonly warnings: string[]
}

export interface ModeEnd {
  outcome: string
  exitCode: number
  problems?: readonly Problem[]
  /** The daemon's last word, where there is one. */
  status?: FeedStatus | null
  failover?: FailoverRecord | null
  /** Id of the plan that was made or applied, for the audit log. */
  plan?: string | null
  /** Further fields of the result, by their outside names. */
  further?: Readonly<Record<string, unknown>>
  samples?: readonly PushedSample[]
  /** For the audit log: the drill that this run was. */
  drill?: string
}

export class EndRun extends Error {
  override readonly name = 'EndRun'
  readonly end: ModeEnd

  constructor(end: ModeEnd) {
    super(end.outcome)
    this.end = end
  }
}

export interface StepFinding<Value> {
  outcome?: StepOutcome
  detail: string
  value: Value
}

/** The steps of a run in order, each told when it is over. */
export class StepLog {
  readonly records: StepRecord[] = []
  readonly #terminal: Terminal
  readonly #clock: Clock
  readonly #logger: Logger

  constructor(terminal: Terminal, clock: Clock, logger: Logger) {
    this.#terminal = terminal
    this.#clock = clock
    this.#logger = logger
  }

  /** Does the work and records it; what it throws is recorded as a failed step and thrown on. */
  async take<Value>(name: string, work: () => Promise<StepFinding<Value>>): Promise<Value> {
    const startedMs = this.#clock.monotonicMs()
    try {
      const { outcome = 'ok', detail, value } = await work()
      this.record(name, outcome, detail, startedMs)
      return value
    } catch (error) {
      const detail =
        error instanceof EndRun ? (error.end.problems?.[0]?.message ?? error.end.outcome) : problemOf(error).message
      this.record(name, 'failed', detail, startedMs)
      throw error
    }
  }

  record(name: string, outcome: StepOutcome, detail: string, startedMs: number): void {
    const record: StepRecord = {
      name,
      outcome,
      duration_ms: Math.round(this.#clock.monotonicMs() - startedMs),
      detail,
    }
    this.records.push(record)
    this.#logger.info({ step: record }, `${name}: ${detail}`)
    this.#terminal.step(record)
  }
}

/** Failures that mean more than an unexpected fault. */
const EXIT_OF_KIND: Readonly<Record<string, number>> = {
  'not-running': EXIT.notReady,
  'control-timeout': EXIT.notReady,
  'control-broken': EXIT.notReady,
  'not-permitted': EXIT.configuration,
  'socket-path-too-long': EXIT.configuration,
  'state-dir': EXIT.configuration,
  'state-dir-unusable': EXIT.configuration,
  'state-dir-not-writable': EXIT.configuration,
  'state-dir-exposed': EXIT.configuration,
  'state-dir-path-too-long': EXIT.configuration,
  'disk-full': EXIT.configuration,
  console: EXIT.configuration,
  calendar: EXIT.configuration,
  'latch-read': EXIT.refused,
  'archive-unreadable': EXIT.configuration,
  'archive-unwritable': EXIT.configuration,
  'backup-invalid': EXIT.configuration,
  'fingerprint-key': EXIT.configuration,
  'plan-unwritable': EXIT.configuration,
  'plan-unreadable': EXIT.configuration,
}

export function endOf(error: unknown): ModeEnd {
  if (error instanceof EndRun) return error.end
  const problem = problemOf(error)
  const exitCode = error instanceof Failure ? (EXIT_OF_KIND[problem.name] ?? EXIT.fault) : EXIT.fault
  return { outcome: 'failed', exitCode, problems: [problem] }
}

/** A line as the result shows it. */
export function lineFacts(line: LineStatus | null) {
  if (line === null) return null
  const { state, bridge_pid, connected, logged_in, subscribed, refused, pulse, last_tick_age_ms, account } = line
  const { detail, expected } = line
  return {
    state,
    detail,
    bridge_pid,
    connected,
    logged_in,
    expected,
    subscribed,
    refused,
    pulse,
    last_tick_age_ms,
    account,
  }
}
