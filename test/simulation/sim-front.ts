/**
 * One line's vendor side in a simulation: the front, the vendor library that reconnects by itself, and the bridge process between them and
 * the supervisor. It commits every fault of a scenario, and keeps apart what it knows to be true for the oracle. Written for virtual
 * time and independent of the embedded bridge, so that the two don't share their mistakes.
 */
import { type ActiveFaults, faultsAt, type Moment, momentsFrom } from '#adapters/feeds/active-faults.ts'
import type { Bridge, BridgeSink } from '#adapters/feeds/bridge-process.ts'
import { lot } from '#adapters/feeds/noise.ts'
import type { Fault, Scenario } from '#adapters/feeds/scenario.ts'
import { corruptTick } from '#adapters/feeds/tick-garbage.ts'
import { type FrameTypeName, type Message, PROTOCOL_VERSION } from '#adapters/feeds/wire.ts'
import { assert, unreachable } from '#domain/assert.ts'
import { type Line, type LineIndex, lineIndex } from '#domain/line.ts'
import { TICK_AT } from '#domain/tick.ts'
import type { Lots } from './lots.ts'
import type { SimMarket } from './sim-market.ts'
import type { VirtualTime } from './virtual-time.ts'

export interface FrontParts {
  line: Line
  /** Whose login it is; lines may share one. */
  account: string
  time: VirtualTime
  lots: Lots
  market: SimMarket
  scenario: Scenario
  /** The scenario's zero. */
  startMs: number
  /** From the exchange to the bridge. */
  latencyMs: number
  /** The vendor library tries again after about this long. */
  reconnectMs: number
  quirks: FrontQuirks
  /** Stretches in which the supervisor comes to this line's pipe late. */
  readLate: readonly ReadLate[]
  /** A login reaches the front, or an answer reaches the supervisor. */
  loginSent(line: Line, account: string): void
  loginAnswered(line: Line, account: string, code: number): void
}

/** Frames written from `atMs` of the schedule on, for `forMs`, are read so much later; meanwhile the other pipe may be read in time. */
export interface ReadLate {
  atMs: number
  line: Line
  forMs: number
  byMs: number
}

/** What fronts were seen to do beyond the faults of a scenario. */
export interface FrontQuirks {
  /** The front takes part in the session, but says nothing of this exchange. */
  isSilentOn?: (line: Line, exchange: string, nowMs: number) => boolean
  /** A mute front still answers a subscription with the contract's last state. */
  answersWhileMute?: boolean
  /** The front is not there. */
  isDown?: (line: Line, nowMs: number) => boolean
  /** How long the front keeps a connection that it accepts then; null when it keeps it. */
  dropsAfterMs?: (line: Line, nowMs: number) => number | null
  /** The front drops a session that asks for more contracts than this within the window. */
  subscribeBurst?: { contracts: number; withinMs: number; reason: number }
}

const QUEUE_MAX = 32_768
/** Time that it takes to read what has gathered, by the time in which it was written. */
const READING = 0.01
const HUNG_FOR_EVER = Number.POSITIVE_INFINITY

export class SimFront {
  readonly line: Line
  readonly index: LineIndex
  readonly account: string
  readonly parts: FrontParts
  #bridge: SimBridge | null = null
  #active: ActiveFaults
  readonly #queueRecord = new Int32Array(QUEUE_MAX)
  /** When the bridge's callback is due, and when the supervisor will have read the frame. */
  readonly #queueAtMs = new Float64Array(QUEUE_MAX)
  readonly #queueReadMs = new Float64Array(QUEUE_MAX)
  readonly #queuedAtMs = new Float64Array(QUEUE_MAX)
  readonly #queueIsSnapshot = new Uint8Array(QUEUE_MAX)
  #queueHead = 0
  #queueTail = 0
  #lastQueuedMs = 0
  /** Ordinals of the ticks that a fault made the line leave out, by contract. */
  readonly #skipped: Set<number>[]
  /** When the tick handed over last was stamped, in market time. */
  stampMs = 0
  /** It was the state pushed after a subscription: no sign that anything comes after it. */
  isSnapshot = false
  #loginErrorOnce = 0
  readonly #idsByName: ReadonlyMap<string, number>

  constructor(parts: FrontParts) {
    this.parts = parts
    this.line = parts.line
    this.index = lineIndex(parts.line)
    this.account = parts.account
    this.#active = faultsAt(parts.scenario, parts.line, Number.NEGATIVE_INFINITY)
    this.#skipped = parts.market.contracts.map(() => new Set())
    this.#idsByName = new Map(parts.market.contracts.map(({ symbol }, i) => [symbol, i]))
    for (const moment of momentsFrom(parts.scenario, parts.line, 0)) {
      parts.time.after(parts.startMs + moment.atMs - parts.time.nowMs, () => this.#happen(moment))
    }
  }

  get active(): ActiveFaults {
    const elapsedMs = this.parts.time.nowMs - this.parts.startMs
    if (elapsedMs < this.#active.fromMs || elapsedMs >= this.#active.untilMs) {
      this.#active = faultsAt(this.parts.scenario, this.line, elapsedMs)
    }
    return this.#active
  }

  /** The front holds a session in which every contract is subscribed. */
  get isWhole(): boolean {
    return this.#bridge !== null && this.#bridge.session === 'logged-in' && this.#bridge.isWhollySubscribed
  }

  get isLoggedIn(): boolean {
    return this.#bridge?.session === 'logged-in'
  }

  get isHung(): boolean {
    return this.#bridge?.isHung === true
  }

  /** How long the oldest tick under way has been waiting; 0 when none is. */
  get backlogMs(): number {
    if (this.#queueHead === this.#queueTail) return 0
    return this.parts.time.nowMs - (this.#queuedAtMs[this.#queueHead % QUEUE_MAX] ?? 0)
  }

  openBridge(sink: BridgeSink): Bridge {
    assert(this.#bridge === null || this.#bridge.isOver, 'a line has one bridge at a time')
    this.#clearQueue()
    this.#bridge = new SimBridge(this, sink)
    return this.#bridge
  }

  /** As a front that restarts. */
  disconnect(reason: number): void {
    if (this.#bridge !== null && !this.#bridge.isOver) this.#bridge.disconnect(reason)
  }

  /** Market time jumps: what is under way stays so. */
  leaveOut(ms: number): void {
    for (let i = this.#queueHead; i < this.#queueTail; i++) {
      this.#queueAtMs[i % QUEUE_MAX] = (this.#queueAtMs[i % QUEUE_MAX] ?? 0) + ms
      this.#queueReadMs[i % QUEUE_MAX] = (this.#queueReadMs[i % QUEUE_MAX] ?? 0) + ms
      this.#queuedAtMs[i % QUEUE_MAX] = (this.#queuedAtMs[i % QUEUE_MAX] ?? 0) + ms
    }
    if (this.#lastQueuedMs > 0) this.#lastQueuedMs += ms
    this.#bridge?.leaveOut(ms)
  }

  /** The daemon died without a word: its bridges see the end of their commands. */
  abandon(): void {
    this.#bridge?.abandon()
    this.#clearQueue()
  }

  /** The exchange published this record. */
  take(record: number): void {
    const bridge = this.#bridge
    const { market, latencyMs, lots, time } = this.parts
    const { ring } = market
    const index = ring.contract[record] ?? 0
    if (bridge === null || bridge.session !== 'logged-in' || bridge.subscribed[index] !== 1) return
    if (this.#isSilentOn(index)) return
    const faults = this.active
    let dueMs = time.nowMs + latencyMs + lots.between(0, 15)
    if (faults.touchesTicks || faults.lagMs > 0) {
      if (faults.muted) {
        this.#skip(record)
        return
      }
      for (const { ratio, salt } of faults.lose) {
        if (lot(record ^ salt, ring.ordinal[record] ?? 0) >= ratio) continue
        this.#skip(record)
        return
      }
      dueMs += faults.lagMs
      for (const { kinds, ratio, replace } of faults.garbage) {
        if (!lots.isLucky(ratio)) continue
        this.#queue(this.#corrupt(record, kinds[lots.whole(0, kinds.length - 1)] ?? 'nan'), dueMs)
        if (!replace) continue
        this.#skip(record)
        return
      }
      if (faults.duplicate) this.#queue(record, dueMs)
    }
    this.#queue(record, dueMs)
  }

  #skip(record: number): void {
    const { contract, ordinal } = this.parts.market.ring
    this.#skipped[contract[record] ?? 0]?.add(ordinal[record] ?? 0)
  }

  hasSkipped(contract: number, ordinal: number): boolean {
    return this.#skipped[contract]?.has(ordinal) === true
  }

  get nextDeliveryMs(): number {
    if (this.#queueHead === this.#queueTail) return Number.POSITIVE_INFINITY
    const readMs = this.#queueReadMs[this.#queueHead % QUEUE_MAX] ?? 0
    return Math.max(readMs, this.#bridge?.hungUntilMs ?? 0)
  }

  /** From now until the supervisor reads what is written now; 0 when it is prompt. */
  readDelayMs(): number {
    const { nowMs } = this.parts.time
    return this.#readMs(nowMs) - nowMs
  }

  /** When the supervisor reads what the bridge writes at `ms`: never before what was written earlier. */
  #readMs(ms: number): number {
    let readMs = ms
    for (const { line, atMs, forMs, byMs } of this.parts.readLate) {
      const fromMs = this.parts.startMs + atMs
      const sinceEndMs = Math.max(0, ms - fromMs - forMs)
      // What has gathered is read in a moment, but one after the other.
      if (line === this.line && ms >= fromMs) readMs = Math.max(readMs, ms + byMs - (1 - READING) * sinceEndMs)
    }
    return readMs
  }

  get nextRecord(): number {
    return this.#queueRecord[this.#queueHead % QUEUE_MAX] ?? 0
  }

  /** Hands the next waiting tick to the supervisor. */
  deliver(): void {
    const record = this.#queueRecord[this.#queueHead % QUEUE_MAX] ?? 0
    const { time, market } = this.parts
    const calledMs = Math.max(this.#queueAtMs[this.#queueHead % QUEUE_MAX] ?? 0, this.#bridge?.hungUntilMs ?? 0)
    const agoMs = Math.max(0, time.nowMs - calledMs)
    this.stampMs = time.nowMs - agoMs
    this.isSnapshot = this.#queueIsSnapshot[this.#queueHead % QUEUE_MAX] === 1
    this.#queueHead++
    const { views } = market.ring
    const at = market.ring.byteOf(record)
    views.f64[(at + TICK_AT.receivedWallMs) >> 3] = time.wallMs() - agoMs
    views.f64[(at + TICK_AT.receivedMonotonicMs) >> 3] = time.monotonicMs() - agoMs
    this.#bridge?.tick(views, at)
  }

  // What the bridge asks of its front:

  get isConnectable(): boolean {
    const { quirks, time } = this.parts
    return !this.active.down && quirks.isDown?.(this.line, time.nowMs) !== true
  }

  answerLogin(): number {
    const code = this.#loginErrorOnce || this.active.loginError
    this.#loginErrorOnce = 0
    return code
  }

  contractOf(symbol: string): number | undefined {
    return this.#idsByName.get(symbol)
  }

  pushSnapshot(contract: number): void {
    const { time, market, latencyMs, quirks } = this.parts
    const { muted, lagMs } = this.active
    if (this.#isSilentOn(contract)) return
    // A front that has lost its market may go on answering with the last that it knew.
    if (muted && quirks.answersWhileMute !== true) return
    this.#queue(market.snapshot(contract), time.nowMs + latencyMs + lagMs, true)
  }

  #isSilentOn(contract: number): boolean {
    const { market, time, quirks } = this.parts
    return quirks.isSilentOn?.(this.line, market.contracts[contract]?.exchange ?? '', time.nowMs) === true
  }

  /** What is under way from the front is lost with the connection; what the bridge has written is not. */
  forgetQueue(): void {
    if (this.isHung) {
      this.#clearQueue()
      return
    }
    const { nowMs } = this.parts.time
    while (this.#queueTail > this.#queueHead && (this.#queueAtMs[(this.#queueTail - 1) % QUEUE_MAX] ?? 0) > nowMs) {
      this.#queueTail--
    }
    this.#lastQueuedMs = 0
  }

  #corrupt(record: number, kind: Parameters<typeof corruptTick>[1]): number {
    const { ring } = this.parts.market
    const copy = ring.copy(record)
    corruptTick({ views: ring.views, at: ring.byteOf(copy) }, kind)
    ring.isCorrupt[copy] = 1
    return copy
  }

  /** What a line delivers stays in order. */
  #queue(record: number, dueMs: number, isSnapshot = false): void {
    assert(this.#queueTail - this.#queueHead < QUEUE_MAX, 'the queue of a line holds what is under way')
    this.#lastQueuedMs = Math.max(this.#lastQueuedMs, dueMs)
    this.#queueRecord[this.#queueTail % QUEUE_MAX] = record
    this.#queueIsSnapshot[this.#queueTail % QUEUE_MAX] = isSnapshot ? 1 : 0
    this.#queueAtMs[this.#queueTail % QUEUE_MAX] = this.#lastQueuedMs
    this.#queueReadMs[this.#queueTail % QUEUE_MAX] = this.#readMs(this.#lastQueuedMs)
    this.#queuedAtMs[this.#queueTail % QUEUE_MAX] = this.parts.time.nowMs
    this.#queueTail++
  }

  #clearQueue(): void {
    this.#queueHead = this.#queueTail
    this.#lastQueuedMs = 0
  }

  #happen(moment: Moment): void {
    const bridge = this.#bridge === null || this.#bridge.isOver ? null : this.#bridge
    switch (moment.kind) {
      case 'disconnect':
        bridge?.disconnect(moment.reason)
        return
      case 'drop-subscriptions':
        bridge?.subscribed.fill(0)
        return
      case 'rewind':
        if (bridge?.session === 'logged-in' && !this.active.muted) this.#rewind(bridge, moment.byMs)
        return
      case 'crash':
        bridge?.die()
        return
      case 'hang':
        bridge?.hang(moment.forMs)
        return
      case 'login-error':
        this.#loginErrorOnce = moment.id
        return
      default:
        unreachable(moment)
    }
  }

  #rewind(bridge: SimBridge, byMs: number): void {
    const { time, market, latencyMs } = this.parts
    const { ring } = market
    const records = ring.since(time.nowMs - byMs)
    records.forEach((record, i) => {
      if (bridge.subscribed[ring.contract[record] ?? 0] === 1) this.#queue(record, time.nowMs + latencyMs + i * 0.2)
    })
  }
}

type Session = 'down' | 'connected' | 'logged-in'

class SimBridge implements Bridge {
  readonly pid = 4_242
  session: Session = 'down'
  hungUntilMs = 0
  isOver = false
  readonly subscribed: Uint8Array
  readonly #front: SimFront
  readonly #sink: BridgeSink
  #sentences = 0
  /** Counts connections: an answer of one never reaches the next. */
  #connection = 0
  readonly #asked: { atMs: number; contracts: number }[] = []
  #isAbandoned = false
  /** The supervisor knows that the bridge is over: its pipe is read to the end. */
  #isToldOver = false
  #onOver: () => void = () => undefined

  constructor(front: SimFront, sink: BridgeSink) {
    this.#front = front
    this.#sink = sink
    this.subscribed = new Uint8Array(front.parts.market.contracts.length)
    const { time, lots } = front.parts
    time.after(lots.between(20, 80), () => {
      this.#emit('hello', { code: PROTOCOL_VERSION, texts: ['sim', '1'] })
      this.#count()
    })
  }

  get isHung(): boolean {
    return !this.isOver && this.#front.parts.time.nowMs < this.hungUntilMs
  }

  get isWhollySubscribed(): boolean {
    for (const state of this.subscribed) if (state === 0) return false
    return true
  }

  tick(views: Parameters<BridgeSink['tick']>[0], at: number): void {
    if (this.#isToldOver || this.#isAbandoned) return
    this.#sink.reading()
    this.#sink.tick(views, at)
  }

  send(type: Exclude<FrameTypeName, 'tick'>, fields: Parameters<Bridge['send']>[1] = {}): number {
    const sequence = ++this.#sentences
    if (this.isOver || this.#isAbandoned) return sequence
    const texts = (fields.texts ?? []).map((text) => (typeof text === 'string' ? text : ''))
    // The supervisor has sent it, whatever becomes of it.
    if (type === 'login') this.#front.parts.loginSent(this.#front.line, this.#front.account)
    this.#soon(1, () => this.#obey(type, sequence, texts))
    return sequence
  }

  retire(graceMs: number): Promise<void> {
    return new Promise((resolve) => {
      if (this.#isToldOver) {
        resolve()
        return
      }
      this.#onOver = resolve
      const { time, lots } = this.#front.parts
      time.after(this.isHung ? graceMs : lots.between(2, 20), () => this.die())
    })
  }

  leaveOut(ms: number): void {
    if (this.hungUntilMs > 0) this.hungUntilMs += ms
  }

  abandon(): void {
    this.#isAbandoned = true
    this.die()
  }

  die(): void {
    if (this.isOver) return
    this.#front.forgetQueue()
    this.isOver = true
    this.session = 'down'
    this.#connection++
    this.subscribed.fill(0)
    this.#throughPipe(() => {
      this.#isToldOver = true
      if (!this.#isAbandoned) this.#sink.ended({ kind: 'exited', code: 1, signal: null })
      this.#onOver()
    })
  }

  hang(forMs: number): void {
    const { time } = this.#front.parts
    this.hungUntilMs = forMs === HUNG_FOR_EVER ? HUNG_FOR_EVER : time.nowMs + forMs
  }

  disconnect(reason: number): void {
    this.#connection++
    this.subscribed.fill(0)
    this.#front.forgetQueue()
    const wasUp = this.session !== 'down'
    this.session = 'down'
    if (wasUp) this.#emit('disconnected', { code: reason })
    this.#dial()
  }

  #obey(type: Exclude<FrameTypeName, 'tick'>, request: number, texts: string[]): void {
    switch (type) {
      case 'start':
        this.#dial()
        return
      case 'login':
        this.#login(request)
        return
      case 'subscribe':
        this.#subscribe(request, texts)
        return
      default:
        return
    }
  }

  /** The vendor library tries for ever. */
  #dial(): void {
    const { lots, reconnectMs } = this.#front.parts
    const connection = this.#connection
    const attempt = () => {
      if (connection !== this.#connection || this.session !== 'down') return
      if (this.#front.isConnectable) {
        this.session = 'connected'
        this.#emit('connected', {})
        this.#dropSoon()
      } else this.#soon(lots.between(0.5, 1.5) * reconnectMs, attempt)
    }
    this.#soon(lots.between(3, 30), attempt)
  }

  #dropSoon(): void {
    const { line, parts } = this.#front
    const holdsMs = parts.quirks.dropsAfterMs?.(line, parts.time.nowMs) ?? null
    if (holdsMs === null) return
    const connection = this.#connection
    this.#soon(holdsMs, () => connection === this.#connection && this.disconnect(0))
  }

  #login(request: number): void {
    const { lots, loginAnswered } = this.#front.parts
    if (this.session === 'down') return
    const connection = this.#connection
    this.#soon(lots.between(5, 60), () => {
      if (connection !== this.#connection) return
      const code = this.#front.answerLogin()
      if (code === 0) this.session = 'logged-in'
      loginAnswered(this.#front.line, this.#front.account, code)
      this.#emit('loggedIn', { code, request, texts: ['', ''] })
    })
  }

  #subscribe(request: number, symbols: readonly string[]): void {
    const front = this.#front
    const { throttleCode } = front.active
    const code = this.session === 'down' ? -1 : throttleCode
    this.#emit('requested', { code, request })
    if (code !== 0) return
    const { subscribeBurst } = front.parts.quirks
    if (subscribeBurst !== undefined && this.#isBurst(symbols.length, subscribeBurst)) {
      this.disconnect(subscribeBurst.reason)
      return
    }
    const connection = this.#connection
    this.#soon(front.parts.lots.between(2, 20), () => {
      if (connection === this.#connection) this.#acknowledge(request, symbols)
    })
  }

  #isBurst(contracts: number, limit: { contracts: number; withinMs: number }): boolean {
    const { nowMs } = this.#front.parts.time
    this.#asked.push({ atMs: nowMs, contracts })
    const recent = this.#asked.filter(({ atMs }) => nowMs - atMs < limit.withinMs)
    return recent.reduce((sum, each) => sum + each.contracts, 0) > limit.contracts
  }

  #acknowledge(request: number, symbols: readonly string[]): void {
    const front = this.#front
    const { refuse, ackRatio } = front.active
    for (const symbol of symbols) {
      const contract = front.contractOf(symbol)
      assert(contract !== undefined, `${symbol} is listed`)
      const instrument = contract + 1
      this.#emit('instrument', { instrument, texts: [symbol, front.parts.market.contracts[contract]?.exchange ?? ''] })
      const code = refuse !== undefined && contract < refuse.count ? refuse.id : 0
      if (front.parts.lots.isLucky(ackRatio)) this.#emit('subscribed', { instrument, code, request })
      if (code !== 0) continue
      front.pushSnapshot(contract)
      this.subscribed[contract] = 1
    }
  }

  #count(): void {
    this.#emit('counters', { numbers: [0, 0, 0, 0] })
    this.#soon(1_000, () => this.#count())
  }

  /** As the process may run: not while it hangs, and never again once it is gone. */
  #soon(ms: number, act: () => void): void {
    const { time } = this.#front.parts
    time.after(ms, () => {
      if (this.isOver || this.hungUntilMs === HUNG_FOR_EVER) return
      // A little more than is left, or a rounded sum could fall short of it for ever.
      if (this.isHung) this.#soon(this.hungUntilMs - time.nowMs + 0.01, act)
      else act()
    })
  }

  #emit(
    type: Message['type'],
    fields: { instrument?: number; code?: number; request?: number; numbers?: number[]; texts?: string[] },
  ): void {
    if (this.isOver || this.#isAbandoned) return
    if (this.isHung) {
      this.#soon(0.01, () => this.#emit(type, fields))
      return
    }
    const { time } = this.#front.parts
    const { instrument = 0, code = 0, request = 0, numbers = [], texts = [] } = fields
    const message: Message = {
      type,
      sequence: 0,
      instrument,
      wallMs: time.wallMs(),
      monotonicMs: time.monotonicMs(),
      code,
      request,
      numbers,
      texts: texts.map((text) => ENCODER.encode(text)),
    }
    this.#throughPipe(() => {
      if (this.#isToldOver || this.#isAbandoned) return
      this.#sink.reading()
      this.#sink.message(message)
    })
  }

  /** Behind what was written before, and as late as the pipe is read. */
  #throughPipe(act: () => void): void {
    const delayMs = this.#isAbandoned ? 0 : this.#front.readDelayMs()
    if (delayMs === 0) act()
    // A little later than the ticks before it, which come at their moment's end.
    else this.#front.parts.time.after(delayMs + 0.001, act)
  }
}

const ENCODER = new TextEncoder()

/** Faults that speak against the line they are on; the others must not move the serving line. */
export function isHarmful(fault: Fault): boolean {
  return fault.fault !== 'duplicate' && fault.fault !== 'rewind' && fault.fault !== 'exchange-halt'
}
