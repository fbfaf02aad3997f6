/**
 * Reads the journal in sequence order, also while a daemon writes it: bytes at the end that are not yet a block are the future, not
 * a fault. Damage is reported and reading goes on behind it, so the caller learns of a hole instead of falling into it.
 */
import { join } from 'node:path'
import { errorCode, type FileOperations, systemFiles } from './file-operations.ts'
import type { JournalBlock } from './journal-block.ts'
import {
  type BlockHeader,
  type InstrumentName,
  type RecordViews,
  segmentName,
  sequenceOfSegmentName,
} from './journal-format.ts'
import {
  type JournalProblem,
  type ProblemReport,
  problemsIn,
  reportEmpty,
  reportHeader,
  reportStep,
  reportTornTail,
} from './journal-problem.ts'
import { SegmentScan } from './segment-scan.ts'

/** Something that can tell that there is more to read: the JournalWriter of this process. */
export interface WriteNotifier {
  /** Resolves after the next block is written. */
  nextWrite(): Promise<void>
}

export interface ReadOptions {
  directory: string
  /** First sequence wanted, 0 for everything that is kept. */
  from: number
  onProblem(problem: JournalProblem): void
  /** Wait for more at the end, until this aborts; the iteration then ends without an error. Absent: end at what is written now. */
  follow?: AbortSignal
  /** In the writer's own process: saves the polling. */
  notifier?: WriteNotifier
  /** How often a follower without a notifier looks, 20 by default. */
  pollMs?: number
  /** Report a segment that the operating system can't read and go on with the next, instead of throwing. */
  skipUnreadable?: boolean
  files?: FileOperations
}

/** With a notifier, polling is only a safety net. */
const POLL_WITH_NOTIFIER_MS = 1000

/**
 * Yields blocks in sequence order from `from` on; the first one is cut to begin there. A block is valid until the next is asked for.
 * @throws Node's error when the directory or a segment can't be read, unless retention has just removed the segment.
 */
export async function* readJournal(options: ReadOptions): AsyncGenerator<JournalBlock, void, void> {
  const files = options.files ?? systemFiles
  let segment = segmentFor(await listSegments(files, options.directory), options.from)
  while (segment === null) {
    if (options.follow === undefined || !(await moreWritten(options, options.follow, options.notifier?.nextWrite())))
      return
    segment = segmentFor(await listSegments(files, options.directory), options.from)
  }

  let previous: number | null = null
  for (; segment !== null; segment = await nextSegment(options, segment)) {
    if (options.follow?.aborted) return
    let scan: SegmentScan | null = null
    try {
      scan = await openSegment(options, segment)
      if (scan !== null) previous = yield* readSegment(options, scan, { segment, wanted: options.from, previous })
    } catch (error) {
      if (options.skipUnreadable !== true || errorCode(error) === '') throw error
      const message = `The segment can't be read: ${error instanceof Error ? error.message : error}.`
      problemsIn(segment, options.onProblem)({ offset: 0, kind: 'unreadable', message })
    } finally {
      await scan?.close()
    }
  }
}

interface SegmentReading {
  segment: number
  wanted: number
  /** Last sequence read from the segment before, null at the start. */
  previous: number | null
}

/** Yields one segment's blocks; returns its last sequence when a later segment exists or there is nothing to wait for. */
async function* readSegment(
  options: ReadOptions,
  scan: SegmentScan,
  reading: SegmentReading,
): AsyncGenerator<JournalBlock, number, void> {
  const report = problemsIn(reading.segment, options.onProblem)
  const block = new SegmentBlock(scan, reading.segment)
  let last = reading.previous ?? 0
  let isIntroduced = false
  let isFinished = false
  for (;;) {
    // Asked for before the file is read, so that a write in between is not slept through.
    const written = options.notifier?.nextWrite()
    let progressed = false
    let step = await scan.next(reading.wanted)
    if (!isIntroduced && scan.heading.kind !== 'short') {
      reportBeginning(scan, reading, report)
      isIntroduced = true
    }
    if (scan.heading.kind === 'newer-version') return last
    for (; step.kind !== 'tail'; step = await scan.next(last < reading.wanted ? reading.wanted : 0)) {
      progressed = true
      if (!reportStep(step, last, report) || step.kind !== 'block') continue
      last = step.header.firstSequence + step.header.count - 1
      if (step.skipped) continue
      block.show(step.header, Math.max(0, reading.wanted - step.header.firstSequence))
      yield block
      if (options.follow?.aborted) return last
    }

    if (isFinished) {
      if (step.bytes > 0) reportTornTail(step, report)
      // A follower may hold an empty file that a restart has removed meanwhile.
      else if (options.follow === undefined && last === (reading.previous ?? 0)) reportEmpty(report)
      return last
    }
    if (options.follow === undefined || !progressed) {
      // A later segment means that this one is finished, but perhaps only since it was read: it gets one more look.
      isFinished = (await nextSegment(options, reading.segment)) !== null
      if (isFinished) continue
    }
    if (options.follow === undefined || !(await moreWritten(options, options.follow, written))) return last
  }
}

function reportBeginning({ heading }: SegmentScan, { wanted, previous }: SegmentReading, report: ProblemReport): void {
  reportHeader(heading, report)
  if (heading.kind !== 'good') return
  // At the start of reading, what is older than the wanted tick may have been removed by retention without anyone missing it.
  const expected = previous ?? (wanted > 1 ? wanted - 1 : Number.POSITIVE_INFINITY)
  const { previousSequence } = heading.header
  if (previousSequence > expected && previousSequence >= wanted) {
    const message = `Ticks ${expected + 1} to ${previousSequence} were written before this segment and are not in the journal any more.`
    report({ offset: 0, kind: 'records-missing', message })
  }
}

/** Waits for news; false when the follower is told to stop. */
async function moreWritten(
  options: ReadOptions,
  stop: AbortSignal,
  written: Promise<void> | undefined,
): Promise<boolean> {
  if (stop.aborted) return false
  await new Promise<void>((resolve) => {
    const wake = () => {
      clearTimeout(timer)
      stop.removeEventListener('abort', wake)
      resolve()
    }
    const timer = setTimeout(wake, options.notifier === undefined ? (options.pollMs ?? 20) : POLL_WITH_NOTIFIER_MS)
    stop.addEventListener('abort', wake, { once: true })
    written?.then(wake, wake)
  })
  return !stop.aborted
}

/** First sequences of the segments in the directory, ascending. */
export async function listSegments(files: FileOperations, directory: string): Promise<number[]> {
  const names = await files.list(directory)
  return names
    .map(sequenceOfSegmentName)
    .filter((first) => first !== null)
    .sort((a, b) => a - b)
}

/** The segment that holds `sequence` or would: the last to begin at or before it, else the oldest. */
function segmentFor(segments: readonly number[], sequence: number): number | null {
  return segments.findLast((first) => first <= sequence) ?? segments[0] ?? null
}

async function nextSegment(options: ReadOptions, after: number): Promise<number | null> {
  const segments = await listSegments(options.files ?? systemFiles, options.directory)
  return segments.find((first) => first > after) ?? null
}

/** Null when retention was faster. */
async function openSegment(options: ReadOptions, segment: number): Promise<SegmentScan | null> {
  try {
    return await SegmentScan.open(options.files ?? systemFiles, join(options.directory, segmentName(segment)))
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return null
    throw error
  }
}

class SegmentBlock implements JournalBlock {
  readonly views: RecordViews
  readonly instruments: ReadonlyMap<number, InstrumentName>
  readonly segmentSequence: number
  host = ''
  count = 0
  offsets: Uint32Array
  firstSequence = 0
  lastSequence = 0
  writtenWallMs = 0
  readonly #scan: SegmentScan

  constructor(scan: SegmentScan, segmentSequence: number) {
    this.#scan = scan
    this.views = scan.views
    this.instruments = scan.instruments
    this.segmentSequence = segmentSequence
    this.offsets = scan.offsets
  }

  /** Becomes the block that was scanned last, without its first `skip` ticks. */
  show(header: BlockHeader, skip: number): void {
    this.host = this.#scan.heading.kind === 'good' ? this.#scan.heading.header.host : ''
    this.offsets = skip === 0 ? this.#scan.offsets : this.#scan.offsets.subarray(skip)
    this.count = header.count - skip
    this.firstSequence = header.firstSequence + skip
    this.lastSequence = header.firstSequence + header.count - 1
    this.writtenWallMs = header.writtenWallMs
  }
}
