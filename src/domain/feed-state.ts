/** What consumers are told about the feed beside the ticks, on `<prefix>.feed.state`: who serves, under which epoch, and what is missing. */
import type { FailoverStep } from './failover.ts'
import { isoShanghai } from './iso-time.ts'
import { type Line, otherLine } from './line.ts'
import type { FeedState } from './status.ts'

export interface FeedStateMessage {
  epoch: number
  serving_line: Line
  state: FeedState
  /** ISO 8601 with +08:00: when the state began. */
  since: string
  /** Of a GAP: since when, and with the state that ends it until when; else the lines of a switch. */
  from?: string
  to?: string
  /** `symbol.exchange` of what a GAP concerns; absent: everything. */
  instruments?: readonly string[]
  host: string
}

export type Bounds = Pick<FeedStateMessage, 'from' | 'to'>

/**
 * Of a gap, as far as they are known; else the lines of a switch. A switch that ends a gap tells the gap: the line is in the message
 * anyway. `offsetMs` turns monotonic time into dates.
 */
export function boundsOf(
  change: { servingLine: Line; gapSinceMs: number | null; step: Pick<FailoverStep, 'gap' | 'epochBump'> },
  offsetMs: number,
): Bounds {
  const { servingLine, gapSinceMs, step } = change
  const date = (ms: number) => isoShanghai(ms + offsetMs)
  if (step.gap !== null) return { from: date(step.gap.fromMs), to: date(step.gap.toMs) }
  if (gapSinceMs !== null) return { from: date(gapSinceMs) }
  return step.epochBump ? { from: otherLine(servingLine), to: servingLine } : {}
}
