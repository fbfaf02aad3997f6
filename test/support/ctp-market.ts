/**
 * A market shown by two scripted CTP fronts, with the faults of a scenario file: what the simulator does inside its bridges, done here on
 * the other side of the vendor's library. Both fronts show the same ticks; a contract's volume rises by one with each of them.
 */
import { type Fault, type FaultName, parseScenario } from '#adapters/feeds/scenario.ts'
import { LINES, type Line } from '#domain/line.ts'
import { ScriptedFront } from './ctp-front.ts'

interface MarketOptions {
  contracts: readonly string[]
  /** Between two ticks of a contract. */
  everyMs: number
  /** What the fronts' clock is ahead of the host's. */
  shiftMs: number
  tradingDay: string
  scenario: readonly object[]
}

export class CtpMarket {
  readonly fronts: Record<Line, ScriptedFront>
  readonly #options: MarketOptions
  readonly #faults: readonly Fault[]
  /** When a library first connected: the scenario's zero. */
  #startedMs = Number.NaN
  #volume = 0
  #said: Readonly<Record<string, string | number>> = {}
  readonly #timers: NodeJS.Timeout[] = []
  /** Throttles that the line has had: a fault of both lines strikes each of them once. */
  readonly #spent: Readonly<Record<Line, Set<Fault>>> = { primary: new Set(), backup: new Set() }

  private constructor(options: MarketOptions, fronts: Record<Line, ScriptedFront>) {
    this.#options = options
    this.fronts = fronts
    this.#faults = parseScenario(JSON.stringify(options.scenario)).faults
    for (const line of LINES) this.#script(line)
    this.#tick()
    this.#timers.push(setInterval(() => this.#tick(), options.everyMs))
  }

  static async open(options: MarketOptions): Promise<CtpMarket> {
    return new CtpMarket(options, { primary: await ScriptedFront.open(), backup: await ScriptedFront.open() })
  }

  async close(): Promise<void> {
    for (const timer of this.#timers) clearTimeout(timer)
    for (const line of LINES) await this.fronts[line].close()
  }

  #active<Name extends FaultName>(line: Line, name: Name): Extract<Fault, { fault: Name }> | undefined {
    const nowMs = this.#sinceStartMs
    const isNow = (fault: Fault): fault is Extract<Fault, { fault: Name }> =>
      fault.fault === name &&
      (fault.line === line || fault.line === 'both') &&
      nowMs >= fault.atMs &&
      nowMs < fault.atMs + fault.forMs
    return this.#faults.find(isNow)
  }

  #script(line: Line): void {
    const front = this.fronts[line]
    front.script.connected = (session) => {
      if (Number.isNaN(this.#startedMs)) this.#begin()
      const away = this.#active(line, 'disconnect')
      if (away === undefined) session.welcome()
      else this.#timers.push(setTimeout(() => session.welcome(), away.atMs + away.forMs - this.#sinceStartMs))
    }
    front.script.login = (session, request) => {
      const refusal = this.#active(line, 'login-error')
      const throttle = this.#active(line, 'throttle')
      if (throttle !== undefined && !this.#spent[line].has(throttle)) {
        this.#spent[line].add(throttle)
        session.nextReturn('subscribe', throttle.code)
      }
      session.loggedIn(request, { error: String(refusal?.id ?? 0), tradingDay: this.#options.tradingDay })
    }
    front.script.subscribe = (session, ids) => {
      const refused = this.#active(line, 'refuse-contracts')
      const silent = this.#active(line, 'partial-acks')
      for (const id of ids) {
        const place = this.#options.contracts.indexOf(id)
        if (refused !== undefined && place < refused.count) {
          session.subscribedTo(id, String(refused.id), 'CTP:no such instrument')
          continue
        }
        session.subscribed.add(id)
        if (silent === undefined || place % 10 < silent.ratio * 10) session.subscribedTo(id)
      }
      for (const id of ids) if (session.subscribed.has(id)) session.tick(id, this.#said)
    }
  }

  get #sinceStartMs(): number {
    return performance.now() - this.#startedMs
  }

  #begin(): void {
    this.#startedMs = performance.now()
    for (const fault of this.#faults) {
      if (fault.fault === 'disconnect' || fault.fault === 'crash') {
        this.#timers.push(setTimeout(() => this.#strike(fault), fault.atMs))
      }
    }
  }

  #strike(fault: Fault): void {
    for (const line of LINES) {
      if (fault.line !== line && fault.line !== 'both') continue
      const session = this.fronts[line].sessions.at(-1)
      if (fault.fault === 'disconnect') session?.drop(fault.reason)
      else session?.crash('segv')
    }
  }

  /** All contracts say the same at once, and both fronts say it to the last digit. */
  #tick(): void {
    const { shiftMs, tradingDay } = this.#options
    const shanghai = new Date(Date.now() + shiftMs + 8 * 3_600_000).toISOString()
    const price = 3_500 + (++this.#volume % 10)
    this.#said = {
      TradingDay: tradingDay,
      ActionDay: shanghai.slice(0, 10).replaceAll('-', ''),
      UpdateTime: shanghai.slice(11, 19),
      UpdateMillisec: Number(shanghai.slice(20, 23)),
      Volume: this.#volume,
      LastPrice: price,
      BidPrice1: price - 1,
      AskPrice1: price + 1,
      BidVolume1: 10,
      AskVolume1: 12,
    }
    for (const line of LINES) {
      if (this.#active(line, 'mute') !== undefined) continue
      for (const session of this.fronts[line].sessions) {
        if (session.socket.destroyed) continue
        for (const id of session.subscribed) session.tick(id, this.#said)
      }
    }
  }
}
