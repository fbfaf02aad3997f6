/** What the journal tells its owner while it runs: troubles an operator must act on, and events worth a line in the log and an alert. */
import { Failure } from '#domain/failure.ts'
import { errorCode } from './file-operations.ts'

type JournalFailureKind =
  /** The directory can't be used at all: said only when opening. */
  | 'journal-unusable'
  /** No room, and nothing left that may be removed. */
  | 'journal-disk-full'
  | 'journal-write'
  | 'journal-sync'
  /** The next block of sequence numbers can't be reserved on disk. */
  | 'journal-reservation'
  /** An old segment can't be removed. */
  | 'journal-retention'
  /** The disk is slower than the ticks: new ones are refused and counted. */
  | 'journal-overrun'
  /** Closed on a disk that did not take what was held. */
  | 'journal-given-up'

export type JournalFailure = Failure<JournalFailureKind>

export type RemovalReason = 'days' | 'bytes' | 'low-disk' | 'disk-full'

export type JournalEvent =
  | { kind: 'segment-started'; firstSequence: number }
  | {
      kind: 'segment-removed'
      reason: RemovalReason
      firstSequence: number
      lastSequence: number
      bytes: number
      /** Ticks in it that were not published yet: above 0 only when the disk was full. */
      unpublished: number
    }
  /** Retention would remove segments that are not published yet; it does so only when the disk is full. */
  | { kind: 'unpublished-at-risk'; reason: Exclude<RemovalReason, 'days' | 'disk-full'>; publishedSequence: number }
  /** Writing works again. `lost` counts the ticks refused since it stopped. */
  | { kind: 'recovered'; failingMs: number; lost: number }

export function isDiskFull(error: unknown): boolean {
  const code = errorCode(error)
  return code === 'ENOSPC' || code === 'EDQUOT'
}

export function unusable(directory: string, error: unknown): JournalFailure {
  return new Failure(
    'journal-unusable',
    `The journal directory ${directory} can't be used: ${reasonOf(error)}.`,
    isDiskFull(error)
      ? 'Free space on its file system.'
      : 'Make it a directory that this user may write to, on a disk that works.',
    error,
  )
}

/** @param freeBytes null where the file system does not tell */
export function writeFailed(directory: string, error: unknown, freeBytes: number | null): JournalFailure {
  const free = freeBytes === null ? '' : ` (${Math.floor(freeBytes / 1e6)} MB free)`
  return isDiskFull(error)
    ? new Failure(
        'journal-disk-full',
        `The disk of ${directory} is full${free} and no old segment is left to remove; ticks are held in memory.`,
        'Free space on its file system now: what does not fit into memory is lost.',
        error,
      )
    : new Failure(
        'journal-write',
        `The journal in ${directory} can't be written (${reasonOf(error)}); ticks are held in memory.`,
        'Check the disk now: what does not fit into memory is lost.',
        error,
      )
}

export function syncFailed(error: unknown, range: { synced: number; written: number }): JournalFailure {
  return new Failure(
    'journal-sync',
    `The disk did not confirm ticks ${range.synced + 1} to ${range.written} (${reasonOf(error)}); a power loss may take them.`,
    'Check the health of the disk.',
    error,
  )
}

export function reservationFailed(error: unknown, left: number): JournalFailure {
  return new Failure(
    'journal-reservation',
    `No more sequence numbers could be reserved on disk (${reasonOf(error)}); ${left} are left, then ticks are refused.`,
    'Free space on the file system of the journal, or check the disk.',
    error,
  )
}

export function removalFailed(path: string, error: unknown): JournalFailure {
  return new Failure(
    'journal-retention',
    `The old segment ${path} can't be removed: ${reasonOf(error)}.`,
    'Remove it by hand or correct the permissions of the directory.',
    error,
  )
}

export function overrun(heldBytes: number): JournalFailure {
  return new Failure(
    'journal-overrun',
    `The disk is slower than the ticks: ${Math.round(heldBytes / 1e6)} MB wait to be written and new ticks are refused.`,
    'Put the state directory on a faster disk, or subscribe fewer instruments.',
  )
}

/** @param count ticks that have a number and are in no file */
export function givenUp(directory: string, count: number, error: unknown): JournalFailure {
  return new Failure(
    'journal-given-up',
    `${count} ticks that were held in memory are lost: ${directory} did not take them until the end${error === null ? '' : ` (${reasonOf(error)})`}.`,
    'Free space or mend the disk before the next start, and fetch these ticks from elsewhere if they matter.',
    error,
  )
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
