/**
 * What the daemon tells over its control socket: the shapes shared by the daemon, the commands and the tests. Field names are
 * outside behaviour, so they are spelled as operators and scripts read them.
 */
import type { Line } from './line.ts'
import type { Pulse } from './liveness.ts'
import type { SessionState } from './session-calendar.ts'

export type FeedState = 'ACTIVE' | 'SUSPECT' | 'SWITCHED' | 'GAP' | 'CLOSED' | 'KILLED'

/** Where a line's session stands; one word per thing an operator can act on. */
export type LineState =
  | 'off'
  | 'connecting'
  | 'logging-in'
  | 'logged-in'
  | 'subscribing'
  | 'streaming'
  | 'waiting'
  | 'latched'
  | 'failed'

/** The secrets that a line logs in with: where they are and how far they are proven, never what they are. */
export interface SecretStatus {
  state: 'unread' | 'in-use' | 'changed' | 'proving' | 'refused'
  /** How the one in use was proven; null before the first login. */
  proof: 'login' | 'trading-login' | 'unproven' | null
  detail: string
  /** References, such as `vault:secret/ctp#password`. */
  source: string
  /** When its store or file was last changed, as far as that tells. */
  changed_at: string | null
  age_days: number | null
  checked_at: string | null
}

export interface LineStatus {
  state: LineState
  /** One sentence: why the line is in this state. */
  detail: string
  bridge_pid: number | null
  connected: boolean
  logged_in: boolean
  expected: number
  subscribed: number
  refused: number
  pulse: Pulse
  pulse_reason: string
  last_tick_age_ms: number | null
  /** Masked to the last three characters. */
  account: string | null
  front: string | null
  first_arrivals: number
  /** Ticks read from the line, whatever became of them. */
  delivered: number
  /** Those of them that were news, outside sessions too: the journal must hold every one. */
  acceptable: number
  rate_limit_hits: number
  login_attempts: number
  disconnects: number
  /** Ticks that the line's own bridge had to drop because the daemon read too slowly. */
  dropped: number
  /** Absent where nobody looks after it: a line that is not configured. */
  secret?: SecretStatus | null
}

export interface TickTotals {
  accepted: number
  duplicate: number
  stale: number
  invalid: number
  off_session: number
}

export interface ExchangeCoverage {
  exchange: string
  expected: number
  subscribed: number
  refused: number
  ticked: number
  session_state: SessionState
}

export interface FailoverRecord {
  at: string
  from: Line
  to: Line
  reason: string
  detect_ms: number | null
  decide_ms: number | null
  first_tick_ms: number | null
  coverage_restored_ms: number | null
  gap_ms: number | null
  lost: number | null
  duplicates: number | null
}

export interface BusStatus {
  kind: 'none' | 'nats'
  /** Ticks that wait for the bus. */
  backlog: number
  connected: boolean
  /** Of the durable consumers that count what each has still to get, null for one that is gone; null while they can't be asked. */
  consumers?: readonly { consumer: string; messages: number | null }[] | null
  /** How far one may be behind. */
  consumer_backlog_max?: number
}

export type ReadyState = 'ready' | 'coming-up' | 'contracts-refused' | 'latched'

export interface FeedStatus {
  schema: 'feed-supervisor/status/1'
  pid: number
  host: string
  version: string
  profile: string
  adapter: string
  window: 'day' | 'night'
  trading_day: string
  session_state: SessionState
  market_time: string
  serving_line: Line
  epoch: number
  feed_state: FeedState
  /** True once coverage on the serving line is at or above the threshold and journal and control socket work. */
  ready: boolean
  /** One sentence: what is still missing, or `ready`. */
  ready_detail: string
  /** `contracts-refused` and `latched` do not pass by waiting. */
  ready_state: ReadyState
  /** What an operator can do about it; null where time will do. */
  ready_remedy: string | null
  started_at: string
  uptime_ms: number
  coverage_ratio: number
  tick_coverage_ratio: number
  expected_total: number
  subscribed_total: number
  ticked_total: number
  refused_contracts: string[]
  exchanges: ExchangeCoverage[]
  lines: { primary: LineStatus; backup: LineStatus | null }
  ticks: TickTotals
  throughput_mps: number
  latency_ms_p99: number | null
  latency_ms_p95?: number | null
  rss_bytes: number
  journal: {
    records: number
    bytes: number
    last_sequence: number
    synced_sequence: number
    lost: number
    state: 'writing' | 'failing'
    /** Why it fails, and what to do; null while it works. */
    trouble?: { message: string; remedy: string } | null
    recovery: string | null
  }
  bus: BusStatus
  failover: {
    automatic: boolean
    automation: 'automatic' | 'paused' | 'flap-latched'
    /** Since when and why an operator paused it, also before the last restart; null when none did. */
    paused: { since: string; reason: string } | null
    /** The line to which automation returns. */
    home: Line
    state: string
    detail: string
    last: FailoverRecord | null
  }
  /** Fingerprint of the configuration the daemon runs with, secrets excluded; `start` and `plan` compare it. */
  config_fingerprint: string
  warnings: string[]
}
