/**
 * Runs one schedule from start to recovery: moves time from one thing that happens to the next, hands ticks over, performs the operator's
 * and the host's acts, and lets the oracle judge. The same schedule always ends in the same way.
 */
import type { FeedChange } from '#daemon/feed-supervisor.ts'
import type { FailoverPolicy } from '#domain/failover.ts'
import { DEFAULT_FAILOVER_POLICY } from '#domain/failover.ts'
import { isoShanghai } from '#domain/iso-time.ts'
import { LINES, type Line } from '#domain/line.ts'
import type { MarketCalendar } from '#domain/session-calendar.ts'
import { shippedCalendar } from '../support/shipped-calendar.ts'
import { type BrokenRules, DaemonLife, Disk } from './daemon-life.ts'
import { Lots } from './lots.ts'
import { Oracle, Violation } from './oracle.ts'
import { rememberingCalendar } from './remembering-calendar.ts'
import type { Act, Schedule } from './schedule.ts'
import { type FrontQuirks, SimFront } from './sim-front.ts'
import { SIM_CONTRACTS, type SimContract, SimMarket, TickRing } from './sim-market.ts'
import { VirtualTime } from './virtual-time.ts'

export interface SimulationOptions {
  broken?: BrokenRules
  contracts?: readonly SimContract[]
  quirks?: FrontQuirks
  /** Hears every sentence that the supervisor logs. */
  log?: (line: string) => void
  published?: (change: FeedChange, atMs: number) => void
  loginSent?: (line: Line, atMs: number) => void
}

export interface SimulationEnd {
  violation: Violation | null
  /** When it was found, ms from the schedule's start. */
  atMs: number
  counts: Oracle['counts']
  /** What went through the simulation: ticks and timers. */
  events: number
}

/** Longest time after the last fault in which everything is well again: the longest backoffs are id 60's ten minutes. */
const RECOVERY_MS = 1_500_000
const ROUND_MS = 100
const CALM_ROUND_MS = 500
const CALM_AFTER_MS = 12_000

let ring: TickRing | undefined
let calendar: MarketCalendar | undefined

/** A simulation to be driven step by step, inside `time.drive`. */
export function openSimulation(schedule: Schedule, options: SimulationOptions = {}): Simulation {
  ring ??= new TickRing()
  calendar ??= rememberingCalendar(shippedCalendar())
  return new Simulation(schedule, options, ring, calendar)
}

export async function simulate(schedule: Schedule, options: SimulationOptions = {}): Promise<SimulationEnd> {
  const simulation = openSimulation(schedule, options)
  return simulation.time.drive(() => simulation.run())
}

export class Simulation {
  readonly time: VirtualTime
  readonly market: SimMarket
  readonly fronts: Readonly<Record<Line, SimFront>>
  readonly oracle: Oracle
  readonly disk = new Disk()
  readonly calendar: MarketCalendar
  life: DaemonLife | null = null
  events = 0
  readonly #schedule: Schedule
  readonly #options: SimulationOptions
  readonly #lots: Lots
  readonly #policy: FailoverPolicy
  #isDown = false

  constructor(schedule: Schedule, options: SimulationOptions, ticks: TickRing, marketCalendar: MarketCalendar) {
    this.#schedule = schedule
    this.#options = options
    this.calendar = marketCalendar
    this.#lots = new Lots(schedule.seed ^ 0x51a7e)
    this.#policy = { ...DEFAULT_FAILOVER_POLICY, failbackStableMs: schedule.failbackStableMs }
    this.time = new VirtualTime(schedule.startMs, schedule.skewMs)
    this.market = new SimMarket({
      seed: schedule.seed,
      calendar: marketCalendar,
      startMs: schedule.startMs,
      ring: ticks,
      contracts: options.contracts ?? SIM_CONTRACTS,
    })
    this.fronts = { primary: this.#openFront('primary'), backup: this.#openFront('backup') }
    this.oracle = new Oracle({
      schedule,
      policy: this.#policy,
      time: this.time,
      calendar: marketCalendar,
      market: this.market,
      fronts: this.fronts,
    })
  }

  async run(): Promise<SimulationEnd> {
    const { startMs, durationMs, acts } = this.#schedule
    try {
      await this.startDaemon()
      for (const act of acts) {
        await this.runUntil(startMs + act.atMs)
        await this.#perform(act)
      }
      await this.runUntil(startMs + durationMs)
      await this.#recover()
    } catch (error) {
      this.oracle.fault(error)
    }
    const end = {
      violation: this.oracle.violation,
      atMs: this.time.nowMs - startMs,
      counts: this.oracle.counts,
      events: this.events,
    }
    if (this.life?.isAlive === true) this.life.crash()
    return end
  }

  async startDaemon(): Promise<void> {
    this.life = new DaemonLife({
      schedule: this.#schedule,
      policy: this.#policy,
      broken: this.#options.broken ?? {},
      time: this.time,
      lots: this.#lots,
      calendar: this.calendar,
      contracts: this.market.contracts,
      fronts: this.fronts,
      disk: this.disk,
      oracle: this.oracle,
      keepsJournal: this.#schedule.acts.some(({ act }) => act === 'restart' || act === 'crash'),
      published: (change) => this.#options.published?.(change, this.time.nowMs),
      log: (message) =>
        this.#options.log?.(`${((this.time.nowMs - this.#schedule.startMs) / 1_000).toFixed(3)} ${message}`),
    })
    const { life } = this
    await this.#until(life.begin())
    this.#roundAfter(life, ROUND_MS)
  }

  /** Moves on until the promise settles. */
  async #until(promise: Promise<void>): Promise<void> {
    let isOver = false
    const over = promise.finally(() => {
      isOver = true
    })
    over.catch(() => undefined)
    while (!isOver) await this.#next(Number.POSITIVE_INFINITY)
    await over
  }

  /** Moves on to a moment of the market. */
  async runUntil(untilMs: number): Promise<void> {
    while (await this.#next(untilMs)) if (this.oracle.violation !== null) throw this.oracle.violation
    this.time.nowMs = Math.max(this.time.nowMs, untilMs)
  }

  /** Goes on at a later moment of the market, as if the time between had not been. */
  leaveOutUntil(toMs: number): void {
    const ms = toMs - this.time.nowMs
    if (ms <= 0) return
    this.time.leaveOut(ms)
    this.market.skipTo(toMs)
    for (const line of LINES) this.fronts[line].leaveOut(ms)
  }

  /** Does the next thing that happens; false when there is none before the moment. */
  async #next(untilMs: number): Promise<boolean> {
    const { primary, backup } = this.fronts
    for (;;) {
      const timerMs = this.time.nextMs
      const marketMs = this.market.nextMs
      const primaryMs = primary.nextDeliveryMs
      const backupMs = backup.nextDeliveryMs
      const nextMs = Math.min(timerMs, marketMs, primaryMs, backupMs)
      if (nextMs > untilMs || nextMs === Number.POSITIVE_INFINITY) {
        await this.time.settle()
        // What settled may have set a timer.
        return this.time.nextMs <= untilMs && this.time.nextMs < nextMs
      }
      this.events++
      if (timerMs === nextMs) {
        this.time.fire()
        await this.time.settle()
        return true
      }
      this.time.nowMs = Math.max(this.time.nowMs, nextMs)
      if (marketMs === nextMs) {
        const { halted } = primary.active
        const record = this.market.publish(
          halted.size === 0 ? undefined : (name) => [...halted].some((each) => each === name),
        )
        if (record < 0) continue
        primary.take(record)
        backup.take(record)
        continue
      }
      const front = primaryMs === nextMs ? primary : backup
      if (this.#deliver(front)) {
        await this.time.settle()
        return true
      }
    }
  }

  /** True when the tick may have moved the line's session on. */
  #deliver(front: SimFront): boolean {
    const { life } = this
    const record = front.nextRecord
    if (life === null || !life.isAlive) {
      front.abandon()
      return false
    }
    life.deliver(front, record)
    return life.sessions[front.line].state !== 'streaming'
  }

  async #perform({ act, downMs }: Act): Promise<void> {
    const { life } = this
    if (life === null || this.#isDown) return
    this.#options.log?.(`${((this.time.nowMs - this.#schedule.startMs) / 1_000).toFixed(3)} --- ${act}`)
    switch (act) {
      case 'serve-primary':
      case 'serve-backup':
      case 'pause':
      case 'resume':
      case 'kill':
        life.round(act)
        await this.time.settle()
        return
      case 'clear-latches':
        this.disk.latched.clear()
        this.oracle.latchesCleared()
        return
      case 'restart': {
        if (life.supervisor.state.phase.kind === 'killed') return
        await this.#until(life.stop())
        await this.#startAfter(downMs)
        return
      }
      case 'crash':
        if (life.supervisor.state.phase.kind === 'killed') return
        life.crash()
        await this.time.settle()
        await this.#startAfter(downMs)
        return
    }
  }

  async #startAfter(downMs: number): Promise<void> {
    await this.runUntil(this.time.nowMs + downMs)
    await this.startDaemon()
  }

  #roundAfter(life: DaemonLife, ms: number): void {
    this.time.after(ms, () => {
      if (!life.isAlive) return
      life.round()
      this.#roundAfter(life, this.oracle.calmForMs() > CALM_AFTER_MS ? CALM_ROUND_MS : ROUND_MS)
    })
  }

  /** After the last fault the feed comes right by itself, save for what an operator must decide. */
  async #recover(): Promise<void> {
    const { life } = this
    if (life === null || life.supervisor.state.phase.kind === 'killed') return
    life.round('resume')
    const deadlineMs = this.time.nowMs + RECOVERY_MS
    while (this.time.nowMs < deadlineMs) {
      await this.runUntil(this.time.nowMs + 1_000)
      if (this.#isRecovered(life)) return
    }
    const lines = LINES.map((line) => `${line} ${life.sessions[line].state} (${life.supervisor.pulses[line]?.reason})`)
    throw new Violation(
      'no-recovery',
      `${life.supervisor.feedState} on ${life.supervisor.serving}, ${lines.join(', ')} at ${isoShanghai(this.time.nowMs)}`,
    )
  }

  #isRecovered(life: DaemonLife): boolean {
    const mayStayDown = (line: Line) => {
      const { state } = life.sessions[line]
      return state === 'latched' || state === 'failed'
    }
    const isOpen = this.calendar.marketState(this.time.wallMs()) === 'open'
    // What a front refuses for good stays refused until the next trading day.
    const mayLack = (line: Line) => life.sessions[line].book.refused > 0
    const isUp = (line: Line) => {
      if (mayStayDown(line) || life.sessions[line].wanted !== 'streaming') return true
      // While nothing trades, nobody can see that a front has lost its subscriptions.
      return isOpen && !mayLack(line) && this.oracle.liquidExchanges() >= 2
        ? this.oracle.isInOrder(line)
        : life.sessions[line].state === 'streaming'
    }
    if (LINES.every(mayStayDown)) return true
    if (!LINES.every(isUp)) return false
    const { feedState, serving } = life.supervisor
    if (isOpen)
      return (feedState === 'ACTIVE' || (feedState === 'SUSPECT' && mayLack(serving))) && !mayStayDown(serving)
    return feedState === 'CLOSED' || feedState === 'ACTIVE' || feedState === 'SUSPECT'
  }

  #openFront(line: Line): SimFront {
    const schedule = this.#schedule
    return new SimFront({
      line,
      account: schedule.linesShareAccount ? 'shared' : line,
      time: this.time,
      lots: this.#lots,
      market: this.market,
      scenario: { faults: schedule.faults },
      startMs: schedule.startMs,
      latencyMs: line === 'primary' ? 18 : 25,
      reconnectMs: schedule.reconnectMs,
      quirks: { answersWhileMute: schedule.muteAnswers, ...this.#options.quirks },
      readLate: schedule.readLate,
      loginSent: (which, account) => {
        this.#options.loginSent?.(which, this.time.nowMs)
        this.oracle.loginSent(which, account)
      },
      loginAnswered: (line, account, code) => this.oracle.loginAnswered(line, account, code),
    })
  }
}
