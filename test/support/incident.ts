/** One incident lived through in the simulation: what was decided, told and sent, with the moments since its beginning. */
import type { FailoverReason } from '#domain/failover-reason.ts'
import type { Line } from '#domain/line.ts'
import type { FeedState } from '#domain/status.ts'
import type { Schedule } from '../simulation/schedule.ts'
import { type SimulationEnd, type SimulationOptions, simulate } from '../simulation/simulation.ts'

export interface Incident extends SimulationEnd {
  logins: { line: Line; atMs: number }[]
  /** Feed states as consumers were told, in order, without the gap that every start begins with. */
  told: { state: FeedState; serving: Line; atMs: number; reason: FailoverReason; gapMs: number | null }[]
  /** What the supervisor logged, each with its seconds. */
  sentences: string[]
}

/** Throws what the oracle found: an incident that breaks one of its rules proves nothing else. */
export async function liveThrough(schedule: Schedule, options: SimulationOptions = {}): Promise<Incident> {
  const logins: Incident['logins'] = []
  const told: Incident['told'] = []
  const sentences: string[] = []
  let isComingUp = true
  const end = await simulate(schedule, {
    ...options,
    log: (line) => sentences.push(line),
    loginSent: (line, atMs) => logins.push({ line, atMs: atMs - schedule.startMs }),
    published: ({ feedState, servingLine, step: { reason, gap } }, atMs) => {
      if (isComingUp && feedState === 'GAP') return
      // The message that ends the start's gap tells its bounds.
      const begins = isComingUp
      isComingUp = false
      told.push({
        state: feedState,
        serving: servingLine,
        atMs: atMs - schedule.startMs,
        reason,
        gapMs: gap === null || begins ? null : gap.toMs - gap.fromMs,
      })
    },
  })
  if (end.violation !== null) throw end.violation
  return { ...end, logins, told, sentences }
}

export function loginsOf({ logins }: Incident, line: Line, fromMs = 0, untilMs = Number.POSITIVE_INFINITY): number {
  return logins.filter((each) => each.line === line && each.atMs >= fromMs && each.atMs < untilMs).length
}
