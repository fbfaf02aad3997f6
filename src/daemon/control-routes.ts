/** What the control socket answers: questions about the feed, and the few orders that an operator may give a running daemon. */
import type { ControlAnswer, ControlRoute, ControlRoutes } from '#adapters/control/control-server.ts'
import { readJournal, type WriteNotifier } from '#adapters/journal/journal-reader.ts'
import { decodeTick } from '#adapters/journal/journal-tick.ts'
import type { ConfigFacts } from '#domain/config-change.ts'
import type { CatalogueEntry } from '#domain/contract-facts.ts'
import { contractFilter } from '#domain/contract-filter.ts'
import type { FailoverCommand } from '#domain/failover.ts'
import { FAILOVER_SENTENCES, type FailoverReason } from '#domain/failover-reason.ts'
import { Failure } from '#domain/failure.ts'
import { formatVtSymbol } from '#domain/instrument.ts'
import type { InstrumentTable } from '#domain/instrument-table.ts'
import { isoShanghai } from '#domain/iso-time.ts'
import { LINES, type Line } from '#domain/line.ts'
import { Subscription } from '#domain/subscription-book.ts'
import { feedStatus, linesOf, type StatusParts } from './feed-status.ts'
import { healthReport } from './health-report.ts'
import type { LineSession } from './line-session.ts'

export interface RouteParts extends StatusParts {
  journalDirectory: string
  journalNotifier: WriteNotifier
  /** Begins an orderly end; returns at once. */
  shutdown(reason: string): void
  /** Makes the kill latch durable before the lines are cut. */
  latchKill(reason: string, drill: string | null): Promise<void>
  /** Keeps a pause, or its end, over restarts. A disk that does not take it must not stop the order: tells why, null when it was kept. */
  keepPause(pause: { reason: string } | null): Promise<string | null>
  audit(event: string, details: Record<string, unknown>): void
  /** The configuration that runs, as it may be shown. @throws Failure<'fingerprint-key'> */
  configFacts(): Promise<ConfigFacts>
}

const SYMBOLS_MAX = 50_000
const REASON_MAX = 500

export function controlRoutes(parts: RouteParts): ControlRoutes {
  const routes: [string, ControlRoute][] = [
    ['GET /v1/status', async () => json(feedStatus(parts))],
    ['GET /v1/health', async ({ query }) => json(healthReport(parts, parseHealthQuestion(query)))],
    [
      'POST /v1/health',
      async ({ query, body }) =>
        json(healthReport(parts, { ...parseHealthQuestion(query), catalogue: parseCatalogueRows(body) })),
    ],
    [
      'GET /v1/config',
      async () => json({ schema: 'feed-supervisor/config/1', pid: process.pid, ...(await parts.configFacts()) }),
    ],
    ['GET /v1/subscriptions', async () => json(subscriptions(parts))],
    ['GET /v1/ticks', async ({ query }) => ticks(parts, query.get('pattern') ?? '*')],
    ['POST /v1/subscribe', async ({ body }) => json(subscribe(parts, parseSubscribeOrder(body)))],
    ['POST /v1/publish', async ({ body }) => json(await publishAgain(parts, body))],
    ['POST /v1/serving-line', async ({ body }) => json(await changeServingLine(parts, parseServingOrder(body)))],
    [
      'POST /v1/shutdown',
      async ({ body }) => {
        const reason = textField(body, 'reason') ?? 'asked over the control socket'
        parts.shutdown(reason.slice(0, REASON_MAX))
        return json({ stopping: true, pid: process.pid })
      },
    ],
  ]
  return new Map(routes)
}

function json(body: unknown): ControlAnswer {
  return { kind: 'json', status: 200, body }
}

/** Rows `[symbol, exchange, first day, last day]`; an empty list would make any coverage look fine. */
function parseCatalogueRows(body: unknown): CatalogueEntry[] {
  const rows = field(body, 'catalogue')
  if (!Array.isArray(rows) || rows.length === 0) {
    throw new Failure(
      'bad-request',
      'catalogue is no list of contracts',
      'Send {"catalogue": [["rb2605", "SHFE", null, null]]}.',
    )
  }
  return rows.map((row: unknown) => {
    const [symbol, exchange, openDay, expiryDay]: unknown[] = Array.isArray(row) ? row : []
    if (typeof symbol !== 'string' || typeof exchange !== 'string') {
      throw new Failure(
        'bad-request',
        `catalogue holds ${JSON.stringify(row)}`,
        'Send rows of symbol, exchange and days.',
      )
    }
    const day = (value: unknown) => (typeof value === 'number' ? value : null)
    return { symbol, exchange, openDay: day(openDay), expiryDay: day(expiryDay) }
  })
}

function parseHealthQuestion(query: URLSearchParams) {
  const number = (name: string, factor: number) => {
    const text = query.get(name)
    if (text === null) return undefined
    const value = Number(text)
    if (!Number.isFinite(value) || value < 0) {
      throw new Failure('bad-request', `${name} is not a number of at least 0`, `Give ${name} as a plain number.`)
    }
    return value * factor
  }
  const coverageThreshold = number('coverage_threshold', 1)
  const lagWarningMs = number('lag_warning', 1_000)
  const lagCriticalMs = number('lag_critical', 1_000)
  return {
    mode: query.get('mode') ?? 'dry-run',
    thresholds: {
      ...(coverageThreshold !== undefined && { coverageThreshold }),
      ...(lagWarningMs !== undefined && { lagWarningMs }),
      ...(lagCriticalMs !== undefined && { lagCriticalMs }),
    },
  }
}

/** Every listed contract, where it stands on each line, and when it last ticked. */
export function subscriptions(parts: StatusParts) {
  const nowMs = parts.clock.monotonicMs()
  const wallMs = parts.clock.wallMs()
  const rows = []
  for (let slot = 0; slot < parts.table.count; slot++) {
    const states = linesOf(parts.sessions).map((session) => [session, session.book.state(slot)] as const)
    const listed = states.filter(([, state]) => state !== Subscription.unlisted)
    if (listed.length === 0) continue
    const { symbol, exchange } = parts.table.name(slot)
    const lastMs = Math.max(...parts.path.lines.map((line) => line.lastLiveMs[slot] ?? 0))
    rows.push({
      symbol,
      exchange,
      lines: Object.fromEntries(listed.map(([session, state]) => [session.line, SUBSCRIPTION_WORDS[state]])),
      refused: listed.some(([, state]) => state === Subscription.refused),
      last_tick_at: lastMs === 0 ? null : isoShanghai(wallMs - (nowMs - lastMs)),
    })
  }
  return { subscriptions: rows, generated_at: isoShanghai(wallMs) }
}

const SUBSCRIPTION_WORDS = ['unlisted', 'wanted', 'requested', 'subscribed', 'refused'] as const

/** Live ticks as NDJSON from now on, read from the journal, so that a slow reader costs nobody anything. */
function ticks(parts: RouteParts, pattern: string): ControlAnswer {
  const wanted = contractFilter({ include: [pattern], exclude: [] })
  return {
    kind: 'lines',
    async *lines(signal) {
      const blocks = readJournal({
        directory: parts.journalDirectory,
        from: parts.journal.lastSequence + 1,
        onProblem: () => undefined,
        follow: signal,
        notifier: parts.journalNotifier,
      })
      for await (const block of blocks) {
        let text = ''
        for (let i = 0; i < block.count; i++) {
          const tick = decodeTick(block, i)
          if (tick.off_session !== true && wanted(tick)) text += `${JSON.stringify(tick)}\n`
        }
        if (text !== '') yield text
      }
    },
  }
}

export interface SubscribeOrder {
  symbols: readonly string[] | null
  line: Line | null
  only: 'missing' | 'stalled' | null
}

function parseSubscribeOrder(body: unknown): SubscribeOrder {
  const symbols = field(body, 'symbols')
  const isList = Array.isArray(symbols) && symbols.every((each) => typeof each === 'string')
  if (symbols !== undefined && !isList) {
    throw new Failure('bad-request', 'symbols is not a list of texts', 'Send {"symbols": ["rb2605.SHFE"]}.')
  }
  if (isList && symbols.length > SYMBOLS_MAX) {
    throw new Failure('bad-request', `more than ${SYMBOLS_MAX} symbols at once`, 'Send them in several requests.')
  }
  const only = textField(body, 'only')
  if (only !== null && only !== 'missing' && only !== 'stalled') {
    throw new Failure('bad-request', `only is ${JSON.stringify(only)}`, 'Use "missing" or "stalled".')
  }
  return { symbols: isList ? symbols : null, line: lineField(body), only }
}

/**
 * Asks the lines again: for the symbols given, else for what is stalled or missing. Every symbol that was asked for is in exactly one of the
 * two lists of the answer, once.
 */
export function subscribe(parts: StatusParts & Pick<RouteParts, 'audit'>, order: SubscribeOrder) {
  const sessions = linesOf(parts.sessions).filter(({ line }) => order.line === null || order.line === line)
  const rejected = new Map<string, string>()
  const accepted = new Set<number>()
  const asked = new Map<number, string>()
  for (const symbol of order.symbols ?? []) {
    const slot = slotOfSymbol(parts.table, symbol)
    if (slot === undefined) rejected.set(symbol, 'not on the contract list')
    else asked.set(slot, symbol)
  }
  const named = order.symbols === null ? null : [...asked.keys()]
  const chosen = named ?? (order.only === 'stalled' ? stalledSlots(parts) : null)
  for (const session of sessions) {
    const slots = chosen ?? unansweredSlots(session)
    const wanted = slots.filter((slot) => session.book.state(slot) !== Subscription.unlisted)
    session.subscribeAgain(wanted)
    for (const slot of wanted) accepted.add(slot)
  }
  for (const [slot, symbol] of asked) {
    if (!accepted.has(slot)) rejected.set(symbol, reasonUnlisted(parts, slot, order.line))
  }
  parts.audit('subscribe', { accepted: accepted.size, rejected: rejected.size, line: order.line ?? 'both' })
  return {
    accepted: [...accepted].map((slot) => vtSymbolOf(parts.table, slot)),
    rejected: [...rejected].map(([symbol, reason]) => ({ symbol, reason })),
    batches: Math.ceil(accepted.size / 500),
  }
}

/** Answered when it has begun; how far it is shows as the bus's backlog. */
async function publishAgain({ bus, audit }: RouteParts, body: unknown) {
  if (bus === null) {
    throw new Failure('no-bus', 'the running daemon has no bus', 'Set NATS_URL and start it again.')
  }
  const from = numberField(body, 'from')
  if (from === null) throw new Failure('bad-request', 'from is no number', 'Send {"from": 1000001399}.')
  const range = await bus.publisher.republish(from, field(body, 'again') === true)
  audit('publish', { ...range })
  return range
}

/** By `rb2605` or `rb2605.SHFE`. */
function slotOfSymbol(table: InstrumentTable, symbol: string): number | undefined {
  const bare = table.slotOf(symbol)
  if (bare !== undefined) return bare
  const slot = table.slotOf(symbol.replace(/\.[A-Z]+$/, ''))
  return slot !== undefined && vtSymbolOf(table, slot) === symbol ? slot : undefined
}

function vtSymbolOf(table: InstrumentTable, slot: number): string {
  const { symbol, exchange } = table.name(slot)
  return formatVtSymbol(symbol, exchange)
}

function reasonUnlisted(parts: StatusParts, slot: number, line: Line | null): string {
  if (parts.resting().has(slot)) return 'not listed at its exchange today'
  return line === null ? 'not on the list of any line' : `not on the list of the ${line} line`
}

function unansweredSlots({ book }: LineSession): number[] {
  return book.slotsIn(Subscription.requested).concat(book.slotsIn(Subscription.wanted))
}

function stalledSlots(parts: StatusParts): number[] {
  const { stalled_contracts } = healthReport(parts, { mode: 'dry-run', thresholds: {} })
  return stalled_contracts.flatMap(({ symbol }) => parts.table.slotOf(symbol) ?? [])
}

type ServingCommand = 'failover' | 'failback' | 'pause' | 'resume' | 'kill'
interface ServingOrder {
  command: ServingCommand
  line: Line | null
  reason: string
  /** The drill that gives the order. */
  drill: string | null
  givenAtMs: number | null
}

function parseServingOrder(body: unknown): ServingOrder {
  const command = textField(body, 'command')
  switch (command) {
    case 'failover':
    case 'failback':
    case 'pause':
    case 'resume':
    case 'kill':
      return {
        command,
        line: lineField(body),
        reason: (textField(body, 'reason') ?? '').slice(0, REASON_MAX),
        drill: textField(body, 'drill')?.slice(0, REASON_MAX) ?? null,
        givenAtMs: numberField(body, 'given_at_ms'),
      }
    default:
      throw new Failure(
        'bad-request',
        `command is ${JSON.stringify(command)}`,
        'Use failover, failback, pause, resume or kill.',
      )
  }
}

const REFUSING: ReadonlySet<FailoverReason> = new Set(['target-not-configured', 'target-cannot-serve'])
/** A switch is reported when the new line has ticked; in a quiet market the answer comes without that figure. */
const FIRST_TICK_WAIT_MS = 3_000

async function changeServingLine(parts: RouteParts, order: ServingOrder) {
  const { supervisor, clock } = parts
  const takenAtMs = clock.monotonicMs()
  const { command, reason, drill, givenAtMs } = order
  const notLatched = command === 'kill' ? await failureOf(parts.latchKill(reason, drill)) : null
  const step = supervisor.round(commandOf(order, supervisor.serving, supervisor.state.home), {
    keepsHome: drill !== null,
    givenAtMs,
    takenAtMs,
  })
  const notKept = await keepAutomation(parts, order)
  parts.audit(command, {
    reason,
    drill,
    outcome: step.reason,
    serving_line: step.serve,
    epoch: supervisor.epoch,
    ...(notKept !== null && { not_kept: notKept }),
  })
  // The lines are cut all the same: a full disk is no reason to keep a feed that must stop.
  if (notLatched !== null) throw notLatched
  if (REFUSING.has(step.reason)) {
    throw new Failure(
      step.reason,
      FAILOVER_SENTENCES[step.reason],
      'Look at start-live-env status: the other line must be logged in and subscribed before it can serve.',
    )
  }
  await supervisor.settled()
  if (step.epochBump) await supervisor.measured(FIRST_TICK_WAIT_MS)
  return {
    failover: step.epochBump ? supervisor.lastFailover : null,
    serving_line: supervisor.serving,
    epoch: supervisor.epoch,
    reason: step.reason,
    detail: FAILOVER_SENTENCES[step.reason],
    warning: notKept,
  }
}

async function failureOf(work: Promise<void>): Promise<unknown> {
  return work.then(
    () => null,
    (error: unknown) => error,
  )
}

async function keepAutomation(parts: RouteParts, { command, reason }: ServingOrder): Promise<string | null> {
  switch (command) {
    case 'pause':
      return parts.keepPause({ reason })
    case 'resume':
      return parts.keepPause(null)
    case 'failover':
    case 'failback':
    case 'kill':
      return null
  }
}

function commandOf(order: ServingOrder, serving: Line, home: Line): FailoverCommand {
  switch (order.command) {
    case 'pause':
    case 'resume':
    case 'kill':
      return order.command
    case 'failover':
      return `serve-${order.line ?? (serving === 'primary' ? 'backup' : 'primary')}`
    case 'failback':
      return `serve-${order.line ?? (serving === home ? 'primary' : home)}`
  }
}

function field(body: unknown, name: string): unknown {
  return typeof body === 'object' && body !== null ? Reflect.get(body, name) : undefined
}

function textField(body: unknown, name: string): string | null {
  const value = field(body, name)
  return typeof value === 'string' ? value : null
}

function numberField(body: unknown, name: string): number | null {
  const value = field(body, name)
  return typeof value === 'number' && Number.isFinite(value) ? value : null
}

function lineField(body: unknown): Line | null {
  const value = textField(body, 'line')
  if (value === null) return null
  const line = LINES.find((each) => each === value)
  if (line === undefined)
    throw new Failure('bad-request', `line is ${JSON.stringify(value)}`, 'Use "primary" or "backup".')
  return line
}
