/**
 * A front that exists only inside a bridge: the session of one line with an invented or recorded market behind it. It answers commands
 * as the vendor's library and front would, and it is where a scenario's faults strike. It has no policy: after a disconnect it comes
 * back by itself, as the vendor's library does, and waits to be logged in and subscribed again.
 *
 * Positions are market time, ms since the epoch. The owner tells how far the market has come (`passTo`) and asks for each tick whether
 * it is to be delivered.
 */
import { unreachable } from '#domain/assert.ts'
import type { Line } from '#domain/line.ts'
import { type ActiveFaults, faultsAt, type Moment, momentsFrom } from './active-faults.ts'
import type { BridgeWriter } from './bridge-writer.ts'
import { lot, mix } from './noise.ts'
import { INSTRUMENT_NOT_FOUND, type Scenario } from './scenario.ts'
import { corruptTick } from './tick-garbage.ts'
import { type Message, vendorText } from './wire.ts'

/** The market behind the front. Instruments are known by index; on the wire their number is one higher. */
export interface FrontMarket {
  readonly count: number
  indexOf(id: string): number | undefined
  id(index: number): string
  exchange(index: number): string
  catalogueRow(index: number): { texts: (string | Uint8Array)[]; numbers: number[] }
  /** yyyymmdd as the login tells it, '' when unknown. */
  tradingDay(): string
  /** Whether the instrument ever ticked before the present position. */
  hasSnapshot(index: number): boolean
  /** Writes the last tick before the present position into the record. */
  writeSnapshot(index: number, target: TickTarget): void
  /** Delivers again what came since the position. */
  rewindTo(positionMs: number): void
}

/** Where a tick record is to be written; its header stands already. */
export interface TickTarget {
  readonly views: BridgeWriter['views']
  readonly at: number
}

/** What only the process can do. */
export interface HostProcess {
  /** Dies at once, as of a bug in the vendor's library. */
  crash(): void
  /** Neither reads nor writes nor runs for `forMs`, Infinity for ever. */
  hang(forMs: number): void
}

export interface EmbeddedFrontOptions {
  writer: BridgeWriter
  market: FrontMarket
  process: HostProcess
  line: Line
  scenario: Scenario
  /** Market time of the scenario's zero, and where this process joins. */
  scenarioStartMs: number
  startMs: number
}

type Session = { kind: 'down'; connectableAtMs: number } | { kind: 'connected' } | { kind: 'logged-in' }

const LOGIN_REFUSED = 'CTP:login refused by the scenario'
const NOT_LOGGED_IN = 6

export class EmbeddedFront {
  /** By instrument index: 1 where ticks are wanted. */
  readonly subscribed: Uint8Array
  readonly #options: EmbeddedFrontOptions
  readonly #writer: BridgeWriter
  readonly #market: FrontMarket
  readonly #moments: Moment[]
  /** Ids that were asked for and don't exist; they need a number to be answered under. */
  readonly #unknown = new Map<string, number>()
  #snapshotsDue: number[] = []
  #session: Session
  #active: ActiveFaults
  #loginErrorOnce = 0
  #positionMs: number
  #refusedIds: { count: number; ids: ReadonlySet<string> } = { count: 0, ids: new Set() }

  constructor(options: EmbeddedFrontOptions) {
    this.#options = options
    this.#writer = options.writer
    this.#market = options.market
    this.subscribed = new Uint8Array(options.market.count)
    this.#positionMs = options.startMs
    const elapsed = options.startMs - options.scenarioStartMs
    this.#moments = momentsFrom(options.scenario, options.line, elapsed)
    this.#active = faultsAt(options.scenario, options.line, elapsed)
    this.#session = { kind: 'down', connectableAtMs: this.#connectableFrom(options.startMs) }
  }

  /** Connects if the scenario lets it, and performs what is due from the start. */
  start(): void {
    this.passTo(this.#positionMs)
  }

  /** Position of the next thing that happens by itself, Infinity if nothing will. */
  nextEventMs(): number {
    const moment = this.#moments[0]
    const momentMs = moment === undefined ? Number.POSITIVE_INFINITY : moment.atMs + this.#options.scenarioStartMs
    return this.#session.kind === 'down' ? Math.min(momentMs, this.#session.connectableAtMs) : momentMs
  }

  /** The market has come this far: whatever was to happen until then happens. */
  passTo(positionMs: number): void {
    this.#positionMs = Math.max(this.#positionMs, positionMs)
    for (;;) {
      const dueMs = this.nextEventMs()
      if (dueMs > positionMs || dueMs === Number.POSITIVE_INFINITY) return
      const moment = this.#moments[0]
      if (moment !== undefined && moment.atMs + this.#options.scenarioStartMs <= dueMs) {
        this.#moments.shift()
        this.#happen(moment)
      } else {
        this.#session = { kind: 'connected' }
        this.#send('connected')
      }
    }
  }

  #happen(moment: Moment): void {
    const { scenarioStartMs, process } = this.#options
    switch (moment.kind) {
      case 'disconnect':
        this.#forgetSubscriptions()
        if (this.#session.kind !== 'down') this.#send('disconnected', { code: moment.reason })
        this.#session = { kind: 'down', connectableAtMs: this.#connectableFrom(moment.atMs + scenarioStartMs) }
        return
      case 'drop-subscriptions':
        this.#forgetSubscriptions()
        return
      case 'rewind':
        if (this.#session.kind === 'logged-in') this.#market.rewindTo(moment.atMs + scenarioStartMs - moment.byMs)
        return
      case 'crash':
        process.crash()
        return
      case 'hang':
        process.hang(moment.forMs)
        return
      case 'login-error':
        this.#loginErrorOnce = moment.id
        return
      default:
        unreachable(moment)
    }
  }

  #forgetSubscriptions(): void {
    this.subscribed.fill(0)
    this.#snapshotsDue = []
  }

  /** First position from `fromMs` on at which no fault keeps the line down. */
  #connectableFrom(fromMs: number): number {
    let positionMs = fromMs
    for (;;) {
      const faults = this.#faultsAt(positionMs)
      if (!faults.down) return positionMs
      positionMs = faults.untilMs + this.#options.scenarioStartMs
      if (positionMs === Number.POSITIVE_INFINITY) return positionMs
    }
  }

  #faultsAt(positionMs: number): ActiveFaults {
    const { scenario, line, scenarioStartMs } = this.#options
    return faultsAt(scenario, line, positionMs - scenarioStartMs)
  }

  /** The faults at a position; the answer holds until `untilMs` + the scenario's zero. */
  activeAt(positionMs: number): ActiveFaults {
    const elapsed = positionMs - this.#options.scenarioStartMs
    if (elapsed < this.#active.fromMs || elapsed >= this.#active.untilMs) this.#active = this.#faultsAt(positionMs)
    return this.#active
  }

  /** Position until which the last answer of `activeAt` holds. */
  get activeUntilMs(): number {
    return this.#active.untilMs + this.#options.scenarioStartMs
  }

  /**
   * Passes one tick on, or not, as the active faults will.
   * @param key numbers the tick, alike in every process, so that the lots drawn for it are the same
   * @param write fills in the record
   * @returns false when the pipe is full, and nothing was written
   */
  deliver(index: number, faults: ActiveFaults, key: number, write: (target: TickTarget) => void): boolean {
    if (faults.muted || faults.halted.size > 0) {
      const exchange = this.#market.exchange(index)
      for (const halted of faults.halted) if (halted === exchange) return true
      if (faults.muted) return true
    }
    const draw = mix(key, Math.floor(key / 4_294_967_296))
    for (const { ratio, salt } of faults.lose) if (lot(draw, salt) < ratio) return true
    const copies = faults.duplicate ? 2 : 1
    // Room for the largest case, so that a tick is delivered wholly or not at all.
    if (this.#writer.room < copies + faults.garbage.length) return false

    let isReplaced = false
    for (const { kinds, ratio, replace, salt } of faults.garbage) {
      if (lot(draw, salt ^ 0x5eed) >= ratio) continue
      const target = this.#reserve(index)
      write(target)
      corruptTick(target, kinds[(mix(draw, salt) >>> 0) % kinds.length] ?? 'nan')
      isReplaced ||= replace
    }
    if (isReplaced) return true
    for (let copy = 0; copy < copies; copy++) write(this.#reserve(index))
    return true
  }

  #reserve(index: number): TickTarget {
    this.#writer.ticks.received += 1
    const at = this.#writer.reserveTick(index + 1)
    return { views: this.#writer.views, at }
  }

  /** Obeys a command of the supervisor. `start`, `advance` and frames that only a bridge sends are not for the front. */
  command(message: Message): void {
    switch (message.type) {
      case 'login':
        this.#login(message)
        return
      case 'subscribe':
        this.#subscribe(message)
        return
      case 'unsubscribe':
        this.#unsubscribe(message)
        return
      case 'authenticate':
        this.#send('authenticated', { request: message.sequence, texts: [''] })
        return
      case 'queryInstruments':
        this.#listCatalogue(message)
        return
      default:
        this.#send('log', { texts: [`unexpected ${message.type} frame`] })
    }
  }

  #login(message: Message): void {
    const request = message.sequence
    if (this.#session.kind === 'down') {
      this.#send('requested', { code: -1, request })
      return
    }
    const code = this.#loginErrorOnce || this.activeAt(this.#positionMs).loginError
    this.#loginErrorOnce = 0
    if (code !== 0) {
      this.#send('loggedIn', { code, request, texts: [LOGIN_REFUSED, ''] })
      return
    }
    this.#session = { kind: 'logged-in' }
    this.#send('loggedIn', { request, texts: ['', this.#market.tradingDay()] })
  }

  #subscribe(message: Message): void {
    const request = message.sequence
    const faults = this.activeAt(this.#positionMs)
    const returned = this.#session.kind === 'down' ? -1 : faults.throttleCode
    this.#send('requested', { code: returned, request })
    if (returned !== 0) return

    const refused = this.#refusedIdsOf(faults)
    const accepted: number[] = []
    for (const [i, text] of message.texts.entries()) {
      const id = vendorText(text)
      const index = this.#market.indexOf(id)
      const instrument = index === undefined ? this.#numberUnknown(id) : index + 1
      this.#send('instrument', { instrument, texts: [id, index === undefined ? '' : this.#market.exchange(index)] })
      const code = this.#subscriptionError(id, index, { refused, refusedCode: faults.refuse?.id ?? 0 })
      if (index !== undefined && code === 0) accepted.push(index)
      if (lot(request, i) >= faults.ackRatio) continue
      this.#send('subscribed', { instrument, code, request, texts: [code === 0 ? '' : 'CTP:no such instrument'] })
    }
    this.#snapshotsDue.push(...accepted)
    this.sendSnapshots()
    this.#writer.flush()
  }

  /**
   * Sends what the pipe has room for of the snapshots still owed; to be called again while `owesSnapshots`. An instrument ticks only
   * after its snapshot, as on a real front.
   */
  sendSnapshots(): void {
    const isMuted = this.activeAt(this.#positionMs).muted
    let sent = 0
    for (const index of this.#snapshotsDue) {
      if (!isMuted && this.#market.hasSnapshot(index)) {
        if (this.#writer.room < 1) break
        this.#market.writeSnapshot(index, this.#reserve(index))
      }
      this.subscribed[index] = 1
      sent += 1
    }
    this.#snapshotsDue = this.#snapshotsDue.slice(sent)
  }

  get owesSnapshots(): boolean {
    return this.#snapshotsDue.length > 0
  }

  #subscriptionError(
    id: string,
    index: number | undefined,
    { refused, refusedCode }: { refused: ReadonlySet<string>; refusedCode: number },
  ): number {
    if (this.#session.kind !== 'logged-in') return NOT_LOGGED_IN
    if (index === undefined) return INSTRUMENT_NOT_FOUND
    return refused.has(id) ? refusedCode : 0
  }

  #refusedIdsOf({ refuse }: ActiveFaults): ReadonlySet<string> {
    if (refuse === undefined) return new Set()
    if (this.#refusedIds.count !== refuse.count) {
      const ids = Array.from({ length: this.#market.count }, (_, i) => this.#market.id(i)).sort()
      this.#refusedIds = { count: refuse.count, ids: new Set(ids.slice(0, refuse.count)) }
    }
    return this.#refusedIds.ids
  }

  #numberUnknown(id: string): number {
    const known = this.#unknown.get(id)
    if (known !== undefined) return known
    const number = this.#market.count + 1 + this.#unknown.size
    this.#unknown.set(id, number)
    return number
  }

  #unsubscribe(message: Message): void {
    const request = message.sequence
    const code = this.#session.kind === 'down' ? -1 : this.activeAt(this.#positionMs).throttleCode
    this.#send('requested', { code, request })
    if (code !== 0) return
    for (const text of message.texts) {
      const id = vendorText(text)
      const index = this.#market.indexOf(id)
      if (index !== undefined) {
        this.subscribed[index] = 0
        this.#snapshotsDue = this.#snapshotsDue.filter((due) => due !== index)
      }
      const instrument = index === undefined ? this.#numberUnknown(id) : index + 1
      this.#send('unsubscribed', {
        instrument,
        code: index === undefined ? INSTRUMENT_NOT_FOUND : 0,
        request,
        texts: [''],
      })
    }
  }

  #listCatalogue(message: Message): void {
    const request = message.sequence
    for (let i = 0; i < this.#market.count; i++) {
      this.#send('catalogueRow', { instrument: i + 1, request, ...this.#market.catalogueRow(i) })
    }
    this.#send('catalogueEnd', { request, numbers: [this.#market.count], texts: [''] })
  }

  #send(type: Parameters<BridgeWriter['send']>[0], fields: Parameters<BridgeWriter['send']>[2] = {}): void {
    this.#writer.send(type, this.#positionMs, fields)
  }
}
