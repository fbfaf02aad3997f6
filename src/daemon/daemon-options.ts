/** What a run of the daemon is given, and how it ends. */
import type { Notifier } from '#adapters/systemd/notifier.ts'
import type { Clock } from '#clock.ts'
import type { Config } from '#config/config.ts'
import type { Environment } from '#config/parse-config.ts'
import type { TickTotals } from '#domain/status.ts'
import type { DatedContract } from './contract-list.ts'

export type LogLevel = 'debug' | 'info' | 'warn' | 'error'
export type Log = (level: LogLevel, message: string, details?: Record<string, unknown>) => void

export interface DaemonOptions {
  config: Config
  version: string
  packageDir: string
  /** For secrets given as `env:NAME`. */
  env: Environment
  host: string
  clock: Clock
  notifier: Notifier
  log: Log
  /** Reads the contract list where it comes by file; null: the bridges are asked. @throws Failure when the file is damaged */
  readContracts: (() => Promise<readonly DatedContract[]>) | null
  /** Hands over what is to be done when an operator asks to reload. */
  onReload(reload: () => Promise<void>): void
  /** Start without looking at checkpoint and journal. */
  cold: boolean
  /** Leave by itself when a replay is over and all of it is on disk. */
  untilEnd: boolean
  configWarnings: readonly string[]
  /** First signal: drain and leave. */
  stop: AbortSignal
  /** Second signal: leave at once. */
  cut: AbortSignal
  started(facts: { metricsPort: number }): void
}

export type DaemonEnd =
  | { kind: 'stopped'; reason: string }
  | { kind: 'replay-over'; ticks: TickTotals; lost: number; isOnDisk: boolean }
  /** A recording turned out to be damaged on the way: no bridge can bring the rest of it. */
  | { kind: 'input-unusable'; ticks: TickTotals; message: string }

/** With the ticks that were held in memory at the end and that the disk did not take. */
export type DaemonReport = DaemonEnd & { lostAtClose: number }
