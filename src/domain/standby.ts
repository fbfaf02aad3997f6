/**
 * How far up each line should be, by standby mode: hot lines all stream; a warm line waits logged in, a cold one not at all.
 */
import { unreachable } from './assert.ts'
import type { FailoverPhase, FailoverState } from './failover.ts'
import type { Line } from './line.ts'

export type StandbyMode = 'hot' | 'warm' | 'cold'

export type WantedUp = 'streaming' | 'logged-in' | 'off'

/**
 * Besides the serving line these stream in every mode: all in a gap, the line left while the new one is raised, whichever line was called
 * upon because the serving one delivered nothing, until that is well again, and the home line while it does not serve, because only a
 * streaming line can prove itself stable.
 */
export function linesWanted({ phase, serving, home }: FailoverState, standby: StandbyMode): Record<Line, WantedUp> {
  const wanted = (line: Line): WantedUp => {
    if (phase.kind === 'killed') return 'off'
    return line === serving || line === home || isOtherNeeded(phase) ? 'streaming' : resting(standby)
  }
  return { primary: wanted('primary'), backup: wanted('backup') }
}

function isOtherNeeded(phase: FailoverPhase): boolean {
  return phase.kind === 'gap' || phase.kind === 'raising' || (phase.kind === 'suspect' && phase.needsOther)
}

function resting(standby: StandbyMode): WantedUp {
  switch (standby) {
    case 'hot':
      return 'streaming'
    case 'warm':
      return 'logged-in'
    case 'cold':
      return 'off'
    default:
      return unreachable(standby)
  }
}
