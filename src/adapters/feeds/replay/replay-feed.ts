/**
 * Drives recordings through a line at the pace that the supervisor permits: `advance` to a moment sends every row received until then
 * and is answered with `reached`. So both lines stand at the same moment of the recording at every speed, and nothing depends on how
 * fast this process is.
 */
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Clock } from '#clock.ts'
import { Failure } from '#domain/failure.ts'
import { productOfInstrument } from '#domain/instrument.ts'
import type { Line } from '#domain/line.ts'
import type { MarketCalendar } from '#domain/session-calendar.ts'
import { TICK_AT, TICK_BYTES, type TickViews, tickViews } from '#domain/tick.ts'
import { faultsAt } from '../active-faults.ts'
import type { BridgeWriter } from '../bridge-writer.ts'
import type { EmbeddedFront, FrontMarket, TickTarget } from '../embedded-front.ts'
import type { Scenario } from '../scenario.ts'
import type { Message } from '../wire.ts'
import { MergedRecordings } from './merge-recordings.ts'
import { RecordedInstruments, type RecordingOptions, surveyRecording } from './recording.ts'

export interface ReplayFeedOptions {
  writer: BridgeWriter
  clock: Clock
  line: Line
  scenario: Scenario
  /** Recording time of the scenario's zero; the first row's when undefined. */
  scenarioStartMs: number | undefined
  /** Rows before this are only remembered as the instruments' last state; undefined begins with the first row. */
  startMs: number | undefined
  files: readonly string[]
  calendar: MarketCalendar | undefined
  exchangeOfProduct: (product: string) => string | undefined
}

/** Rows sent before commands get a turn. */
const ROWS_PER_TURN = 4096
/** Rows that a rewind can bring back. */
const REMEMBERED_ROWS = 16_384
/** Everything but header and receive stamps. */
const RECORDED_FROM = TICK_AT.tradingDay

export class ReplayFeed implements FrontMarket {
  readonly scenarioStartMs: number
  readonly #options: ReplayFeedOptions
  readonly #writer: BridgeWriter
  readonly #instruments: RecordedInstruments
  readonly #rows: MergedRecordings
  /** Last row of every instrument. */
  readonly #last: TickViews
  readonly #hasLast: Uint8Array
  readonly #remembered: RowMemory | undefined
  #front: EmbeddedFront | undefined
  #positionMs: number
  /** Receive time of the row sent last; with a lag it is later than its recording time. */
  #deliveredMs = Number.NEGATIVE_INFINITY
  #receivedMonotonicMs = 0
  #rowNumber = 0
  #tradingDay = ''
  #permits: Promise<void> = Promise.resolve()

  private constructor(
    options: ReplayFeedOptions,
    instruments: RecordedInstruments,
    rows: MergedRecordings,
    firstRowMs: number,
  ) {
    this.#options = options
    this.#writer = options.writer
    this.#instruments = instruments
    this.#rows = rows
    this.scenarioStartMs = options.scenarioStartMs ?? firstRowMs
    this.#positionMs = options.startMs ?? firstRowMs
    this.#last = tickViews(new ArrayBuffer(Math.max(1, instruments.ids.length) * TICK_BYTES))
    this.#hasLast = new Uint8Array(instruments.ids.length)
    const isRewound = options.scenario.faults.some(({ fault }) => fault === 'rewind')
    this.#remembered = isRewound ? new RowMemory() : undefined
  }

  /**
   * Lists what the recordings hold and goes to the start position.
   * @throws Failure as readRecording does, and 'replay-empty' without a row in any file
   */
  static async open(options: ReplayFeedOptions): Promise<ReplayFeed> {
    const { files, calendar, exchangeOfProduct } = options
    const recordingOptions: RecordingOptions = { calendar, exchangeOfProduct }
    const instruments = new RecordedInstruments()
    const surveyed: { path: string; firstRowMs: number }[] = []
    for (const path of files) {
      surveyed.push({ path, firstRowMs: await surveyRecording(path, instruments, recordingOptions) })
    }
    const firstRowMs = Math.min(...surveyed.map((file) => file.firstRowMs))
    if (firstRowMs === Number.POSITIVE_INFINITY)
      throw new Failure('replay-empty', 'no recording holds a row', 'Correct REPLAY_FILES.')
    const rows = new MergedRecordings(surveyed, instruments, recordingOptions)
    const feed = new ReplayFeed(options, instruments, rows, firstRowMs)
    await feed.#skipUntil(feed.#positionMs)
    return feed
  }

  attach(front: EmbeddedFront): void {
    this.#front = front
  }

  get count(): number {
    return this.#instruments.ids.length
  }

  marketNowMs(): number {
    return this.#positionMs
  }

  /** Obeys `advance`; permits are worked off one after the other, each with its answer. */
  advance(message: Message): Promise<void> {
    const toMs = message.numbers[0] ?? Number.NEGATIVE_INFINITY
    this.#permits = this.#permits.then(() => this.#sendUntil(toMs, message.sequence))
    return this.#permits
  }

  async #skipUntil(startMs: number): Promise<void> {
    while (await this.#rows.fill()) {
      while (this.#rows.block !== undefined) {
        if (this.#rows.recordingMs >= startMs) return
        this.#rememberRow()
        this.#rows.advance()
      }
    }
  }

  async #sendUntil(toMs: number, request: number): Promise<void> {
    const front = this.#front
    if (front === undefined) return
    let rowsThisTurn = 0
    while (await this.#rows.fill()) {
      let isDone = false
      this.#receivedMonotonicMs = this.#options.clock.monotonicMs()
      while (this.#rows.block !== undefined) {
        const dueMs = this.#dueMs()
        isDone = dueMs > toMs
        if (isDone) break
        this.#positionMs = Math.max(this.#positionMs, dueMs)
        front.passTo(dueMs)
        if (!this.#sendRow(front, dueMs)) break
        this.#rows.advance()
        rowsThisTurn += 1
        if (rowsThisTurn >= ROWS_PER_TURN) break
      }
      if (isDone) break
      if (this.#writer.room < ROWS_PER_TURN) await this.#writer.drained()
      if (rowsThisTurn >= ROWS_PER_TURN) {
        rowsThisTurn = 0
        this.#writer.flush()
        await nextTurn()
      }
    }
    if (toMs !== Number.POSITIVE_INFINITY) {
      this.#positionMs = Math.max(this.#positionMs, toMs)
      front.passTo(toMs)
    }
    if (front.owesSnapshots) front.sendSnapshots()
    this.#writer.send('reached', this.#positionMs, { request, numbers: [toMs, this.#dueMs()] })
    this.#writer.flush()
  }

  /** When the next row is received here, Infinity after the last one. */
  #dueMs(): number {
    const { recordingMs } = this.#rows
    if (recordingMs === Number.POSITIVE_INFINITY) return recordingMs
    const { scenario, line } = this.#options
    const lagMs =
      this.#front?.activeAt(recordingMs).lagMs ?? faultsAt(scenario, line, recordingMs - this.scenarioStartMs).lagMs
    return Math.max(this.#deliveredMs, recordingMs + lagMs)
  }

  /** @returns false when the pipe is full */
  #sendRow(front: EmbeddedFront, dueMs: number): boolean {
    const { block, row, recordingMs } = this.#rows
    if (block === undefined) return true
    const index = block.instruments[row] ?? 0
    if (front.subscribed[index] === 1) {
      const from = row * TICK_BYTES
      const write = ({ views, at }: TickTarget) => {
        copyRow(block.views, from, views, at)
        stampReceipt(views, at, dueMs, this.#receivedMonotonicMs)
      }
      const faults = front.activeAt(recordingMs)
      if (!front.deliver(index, faults, this.#rowNumber, write)) return false
      this.#remembered?.add(block.views, from, index, dueMs)
    }
    this.#deliveredMs = dueMs
    this.#rememberRow()
    return true
  }

  #rememberRow(): void {
    const { block, row } = this.#rows
    if (block === undefined) return
    const index = block.instruments[row] ?? 0
    copyRow(block.views, row * TICK_BYTES, this.#last, index * TICK_BYTES)
    this.#hasLast[index] = 1
    this.#rowNumber += 1
  }

  rewindTo(positionMs: number): void {
    const monotonicMs = this.#options.clock.monotonicMs()
    this.#remembered?.replay(positionMs, (views, from, index) => {
      if (this.#front?.subscribed[index] !== 1) return
      const at = this.#writer.reserveTick(index + 1)
      if (at < 0) return
      this.#writer.ticks.received += 1
      copyRow(views, from, this.#writer.views, at)
      stampReceipt(this.#writer.views, at, this.#positionMs, monotonicMs)
    })
  }

  indexOf(id: string): number | undefined {
    return this.#instruments.indexOf(id)
  }

  id(index: number): string {
    return this.#instruments.ids[index] ?? ''
  }

  exchange(index: number): string {
    return this.#instruments.exchanges[index] ?? ''
  }

  /** A recording tells nothing else about its contracts. */
  catalogueRow(index: number): { texts: string[]; numbers: number[] } {
    const id = this.id(index)
    return {
      texts: [id, this.exchange(index), productOfInstrument(id), '', id, '', '', ''],
      numbers: [Number.NaN, Number.NaN, 1],
    }
  }

  tradingDay(): string {
    const { block, row } = this.#rows
    if (block !== undefined) {
      const from = row * TICK_BYTES + TICK_AT.tradingDay
      this.#tradingDay = String.fromCharCode(...block.views.u8.subarray(from, from + 8)).replaceAll('\0', '')
    }
    return this.#tradingDay
  }

  hasSnapshot(index: number): boolean {
    return this.#hasLast[index] === 1
  }

  writeSnapshot(index: number, { views, at }: TickTarget): void {
    copyRow(this.#last, index * TICK_BYTES, views, at)
    stampReceipt(views, at, this.#positionMs, this.#options.clock.monotonicMs())
  }
}

function copyRow(source: TickViews, from: number, target: TickViews, at: number): void {
  // Not through doubles: a copy must not normalise texts that look like a NaN.
  target.i32.set(source.i32.subarray((from + RECORDED_FROM) >> 2, (from + TICK_BYTES) >> 2), (at + RECORDED_FROM) >> 2)
}

function stampReceipt({ f64 }: TickViews, at: number, wallMs: number, monotonicMs: number): void {
  f64[(at + TICK_AT.receivedWallMs) >> 3] = wallMs
  f64[(at + TICK_AT.receivedMonotonicMs) >> 3] = monotonicMs
}

/** The rows sent last, for a scenario that sends them again. */
class RowMemory {
  readonly #views = tickViews(new ArrayBuffer(REMEMBERED_ROWS * TICK_BYTES))
  readonly #index = new Int32Array(REMEMBERED_ROWS)
  readonly #sentMs = new Float64Array(REMEMBERED_ROWS)
  #count = 0

  add(views: TickViews, from: number, index: number, sentMs: number): void {
    const slot = this.#count % REMEMBERED_ROWS
    copyRow(views, from, this.#views, slot * TICK_BYTES)
    this.#index[slot] = index
    this.#sentMs[slot] = sentMs
    this.#count += 1
  }

  replay(sinceMs: number, send: (views: TickViews, from: number, index: number) => void): void {
    for (let i = Math.max(0, this.#count - REMEMBERED_ROWS); i < this.#count; i++) {
      const slot = i % REMEMBERED_ROWS
      if ((this.#sentMs[slot] ?? 0) >= sinceMs) send(this.#views, slot * TICK_BYTES, this.#index[slot] ?? 0)
    }
  }
}
