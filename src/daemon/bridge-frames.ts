/**
 * Reads what a line's bridge says: ticks and answers under the bridge's own instrument numbers, turned into slots and handed on; and the
 * bridge's count of its frames, in which a hole is what it had to drop. The numbers begin anew with each bridge.
 */
import { bridgeText, frontErrorTexts, type Message, vendorText } from '#adapters/feeds/wire.ts'
import type { Clock } from '#clock.ts'
import type { Line } from '#domain/line.ts'
import type { TickViews } from '#domain/tick.ts'
import { type BridgeWords, type LineInbox, sentenceOf } from './line-notes.ts'
import type { LineSubscriber } from './line-subscriber.ts'

export interface FrameEnvironment {
  clock: Clock
  /** Slot of the instrument, made on first sight; null for an unknown exchange. */
  slotOf(symbol: string, exchange: string): number | null
  /** The bridge lists a contract that the line could carry. */
  listed(symbol: string, exchange: string): void
  /** Frames are about to be read, at this moment of CLOCK_MONOTONIC. */
  reading(nowMs: number): void
  tick(slot: number, views: TickViews, at: number): void
  /** Replay only: the bridge sent everything up to `reachedMs`. */
  reached(reachedMs: number, nextMs: number): void
  log(level: 'info' | 'warn', message: string): void
}

interface FrameParts {
  line: Line
  env: FrameEnvironment
  inbox: LineInbox
  subscriber: LineSubscriber
  connected(): void
  /** `request`: null where the frame is an answer to a login anyhow. */
  loginAnswered(request: number | null, code: number, text: string): void
  disconnected(reason: number): void
}

/** A market has some 20,000 instruments; a number far beyond is no number of an instrument. */
const INSTRUMENT_NUMBER_MAX = 1_000_000

const NO_COUNTS = { received: 0, written: 0, dropped: 0, highWater: 0 }

export class BridgeFrames {
  /** CLOCK_MONOTONIC of the last frame of any kind. */
  lastFrameMs: number
  /** As the present bridge last told them. */
  counters = { ...NO_COUNTS }
  /** Over all bridges of the line, and CLOCK_MONOTONIC of the last time; null while there was none. */
  drops: { ticks: number; lastMs: number } | null = null
  /** What the present bridge last complained of, with the negative code of its own words. */
  complaint: (BridgeWords & { code: number }) | null = null
  /** What the present bridge last said in words. */
  lastWords = ''
  readonly #parts: FrameParts
  /** By the bridge's number of the instrument. */
  #slots = new Int32Array(0)
  #lastSequence = 0
  /** Frames that never came, seen by holes in the bridge's own count. */
  #missing = 0
  #toldMissing = 0

  constructor(parts: FrameParts) {
    this.#parts = parts
    this.lastFrameMs = parts.env.clock.monotonicMs()
  }

  /** A fresh bridge is about to speak. */
  begin(): void {
    this.#slots = new Int32Array(0)
    this.#lastSequence = 0
    this.#toldMissing = this.#missing
    this.counters = { ...NO_COUNTS }
    this.complaint = null
    this.lastWords = ''
    this.lastFrameMs = this.#parts.env.clock.monotonicMs()
  }

  reading(): void {
    const { env } = this.#parts
    this.lastFrameMs = env.clock.monotonicMs()
    env.reading(this.lastFrameMs)
  }

  tick(views: TickViews, at: number): void {
    this.#countMissing((views.i32[(at >> 2) + 2] ?? 0) >>> 0)
    const slot = this.#slots[views.i32[(at >> 2) + 3] ?? 0] ?? -1
    if (slot >= 0) this.#parts.subscriber.ticked(slot)
    this.#parts.env.tick(slot, views, at)
  }

  message(message: Message): void {
    this.#countMissing(message.sequence)
    const { line, env, inbox, subscriber } = this.#parts
    switch (message.type) {
      case 'hello':
        inbox.put({ type: 'hello', message })
        return
      case 'instrument':
        this.#learnInstrument(message)
        return
      case 'connected':
        this.#parts.connected()
        inbox.put({ type: 'connected' })
        return
      case 'disconnected':
        this.#parts.disconnected(message.code)
        return
      case 'loggedIn':
        this.#parts.loginAnswered(null, message.code, vendorText(message.texts[0]))
        inbox.put({ type: 'loggedIn', message })
        return
      case 'requested':
        subscriber.answered(message.request, message.code)
        if (message.code !== 0) inbox.put({ type: 'not-taken', request: message.request, code: message.code })
        return
      case 'subscribed': {
        const slot = this.#slots[message.instrument] ?? -1
        if (slot < 0) return
        if (message.code === 0) subscriber.acknowledged(slot)
        else subscriber.refused(slot, message.code)
        return
      }
      case 'counters':
        this.#count(message.numbers)
        return
      case 'catalogueRow':
        env.listed(vendorText(message.texts[0]), vendorText(message.texts[1]))
        return
      case 'catalogueEnd':
        inbox.put({ type: 'catalogueEnd' })
        return
      case 'reached':
        env.reached(message.numbers[0] ?? 0, message.numbers[1] ?? Number.POSITIVE_INFINITY)
        return
      case 'frontError': {
        const { code, request } = message
        const words = frontErrorTexts(message)
        env.log('warn', `${line}: ${code < 0 ? 'bridge' : `front error ${code}`}: ${sentenceOf(words)}`)
        if (code < 0) this.complaint = { ...words, code }
        if (code > 0) this.#parts.loginAnswered(request, code, words.message)
        if (code !== 0 && request !== 0) inbox.put({ type: 'frontError', request, code, words })
        return
      }
      case 'log':
        this.lastWords = bridgeText(message.texts[0])
        env.log('info', `${line} bridge: ${this.lastWords}`)
        return
      default:
        // Frames of a trading session, or commands: nothing that a market-data line acts on.
        return
    }
  }

  /** Once a second, and once more before the end, so that no drop goes untold. */
  #count([received = 0, written = 0, dropped = 0, highWater = 0]: readonly number[]): void {
    const { line, env } = this.#parts
    // Ticks without an instrument number leave no hole, and the holes of a bridge's last second may come without counters.
    const lost = Math.max(dropped - this.counters.dropped, this.#missing - this.#toldMissing)
    if (lost > 0) {
      this.drops = { ticks: (this.drops?.ticks ?? 0) + lost, lastMs: env.clock.monotonicMs() }
      env.log('warn', `${line}: the bridge dropped ${lost} ticks that were not read in time`)
    }
    this.counters = { received, written, dropped, highWater }
    this.#toldMissing = this.#missing
  }

  /** Frames are numbered from 1 and wrap at 2^32. */
  #countMissing(sequence: number): void {
    const missing = (sequence - this.#lastSequence - 1) >>> 0
    if (missing > 0 && missing < 2 ** 31) this.#missing += missing
    this.#lastSequence = sequence
  }

  #learnInstrument(message: Message): void {
    const { env, inbox } = this.#parts
    const number = message.instrument
    if (number > INSTRUMENT_NUMBER_MAX) {
      const failure = { kind: 'protocol-fault', message: `the bridge numbers an instrument ${number}` } as const
      inbox.put({ type: 'recycle', failure })
      return
    }
    if (number >= this.#slots.length) {
      const larger = new Int32Array(Math.max(1024, 2 * number)).fill(-1)
      larger.set(this.#slots)
      this.#slots = larger
    }
    const slot = env.slotOf(vendorText(message.texts[0]), vendorText(message.texts[1]))
    this.#slots[number] = slot ?? -1
  }
}
