/** Makes the line sessions of the configuration and connects them to the parts of the daemon that they need. Starts nothing. */
import { BridgeProcess } from '#adapters/feeds/bridge-process.ts'
import type { FeedAdapter } from '#adapters/feeds/feed-adapter.ts'
import type { Clock } from '#clock.ts'
import type { Config } from '#config/config.ts'
import type { Arbiter } from '#domain/arbitration.ts'
import type { Line, LineIndex } from '#domain/line.ts'
import type { TickViews } from '#domain/tick.ts'
import type { ContractList, LineSessions } from './contract-list.ts'
import type { InstrumentSlots } from './instrument-slots.ts'
import { LineSession } from './line-session.ts'
import type { LoginPermits } from './login-permits.ts'
import { createSubscriptionPacer } from './subscription-pacer.ts'
import type { TickPath } from './tick-path.ts'

export interface LineParts {
  config: Config
  clock: Clock
  /** The contract list comes by file, so the bridges are not asked for theirs. */
  listsByFile: boolean
  adapters: Readonly<Record<Line, FeedAdapter | null>>
  arbiter: Arbiter
  path: TickPath
  slots: InstrumentSlots
  list: ContractList
  permits: LoginPermits
  /** CLOCK_MONOTONIC since which the bridges' pipes are read without a break. */
  readingSinceMs(): number
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
  const given = parts.adapters[line]
  if (config.feed[line] === null || given === null) return null
  const adapter: FeedAdapter = parts.listsByFile ? { ...given, listing: 'file' } : given
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
    countRefusal: (account) => permits.countRefusal(account),
    sessionHeld: (account) => permits.sessionHeld(account),
    slotOf: (symbol, exchange) => slots.slotOf(symbol, exchange),
    listed: (symbol, exchange) => parts.list.add(session, { symbol, exchange }),
    slotName: (slot) => slots.table.name(slot),
    expectSnapshot: (slot) => arbiter.expectSnapshot(session.index, slot),
    reading: (nowMs) => {
      path.readAtMs = nowMs
    },
    tick: (slot, views, at) => parts.tick(session.index, slot, views, at),
    reached: (reachedMs, nextMs) => parts.reached(line, reachedMs, nextMs),
    changed: parts.changed,
    readingSinceMs: parts.readingSinceMs,
    jitter: Math.random,
    log: (level, message, details) => parts.log(level, message, { ...details, component: line }),
  })
  return session
}
