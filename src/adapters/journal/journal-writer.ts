/**
 * The write-ahead log of accepted ticks. `append` copies a tick into memory and returns its sequence number; blocks of them go to disk
 * behind its back, one write at a time, and are synced at intervals beside the writes. The disk never holds up a tick: what it can't
 * take is held up to a bound, and beyond that new ticks are refused and counted.
 */
import { type Clock, sleep } from '#clock.ts'
import type { TickViews } from '#domain/tick.ts'
import type { BlockBuffer, TickMeta } from './block-buffer.ts'
import { BlockOutput } from './block-output.ts'
import type { FileOperations } from './file-operations.ts'
import { HeldBlocks } from './held-blocks.ts'
import { InstrumentDefinitions } from './instrument-definitions.ts'
import type { JournalPolicy } from './journal-policy.ts'
import type { WriteNotifier } from './journal-reader.ts'
import {
  givenUp,
  isDiskFull,
  type JournalEvent,
  type JournalFailure,
  overrun,
  reservationFailed,
  syncFailed,
  writeFailed,
} from './journal-trouble.ts'
import type { SegmentStore } from './segment-store.ts'
import { SequenceNumbers } from './sequence-numbers.ts'

/**
 * Called after each write of a block: `lastSequence` was written at `monotonicMs`. The first `count` entries of `receivedMonotonicMs`
 * are the callback times of the block's ticks, valid until the call returns.
 */
export type OnWritten = (
  lastSequence: number,
  monotonicMs: number,
  receivedMonotonicMs: Float64Array,
  count: number,
) => void

export interface JournalWriterOptions {
  directory: string
  clock: Clock
  files: FileOperations
  policy: JournalPolicy
  onTrouble(failure: JournalFailure): void
  onEvent(event: JournalEvent): void
  onWritten: OnWritten
}

/** How long an abrupt close waits for the disk. */
const CUT_DEADLINE_MS = 200

export class JournalWriter implements WriteNotifier {
  /** Whether the last write succeeded. */
  state: 'writing' | 'failing' = 'writing'
  /** Ticks taken since opening. */
  records = 0
  /** Ticks refused since opening, and those given up when closing on a failing disk. */
  lost = 0
  /** Those of them that were given up when closing; 0 before. */
  lostAtClose = 0
  /** Why writing fails, for as long as it does. */
  trouble: JournalFailure | null = null
  /** Bytes written since opening. */
  bytesWritten = 0
  /** The last tick taken, the last one in the file, and the last one that survives a power loss. */
  lastSequence: number
  writtenSequence: number
  syncedSequence: number
  /** How long the last sync took; NaN before the first. */
  lastSyncMs = Number.NaN
  syncs = 0

  readonly #options: JournalWriterOptions
  readonly #store: SegmentStore
  readonly #numbers: SequenceNumbers
  readonly #held: HeldBlocks
  readonly #instruments = new InstrumentDefinitions()
  readonly #output: BlockOutput

  #failing = { sinceMs: 0, lostBefore: 0 }
  #overrunIsTold = false

  #writing: Promise<void> | null = null
  #syncing: Promise<boolean> | null = null
  #flushIsDue = false
  #flushIsTimed = false
  #syncIsFailing = false
  readonly #flushTimer: NodeJS.Timeout
  #syncTimer: NodeJS.Timeout | null = null
  readonly #sweepTimer: NodeJS.Timeout

  #nextWrite: { promise: Promise<void>; resolve: () => void } | null = null
  #closed: Promise<void> | null = null
  readonly #closing = new AbortController()
  readonly #cut = new AbortController()

  /** Use openJournal(), which knows where to begin. */
  constructor(
    options: JournalWriterOptions,
    store: SegmentStore,
    range: { last: number; next: number; reservedEnd: number },
  ) {
    const { directory, files, policy } = options
    this.#options = options
    this.#store = store
    this.#held = new HeldBlocks(policy)
    this.#output = new BlockOutput(store, this.#instruments, options.clock)
    this.#numbers = new SequenceNumbers(
      {
        directory,
        files,
        reservedAtOnce: policy.reservedAtOnce,
        retryAfterMs: policy.retryAfterMs,
        onFailure: (error, left) => options.onTrouble(reservationFailed(error, left)),
      },
      { next: range.next, end: range.reservedEnd },
    )
    this.lastSequence = range.last
    this.writtenSequence = range.last
    this.syncedSequence = range.last
    this.#flushTimer = setTimeout(() => this.#onFlushTimer(), policy.flushAfterMs).unref()
    this.#sweepTimer = setInterval(() => void store.sweep(), policy.sweepIntervalMs).unref()
  }

  /** Bytes of all segments on disk. */
  get bytes(): number {
    return this.#store.bytes
  }

  get segmentCount(): number {
    return this.#store.segmentCount
  }

  /** Bytes that wait to be written. */
  get heldBytes(): number {
    return this.#held.bytes
  }

  /** Ticks that wait to be written. */
  get heldTicks(): number {
    return this.#held.ticks
  }

  /** The journal is at its limits with segments that the bus has not got: a full disk would take them. */
  get isUnpublishedAtRisk(): boolean {
    return this.#store.isUnpublishedAtRisk
  }

  get publishedSequence(): number {
    return this.#store.publishedSequence
  }

  /** What the bus has acknowledged: nothing above it is removed unless the disk is full. Infinity, the default: there is no bus. */
  set publishedSequence(sequence: number) {
    this.#store.publishedSequence = sequence
  }

  /** The number under which ticks of an instrument are appended: the same at every call, counted from 0 in order of first calls. */
  instrument(name: { symbol: string; exchange: string }): number {
    return this.#instruments.number(name)
  }

  /**
   * Takes the tick record at byte `sourceAt`. Returns its sequence number, or 0 when it was refused and counted in `lost`: too much is
   * waiting for the disk, no sequence number is reserved, or the writer is closed. Makes no object; `meta` may be reused at once.
   */
  append(source: TickViews, sourceAt: number, meta: TickMeta): number {
    const block = this.#held.filling(this.#numbers.next)
    const sequence = block === null || this.#closed !== null ? 0 : this.#numbers.take()
    if (block === null || sequence === 0) {
      this.#refuse(block === null)
      return 0
    }
    const definition = this.#instruments.takeDefinition(meta.instrument, block.segment)
    if (definition !== null) block.addInstrument(definition)
    block.addTick(source, sourceAt, sequence, meta)
    this.lastSequence = sequence
    this.records++
    if (!this.#flushIsTimed) {
      this.#flushIsTimed = true
      this.#flushTimer.refresh()
    }
    return sequence
  }

  /** Begins writing what was appended; returns at once. Without it a timer does the same after `flushAfterMs`. */
  flush(): void {
    this.#flushIsDue = true
    if (this.#writing !== null || !this.#held.hasWork) return
    this.#writing = this.#write()
  }

  /** The next tick begins a new segment: called when the trading day changes. */
  rotate(): void {
    this.#held.rotate()
  }

  nextWrite(): Promise<void> {
    if (this.#nextWrite === null) {
      let resolve = () => {}
      const promise = new Promise<void>((settle) => {
        resolve = settle
      })
      this.#nextWrite = { promise, resolve }
    }
    return this.#nextWrite.promise
  }

  /** Resolves true when everything appended before the call survives a power loss, false when the disk does not take it. */
  async sync(): Promise<boolean> {
    const wanted = this.lastSequence
    while (this.writtenSequence < wanted) {
      if (this.state === 'failing' || this.#closed !== null) return false
      const attempt = this.nextWrite()
      this.flush()
      await attempt
    }
    await this.#syncing
    return await this.#syncOnce()
  }

  /**
   * Writes and syncs what is held, then stores the exact next number. With `cut`, also when asked again during a close, it gives the
   * disk 200 ms and returns. On a failing disk what is held is tried once more, then given up and counted as lost. Never throws.
   */
  close(options: { cut?: boolean } = {}): Promise<void> {
    if (options.cut) this.#cut.abort()
    this.#closed ??= this.#close()
    return this.#closed
  }

  async #close(): Promise<void> {
    this.#closing.abort()
    clearTimeout(this.#flushTimer)
    if (this.#syncTimer !== null) clearTimeout(this.#syncTimer)
    clearInterval(this.#sweepTimer)
    await Promise.race([this.#drain(), whenAborted(this.#cut.signal).then(() => sleep(CUT_DEADLINE_MS))])
    // Cut short: what is still held goes with the process.
    this.#giveUp(this.#held.ticks)
    if (this.lostAtClose > 0) {
      this.#options.onTrouble(givenUp(this.#options.directory, this.lostAtClose, this.trouble?.cause ?? null))
    }
    this.#wakeReaders()
  }

  #giveUp(ticks: number): void {
    this.lost += ticks
    this.lostAtClose += ticks
  }

  async #drain(): Promise<void> {
    while (this.#held.hasWork || this.#writing !== null) {
      this.flush()
      await this.#writing
    }
    await this.#syncing
    await this.#syncOnce()
    try {
      await this.#numbers.close(this.writtenSequence, this.lostAtClose)
    } catch (error) {
      this.#options.onTrouble(reservationFailed(error, 0))
    }
    // A close that fails after the sync has nothing left to lose.
    await this.#store.close().catch(() => undefined)
  }

  #refuse(isHeldFull: boolean): void {
    this.lost++
    // A failing disk was told already.
    if (!isHeldFull || this.state === 'failing' || this.#overrunIsTold) return
    this.#overrunIsTold = true
    this.#options.onTrouble(overrun(this.heldBytes))
  }

  #onFlushTimer(): void {
    this.#flushIsTimed = false
    this.flush()
  }

  /** Writes until nothing full is left and every flush is answered: what comes in the meantime waits for the next flush. */
  async #write(): Promise<void> {
    try {
      while (this.#held.hasFull || (this.#flushIsDue && this.#held.hasWork)) {
        if (!this.#held.hasFull) this.#flushIsDue = false
        const block = this.#held.takeOldest()
        if (block === null) return
        const isWritten = await this.#writeBlock(block)
        if (isWritten) this.#afterWrite(block)
        else this.#giveUp(block.count)
        this.#held.release()
      }
    } finally {
      this.#writing = null
    }
  }

  /** False when closing on a disk that does not take it. */
  async #writeBlock(block: BlockBuffer): Promise<boolean> {
    for (;;) {
      try {
        this.bytesWritten += await this.#output.write(block)
        if (this.state === 'failing') this.#nowWriting()
        return true
      } catch (error) {
        if (isDiskFull(error)) {
          if (await this.#store.makeRoom()) continue
        } else {
          await this.#store.abandon()
        }
        await this.#nowFailing(error)
      }
      if (this.#closing.signal.aborted) {
        await this.#store.trim()
        return false
      }
      await sleep(this.#options.policy.retryAfterMs, this.#closing.signal).catch(() => undefined)
    }
  }

  #afterWrite(block: BlockBuffer): void {
    this.writtenSequence = block.lastSequence
    if (this.#overrunIsTold && !this.#held.hasFull) this.#overrunIsTold = false
    this.#options.onWritten(
      block.lastSequence,
      this.#options.clock.monotonicMs(),
      block.receivedMonotonicMs,
      block.count,
    )
    this.#wakeReaders()
    this.#timeSync(this.#options.policy.syncIntervalMs)
  }

  #wakeReaders(): void {
    this.#nextWrite?.resolve()
    this.#nextWrite = null
  }

  async #nowFailing(error: unknown): Promise<void> {
    if (this.state === 'failing') return
    const { clock, directory, files, onTrouble } = this.#options
    const freeBytes = await files.freeBytes(directory).catch(() => null)
    this.state = 'failing'
    this.#failing = { sinceMs: clock.monotonicMs(), lostBefore: this.lost }
    this.trouble = writeFailed(directory, error, freeBytes)
    onTrouble(this.trouble)
    // Whoever waits for the disk must not wait for as long as it fails.
    this.#wakeReaders()
  }

  #nowWriting(): void {
    this.state = 'writing'
    this.trouble = null
    const failingMs = this.#options.clock.monotonicMs() - this.#failing.sinceMs
    this.#options.onEvent({ kind: 'recovered', failingMs, lost: this.lost - this.#failing.lostBefore })
  }

  #timeSync(afterMs: number): void {
    if (this.#syncTimer !== null || this.#closing.signal.aborted) return
    this.#syncTimer = setTimeout(() => {
      this.#syncTimer = null
      void this.#syncOnce()
    }, afterMs).unref()
  }

  #syncOnce(): Promise<boolean> {
    this.#syncing ??= this.#sync().finally(() => {
      this.#syncing = null
    })
    return this.#syncing
  }

  /** Runs beside the writes: a tick waits for its write, never for the disk's confirmation. */
  async #sync(): Promise<boolean> {
    const { clock, policy } = this.#options
    const written = this.writtenSequence
    const startedMs = clock.monotonicMs()
    try {
      await this.#store.sync()
      this.syncedSequence = written
      this.#syncIsFailing = false
    } catch (error) {
      // After a failed sync the kernel may call the lost pages clean, so that a second sync would succeed over a hole: the file is left.
      if (!this.#syncIsFailing) {
        this.#output.distrust()
        this.#options.onTrouble(syncFailed(error, { synced: this.syncedSequence, written }))
      }
      this.#syncIsFailing = true
    }
    this.lastSyncMs = clock.monotonicMs() - startedMs
    this.syncs++
    if (this.writtenSequence > this.syncedSequence)
      this.#timeSync(this.#syncIsFailing ? policy.retryAfterMs : policy.syncIntervalMs)
    return !this.#syncIsFailing
  }
}

function whenAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}
