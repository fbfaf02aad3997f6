/** Makes the line sessions of the configuration and connects them to the parts of the daemon that they need. Starts nothing. */
import { BridgeProcess } from '#adapters/feeds/bridge-process.ts'
import type { FeedAdapter } from '#adapters/feeds/feed-adapter.ts'
import type { Clock } from '#clock.ts'
import type { Config, LineConfig } from '#config/config.ts'
import type { Arbiter } from '#domain/arbitration.ts'
import { LINES, type Line, type LineIndex } from '#domain/line.ts'
import type { TickViews } from '#domain/tick.ts'
import { type InstrumentSlots, wantedBy } from './instrument-slots.ts'
import { LineSession } from './line-session.ts'
import type { LoginPermits } from './login-permits.ts'
import { createSubscriptionPacer } from './subscription-pacer.ts'
import type { TickPath } from './tick-path.ts'

export type LineSessions = Readonly<Record<Line, LineSession | null>>

export interface LineParts {
  config: Config
  clock: Clock
  /** The contract list comes by file, so the bridges are not asked for theirs. */
  listsByFile: boolean
  adapters: Readonly<Record<Line, FeedAdapter | null>>
  arbiter: Arbiter
  path: TickPath
  slots: InstrumentSlots
  permits: LoginPermits
  /** Where ticks go: the tick path, or a replay that puts both lines in order first. */
  tick(line: LineIndex, slot: number, views: TickViews, at: number): void
  reached(line: Line, reachedMs: number, nextMs: number): void
  changed(): void
  latched(line: Line, message: string): void
  log(level: 'debug' | 'info' | 'warn' | 'error', message: string, details?: Record<string, unknown>): void
}

/** A bridge lists its instruments before anything else; a recording of a whole market is read through for that. */
const CATALOGUE_TIMEOUT_MS = 120_000
const HELLO_TIMEOUT_MS = 10_000
/** Never below what a busy host may delay a bridge's once-a-second counters by. */
const SILENCE_MIN_MS = 5_000

export function openLines(parts: LineParts): LineSessions {
  return { primary: openLine('primary', parts), backup: openLine('backup', parts) }
}

function openLine(line: Line, parts: LineParts): LineSession | null {
  const { config, clock, arbiter, path, slots, permits } = parts
  const lineConfig = config.feed[line]
  const given = parts.adapters[line]
  if (lineConfig === null || given === null) return null
  const adapter: FeedAdapter = parts.listsByFile ? { ...given, listing: 'file' } : given
  const wanted = wantedBy(lineConfig, config)
  const session: LineSession = new LineSession(line, adapter, 'off', {
    clock,
    openBridge: (command, sink) => new BridgeProcess(command, sink, clock),
    timeouts: {
      helloMs: HELLO_TIMEOUT_MS,
      connectMs: config.timeouts.connectMs,
      loginMs: config.timeouts.loginMs,
      ackMs: config.timeouts.ackMs,
      silenceMs: Math.max(2 * config.liveness.bridgeSilentMs, SILENCE_MIN_MS),
      catalogueMs: CATALOGUE_TIMEOUT_MS,
    },
    pacing: config.pacing,
    pacer: createSubscriptionPacer(config.pacing),
    maxSubscribeAttempts: 1 + config.pacing.maxRetries,
    requestLogin: (account) => permits.request(account),
    isLatched: (account) => permits.isLatched(account),
    latch: async (account, message) => {
      await permits.latch(account, line, adapter.account ?? '***', message)
      parts.latched(line, message)
    },
    slotOf: (symbol, exchange) => slots.slotOf(symbol, exchange),
    listed: (symbol, exchange) => list(session, { symbol, exchange }, parts, wanted),
    slotName: (slot) => slots.table.name(slot),
    expectSnapshot: (slot) => arbiter.expectSnapshot(session.index, slot),
    reading: (nowMs) => {
      path.readAtMs = nowMs
    },
    tick: (slot, views, at) => parts.tick(session.index, slot, views, at),
    reached: (reachedMs, nextMs) => parts.reached(line, reachedMs, nextMs),
    changed: parts.changed,
    jitter: Math.random,
    log: (level, message, details) => parts.log(level, message, { ...details, component: line }),
  })
  return session
}

/**
 * Makes a contract list that came by file the list of every line, as far as its filters let it: at the start, and again when the file has
 * changed. Returns how many contracts came and went on the primary line.
 */
export function listContracts(
  contracts: readonly { symbol: string; exchange: string }[],
  sessions: LineSessions,
  parts: LineParts,
): { added: number; removed: number } {
  const changes = LINES.map((line) => {
    const session = sessions[line]
    const lineConfig: LineConfig | null = parts.config.feed[line]
    if (session === null || lineConfig === null) return { added: 0, removed: 0 }
    const wanted = wantedBy(lineConfig, parts.config)
    const before = session.book.expected
    const named = new Set(contracts.map(({ symbol, exchange }) => parts.slots.slotOf(symbol, exchange)))
    const removed = session.book.listed().filter((slot) => !named.has(slot))
    for (const slot of removed) parts.path.listedOn[slot] = (parts.path.listedOn[slot] ?? 0) & ~(1 << session.index)
    session.listChanged(removed)
    for (const contract of contracts) list(session, contract, parts, wanted)
    session.listChanged([])
    return { added: session.book.expected - before + removed.length, removed: removed.length }
  })
  return changes[0] ?? { added: 0, removed: 0 }
}

function list(
  session: LineSession,
  { symbol, exchange }: { symbol: string; exchange: string },
  { config, slots, path }: LineParts,
  wanted: (symbol: string, exchange: string) => boolean,
): void {
  const slot = slots.slotOf(symbol, exchange)
  if (slot === null || !wanted(symbol, slots.table.name(slot).exchange)) return
  if (config.catalogue.limit !== null && session.book.expected >= config.catalogue.limit) return
  session.book.list(slot)
  path.listedOn[slot] = (path.listedOn[slot] ?? 0) | (1 << session.index)
}
