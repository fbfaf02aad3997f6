/**
 * What the commands ask of a running daemon: the control socket of contract section 4 with a deadline on every question. Something
 * that the daemon declines is an answer and comes back as a value; not reaching it at all is a Failure.
 */
import type { ConfigFacts } from '#domain/config-change.ts'
import type { CatalogueEntry } from '#domain/contract-facts.ts'
import { Failure, type Problem } from '#domain/failure.ts'
import type { Line } from '#domain/line.ts'
import type { FeedStatus } from '#domain/status.ts'
import { type ExchangeFailure, exchange, type HttpRequest } from './http-exchange.ts'
import {
  type PublishedAgain,
  parseConfigFacts,
  parseFailover,
  parseHealth,
  parsePublishedAgain,
  parseRefusal,
  parseStatus,
  parseSubscribed,
  parseSubscriptions,
  type ServingLineOutcome,
  type SubscribeOutcome,
  type SubscriptionList,
  type TransmittedHealth,
} from './parse-answers.ts'

export interface HealthQuestion {
  mode: 'dry-run' | 'enforce' | 'audit'
  coverageThreshold?: number
  lagWarningSeconds?: number
  lagCriticalSeconds?: number
  /** What is expected, instead of the daemon's own lists. */
  catalogue?: readonly CatalogueEntry[]
}

export interface SubscribeOrder {
  symbols?: readonly string[]
  line?: Line
  only?: 'missing' | 'stalled'
}

export type ServingLineCommand = 'failover' | 'failback' | 'pause' | 'resume' | 'kill'
export interface ServingLineOrder {
  command: ServingLineCommand
  line?: Line
  reason: string
  /** The drill that gives the order: it is no choice of line, and its kill latch gives way to one that is meant. */
  drill?: string
  /** CLOCK_MONOTONIC of the operator's word, so that the daemon can tell how long it was on the way. */
  given_at_ms?: number
}

/** `status` is the HTTP status: 409 and 503 are about the feed's state, 400 about the question. */
export interface Refusal {
  kind: 'refused'
  status: number
  problem: Problem
}
export type Answer<Body> = { kind: 'done'; body: Body } | Refusal

export interface ControlClient {
  readonly socketPath: string
  status(): Promise<FeedStatus>
  health(question: HealthQuestion): Promise<TransmittedHealth>
  /** The configuration that runs. */
  config(): Promise<ConfigFacts>
  subscriptions(): Promise<SubscriptionList>
  subscribe(order: SubscribeOrder): Promise<Answer<SubscribeOutcome>>
  servingLine(order: ServingLineOrder): Promise<Answer<ServingLineOutcome>>
  publishAgain(order: { from: number; again: boolean }): Promise<Answer<PublishedAgain>>
  shutdown(reason: string): Promise<Answer<null>>
}

export interface ControlClientOptions {
  socketPath: string
  /** For questions that are answered from memory. */
  timeoutMs?: number
  /** For orders that the daemon answers when the feed has followed: subscribing, moving the serving line. */
  orderTimeoutMs?: number
  signal?: AbortSignal
}

const QUESTION_TIMEOUT_MS = 3_000
const ORDER_TIMEOUT_MS = 30_000

/** Every method throws an ExchangeFailure when the daemon cannot be reached, and the signal's reason when aborted. */
export function controlClient(options: ControlClientOptions): ControlClient {
  const { socketPath, signal, timeoutMs = QUESTION_TIMEOUT_MS, orderTimeoutMs = ORDER_TIMEOUT_MS } = options
  const call = async <Body>(
    request: Pick<HttpRequest, 'method' | 'path' | 'body' | 'timeoutMs'>,
    parse: (body: unknown) => Body | null,
  ): Promise<Answer<Body>> => {
    const { status, body } = await exchange({ ...request, socketPath, ...(signal && { signal }) })
    const value = parseJson(body, request.path)
    if (status >= 400) return { kind: 'refused', status, problem: parseRefusal(value, status) }
    const parsed = parse(value)
    if (parsed === null) throw foreignAnswer(request.path)
    return { kind: 'done', body: parsed }
  }
  /** What has to be told along with the question goes as its body. */
  const ask = async <Body>(path: string, parse: (body: unknown) => Body | null, told?: unknown): Promise<Body> => {
    const request =
      told === undefined ? { method: 'GET' as const, path } : { method: 'POST' as const, path, body: told }
    const answer = await call({ ...request, timeoutMs }, parse)
    if (answer.kind === 'refused') throw refusalFailure(answer)
    return answer.body
  }
  const order = <Body>(path: string, body: unknown, parse: (body: unknown) => Body | null) =>
    call({ method: 'POST', path, body, timeoutMs: orderTimeoutMs }, parse)

  return {
    socketPath,
    status: () => ask('/v1/status', parseStatus),
    health: (question) => {
      const { catalogue } = question
      const told = catalogue && { catalogue: catalogue.map(catalogueRow) }
      return ask(`/v1/health?${healthQuery(question)}`, parseHealth, told)
    },
    config: () => ask('/v1/config', parseConfigFacts),
    subscriptions: () => ask('/v1/subscriptions', parseSubscriptions),
    subscribe: (body) => order('/v1/subscribe', body, parseSubscribed),
    servingLine: (body) => order('/v1/serving-line', body, parseFailover),
    publishAgain: (body) => order('/v1/publish', body, parsePublishedAgain),
    shutdown: async (reason) => {
      // Answered before the draining begins, so a daemon that does not answer soon does not listen at all.
      const answer = await call({ method: 'POST', path: '/v1/shutdown', body: { reason }, timeoutMs }, () => true)
      return answer.kind === 'refused' ? answer : { kind: 'done', body: null }
    },
  }
}

/** True for the failures that mean "there is no daemon", as opposed to one that does not answer. */
export function isNotRunning(error: unknown): boolean {
  return error instanceof Failure && error.kind === 'not-running'
}

/** A refused order as a thrown failure, for callers that have no use for the difference. */
export function refusalFailure({ problem }: Refusal): Failure {
  return new Failure(problem.name, problem.message, problem.remedy)
}

function healthQuery(question: HealthQuestion): string {
  const query = new Map<string, string>([['mode', question.mode]])
  if (question.coverageThreshold !== undefined) query.set('coverage_threshold', String(question.coverageThreshold))
  if (question.lagWarningSeconds !== undefined) query.set('lag_warning', String(question.lagWarningSeconds))
  if (question.lagCriticalSeconds !== undefined) query.set('lag_critical', String(question.lagCriticalSeconds))
  return [...query].map(([name, value]) => `${name}=${encodeURIComponent(value)}`).join('&')
}

/** As short as it can be: a whole market has 25,000 of them. */
function catalogueRow({ symbol, exchange, openDay, expiryDay }: CatalogueEntry) {
  return [symbol, exchange, openDay, expiryDay]
}

function parseJson(text: string, path: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw foreignAnswer(path)
  }
}

function foreignAnswer(path: string): ExchangeFailure {
  return new Failure(
    'control-broken',
    `the answer to ${path.split('?', 1).join('')} is not in the form this version understands`,
    'See that the daemon and this command are of the same version; start-live-env restart makes them so.',
  )
}
