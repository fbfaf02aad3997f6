/** One simulated line in this process, under a clock that the test moves: what a sim bridge would write, without a process. */
import { Writable } from 'node:stream'
import { BridgeWriter } from '#adapters/feeds/bridge-writer.ts'
import { EmbeddedFront } from '#adapters/feeds/embedded-front.ts'
import { parseScenario } from '#adapters/feeds/scenario.ts'
import { SimFeed } from '#adapters/feeds/sim/sim-feed.ts'
import { encodeMessage, FrameReader, type Message } from '#adapters/feeds/wire.ts'
import type { Line } from '#domain/line.ts'
import type { MarketCalendar } from '#domain/session-calendar.ts'
import { TICK_AT, TICK_BYTES, TICK_F64, type TickDouble, type TickViews, tickViews } from '#domain/tick.ts'

export interface SimLineOptions {
  line?: Line
  seed?: string
  instruments?: number
  ticksPerSecond?: number
  /** Market time of the scenario's zero and of the listing. */
  originMs: number
  /** Market time at which this line's process starts. */
  startMs?: number
  scenario?: readonly Record<string, unknown>[]
  calendar?: MarketCalendar
}

export class SimLine {
  readonly messages: Message[] = []
  /** Kept tick records, whole. */
  readonly ticks: TickRecord[] = []
  /** Called instead of keeping the tick, where a test looks at more than it wants to keep. */
  onTick: ((views: TickViews, at: number) => void) | undefined
  readonly feed: SimFeed
  readonly writer: BridgeWriter
  readonly happened: string[] = []
  readonly #front: EmbeddedFront
  readonly #startMs: number
  #elapsedMs = 0
  #sequence = 0

  constructor(options: SimLineOptions) {
    const { originMs, line = 'primary', startMs = originMs } = options
    this.#startMs = startMs
    const clock = { monotonicMs: () => this.#elapsedMs, wallMs: () => startMs + this.#elapsedMs }
    const reader = new FrameReader({
      tick: (views, at) => {
        if (this.onTick !== undefined) this.onTick(views, at)
        else this.ticks.push(new TickRecord(views, at))
      },
      message: (message) => this.messages.push(message),
    })
    const out = new Writable({
      write: (chunk: Buffer, _encoding, done) => {
        reader.push(chunk)
        done()
      },
    })
    this.writer = new BridgeWriter(out, clock)
    this.feed = new SimFeed({
      writer: this.writer,
      clock,
      seed: options.seed ?? '1',
      instruments: options.instruments ?? 60,
      ticksPerSecond: options.ticksPerSecond ?? 1000,
      listedAtMs: originMs,
      marketStartMs: startMs,
      marketStartMonotonicMs: 0,
      calendar: options.calendar,
    })
    this.#front = new EmbeddedFront({
      writer: this.writer,
      market: this.feed,
      process: {
        crash: () => this.happened.push('crash'),
        hang: (forMs) => this.happened.push(`hang ${forMs}`),
      },
      line,
      scenario: parseScenario(options.scenario === undefined ? '' : JSON.stringify(options.scenario)),
      scenarioStartMs: originMs,
      startMs,
    })
    this.feed.attach(this.#front)
    this.#front.start()
  }

  get ids(): string[] {
    return Array.from({ length: this.feed.count }, (_, i) => this.feed.id(i))
  }

  get nowMs(): number {
    return this.#startMs + this.#elapsedMs
  }

  command(type: Message['type'], texts: readonly string[] = []): number {
    this.#sequence += 1
    const frame = encodeMessage(type, { sequence: this.#sequence, wallMs: 0, monotonicMs: 0, texts })
    new FrameReader({ tick: () => {}, message: (message) => this.#front.command(message) }).push(frame)
    return this.#sequence
  }

  /** Logs in and subscribes; the snapshots are on their way after it. */
  async subscribe(ids: readonly string[] = this.ids): Promise<void> {
    this.command('login')
    for (let i = 0; i < ids.length; i += 1000) this.command('subscribe', ids.slice(i, i + 1000))
    await this.settle()
  }

  /** Lets market time go on to a moment, in steps as coarse as asked for. */
  async runUntil(toMs: number, stepMs = 1): Promise<void> {
    while (this.nowMs < toMs) {
      this.#elapsedMs = Math.min(this.#elapsedMs + stepMs, toMs - this.#startMs)
      while (!this.feed.step()) await this.settle()
      // The pipe is emptied in turns of the event loop, which a loop without one would keep from coming.
      if (this.writer.room < 20_000) await this.settle()
    }
    await this.settle()
  }

  /** Everything written has been read. */
  async settle(): Promise<void> {
    await this.writer.drained()
    await new Promise((resolve) => setImmediate(resolve))
  }
}

/** A tick record that was copied out of its buffer. */
export class TickRecord {
  readonly bytes: Buffer
  readonly #views: TickViews

  constructor(views: TickViews, at: number) {
    const buffer = new ArrayBuffer(TICK_BYTES)
    this.bytes = Buffer.from(buffer)
    this.bytes.set(views.u8.subarray(at, at + TICK_BYTES))
    this.#views = tickViews(buffer)
  }

  /** What the vendor said: neither sequence nor receive stamps. */
  get said(): string {
    return (
      this.bytes.toString('hex', TICK_AT.instrument, TICK_AT.receivedWallMs) +
      this.bytes.toString('hex', TICK_AT.tradingDay)
    )
  }

  get instrument(): number {
    return this.#views.i32[TICK_AT.instrument / 4] ?? 0
  }

  get sequence(): number {
    return this.#views.i32[2] ?? 0
  }

  get volume(): number {
    return this.#views.i32[TICK_AT.volume / 4] ?? Number.NaN
  }

  get millisecond(): number {
    return this.#views.i32[TICK_AT.updateMillisec / 4] ?? Number.NaN
  }

  get tradingDay(): string {
    return this.#text(TICK_AT.tradingDay)
  }

  get actionDay(): string {
    return this.#text(TICK_AT.actionDay)
  }

  get time(): string {
    return this.#text(TICK_AT.updateTime)
  }

  double(name: TickDouble): number {
    return this.#views.f64[TICK_F64[name]] ?? Number.NaN
  }

  get receivedWallMs(): number {
    return this.#views.f64[TICK_AT.receivedWallMs / 8] ?? Number.NaN
  }

  bidVolume(level: number): number {
    return this.#views.i32[TICK_AT.bidVolumes / 4 + level - 1] ?? Number.NaN
  }

  get views(): TickViews {
    return this.#views
  }

  #text(at: number): string {
    return this.bytes.toString('latin1', at, at + 8).replace(/\0.*$/s, '')
  }
}
