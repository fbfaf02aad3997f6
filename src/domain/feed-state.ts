/** What consumers are told about the feed beside the ticks, on `<prefix>.feed.state`: who serves, under which epoch, and what is missing. */
import type { Line } from './line.ts'
import type { FeedState } from './status.ts'

export interface FeedStateMessage {
  epoch: number
  serving_line: Line
  state: FeedState
  /** ISO 8601 with +08:00: when the state began. */
  since: string
  /** Bounds of a GAP, or the lines of a switch. */
  from?: string
  to?: string
  /** `symbol.exchange` of what a GAP concerns; absent: everything. */
  instruments?: readonly string[]
  host: string
}
