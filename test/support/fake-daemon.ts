/**
 * A daemon to ask, without a feed: the real control server over answers that a test sets. What it was asked is kept, because for an
 * order the asking is the effect.
 */
import { join } from 'node:path'
import { type ControlRequest, serveControl } from '#adapters/control/control-server.ts'
import type { TransmittedHealth } from '#adapters/control/parse-answers.ts'
import type { Failure } from '#domain/failure.ts'
import type { FailoverRecord, FeedStatus, LineStatus } from '#domain/status.ts'

export interface FakeDaemon {
  readonly socketPath: string
  status: FeedStatus
  health: TransmittedHealth
  subscriptions: object
  /** Answers the next order to the serving line; null: nothing was switched. */
  failover: FailoverRecord | null
  /** When set, every order is refused with it. */
  refusal: Failure | null
  readonly orders: { path: string; body: unknown }[]
  readonly questions: string[]
  /** Called after an order is noted. */
  onOrder: (path: string, body: unknown) => void
  close(): Promise<void>
}

export async function startFakeDaemon(stateDir: string): Promise<FakeDaemon> {
  const socketPath = join(stateDir, 'control.sock')
  const daemon: Omit<FakeDaemon, 'close'> = {
    socketPath,
    status: statusOf(),
    health: healthOf(),
    failover: null,
    subscriptions: { subscriptions: [], generated_at: '2026-03-03T10:00:00.000+08:00' },
    refusal: null,
    orders: [],
    questions: [],
    onOrder: () => undefined,
  }
  const answer = (body: unknown) => ({ kind: 'json' as const, status: 200, body })
  const order = (path: string, body: (request: ControlRequest) => unknown) => async (request: ControlRequest) => {
    daemon.orders.push({ path, body: request.body })
    if (daemon.refusal !== null) throw daemon.refusal
    daemon.onOrder(path, request.body)
    return answer(body(request))
  }
  const server = await serveControl(
    socketPath,
    new Map([
      ['GET /v1/status', async () => answer(daemon.status)],
      [
        'GET /v1/health',
        async ({ query }: ControlRequest) => {
          daemon.questions.push(query.toString())
          return answer({ ...daemon.health, mode: query.get('mode') })
        },
      ],
      [
        'POST /v1/health',
        async ({ query, body }: ControlRequest) => {
          daemon.questions.push(`${query} ${JSON.stringify(body)}`)
          return answer({ ...daemon.health, mode: query.get('mode') })
        },
      ],
      ['GET /v1/subscriptions', async () => answer(daemon.subscriptions)],
      ['POST /v1/subscribe', order('/v1/subscribe', () => ({ accepted: ['rb2605.SHFE'], rejected: [], batches: 1 }))],
      ['POST /v1/serving-line', order('/v1/serving-line', () => ({ failover: daemon.failover }))],
      ['POST /v1/shutdown', order('/v1/shutdown', () => ({ stopping: true }))],
    ]),
    () => undefined,
  )
  return Object.assign(daemon, { close: () => server.close() })
}

export function lineOf(overrides: Partial<LineStatus> = {}): LineStatus {
  return {
    state: 'streaming',
    detail: 'subscribed 3 of 3',
    bridge_pid: 4711,
    connected: true,
    logged_in: true,
    expected: 3,
    subscribed: 3,
    refused: 0,
    pulse: 'green',
    pulse_reason: 'The line delivers ticks.',
    last_tick_age_ms: 12,
    account: '***789',
    front: 'simulator',
    first_arrivals: 10,
    delivered: 20,
    acceptable: 10,
    rate_limit_hits: 0,
    login_attempts: 1,
    disconnects: 0,
    dropped: 0,
    ...overrides,
  }
}

export function statusOf(overrides: Partial<FeedStatus> = {}): FeedStatus {
  return {
    schema: 'feed-supervisor/status/1',
    pid: process.pid,
    host: 'test',
    version: '0.0.0',
    profile: 'sim',
    adapter: 'sim',
    window: 'day',
    trading_day: '20260303',
    session_state: 'open',
    market_time: '2026-03-03T10:00:00.000+08:00',
    serving_line: 'primary',
    epoch: 1,
    feed_state: 'ACTIVE',
    ready: true,
    ready_detail: 'ready',
    ready_state: 'ready',
    ready_remedy: null,
    started_at: '2026-03-03T08:55:00.000+08:00',
    uptime_ms: 1_000,
    coverage_ratio: 1,
    tick_coverage_ratio: 1,
    expected_total: 3,
    subscribed_total: 3,
    ticked_total: 3,
    refused_contracts: [],
    exchanges: [],
    lines: { primary: lineOf(), backup: lineOf() },
    ticks: { accepted: 10, duplicate: 10, stale: 0, invalid: 0, off_session: 0 },
    throughput_mps: 10,
    latency_ms_p99: 1,
    rss_bytes: 1,
    journal: {
      records: 10,
      bytes: 1,
      last_sequence: 10,
      synced_sequence: 10,
      lost: 0,
      state: 'writing',
      recovery: null,
    },
    bus: { kind: 'none', backlog: 0, connected: false },
    failover: {
      automatic: true,
      automation: 'automatic',
      paused: null,
      home: 'primary',
      state: 'active',
      detail: 'The serving line is well.',
      last: null,
    },
    config_fingerprint: 'f'.repeat(64),
    warnings: [],
    ...overrides,
  }
}

export function healthOf(overrides: Partial<TransmittedHealth> = {}): TransmittedHealth {
  return {
    schema: 'feed-supervisor/health/1',
    generated_at: '2026-03-03T10:00:00.000+08:00',
    mode: 'dry-run',
    profile: 'sim',
    window: 'day',
    trading_day: '20260303',
    session_state: 'open',
    serving_line: 'primary',
    verdict: 'OK',
    exit_code: 0,
    coverage_ratio: 1,
    tick_coverage_ratio: 1,
    expected_total: 3,
    subscribed_total: 3,
    ticked_total: 3,
    missing_contracts: [],
    refused_contracts: [],
    stalled_contracts: [],
    single_line_contracts: [],
    unexpected_contracts: [],
    ignored_contracts: [],
    lines: { primary: lineOf(), backup: lineOf() },
    throughput_mps: 10,
    latency_ms_p99: 1,
    bus: { kind: 'none', backlog: 0, connected: false },
    remediation: { attempts: 0, requested: 0, recovered: 0, rate_limit_events: 0 },
    warnings: [],
    errors: [],
    ...overrides,
  }
}
