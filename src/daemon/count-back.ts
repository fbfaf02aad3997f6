/**
 * Finds a place in the journal by counting: messages of the stream and live ticks of the journal follow each other in the same order, so
 * the message `n` before a known one is the live tick `n` before that one's.
 */
import { isOffSession } from '#adapters/bus/tick-encoder.ts'
import { readJournal } from '#adapters/journal/journal-reader.ts'

/** Ticks outside sessions lie between; most days they are few. */
const READ_FIRST = 1.25
const MARGIN = 10_000

/**
 * Sequence behind which exactly `liveTicks` live ticks lie up to and including `sequence`; null when the journal does not hold as many
 * any more, or not unbroken. @throws Node's error when the journal can't be read
 */
export async function tickBefore(directory: string, sequence: number, liveTicks: number): Promise<number | null> {
  for (let reach = Math.ceil(liveTicks * READ_FIRST) + MARGIN; ; reach *= 4) {
    const from = Math.max(1, sequence - reach)
    const live = await liveSequences(directory, from, sequence)
    const first = live?.[live.length - liveTicks]
    if (first !== undefined) return first - 1
    if (live === null || from === 1) return null
  }
}

/** Of the live ticks, oldest first; null when the journal is damaged there. */
async function liveSequences(directory: string, from: number, to: number): Promise<number[] | null> {
  const live: number[] = []
  let isWhole = true
  const blocks = readJournal({ directory, from, onProblem: () => (isWhole = false) })
  for await (const block of blocks) {
    if (block.firstSequence > to) break
    for (let i = 0; i < block.count && block.firstSequence + i <= to; i++) {
      if (!isOffSession(block, i)) live.push(block.firstSequence + i)
    }
  }
  return isWhole ? live : null
}
