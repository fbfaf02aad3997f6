/** A switch is done when the new line has ticked and is covered, not when the daemon said yes: this waits for the proof. */
import { sleep } from '#clock.ts'
import type { FailoverRecord, FeedStatus } from '#domain/status.ts'
import type { Run } from './run.ts'

export interface SwitchProof {
  record: FailoverRecord
  status: FeedStatus
  /** The line ticks, where the market is open, and carries enough contracts. */
  proven: boolean
}

const LOOK_EVERY_MS = 50

/** Orders a switch and waits for its proof until the deadline or an interrupt. */
export async function awaitProof(run: Run, ordered: FailoverRecord, deadlineMs: number): Promise<SwitchProof> {
  const { control, clock, interrupted } = run
  for (;;) {
    const status = await control.status()
    const { last } = status.failover
    // A later switch, by automation or somebody else, has its own record; this one then stays what it was.
    const isSame = last !== null && last.at === ordered.at && last.to === ordered.to
    const record = isSame ? last : ordered
    const proven = isProven(record, status)
    if (proven || !isSame || clock.monotonicMs() >= deadlineMs || interrupted.aborted) return { record, status, proven }
    await sleep(LOOK_EVERY_MS)
  }
}

function isProven(record: FailoverRecord, { session_state: market }: FeedStatus): boolean {
  // Only continuous trading owes ticks; and a line may be up without a single contract being due.
  const ticks = record.first_tick_ms !== null || market !== 'open'
  return ticks && (record.coverage_restored_ms !== null || market === 'closed' || market === 'holiday')
}
