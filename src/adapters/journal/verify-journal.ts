/** Is the journal on disk intact? Reads every byte of it, beside a running daemon too, in bounded memory. */
import { type FileOperations, systemFiles } from './file-operations.ts'
import { type JournalProblem, problemsIn, REMEDY } from './journal-problem.ts'
import { listSegments, readJournal } from './journal-reader.ts'
import { readReservation, SEQUENCE_FILE } from './sequence-file.ts'

export interface JournalVerdict {
  intact: boolean
  segments: number
  records: number
  /** 0 in an empty journal. */
  firstSequence: number
  lastSequence: number
  /** The first PROBLEMS_MAX of them. */
  problems: JournalProblem[]
  problemCount: number
}

const PROBLEMS_MAX = 1000

/**
 * What is not yet a block at the end of the last segment is no fault: a daemon may be writing it, and the next start cuts it off.
 * @throws Node's error when the directory can't be listed.
 */
export async function verifyJournal(directory: string, files: FileOperations = systemFiles): Promise<JournalVerdict> {
  const problems: JournalProblem[] = []
  let problemCount = 0
  const onProblem = (problem: JournalProblem) => {
    problemCount++
    if (problems.length < PROBLEMS_MAX) problems.push(problem)
  }

  // Before the blocks: what is written while they are read can only be more than what it says.
  const reservation = await readReservation(files, directory)
  let records = 0
  let firstSequence = 0
  let lastSequence = 0
  for await (const block of readJournal({ directory, from: 0, skipUnreadable: true, onProblem, files })) {
    if (records === 0) firstSequence = block.firstSequence
    records += block.count
    lastSequence = block.lastSequence
  }

  const segments = await listSegments(files, directory)
  if (reservation.kind === 'damaged') {
    const message = 'The file of sequence numbers is damaged.'
    onProblem({
      segment: SEQUENCE_FILE,
      offset: 0,
      kind: 'damaged-sequence-file',
      message,
      remedy: REMEDY['damaged-sequence-file'],
    })
  } else if (
    reservation.kind === 'good' &&
    reservation.reservation.clean &&
    lastSequence < reservation.reservation.last
  ) {
    const message = `The journal ends with tick ${lastSequence}, but it was closed with tick ${reservation.reservation.last}.`
    problemsIn(segments.at(-1) ?? 0, onProblem)({ offset: 0, kind: 'records-missing', message })
  }
  return {
    intact: problemCount === 0,
    segments: segments.length,
    records,
    firstSequence,
    lastSequence,
    problems,
    problemCount,
  }
}
