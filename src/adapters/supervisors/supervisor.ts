/**
 * Who keeps the daemon's process: this machine's process table (`local`), systemd or compose. The commands start, find and stop the
 * daemon through this contract only; whether the feed is any good they ask the daemon itself.
 */
export type SupervisorKind = 'local' | 'systemd' | 'compose'

export interface DaemonLaunch {
  /** Arguments after the program's name. Never a secret: arguments are readable by every user of the machine. */
  args: readonly string[]
  /** The daemon's whole environment, but for secrets: `/proc/<pid>/environ` stays readable for as long as it lives. */
  env: NodeJS.ProcessEnv
  /** Secrets by the name of the variable they would have been; they go through a pipe that is closed once it is read. */
  handed?: Readonly<Record<string, string>>
  /** Where relative paths of its settings start; by default where this command runs. */
  cwd?: string | null
}

/** How the running daemon was started, but for the secrets that it was handed: only their names are known. */
export interface RunningLaunch {
  args: readonly string[]
  env: NodeJS.ProcessEnv
  handedNames: readonly string[]
  cwd: string | null
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
  /** What the running daemon was started with, to start the same again; null when none runs or it cannot be told. */
  launchOfRunning(): Promise<RunningLaunch | null>
  /** Ends daemon and bridges, gently first. An abort of `signal` skips the waiting for the drain, never the ending. */
  stop(plan: StopPlan, signal?: AbortSignal): Promise<StopReport>
}
