/**
 * Follows the journal and brings every live tick into the stream exactly once, in journal order, whatever dies. One round: open a link,
 * ask where the stream stands, go on from there until the link fails; then wait as the failure demands and begin anew. Nothing is kept
 * in memory for sending again: the journal has it.
 */
import { readCursor, writeCursor } from '#adapters/bus/cursor-file.ts'
import type { BusLink, ConsumerBacklog, StreamDrift, TickBus } from '#adapters/bus/tick-bus.ts'
import { readJournal, type WriteNotifier } from '#adapters/journal/journal-reader.ts'
import { type Clock, sleep } from '#clock.ts'
import {
  type BusCursor,
  busBacklog,
  catchUpSeconds,
  type JournalNumbering,
  RESUME_SENTENCES,
  resumeFrom,
  type StreamEnd,
  type StreamTick,
} from '#domain/bus-cursor.ts'
import { type BusFailure, busFailure, busRetryMs } from '#domain/bus-failure.ts'
import { Failure } from '#domain/failure.ts'
import type { FeedStateMessage } from '#domain/feed-state.ts'
import { IntervalHistogram, RecentHistogram } from '#domain/interval-histogram.ts'
import { FeedStateOutbox } from './feed-state-outbox.ts'
import { ForeignWatch, lastOfOurs } from './foreign-writer.ts'
import type { LatestTicks } from './latest-ticks.ts'
import { RateMeter } from './rate-meter.ts'
import { isLoss, type Resumption, StreamLosses } from './stream-losses.ts'
import { TickPump } from './tick-pump.ts'
import { WakeUp } from './wake-up.ts'

export interface PublisherOptions {
  bus: TickBus
  /** As the journal's segments have it. */
  host: string
  subjectPrefix: string
  journalDirectory: string
  /** The writer, in its own process. */
  notifier?: WriteNotifier
  /** From the journal's recovery; `{ last: 0, next: 1 }` for a journal that another process writes. */
  numbering: JournalNumbering
  /** Last sequence in the journal. */
  written(): number
  cursorPath: string
  clock: Clock
  log(level: 'info' | 'warn' | 'error', message: string, details?: Record<string, unknown>): void
  /** Everything up to this sequence needs no publishing any more: what the journal's retention may take. */
  onPublished?(sequence: number): void
  /** Vendor callback to acknowledgement of one live tick, by the wall clock. */
  onLatency?(ms: number): void
  latest?: LatestTicks
  windowTicks?: number
  ackTimeoutMs?: number
  /** How long another writer must be silent before publication goes on. */
  foreignQuietMs?: number
  /** How long a stream's end must stand still before what is missing behind it is taken for lost. */
  lossPatienceMs?: number
  /** In [0, 1). */
  jitter(): number
}

export type PublisherState =
  | { kind: 'connecting' }
  | { kind: 'publishing'; server: { name: string; version: string } }
  | { kind: 'waiting'; failure: BusFailure; attempt: number }
  | { kind: 'foreign-writer'; by: StreamTick | null }
  | { kind: 'closed' }

/** The ticks that an operator's order concerns, by journal sequence. */
export interface Republication {
  from: number
  to: number
}

const NOT_CONNECTED = {
  message: 'There is no connection to the bus.',
  remedy: 'Try again when start-live-env status says that the bus is connected.',
}
const WINDOW_TICKS = 1024
/** Redialling is cheap and safe, and a stream without a leader does not answer at all. */
const ACK_TIMEOUT_MS = 2_000
const WATCH_INTERVAL_MS = 250
const LOSS_POLL_MS = 100
const CURSOR_INTERVAL_MS = 1_000
/** What a stop waits for a bus that does not answer: the ticks are in the journal. */
const DEAD_BUS_GRACE_MS = 1_000
/** Their names become labels of a metric. */
const CONSUMERS_MAX = 100
const CONSUMERS_INTERVAL_MS = 1_000
/** A link that held this long was a good one: the next failure is a first one. */
const STABLE_MS = 10_000

export class Publisher {
  state: PublisherState = { kind: 'connecting' }
  /** Links that failed since the process began. */
  failures = 0
  drift: readonly StreamDrift[] = []
  /** What each durable consumer of the stream had still to get when last asked, every second; null while that is not known. */
  consumers: readonly ConsumerBacklog[] | null = null
  /** Sent to acknowledged. */
  readonly ackTotal = new IntervalHistogram()
  readonly #ackRecent = new RecentHistogram(30_000)
  readonly #options: PublisherOptions
  readonly #pump: TickPump
  readonly #outbox = new FeedStateOutbox()
  readonly #foreign: ForeignWatch
  readonly #losses: StreamLosses
  readonly #stopping = new AbortController()
  readonly #progress = new WakeUp()
  readonly #rates: RateMeter
  #cursor: BusCursor
  #cursorIsGuess: boolean
  #savedSequence = -1
  #cursorSavedMs = Number.NEGATIVE_INFINITY
  #saving: Promise<void> = Promise.resolve()
  #savingFails = false
  #link: BusLink | null = null
  #linkFailed = new AbortController()
  #failure: BusFailure | null = null
  #republishFrom: number | null = null
  #isSeeded = false
  #consumersAskedMs = Number.NEGATIVE_INFINITY
  #busEpoch: number | null = null
  readonly #positioned = new WakeUp()
  #ran: Promise<void> = Promise.resolve()
  #closed: Promise<void> | null = null

  private constructor(options: PublisherOptions, kept: BusCursor | null) {
    this.#options = options
    // Without a cursor there was no bus before this run: what the journal has from then is history.
    this.#cursor = kept ?? { sequence: options.numbering.last, stream: null }
    this.#cursorIsGuess = kept === null
    this.#foreign = new ForeignWatch(options.clock, options.foreignQuietMs)
    const { journalDirectory, clock, log, lossPatienceMs: patienceMs } = options
    this.#losses = new StreamLosses({ journalDirectory, clock, log, patienceMs })
    this.#rates = new RateMeter(options.clock)
    this.#pump = new TickPump({
      clock: options.clock,
      subjectPrefix: options.subjectPrefix,
      windowTicks: options.windowTicks ?? WINDOW_TICKS,
      latest: options.latest ?? null,
      acknowledged: (ackMs, latencyMs) => {
        this.ackTotal.observe(ackMs)
        this.#ackRecent.observe(ackMs)
        options.onLatency?.(latencyMs)
      },
      progressed: (sequence) => this.#progressed(sequence),
    })
    options.onPublished?.(this.#cursor.sequence)
  }

  /** Begins at once and goes on until `close`. A bus that can't be reached is no error: it is tried again. @throws Node's error */
  static async open(options: PublisherOptions): Promise<Publisher> {
    const kept = await readCursor(options.cursorPath)
    const publisher = new Publisher(options, kept)
    if (kept === null) await writeCursor(options.cursorPath, publisher.#cursor)
    publisher.#ran = publisher.#run()
    return publisher
  }

  get connected(): boolean {
    return this.state.kind === 'publishing'
  }

  /** Everything in the journal up to here is in the stream, or is not meant to be. */
  get publishedSequence(): number {
    return this.#cursor.sequence
  }

  /** Ticks acknowledged since the process began. */
  get published(): number {
    return this.#pump.published
  }

  get backlog(): number {
    return busBacklog({ ...this.#options.numbering, written: this.#options.written() }, this.#cursor.sequence)
  }

  /** Null while the backlog does not shrink. */
  get catchUpSeconds(): number | null {
    const { arriving, publishing } = this.#rates.perSecond(this.#options.written(), this.#cursor.sequence)
    return catchUpSeconds(this.backlog, arriving, publishing)
  }

  /** Over the last half minute or so; null when nothing was acknowledged. */
  get ackP99Ms(): number | null {
    return this.#ackRecent.quantileMs(0.99, this.#options.clock.monotonicMs())
  }

  /** Sends a feed state, now or when the bus is back. Never throws. */
  publishState(message: FeedStateMessage): void {
    this.#outbox.add(message)
  }

  /** The highest epoch that the bus knows, 0 when it knows none; null when it can't be asked within `timeoutMs`. */
  async busEpoch(timeoutMs: number): Promise<number | null> {
    if (this.#busEpoch === null) {
      const settled = new AbortController()
      const overdue = sleep(timeoutMs, settled.signal).catch(() => undefined)
      await Promise.race([this.#positioned.wait(), overdue])
      settled.abort()
    }
    return this.#busEpoch
  }

  /** Asks for `consumers` now, null without a link. @throws Failure<BusFailureKind> */
  async consumerBacklogs(): Promise<readonly ConsumerBacklog[] | null> {
    const link = this.#link
    this.consumers = link === null ? null : await link.consumerBacklogs(CONSUMERS_MAX)
    return this.consumers
  }

  /**
   * Publishes the journal again from tick `from` on, in order; ticks that come meanwhile wait behind. Goes on after a restart, behind what
   * the stream has then. Ticks that the stream holds already are published twice only with `again`.
   * @throws Failure `bus-not-connected`, `no-such-tick`, `already-published`, or BusFailureKind
   */
  async republish(from: number, again: boolean): Promise<Republication> {
    const link = this.#link
    if (link === null || !this.connected) {
      const { message, remedy } = this.state.kind === 'waiting' ? this.state.failure : NOT_CONNECTED
      throw new Failure('bus-not-connected', message, remedy)
    }
    const to = this.#options.written()
    if (!Number.isSafeInteger(from) || from < 1 || from > to) {
      const message = `The journal ends with tick ${to}, so nothing begins at ${from}.`
      throw new Failure(
        'no-such-tick',
        message,
        'See `full-feed-subscription verify` for the ticks that the journal holds.',
      )
    }
    const { name, last } = await link.streamEnd()
    const held = last?.tick?.host === this.#options.host ? last.tick.sequence : 0
    if (held >= from && !again) {
      const message = `The stream ${name} holds ticks up to ${held} already; from ${from} on they would be in it twice.`
      throw new Failure(
        'already-published',
        message,
        'Give --again if that is wanted: consumers tell them apart by seq.',
      )
    }
    this.#republishFrom = from
    this.#failLink(busFailure('bus-out-of-step', `Publication begins again at tick ${from}, as ordered.`))
    return { from, to }
  }

  /**
   * Publishes what the journal holds now, as long as the bus takes it and at most `deadlineMs`, then closes. With `cut`, also when asked
   * again, at once. Never throws.
   */
  close(deadlineMs: number, cut?: AbortSignal): Promise<void> {
    this.#closed ??= this.#close(deadlineMs, cut)
    return this.#closed
  }

  async #close(deadlineMs: number, cut?: AbortSignal): Promise<void> {
    await this.#drain(deadlineMs, cut)
    this.#stopping.abort()
    this.#failLink(null)
    await this.#ran
    this.state = { kind: 'closed' }
    await this.#saveCursor()
  }

  async #drain(deadlineMs: number, cut: AbortSignal | undefined): Promise<void> {
    const { clock, written } = this.#options
    const target = written()
    const startedMs = clock.monotonicMs()
    let seenMs = startedMs
    let seen = this.#cursor.sequence
    while (this.#republishFrom !== null || this.#cursor.sequence < target || !this.#outbox.isEmpty) {
      const nowMs = clock.monotonicMs()
      if (this.#cursor.sequence !== seen) [seen, seenMs] = [this.#cursor.sequence, nowMs]
      const isDead = !this.connected && nowMs - seenMs > DEAD_BUS_GRACE_MS
      if (cut?.aborted || isDead || nowMs - startedMs > deadlineMs) return
      await sleep(10)
    }
  }

  async #run(): Promise<void> {
    const { clock, jitter, log } = this.#options
    const watch = setInterval(() => this.#watch(), WATCH_INTERVAL_MS).unref()
    let attempt = 0
    let lastKind = ''
    while (!this.#stopping.signal.aborted) {
      const startedMs = clock.monotonicMs()
      const failure = await this.#serveLink()
      if (this.#stopping.signal.aborted || failure === null) break
      this.failures++
      const isRepeated = failure.kind === lastKind && clock.monotonicMs() - startedMs < STABLE_MS
      attempt = isRepeated ? attempt + 1 : 1
      lastKind = failure.kind
      this.state = { kind: 'waiting', failure, attempt }
      // Out of step is how trouble first shows; where an operator is needed, the next link finds out why.
      const level = failure.kind === 'bus-out-of-step' ? 'info' : 'warn'
      if (!isRepeated) log(level, `bus: ${failure.message} ${failure.remedy}`, { kind: failure.kind })
      await sleep(busRetryMs(failure.kind, attempt, jitter()), this.#stopping.signal).catch(() => undefined)
    }
    clearInterval(watch)
  }

  /** From dialling to the link's end; null when stopping. */
  async #serveLink(): Promise<BusFailure | null> {
    this.#linkFailed = new AbortController()
    this.#failure = null
    let link: BusLink | null = null
    try {
      link = await this.#options.bus.open(this.#stopping.signal, {
        acknowledged: (streamSequence) => this.#acknowledged(streamSequence),
        failed: (failure) => this.#failLink(failure),
      })
      this.#link = link
      await this.#position(link)
      await this.#follow(link)
      return this.#failure
    } catch (error) {
      if (this.#stopping.signal.aborted) return null
      return this.#failure ?? asBusFailure(error)
    } finally {
      this.#link = null
      this.consumers = null
      this.#outbox.use(null)
      this.#linkFailed.abort()
      this.#pump.wake()
      await link?.close()
    }
  }

  /** Finds out where to go on, and goes there. */
  async #position(link: BusLink): Promise<void> {
    const { log } = this.#options
    if (link.made.length > 0) log('info', `bus: made ${link.made.join(', ')}`)
    this.#tellDrift(link.drift)
    const { end, sequence, reason } = await this.#whereToResume(link)
    const sentence = RESUME_SENTENCES[reason]
    if (sentence !== null)
      log(reason === 'cursor-restored' ? 'warn' : 'error', `bus: ${sentence}`, { reason, sequence })
    await this.#learnEpoch(link, end)
    await this.#losses.tellLostBeginning(this.#cursor, end)

    const from = this.#republishFrom === null ? sequence : this.#republishFrom - 1
    this.#cursor = {
      sequence: from,
      stream: { name: end.name, created: end.created, lastSequence: end.lastSequence },
    }
    if (this.#republishFrom !== null || reason !== 'unchanged') await this.#saveCursor()
    this.#republishFrom = null
    this.#cursorIsGuess = false
    this.#losses.mark(this.#cursor)
    this.#pump.restart(from, end.lastSequence)
    this.#options.onPublished?.(from)
    this.state = { kind: 'publishing', server: link.server }
    log(
      'info',
      `bus: publishing to ${end.name} on ${link.server.name || 'NATS'} ${link.server.version} after tick ${from}`,
    )
    this.#outbox.use(link)
    void this.#seedLatest(link)
  }

  async #whereToResume(link: BusLink): Promise<Resumption & { end: StreamEnd }> {
    const { host, log, numbering, written } = this.#options
    const stop = AbortSignal.any([this.#stopping.signal, this.#linkFailed.signal])
    for (;;) {
      const end = await link.streamEnd()
      const sentMax = Math.max(numbering.next - 1, this.#pump.sentMax, written())
      const resume = resumeFrom({ cursor: this.#cursor, end, host, sentMax, isGuess: this.#cursorIsGuess })
      if (resume.kind !== 'foreign-writer') {
        if (!isLoss(resume) || this.#losses.isProven(end.lastSequence))
          return { end, ...(await this.#losses.resumption(this.#cursor, resume)) }
        await sleep(LOSS_POLL_MS, stop)
        continue
      }
      if (this.state.kind !== 'foreign-writer') {
        const by = resume.by === null ? 'Somebody' : `Host ${resume.by.host}`
        const failure = busFailure(
          'foreign-writer',
          `${by} writes to the stream ${end.name} too; nothing is published.`,
        )
        log('error', `bus: ${failure.message} ${failure.remedy}`, { kind: failure.kind })
      }
      this.state = { kind: 'foreign-writer', by: resume.by }
      if (this.#foreign.isQuiet(end.lastSequence)) {
        const sequence = await lastOfOurs({ link, cursor: this.#cursor, end, host })
        log('warn', `bus: the other writer is silent; publication goes on after tick ${sequence}`)
        return { end, sequence, reason: 'unseen-acknowledgements' }
      }
      await sleep(this.#foreign.pollMs, stop)
    }
  }

  async #follow(link: BusLink): Promise<void> {
    const { journalDirectory, notifier, log } = this.#options
    const blocks = readJournal({
      directory: journalDirectory,
      from: this.#cursor.sequence + 1,
      onProblem: (problem) =>
        log('error', `bus: the journal can't be published in full: ${problem.segment}: ${problem.message}`, {
          kind: problem.kind,
        }),
      follow: AbortSignal.any([this.#stopping.signal, this.#linkFailed.signal]),
      ...(notifier && { notifier }),
    })
    for await (const block of blocks) {
      if (!(await this.#pump.send(link, block, this.#linkFailed.signal))) return
    }
  }

  #acknowledged(streamSequence: number): void {
    if (this.#pump.acknowledge(streamSequence)) return
    this.#failLink(
      busFailure('bus-out-of-step', `The server acknowledged message ${streamSequence}, which was never sent.`),
    )
  }

  #progressed(sequence: number): void {
    const { stream } = this.#cursor
    const { inFlight } = this.#pump
    const lastSequence = inFlight.nextStreamSequence - inFlight.count - 1
    this.#cursor = { sequence, stream: stream === null ? null : { ...stream, lastSequence } }
    this.#options.onPublished?.(sequence)
    this.#progress.wake()
  }

  #failLink(failure: BusFailure | null): void {
    this.#failure ??= failure
    this.#linkFailed.abort()
    this.#pump.wake()
  }

  /** Regularly: overdue acknowledgements, rates, the cursor's file. */
  #watch(): void {
    const { clock, ackTimeoutMs = ACK_TIMEOUT_MS, written } = this.#options
    const waitedMs = clock.monotonicMs() - this.#pump.inFlight.oldestSentMs
    if (waitedMs > ackTimeoutMs && this.#link !== null) {
      const message = `The bus has not acknowledged a tick for ${Math.round(waitedMs / 1000)} s.`
      this.#failLink(busFailure('bus-not-answering', message))
    }
    this.#rates.sample(written(), this.#cursor.sequence)
    if (this.connected) this.#losses.mark(this.#cursor)
    const nowMs = clock.monotonicMs()
    if (nowMs - this.#cursorSavedMs >= CURSOR_INTERVAL_MS) {
      this.#cursorSavedMs = nowMs
      void this.#saveCursor()
    }
    if (nowMs - this.#consumersAskedMs >= CONSUMERS_INTERVAL_MS) {
      this.#consumersAskedMs = nowMs
      // A link that can't answer shows elsewhere; a number that is not known must not look like a small one.
      this.consumerBacklogs().catch(() => {
        this.consumers = null
      })
    }
  }

  async #saveCursor(): Promise<void> {
    this.#saving = this.#saving.then(async () => {
      const cursor = this.#cursor
      if (cursor.sequence === this.#savedSequence && cursor.stream !== null) return
      try {
        await writeCursor(this.#options.cursorPath, cursor)
        this.#savedSequence = cursor.sequence
        this.#savingFails = false
      } catch (error) {
        // An old cursor costs nothing: the stream tells the rest.
        if (!this.#savingFails) this.#options.log('warn', `bus: the cursor can't be written: ${String(error)}`)
        this.#savingFails = true
      }
    })
    await this.#saving
  }

  #tellDrift(drift: readonly StreamDrift[]): void {
    const isTold = JSON.stringify(drift) === JSON.stringify(this.drift)
    this.drift = drift
    if (isTold) return
    for (const { stream, setting, declared, found } of drift)
      this.#options.log('warn', `bus: stream ${stream}: ${setting} is ${found}, declared is ${declared}; left as it is`)
  }

  async #learnEpoch(link: BusLink, end: StreamEnd): Promise<void> {
    const stateEpoch = await link.lastStateEpoch()
    this.#busEpoch = Math.max(this.#busEpoch ?? 0, stateEpoch ?? 0, end.last?.tick?.epoch ?? 0)
    this.#positioned.wake()
  }

  /** Once in a process: what was published before this run, for snapshots. */
  async #seedLatest(link: BusLink): Promise<void> {
    const { latest, log } = this.#options
    if (latest === undefined || this.#isSeeded) return
    this.#isSeeded = true
    try {
      await link.lastTicks(this.#linkFailed.signal, (json) => latest.seed(json))
    } catch (error) {
      this.#isSeeded = false
      if (!this.#linkFailed.signal.aborted) log('warn', `bus: the last ticks can't be read: ${String(error)}`)
    }
  }
}

function asBusFailure(error: unknown): BusFailure {
  if (error instanceof Failure) return error
  // Only the journal's files throw anything else.
  const text = error instanceof Error ? error.message : String(error)
  return busFailure('journal-unreadable', `The journal can't be read: ${text}.`, error)
}
