/**
 * What was lost around a switch: ticks that a line's bridge took from its front and that never reached the journal. Either the journal
 * refused them, or the bridge had to drop them and the other line, which would have brought the same ones, was not whole either.
 */
import { LINES, type Line, lineIndex, otherLine } from '#domain/line.ts'
import type { LineSession } from './line-session.ts'
import type { TickPath } from './tick-path.ts'

interface LineDelivery {
  received: number
  /** Ticks that the line's present bridge could not hand over. */
  dropped: number
  /** CLOCK_MONOTONIC; null while it does not stream. */
  streamingSinceMs: number | null
}

export interface Delivery {
  atMs: number
  refused: number
  lines: Readonly<Record<Line, LineDelivery | null>>
}

type Sessions = Readonly<Record<Line, LineSession | null>>

export function deliveryNow(path: TickPath, sessions: Sessions, refused: number, nowMs: number): Delivery {
  const ofLine = (line: Line): LineDelivery | null => {
    const session = sessions[line]
    if (session === null) return null
    const streamingSinceMs = session.state === 'streaming' ? session.stateSinceMs : null
    return { received: path.lines[lineIndex(line)].received, dropped: session.counters.dropped, streamingSinceMs }
  }
  return { atMs: nowMs, refused, lines: { primary: ofLine('primary'), backup: ofLine('backup') } }
}

/** Null when neither line delivered anything, so that there was nothing to lose. An upper bound where ticks were dropped. */
export function lostSince(before: Delivery, now: Delivery): number | null {
  const received = LINES.map((line) => growth(before.lines[line]?.received, now.lines[line]?.received))
  if (received.every((count) => count === 0)) return null
  return LINES.reduce((lost, line) => {
    const dropped = growth(before.lines[line]?.dropped, now.lines[line]?.dropped)
    return lost + (dropped > 0 && !wasWhole(otherLine(line), before, now) ? dropped : 0)
  }, now.refused - before.refused)
}

function wasWhole(line: Line, before: Delivery, now: Delivery): boolean {
  const since = now.lines[line]?.streamingSinceMs ?? null
  const dropped = growth(before.lines[line]?.dropped, now.lines[line]?.dropped)
  return since !== null && since <= before.atMs && dropped === 0
}

/** A new bridge counts from nothing. */
function growth(before = 0, now = 0): number {
  return now >= before ? now - before : now
}
