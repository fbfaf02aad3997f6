/**
 * The segment files of a running journal: which one is written, which are kept, and which have to go when days, bytes or the disk run
 * out. Segments always go oldest first, so published ones go before unpublished ones; the one being written never goes.
 */
import { join } from 'node:path'
import type { Clock } from '#clock.ts'
import { errorCode, type FileOperations, type OpenFile } from './file-operations.ts'
import { encodeSegmentHeader, SEGMENT_HEADER_BYTES, segmentName } from './journal-format.ts'
import { type JournalEvent, type JournalFailure, type RemovalReason, removalFailed } from './journal-trouble.ts'

export interface RetentionPolicy {
  keepDays: number
  /** Of all segments together. */
  keepBytes: number
  /** Published segments go when the file system has less than this left. */
  minFreeBytes: number
}

export interface KeptSegment {
  firstSequence: number
  lastSequence: number
  bytes: number
  modifiedMs: number
}

export interface SegmentStoreOptions {
  directory: string
  host: string
  clock: Clock
  files: FileOperations
  retention: RetentionPolicy
  onEvent(event: JournalEvent): void
  onTrouble(failure: JournalFailure): void
}

interface CurrentSegment extends KeptSegment {
  file: OpenFile
}

const DAY_MS = 86_400_000

export class SegmentStore {
  /** Nothing above it is removed unless the disk is full. Infinity: there is no publisher. */
  publishedSequence = Number.POSITIVE_INFINITY
  readonly #options: SegmentStoreOptions
  /** Oldest first, without the current one. */
  readonly #kept: KeptSegment[]
  #current: CurrentSegment | null = null
  /** Left behind by rotation, still to be synced and closed. */
  readonly #retired: OpenFile[] = []
  #lastSequence: number
  #directoryChanged = false
  #removalFails = false
  #atRisk: RemovalReason | null = null
  #sweeping: Promise<void> | null = null

  constructor(options: SegmentStoreOptions, kept: readonly KeptSegment[], lastSequence: number) {
    this.#options = options
    this.#kept = [...kept]
    this.#lastSequence = lastSequence
  }

  /** Bytes of all segments. */
  get bytes(): number {
    return this.#kept.reduce((sum, segment) => sum + segment.bytes, this.#current?.bytes ?? 0)
  }

  get segmentCount(): number {
    return this.#kept.length + (this.#current === null ? 0 : 1)
  }

  get hasCurrent(): boolean {
    return this.#current !== null
  }

  /** Ends the current segment and begins one with `firstSequence`. @throws Node's error; there is then no current segment. */
  async start(firstSequence: number): Promise<void> {
    const { clock, directory, files, host } = this.#options
    this.#retire()
    const path = join(directory, segmentName(firstSequence))
    // A file of this name is what an earlier failed try left behind: a segment with ticks under it would have used the number.
    const file = await files.open(path, 'replace')
    try {
      const createdWallMs = clock.wallMs()
      await file.write(
        encodeSegmentHeader({ createdWallMs, firstSequence, previousSequence: this.#lastSequence, host }),
        0,
      )
      const bytes = SEGMENT_HEADER_BYTES
      this.#current = { file, firstSequence, lastSequence: firstSequence - 1, bytes, modifiedMs: createdWallMs }
    } catch (error) {
      await file.close()
      throw error
    }
    this.#directoryChanged = true
    this.#options.onEvent({ kind: 'segment-started', firstSequence })
  }

  /**
   * Appends a block to the current segment. @throws Node's error; a second try writes over what the first one left, so that half a
   * block never stays in the middle.
   */
  async append(bytes: Uint8Array, lastSequence: number): Promise<void> {
    const current = this.#current
    if (current === null) throw new RangeError('append without a segment')
    await current.file.write(bytes, current.bytes)
    current.bytes += bytes.length
    current.lastSequence = Math.max(current.lastSequence, lastSequence)
    current.modifiedMs = this.#options.clock.wallMs()
    this.#lastSequence = current.lastSequence
  }

  /** Gives the current segment up after a failed write or sync: what the disk makes of it later is uncertain. */
  async abandon(): Promise<void> {
    const current = this.#current
    this.#retire()
    // Cuts the half-written block off, as far as the disk still obeys; the reader reports it otherwise.
    await current?.file.truncate(current.bytes).catch(() => undefined)
  }

  /** Cuts off what a failed write left behind the last whole block: nobody is going to write over it. */
  async trim(): Promise<void> {
    const current = this.#current
    await current?.file.truncate(current.bytes).catch(() => undefined)
  }

  #retire(): void {
    if (this.#current === null) return
    const { file, ...segment } = this.#current
    this.#retired.push(file)
    // One that holds no tick is begun again under the same name.
    if (segment.lastSequence >= segment.firstSequence) this.#kept.push(segment)
    this.#current = null
  }

  /** Whether retention, were it not for what is unpublished, would remove the oldest segment. */
  get isUnpublishedAtRisk(): boolean {
    return this.#atRisk !== null
  }

  /** Makes everything written before the call survive a power loss. @throws Node's error. */
  async sync(): Promise<void> {
    // A file left by a rotation from here on stays open until the next call: only what is taken here is closed here.
    const retired = this.#retired.splice(0)
    const current = this.#current?.file
    const failures: unknown[] = []
    for (const file of retired) {
      await file.datasync().catch((error: unknown) => failures.push(error))
      await file.close()
    }
    if (failures.length > 0) throw failures[0]
    await current?.datasync()
    if (this.#directoryChanged) {
      this.#directoryChanged = false
      await this.#options.files.syncDirectory(this.#options.directory)
    }
  }

  /** Removes the oldest segment to make room for a write. False when nothing is left to remove. */
  async makeRoom(): Promise<boolean> {
    return await this.#removeOldest('disk-full')
  }

  /** Applies retention once. Never throws: what fails is told. */
  sweep(): Promise<void> {
    this.#sweeping ??= this.#sweep().finally(() => {
      this.#sweeping = null
    })
    return this.#sweeping
  }

  async #sweep(): Promise<void> {
    for (let oldest = this.#kept[0]; oldest !== undefined; oldest = this.#kept[0]) {
      const reason = await this.#reasonToRemove(oldest)
      const isPublished = oldest.lastSequence <= this.publishedSequence
      this.#tellRisk(isPublished ? null : reason)
      if (reason === null || !isPublished || !(await this.#removeOldest(reason))) return
    }
    this.#tellRisk(null)
  }

  async #reasonToRemove(segment: KeptSegment): Promise<Exclude<RemovalReason, 'disk-full'> | null> {
    const { clock, directory, files, retention } = this.#options
    if (clock.wallMs() - segment.modifiedMs > retention.keepDays * DAY_MS) return 'days'
    if (this.bytes > retention.keepBytes) return 'bytes'
    const freeBytes = await files.freeBytes(directory).catch(() => Number.POSITIVE_INFINITY)
    return freeBytes < retention.minFreeBytes ? 'low-disk' : null
  }

  #tellRisk(reason: Exclude<RemovalReason, 'disk-full'> | null): void {
    const risk = reason === 'days' ? null : reason
    if (risk !== null && this.#atRisk === null) {
      this.#options.onEvent({ kind: 'unpublished-at-risk', reason: risk, publishedSequence: this.publishedSequence })
    }
    this.#atRisk = risk
  }

  async #removeOldest(reason: RemovalReason): Promise<boolean> {
    const oldest = this.#kept.shift()
    if (oldest === undefined) return false
    const path = join(this.#options.directory, segmentName(oldest.firstSequence))
    try {
      await this.#options.files.remove(path)
    } catch (error) {
      if (errorCode(error) !== 'ENOENT') {
        this.#kept.unshift(oldest)
        if (!this.#removalFails) this.#options.onTrouble(removalFailed(path, error))
        this.#removalFails = true
        return false
      }
    }
    this.#removalFails = false
    this.#directoryChanged = true
    const { firstSequence, lastSequence, bytes } = oldest
    const unpublished = Math.max(0, lastSequence - Math.max(firstSequence - 1, this.publishedSequence))
    this.#options.onEvent({ kind: 'segment-removed', reason, firstSequence, lastSequence, bytes, unpublished })
    return true
  }

  async close(): Promise<void> {
    this.#retire()
    for (const file of this.#retired.splice(0)) await file.close()
  }
}
