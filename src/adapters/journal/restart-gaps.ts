/** What a change of daemons cost: for each new epoch in the journal the time between the last tick before it and the first one after. */
import { join } from 'node:path'
import type { JournalBlock } from './journal-block.ts'
import { JOURNAL_AT, TICK_FLAG } from './journal-format.ts'
import { readJournal } from './journal-reader.ts'

export interface RestartGap {
  /** Wall time of receipt, ms: the last tick before and the first after. */
  fromMs: number
  toMs: number
  epochBefore: number
  epochAfter: number
}

/** Among live ticks from sequence `from` on, beside a daemon that writes on. Throws what the file system says. */
export async function restartGaps(stateDir: string, from: number): Promise<RestartGap[]> {
  const gaps: RestartGap[] = []
  let last: { epoch: number; receivedMs: number } | null = null
  const blocks = readJournal({
    directory: join(stateDir, 'journal'),
    from: Math.max(1, from),
    onProblem: () => undefined,
  })
  for await (const block of blocks) {
    for (const tick of liveTicks(block)) {
      if (last !== null && last.epoch !== tick.epoch) {
        gaps.push({ fromMs: last.receivedMs, toMs: tick.receivedMs, epochBefore: last.epoch, epochAfter: tick.epoch })
      }
      last = tick
    }
  }
  return gaps
}

function* liveTicks({ views: { u32, f64 }, offsets, count }: JournalBlock) {
  for (let i = 0; i < count; i++) {
    const at = offsets[i] ?? 0
    if (((u32[(at >> 2) + 1] ?? 0) >>> 16) & TICK_FLAG.offSession) continue
    yield { epoch: u32[(at + JOURNAL_AT.epoch) >> 2] ?? 0, receivedMs: f64[(at + JOURNAL_AT.receivedWallMs) >> 3] ?? 0 }
  }
}
