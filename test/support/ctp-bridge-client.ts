/** The supervisor's end of one bridge process, for tests: sends commands, keeps every frame, and waits for the one a test asks about. */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Readable, Writable } from 'node:stream'
import { encodeMessage, FrameReader, type FrameTypeName, type Message, vendorText } from '#adapters/feeds/wire.ts'
import { TICK_AT, TICK_BYTES, TICK_F64, type TickDouble, type TickViews } from '#domain/tick.ts'

export type CommandName = Extract<
  FrameTypeName,
  'start' | 'login' | 'subscribe' | 'unsubscribe' | 'authenticate' | 'queryInstruments' | 'advance'
>
type MessageName = Message['type']

/** A tick with the fields that tests look at; the record itself is kept whole. */
export interface SeenTick {
  sequence: number
  instrument: number
  id: string
  tradingDay: string
  actionDay: string
  updateTime: string
  updateMillisec: number
  volume: number
  receivedWallMs: number
  receivedMonotonicMs: number
  record: Buffer
  double(name: TickDouble): number
  bidVolumes: number[]
  askVolumes: number[]
}

export interface BridgeEnd {
  code: number | null
  signal: NodeJS.Signals | null
}

export class BridgeClient {
  readonly process: ChildProcess
  readonly messages: Message[] = []
  readonly ticks: SeenTick[] = []
  readonly flowDirectory: string
  readonly ended: Promise<BridgeEnd>
  /** Holes in the bridge's count of its frames, and as many as there were before its last `counters`. */
  readonly missing = { frames: 0, beforeCounters: 0 }
  /** stdout and stderr: what a supervisor only logs. */
  log = ''
  /** Called instead of keeping the tick, where a test streams more than it wants to keep. */
  onTick: ((views: TickViews, at: number) => void) | undefined
  readonly #ids = new Map<number, string>()
  readonly #home: string
  #sequence = 0
  #lastSequence = 0
  #isOver = false
  #waiters: (() => void)[] = []

  constructor(executable: string, { env = {}, args = [] as string[], isLogRead = true } = {}) {
    this.#home = mkdtempSync(join(tmpdir(), 'ctp-bridge-'))
    this.flowDirectory = join(this.#home, 'flow')
    mkdirSync(this.flowDirectory)
    // A library that dies dies of what it did, and is not caught by a sanitizer that makes a report of it.
    const untouched = { ASAN_OPTIONS: 'handle_segv=0:handle_abort=0:handle_sigill=0' }
    this.process = spawn(executable, args, {
      stdio: ['pipe', 'pipe', 'pipe', 'pipe'],
      env: { ...process.env, ...untouched, ...env },
    })
    this.process.stdin?.on('error', () => {})
    if (isLogRead) {
      this.process.stdout?.on('data', (text: Buffer) => this.#logged(text))
      this.process.stderr?.on('data', (text: Buffer) => this.#logged(text))
    }
    const reader = new FrameReader({
      tick: (views, at) => this.#tick(views, at),
      message: (message) => this.#message(message),
    })
    this.frames.on('data', (chunk: Buffer) => reader.push(chunk))
    this.ended = new Promise((resolve) => {
      // Without a reader of its log it never closes.
      this.process.on(isLogRead ? 'close' : 'exit', (code, signal) => {
        this.#isOver = true
        resolve({ code, signal })
        this.#wake()
      })
    })
  }

  get frames(): Readable {
    return this.process.stdio[3] as Readable
  }

  get stdin(): Writable {
    return this.process.stdin as Writable
  }

  /** Sends a command; resolves its sequence, which answers carry in `request`. */
  send(type: CommandName, texts: readonly string[] | Readonly<Record<string, string>> = []): number {
    const flat = Array.isArray(texts) ? (texts as readonly string[]) : Object.entries(texts).flat()
    this.#sequence++
    this.stdin.write(encodeMessage(type, { sequence: this.#sequence, wallMs: 0, monotonicMs: 0, texts: flat }))
    return this.#sequence
  }

  start(front: string, more: Readonly<Record<string, string>> = {}): number {
    return this.send('start', { session: 'md', fronts: front, flow_dir: this.flowDirectory, ...more })
  }

  /** Starts, waits for the connection, logs in and waits for the answer. */
  async logIn(front: string, more: Readonly<Record<string, string>> = {}): Promise<Message> {
    this.start(front, more)
    await this.message('connected')
    this.send('login', { broker: '9999', user: 'trader', password: 'secret' })
    return this.message('loggedIn')
  }

  of(type: MessageName): Message[] {
    return this.messages.filter((message) => message.type === type)
  }

  /** The `nth` frame of a type, waiting for it. */
  message(type: MessageName, nth = 1): Promise<Message> {
    return this.until(() => this.of(type)[nth - 1], `frame ${nth} of type ${type}`)
  }

  async until<T>(found: () => T | undefined | false, what: string, timeoutMs = 15_000): Promise<T> {
    const deadline = performance.now() + timeoutMs
    for (;;) {
      const value = found()
      if (value !== undefined && value !== false) return value
      const leftMs = deadline - performance.now()
      if (leftMs <= 0 || this.#isOver) {
        const seen = this.messages.map((message) => message.type).slice(-30)
        throw new Error(
          `${this.#isOver ? 'the bridge ended before' : `waited ${timeoutMs} ms for`} ${what}; last frames: ${seen.join(' ')}; log: ${this.log.slice(-2000)}`,
        )
      }
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, leftMs)
        this.#waiters.push(() => {
          clearTimeout(timer)
          resolve()
        })
      })
    }
  }

  /** Closes stdin, which is how a supervisor ends a bridge. */
  async end(): Promise<BridgeEnd> {
    this.stdin.end()
    return this.ended
  }

  async dispose(): Promise<void> {
    if (this.process.exitCode === null && this.process.signalCode === null) this.process.kill('SIGKILL')
    await this.ended
    rmSync(this.#home, { recursive: true, force: true })
  }

  #count(sequence: number): void {
    this.missing.frames += (sequence - this.#lastSequence - 1) >>> 0
    this.#lastSequence = sequence
  }

  #message(message: Message): void {
    this.#count(message.sequence)
    if (message.type === 'counters') this.missing.beforeCounters = this.missing.frames
    if (message.type === 'instrument') this.#ids.set(message.instrument, textOf(message, 0))
    this.messages.push(message)
    this.#wake()
  }

  #tick(views: TickViews, at: number): void {
    this.#count((views.i32[(at >> 2) + 2] ?? 0) >>> 0)
    if (this.onTick !== undefined) {
      this.onTick(views, at)
      return
    }
    this.ticks.push(seen(views, at, this.#ids))
    this.#wake()
  }

  #logged(text: Buffer): void {
    this.log += text.toString('latin1')
    this.#wake()
  }

  #wake(): void {
    const waiters = this.#waiters
    this.#waiters = []
    for (const waiter of waiters) waiter()
  }
}

export function textOf(message: Message, index: number): string {
  return vendorText(message.texts[index])
}

function seen({ u8, i32, f64 }: TickViews, at: number, ids: ReadonlyMap<number, string>): SeenTick {
  const record = Buffer.from(u8.slice(at, at + TICK_BYTES))
  const doubles = Array.from(f64.subarray(at >> 3, (at + TICK_BYTES) >> 3))
  const int = (offset: number) => i32[(at + offset) >> 2] ?? Number.NaN
  const text = (offset: number) => record.toString('latin1', offset, offset + 8).replace(/\0.*$/s, '')
  const instrument = int(TICK_AT.instrument)
  return {
    sequence: int(8),
    instrument,
    id: ids.get(instrument) ?? `undefined instrument ${instrument}`,
    tradingDay: text(TICK_AT.tradingDay),
    actionDay: text(TICK_AT.actionDay),
    updateTime: text(TICK_AT.updateTime),
    updateMillisec: int(TICK_AT.updateMillisec),
    volume: int(TICK_AT.volume),
    receivedWallMs: doubles[TICK_AT.receivedWallMs / 8] ?? Number.NaN,
    receivedMonotonicMs: doubles[TICK_AT.receivedMonotonicMs / 8] ?? Number.NaN,
    record,
    double: (name) => doubles[TICK_F64[name]] ?? Number.NaN,
    bidVolumes: [0, 1, 2, 3, 4].map((level) => int(TICK_AT.bidVolumes + 4 * level)),
    askVolumes: [0, 1, 2, 3, 4].map((level) => int(TICK_AT.askVolumes + 4 * level)),
  }
}
