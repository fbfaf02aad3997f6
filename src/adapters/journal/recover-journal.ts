/**
 * What the last run left on disk: the newest segments are read, a torn end is cut off, and the first number that was surely never
 * given is found. Damage is told and left alone, because something intact stands behind it.
 */
import { join } from 'node:path'
import type { FileOperations } from './file-operations.ts'
import { segmentName, TICK_BASE_BYTES } from './journal-format.ts'
import {
  type JournalProblem,
  type ProblemReport,
  problemsIn,
  reportEmpty,
  reportHeader,
  reportStep,
  reportTornTail,
} from './journal-problem.ts'
import { listSegments } from './journal-reader.ts'
import { SegmentScan } from './segment-scan.ts'
import type { KeptSegment } from './segment-store.ts'
import { type ReservationReading, readReservation } from './sequence-file.ts'

export interface Recovery {
  /** The last run closed in order and left everything intact; also true for a new journal. */
  clean: boolean
  /** Last good sequence in the journal, 0 when it is empty. */
  lastSequence: number
  /** The first number that this run will give. */
  nextSequence: number
  truncatedBytes: number
  /** Ticks in the bytes that were cut off, null when that can't be known. */
  truncatedRecords: number | null
  problems: JournalProblem[]
  /** What the operator should know, in a sentence or a few; null when there is nothing to say. */
  message: string | null
}

export interface RecoveredJournal {
  recovery: Recovery
  kept: KeptSegment[]
}

/** How many segments with ticks are read: a power loss can also tear the end of the one that had just been left for the last. */
const EXAMINED = 2

/** @throws Node's error when the directory can't be listed, or a file in it can't be read or cut. */
export async function recoverJournal(
  files: FileOperations,
  directory: string,
  reservedAtOnce: number,
): Promise<RecoveredJournal> {
  const reservation = await readReservation(files, directory)
  const segments = await listSegments(files, directory)
  const problems: JournalProblem[] = []
  // After an orderly close nothing was being written: a broken end is then damage like any other, and stays as it is.
  const mayBeTorn = reservation.kind !== 'good' || !reservation.reservation.clean
  const found = await readSegments(files, directory, segments, { mayBeTorn, problems })
  const numbering = continueNumbering(reservation, { ...found, hasSegments: segments.length > 0, reservedAtOnce })

  const { lastSequence, cutBytes, cutRecords } = found
  if (reservation.kind === 'good' && reservation.reservation.clean && reservation.reservation.last !== lastSequence) {
    const message = `The journal ends with tick ${lastSequence}, but it was closed with tick ${reservation.reservation.last}.`
    problemsIn(segments.at(-1) ?? 0, (problem) => problems.push(problem))({
      offset: 0,
      kind: 'records-missing',
      message,
    })
  }
  const recovery: Recovery = {
    clean: numbering.isExact && cutBytes === 0 && problems.length === 0,
    lastSequence,
    nextSequence: numbering.next,
    truncatedBytes: cutBytes,
    truncatedRecords: cutRecords,
    problems,
    message: null,
  }
  const lost = reservation.kind === 'good' ? (reservation.reservation.lost ?? 0) : 0
  const loss =
    lost === 0 ? null : `The last run ended without ${lost} ticks that it held in memory: the disk did not take them.`
  return { recovery: { ...recovery, message: describe(recovery, numbering.message, loss) }, kept: found.kept }
}

interface FoundSegments {
  kept: KeptSegment[]
  lastSequence: number
  /** No number that a segment shows, or showed before it was damaged, lies here or above. */
  beyondAll: number
  cutBytes: number
  cutRecords: number | null
}

async function readSegments(
  files: FileOperations,
  directory: string,
  segments: readonly number[],
  { mayBeTorn, problems }: { mayBeTorn: boolean; problems: JournalProblem[] },
): Promise<FoundSegments> {
  const found: FoundSegments = { kept: [], lastSequence: 0, beyondAll: 1, cutBytes: 0, cutRecords: 0 }
  let endOfOlder: number | null = null
  for (const firstSequence of segments.toReversed()) {
    const path = join(directory, segmentName(firstSequence))
    if (found.kept.length >= EXAMINED && endOfOlder !== null) {
      const segment = await measure(files, path)
      found.kept.unshift({ ...segment, firstSequence, lastSequence: endOfOlder })
      endOfOlder = segment.previousSequence ?? firstSequence - 1
      continue
    }
    const report = problemsIn(firstSequence, (problem) => problems.unshift(problem))
    const segment = await examine(files, path, { mayBeTorn, report })
    const mostTicks = Math.ceil((segment.bytes + segment.cutBytes) / TICK_BASE_BYTES)
    found.beyondAll = Math.max(found.beyondAll, segment.lastSequence + 1, firstSequence + mostTicks)
    found.cutBytes += segment.cutBytes
    if (found.cutRecords !== null)
      found.cutRecords = segment.cutRecords === null ? null : found.cutRecords + segment.cutRecords
    if (segment.isEmpty) {
      if (firstSequence !== segments.at(-1)) reportEmpty(report)
      await files.remove(path)
      continue
    }
    found.lastSequence = Math.max(found.lastSequence, segment.lastSequence)
    found.kept.unshift({ ...segment, firstSequence })
    endOfOlder = segment.previousSequence ?? firstSequence - 1
  }
  return found
}

interface ExaminedSegment extends Omit<KeptSegment, 'firstSequence'> {
  /** Null when the header does not tell. */
  previousSequence: number | null
  cutBytes: number
  cutRecords: number | null
  /** Nothing in it is worth keeping. */
  isEmpty: boolean
}

/** Reads all of a segment, reports damage, and cuts a torn end off. */
async function examine(
  files: FileOperations,
  path: string,
  { mayBeTorn, report }: { mayBeTorn: boolean; report: ProblemReport },
): Promise<ExaminedSegment> {
  const scan = await SegmentScan.open(files, path)
  try {
    const { bytes, modifiedMs } = await scan.stat()
    let step = await scan.next()
    reportHeader(scan.heading, report)
    const previousSequence = scan.heading.kind === 'good' ? scan.heading.header.previousSequence : null
    const whole = { bytes, modifiedMs, previousSequence, cutBytes: 0, cutRecords: 0, isEmpty: false }
    // Another version may have another idea of a block: nothing of it is touched.
    if (scan.heading.kind === 'newer-version') return { ...whole, lastSequence: 0 }

    let lastSequence = 0
    let hasDamage = false
    for (; step.kind !== 'tail'; step = await scan.next()) {
      if (reportStep(step, lastSequence, report) && step.kind === 'block') {
        lastSequence = step.header.firstSequence + step.header.count - 1
      } else if (step.kind === 'damage' || step.malformed !== null) {
        hasDamage = true
      }
    }
    const isEmpty = lastSequence === 0 && !hasDamage
    if (step.bytes === 0) return { ...whole, lastSequence, isEmpty }
    if (!mayBeTorn) {
      reportTornTail(step, report)
      return { ...whole, lastSequence }
    }
    if (!isEmpty) await truncate(files, path, step.at)
    return { ...whole, bytes: step.at, lastSequence, isEmpty, cutBytes: step.bytes, cutRecords: step.records }
  } finally {
    await scan.close()
  }
}

async function measure(
  files: FileOperations,
  path: string,
): Promise<Pick<ExaminedSegment, 'bytes' | 'modifiedMs' | 'previousSequence'>> {
  const scan = await SegmentScan.open(files, path)
  try {
    const heading = await scan.readHeading()
    return {
      ...(await scan.stat()),
      previousSequence: heading.kind === 'good' ? heading.header.previousSequence : null,
    }
  } finally {
    await scan.close()
  }
}

async function truncate(files: FileOperations, path: string, bytes: number): Promise<void> {
  const file = await files.open(path, 'update')
  try {
    await file.truncate(bytes)
    await file.datasync()
  } finally {
    await file.close()
  }
}

interface Numbering {
  next: number
  /** The last run said how far it got, and nothing contradicts it. */
  isExact: boolean
  message: string | null
}

interface NumberingEvidence extends Pick<FoundSegments, 'lastSequence' | 'beyondAll'> {
  hasSegments: boolean
  reservedAtOnce: number
}

function continueNumbering(reading: ReservationReading, evidence: NumberingEvidence): Numbering {
  // Without a reservation to believe, the last run may have been a whole block of numbers ahead of what the segments show.
  const safe = evidence.beyondAll + evidence.reservedAtOnce
  if (reading.kind !== 'good') {
    if (reading.kind === 'missing' && !evidence.hasSegments) return { next: 1, isExact: true, message: null }
    const message = `The file of sequence numbers is ${reading.kind}; numbering goes on at ${safe}, behind anything the segments can hold.`
    return { next: safe, isExact: false, message }
  }
  const { next, clean } = reading.reservation
  if (next <= evidence.lastSequence) {
    const message = `The file of sequence numbers is older than the journal; numbering goes on at ${safe}.`
    return { next: safe, isExact: false, message }
  }
  const message = clean
    ? null
    : `The last run did not close the journal; numbering goes on at ${next}, the end of its reserved block.`
  return { next, isExact: clean, message }
}

function describe(recovery: Recovery, numbering: string | null, loss: string | null): string | null {
  const { lastSequence, truncatedBytes, truncatedRecords, problems } = recovery
  const sentences = [
    loss,
    numbering,
    truncatedBytes === 0
      ? null
      : `Cut off ${truncatedBytes} torn bytes (${truncatedRecords ?? 'an unknown number of'} ticks); the last good tick is ${lastSequence}.`,
    ...problems.map(({ segment, message }) => `${segment}: ${message}`),
  ]
  return sentences.filter((sentence) => sentence !== null).join(' ') || null
}
