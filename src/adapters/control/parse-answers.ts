/**
 * The daemon's answers, from unknown JSON to their types. Both ends come from one package, so the marks of each shape are checked
 * (schema, the fields that decisions read) and the rest is taken at its word.
 */
import type { ConfigFacts } from '#domain/config-change.ts'
import type { Problem } from '#domain/failure.ts'
import type { HealthVerdict } from '#domain/health.ts'
import type { SessionState } from '#domain/session-calendar.ts'
import type { FailoverRecord, FeedStatus, LineStatus } from '#domain/status.ts'

/** The health report as it travels: the judgement and what surrounds it. Null is what nobody could be asked for. */
export interface TransmittedHealth extends Omit<HealthVerdict, 'session_state'> {
  schema: string
  generated_at: string
  mode: string
  profile: string
  window: string | null
  trading_day: string | null
  session_state: SessionState | null
  /** When the running or next window opens, on this host's clock; absent where no daemon was asked. */
  window_opens_at?: string
  lines: { primary: LineStatus | null; backup: LineStatus | null }
  throughput_mps: number
  latency_ms_p99: number | null
  bus: { kind: string; backlog: number; connected: boolean }
  remediation: Remediation
  /** Where the report was also written to. */
  report_file?: string
}

export interface Remediation {
  attempts: number
  requested: number
  recovered: number
  rate_limit_events: number
}

export interface SubscriptionList {
  subscriptions: { symbol: string; exchange: string; last_tick_at: string | null; refused: boolean }[]
  generated_at: string
}

export interface SubscribeOutcome {
  accepted: number
  rejected: { symbol: string; reason: string }[]
  batches: number
}

/** The ticks that are published again, by journal sequence. */
export interface PublishedAgain {
  from: number
  to: number
}

export interface ServingLineOutcome {
  /** Null when the serving line did not change. */
  failover: FailoverRecord | null
  /** What the daemon did, but not as lastingly as it should. */
  warning: string | null
}

export function parseStatus(value: unknown): FeedStatus | null {
  return hasSchema(value, 'feed-supervisor/status/1') ? (value as unknown as FeedStatus) : null
}

export function parseConfigFacts(value: unknown): ConfigFacts | null {
  return hasSchema(value, 'feed-supervisor/config/1') ? (value as unknown as ConfigFacts) : null
}

export function parseHealth(value: unknown): TransmittedHealth | null {
  if (!isRecord(value) || typeof value['schema'] !== 'string') return null
  const { verdict, exit_code: exitCode } = value
  // These two decide what a monitoring system is told, so they are believed only when they are what they should be.
  const known = verdict === 'OK' || verdict === 'WARNING' || verdict === 'CRITICAL' || verdict === 'UNKNOWN'
  return known && typeof exitCode === 'number' && exitCode >= 0 && exitCode <= 3
    ? (value as unknown as TransmittedHealth)
    : null
}

export function parseSubscriptions(value: unknown): SubscriptionList | null {
  return isRecord(value) && Array.isArray(value['subscriptions']) ? (value as unknown as SubscriptionList) : null
}

export function parseSubscribed(value: unknown): SubscribeOutcome | null {
  if (!isRecord(value)) return null
  return {
    accepted: countOf(value['accepted']),
    rejected: Array.isArray(value['rejected']) ? (value['rejected'] as SubscribeOutcome['rejected']) : [],
    batches: countOf(value['batches']),
  }
}

export function parsePublishedAgain(value: unknown): PublishedAgain | null {
  return isRecord(value) ? { from: countOf(value['from']), to: countOf(value['to']) } : null
}

export function parseFailover(value: unknown): ServingLineOutcome | null {
  if (!isRecord(value)) return null
  const { failover, warning } = value
  return {
    failover: isRecord(failover) ? (failover as unknown as FailoverRecord) : null,
    warning: typeof warning === 'string' ? warning : null,
  }
}

export function parseRefusal(value: unknown, status: number): Problem {
  const error = isRecord(value) && isRecord(value['error']) ? value['error'] : {}
  const { kind, message, remedy } = error
  return {
    name: typeof kind === 'string' ? kind : `http-${status}`,
    message: typeof message === 'string' ? message : `the daemon answered with status ${status}`,
    remedy: typeof remedy === 'string' ? remedy : 'Look at the end of the daemon log.',
  }
}

/** Older answers may list what they accepted instead of counting it. */
function countOf(value: unknown): number {
  if (Array.isArray(value)) return value.length
  return typeof value === 'number' ? value : 0
}

function hasSchema(value: unknown, schema: string): boolean {
  return isRecord(value) && value['schema'] === schema
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
