/**
 * Who keeps the daemon's process: this machine's process table (`local`), systemd or compose. The commands start, find and stop the
 * daemon through this contract only; whether the feed is any good they ask the daemon itself.
 */
export type SupervisorKind = 'local' | 'systemd' | 'compose'

export interface DaemonLaunch {
  /** Arguments after the program's name. Never a secret: arguments are readable by every user of the machine. */
  args: readonly string[]
  /** The daemon's whole environment. */
  env: NodeJS.ProcessEnv
}

export type DaemonEnd = { kind: 'exited'; code: number } | { kind: 'killed'; signal: string }

export interface StartedDaemon {
  readonly pid: number
  /** How it ended, null while it runs. */
  end(): Promise<DaemonEnd | null>
  /** The last lines the daemon wrote to its console since this start, oldest first. */
  lastWords(lines: number): string[]
  /** Lets the daemon run on when this command ends. */
  letGo(): void
}

export interface StopPlan {
  reason: string
  /** How long the daemon may drain after being asked. */
  drainMs: number
  /** How long it may take after SIGTERM, and once more after SIGKILL. */
  signalMs: number
}

/** How far it had to go. `orphans` are processes the daemon left behind, which were then ended. */
export type StopOutcome = 'not-running' | 'drained' | 'terminated' | 'killed'
export interface StopReport {
  outcome: StopOutcome
  pid: number | null
  orphans: { pid: number; command: string }[]
}

/** Every method throws a Failure (`spawn`, `unstoppable`, `console`) when the host does not do as told. */
export interface Supervisor {
  readonly kind: SupervisorKind
  start(launch: DaemonLaunch): Promise<StartedDaemon>
  /** The pid of the daemon of this state directory, whether it answers or not; null when none runs. */
  find(): Promise<number | null>
  /** What the running daemon was started with, secrets included, to start the same again; null when none runs or it cannot be told. */
  launchOfRunning(): Promise<DaemonLaunch | null>
  /** Ends daemon and bridges, gently first. An abort of `signal` skips the waiting for the drain, never the ending. */
  stop(plan: StopPlan, signal?: AbortSignal): Promise<StopReport>
}
