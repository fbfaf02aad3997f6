/**
 * Opening a journal is recovering it: what the last run left is read, a torn end is cut off, and numbering goes on where no number was
 * ever given. Nothing on disk makes it throw but a directory that can't be used; what it finds is told.
 */
import type { Clock } from '#clock.ts'
import { errorCode, type FileOperations, systemFiles } from './file-operations.ts'
import { DEFAULT_JOURNAL_POLICY, type JournalPolicy } from './journal-policy.ts'
import { isDiskFull, type JournalEvent, type JournalFailure, unusable } from './journal-trouble.ts'
import { JournalWriter, type OnWritten } from './journal-writer.ts'
import { type Recovery, recoverJournal } from './recover-journal.ts'
import { SegmentStore } from './segment-store.ts'
import { type SequenceReservation, writeReservation } from './sequence-file.ts'

export interface OpenJournalOptions {
  directory: string
  /** Written into every segment, and so into every tick that is read. */
  host: string
  clock: Clock
  onTrouble(failure: JournalFailure): void
  onEvent(event: JournalEvent): void
  onWritten?: OnWritten
  policy?: Partial<JournalPolicy>
  /** What the bus is known to have, see JournalWriter.publishedSequence. */
  publishedSequence?: number
  files?: FileOperations
}

export interface OpenJournal {
  writer: JournalWriter
  recovery: Recovery
}

/** @throws Failure `journal-unusable` when the directory can't be made, read or written. Damage in it never throws. */
export async function openJournal(options: OpenJournalOptions): Promise<OpenJournal> {
  const { directory, host, clock, onTrouble, onEvent } = options
  const files = options.files ?? systemFiles
  const policy = { ...DEFAULT_JOURNAL_POLICY, ...options.policy }
  try {
    await files.makeDirectory(directory)
    const { recovery, kept } = await recoverJournal(files, directory, policy.reservedAtOnce)
    const store = new SegmentStore(
      { directory, host, clock, files, retention: policy, onEvent, onTrouble },
      kept,
      recovery.lastSequence,
    )
    store.publishedSequence = options.publishedSequence ?? Number.POSITIVE_INFINITY

    const { lastSequence: last, nextSequence: next } = recovery
    const reservedEnd = next + policy.reservedAtOnce
    await reserve(files, directory, store, { next: reservedEnd, last, clean: false })
    const writerOptions = {
      directory,
      clock,
      files,
      policy,
      onTrouble,
      onEvent,
      onWritten: options.onWritten ?? (() => {}),
    }
    return { writer: new JournalWriter(writerOptions, store, { last, next, reservedEnd }), recovery }
  } catch (error) {
    // Without a code of the operating system it is our mistake, not the directory's.
    throw errorCode(error) === '' ? error : unusable(directory, error)
  }
}

/** A journal that has filled its disk must still be able to start: it then gives up its oldest segments, as it would when running. */
async function reserve(
  files: FileOperations,
  directory: string,
  store: SegmentStore,
  reservation: SequenceReservation,
): Promise<void> {
  for (;;) {
    try {
      await writeReservation(files, directory, reservation)
      return
    } catch (error) {
      if (!isDiskFull(error) || !(await store.makeRoom())) throw error
    }
  }
}
