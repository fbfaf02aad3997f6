/**
 * What the daemon must know to hold a line over a particular kind of feed: which bridge to start, what to tell it, and who lists the
 * contracts. Everything else is the bridge protocol, the same for all of them.
 */
import type { FeedErrorKind } from '#domain/feed-error.ts'
import type { BridgeCommand } from './bridge-process.ts'

export type TradingLogin = { ok: true } | { ok: false; kind: FeedErrorKind; message: string }

/** Whoever may call a trading login off, and hears of its failure while its process still ends. */
export interface TradingLoginWatch {
  /** Something is about to be sent that the front may refuse. Aborts the signal where that must not happen any more. */
  leaving(): void
  failed(kind: FeedErrorKind, message: string): void
}

export interface FeedAdapter {
  readonly kind: 'sim' | 'replay' | 'ctp'
  /** The account as operators may see it, masked to its last three characters. */
  readonly account: string | null
  /** Who shares a login budget and a latch: the account as such, never shown. */
  readonly accountKey: string
  readonly front: string | null
  /** `bridge`: the bridge answers `queryInstruments` before any login; `file`: the daemon was given a contract list. */
  readonly listing: 'bridge' | 'file'
  command(): BridgeCommand
  /** Name, value pairs of the `start` frame. */
  startPairs(): string[]
  /**
   * Name, value pairs of the `login` frame, with secrets resolved just now, those of a trading login before it as well.
   * @throws Failure when a secret can't be resolved
   */
  loginPairs(signal: AbortSignal): Promise<string[]>
  /**
   * One login to the trading front, in a process of its own that is gone when it resolves; for fronts whose market data wants to have
   * seen one today. Absent where none is wanted. Rejects with the signal's reason when aborted.
   */
  readonly tradingLogin?: ((signal: AbortSignal, watch: TradingLoginWatch) => Promise<TradingLogin>) | null
}
