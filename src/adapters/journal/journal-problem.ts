/** What can be wrong with a journal on disk, in words an operator can act on. */
import { type SegmentHeaderReading, segmentName } from './journal-format.ts'
import type { ScanStep } from './segment-scan.ts'

export type JournalProblemKind =
  /** Bytes between intact blocks that are no block: whatever they held is gone. */
  | 'damaged-block'
  /** A segment that is not the last one ends in bytes that are no block. */
  | 'torn-tail'
  | 'damaged-header'
  /** The next start finds a safe number by the segments. */
  | 'damaged-sequence-file'
  /** Written by a later version of this program. */
  | 'newer-version'
  /** The block's CRC is right but its records are not: a fault of the program that wrote it. */
  | 'malformed-block'
  /** Sequence numbers go backwards. */
  | 'sequence-order'
  /** Ticks that were written are not there any more, though nothing left of them is damaged. */
  | 'records-missing'
  /** The operating system can't read the file. */
  | 'unreadable'

export interface JournalProblem {
  /** Name of the file. */
  segment: string
  /** Byte offset in it. */
  offset: number
  kind: JournalProblemKind
  message: string
  /** One imperative sentence for the operator. */
  remedy: string
}

const RESTORE = 'Restore the segment from a backup if these ticks matter, and check the disk.'

export const REMEDY: Record<JournalProblemKind, string> = {
  'damaged-block': RESTORE,
  'torn-tail': RESTORE,
  'damaged-header': RESTORE,
  'damaged-sequence-file':
    'Start the daemon once: it finds the next safe number and writes the file anew; then check the disk.',
  'newer-version': 'Read this journal with the version of the program that wrote it.',
  'malformed-block': 'Keep the segment and report it: the program that wrote it is at fault.',
  'sequence-order':
    'Keep the segment and report it: the program that wrote it is at fault, or segments of two journals are mixed.',
  'records-missing': 'Restore the missing segment from a backup if these ticks matter.',
  unreadable: 'Check the permissions of the file and the health of the disk.',
}

/** Takes a problem of one segment. */
export type ProblemReport = (problem: Omit<JournalProblem, 'segment' | 'remedy'>) => void

export function problemsIn(segmentSequence: number, onProblem: (problem: JournalProblem) => void): ProblemReport {
  return (problem) => onProblem({ ...problem, segment: segmentName(segmentSequence), remedy: REMEDY[problem.kind] })
}

/** Reports what is wrong with a step, tick `last` having come before it; true when it is a block of ticks to be read. */
export function reportStep(step: Exclude<ScanStep, { kind: 'tail' }>, last: number, report: ProblemReport): boolean {
  const { at } = step
  if (step.kind === 'damage') {
    report({
      offset: at,
      kind: 'damaged-block',
      message: `${step.bytes} bytes at byte ${at} are damaged${heldTicks(step.records)}.`,
    })
    return false
  }
  const { header, malformed } = step
  if (malformed !== null) {
    report({
      offset: at,
      kind: 'malformed-block',
      message: `The block at byte ${at} holds malformed records: ${malformed}.`,
    })
    return false
  }
  if (header.count > 0 && header.firstSequence <= last) {
    const message = `The block at byte ${at} begins with tick ${header.firstSequence}, but tick ${last} came before it.`
    report({ offset: at, kind: 'sequence-order', message })
    return false
  }
  return header.count > 0
}

export function reportHeader(heading: SegmentHeaderReading, report: ProblemReport): void {
  if (heading.kind === 'damaged') {
    report({
      offset: 0,
      kind: 'damaged-header',
      message: "The segment's header is damaged; the host of its ticks is unknown.",
    })
  }
  if (heading.kind === 'newer-version') {
    report({ offset: 0, kind: 'newer-version', message: 'The segment was written by another version of this program.' })
  }
}

export function reportTornTail(
  { at, bytes, records }: Extract<ScanStep, { kind: 'tail' }>,
  report: ProblemReport,
): void {
  report({
    offset: at,
    kind: 'torn-tail',
    message: `The last ${bytes} bytes, from byte ${at}, are no whole block${heldTicks(records)}.`,
  })
}

/** Of a segment that is not the newest: only a process that died at once leaves one, and the next start removes it. */
export function reportEmpty(report: ProblemReport): void {
  report({ offset: 0, kind: 'records-missing', message: 'The segment holds no tick any more.' })
}

function heldTicks(records: number | null): string {
  return records === null ? '' : `; they held ${records} ticks at least`
}
