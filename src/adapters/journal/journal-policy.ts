/** The bounds of the journal: how much it keeps, holds and waits. */
import type { RetentionPolicy } from './segment-store.ts'

export interface JournalPolicy extends RetentionPolicy {
  segmentBytesMax: number
  /** Ticks waiting for the disk; beyond it new ones are refused. */
  heldBytesMax: number
  syncIntervalMs: number
  /** A tick waits no longer than this for a `flush`. */
  flushAfterMs: number
  /** How often a failing disk is tried again. */
  retryAfterMs: number
  sweepIntervalMs: number
  /** Sequence numbers reserved on disk at a time. */
  reservedAtOnce: number
}

export const DEFAULT_JOURNAL_POLICY: JournalPolicy = {
  segmentBytesMax: 256 << 20,
  heldBytesMax: 32 << 20,
  syncIntervalMs: 50,
  flushAfterMs: 2,
  retryAfterMs: 1000,
  sweepIntervalMs: 5000,
  reservedAtOnce: 1_000_000,
  keepDays: 7,
  keepBytes: Number.POSITIVE_INFINITY,
  minFreeBytes: 256 << 20,
}
