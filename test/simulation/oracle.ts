/**
 * What must hold in every simulation, judged from what is true of market, fronts and schedule, not from what the supervisor believes. The
 * first thing that does not hold ends the simulation.
 */
import type { FeedChange, FeedSupervisor } from '#daemon/feed-supervisor.ts'
import type { AppendedTick } from '#daemon/tick-path.ts'
import { DEFAULT_ARBITRATION, OUTCOME_NAMES, Outcome } from '#domain/arbitration.ts'
import type { FailoverCommand, FailoverPolicy, FailoverStep } from '#domain/failover.ts'
import { LINES, type Line, otherLine } from '#domain/line.ts'
import { DEFAULT_LIVENESS_POLICY } from '#domain/liveness.ts'
import { LOGIN_WINDOW_MS } from '#domain/login-budget.ts'
import type { MarketCalendar } from '#domain/session-calendar.ts'
import type { FeedState } from '#domain/status.ts'
import type { DaemonLife, JournalledTick } from './daemon-life.ts'
import type { Schedule } from './schedule.ts'
import type { SimFront } from './sim-front.ts'
import type { SimMarket } from './sim-market.ts'
import type { VirtualTime } from './virtual-time.ts'

export type Rule =
  | 'tick-lost'
  | 'tick-overtaken'
  | 'tick-twice'
  | 'tick-backwards'
  | 'tick-unknown'
  | 'garbage-accepted'
  | 'off-session-accepted'
  | 'epoch'
  | 'failover-without-cause'
  | 'failover-while-paused'
  | 'failover-to-latched'
  | 'hold-down'
  | 'flap-limit'
  | 'failback-too-soon'
  | 'login-budget'
  | 'latched-login'
  | 'false-gap'
  | 'missed-gap'
  | 'late-failover'
  | 'only-line-rested'
  | 'feed-state-flapping'
  | 'switched-for-ever'
  | 'epoch-untold'
  | 'gap-bounds'
  | 'no-recovery'
  | 'fault'

export class Violation extends Error {
  readonly rule: Rule

  constructor(rule: Rule, message: string, cause?: unknown) {
    super(`${rule}: ${message}`, { cause })
    this.rule = rule
  }
}

/** Refusals after which an account may not log in again until an operator says so. */
const LATCHING_IDS: ReadonlySet<number> = new Set([3, 48, 63, 75, 131, 140])

/** How long after a line's trouble a switch may still name this cause: guards look back over a minute. */
const CAUSE_MEMORY_MS: ReadonlyMap<string, number> = new Map([
  ['lagging', 65_000],
  ['invalid-ticks', 65_000],
])
const CAUSE_MEMORY_USUAL_MS = 3_500
const IMPAIRED: ReadonlySet<string> = new Set(['exchange-mute', 'coverage-low', 'invalid-ticks', 'lagging'])

const FALSE_GAP_MS = 20_000
const MISSED_GAP_MS = 45_000
const PROOF_MS = 30_000
const RISING_MS = DEFAULT_LIVENESS_POLICY.risingMs
const WELL_BEFORE_MS = 15_000
const TOLD_WITHIN_MS = 3_000
const FLAPPING_WITHIN_MS = 60_000
const FEED_STATES_MAX = 8
/** A record is closed so long after its switch, and may stay from before a close. */
const GAP_MEASURED_SLACK_MS = 2 * 60_000
/** What a clock of rounds and sums of doubles may add. */
const SLACK_MS = 1_200

export interface DeliveredTick {
  record: number
  /** When the bridge took it, in market time and by the host's wall clock. */
  stampMs: number
  isSnapshot: boolean
  receivedMs: number
}

interface LineTruth {
  lastTroubleMs: number
  /** Since when the line is in order; null while it is not. */
  okSinceMs: number | null
  /** Since when its front holds every contract. */
  wholeSinceMs: number | null
  /** Since when it delivers nothing; null while it does. */
  deadSinceMs: number | null
  /** Since when no fault that speaks against the line has struck it; null while one does. */
  faultlessSinceMs: number | null
  /** When the front last held no session. */
  lastBrokenMs: number
  lastLiveMs: number
}

export interface OracleParts {
  schedule: Schedule
  policy: FailoverPolicy
  time: VirtualTime
  calendar: MarketCalendar
  market: SimMarket
  fronts: Readonly<Record<Line, SimFront>>
}

/** A refusal holds for both lines when it is read; this is for the order of what happens in one moment. */
const LOGIN_CROSSING_MS = 0.01

export class Oracle {
  readonly counts = {
    delivered: 0,
    accepted: 0,
    duplicate: 0,
    stale: 0,
    invalid: 0,
    offSession: 0,
    rounds: 0,
    switches: 0,
    logins: 0,
  }
  violation: Violation | null = null
  readonly #parts: OracleParts
  readonly #accepted: Set<number>[]
  readonly #moments: Int32Array
  /** Ordinals accepted, newest last, to be taken back when a crash loses them. */
  readonly #history: { ordinal: number; moment: number; stampMs: number }[][]
  /** Contracts whose first state was a corrupted one. */
  readonly #sullied = new Set<number>()
  readonly #truth: Record<Line, LineTruth>
  readonly #logins = new Map<string, number[]>()
  /** Accounts that a refusal latched, and when it was read. */
  readonly #latched = new Map<string, number>()
  #epochSeen = 0
  readonly #servingOfEpoch = new Map<number, Line>()
  /** Of each exchange: seconds in which the present life accepted ticks, and the last of them. */
  readonly #tickSeconds = new Map<string, { count: number; last: number }>()
  #openSinceMs: number | null = null
  #lastHaltMs = Number.NEGATIVE_INFINITY
  // Of the present life:
  #lifeSinceMs = 0
  #serving: Line | null = null
  #epoch = 0
  #automaticSinceMs: number | null = null
  #isPaused = false
  #isKilled = false
  #lastSwitchMs: number | null = null
  #automaticSwitchesMs: number[] = []
  #epochTold = 0
  /** When the feed state changed, newest last. */
  #feedStatesMs: number[] = []
  #feedState: FeedState | null = null
  #feedStateSinceMs = 0
  readonly #wasWanted: Record<Line, boolean> = { primary: false, backup: false }
  deliveringOrdinal = 0

  constructor(parts: OracleParts) {
    this.#parts = parts
    const { length } = parts.market.contracts
    this.#accepted = Array.from({ length }, () => new Set<number>())
    this.#history = Array.from({ length }, () => [])
    this.#moments = new Int32Array(length).fill(-1)
    this.#truth = { primary: freshTruth(), backup: freshTruth() }
  }

  fault(error: unknown): void {
    if (error instanceof Violation) this.violation ??= error
    else
      this.violation ??= new Violation('fault', error instanceof Error ? (error.stack ?? error.message) : String(error))
  }

  // ---- ticks

  /** Before a tick is handed over. */
  delivering(record: number): void {
    this.deliveringOrdinal = this.#parts.market.ring.ordinal[record] ?? 0
  }

  contractOf(record: number): number {
    return this.#parts.market.ring.contract[record] ?? 0
  }

  judgeTick(front: SimFront, delivered: DeliveredTick, outcome: Outcome | -1, knewContract: boolean): void {
    const { ring } = this.#parts.market
    const { record, stampMs, isSnapshot, receivedMs } = delivered
    this.counts.delivered++
    if (outcome === Outcome.duplicate) this.counts.duplicate++
    if (outcome === Outcome.stale) this.counts.stale++
    if (outcome === Outcome.invalid) this.counts.invalid++
    if (outcome === Outcome.offSession) this.counts.offSession++
    const contract = ring.contract[record] ?? 0
    const ordinal = ring.ordinal[record] ?? 0
    const moment = ring.moment[record] ?? 0
    const isAccepted = outcome === Outcome.accepted
    const describe = () => {
      const name = outcome === -1 ? 'unknown' : OUTCOME_NAMES[outcome]
      return `${front.line} ${this.#parts.market.contracts[contract]?.symbol} tick ${ordinal} (moment ${moment}, last accepted moment ${this.#moments[contract]}) was ${name}`
    }
    if (outcome === -1) throw this.#wrong('tick-unknown', describe())
    if (ring.isCorrupt[record] === 1) {
      // The very first state of a contract cannot be compared with anything, and what follows is compared with it.
      if (isAccepted && knewContract && !this.#sullied.has(contract)) throw this.#wrong('garbage-accepted', describe())
      if (isAccepted) this.#sullied.add(contract)
      if (isAccepted) this.#moments[contract] = Math.max(this.#moments[contract] ?? -1, moment)
      return
    }
    const isFresh = receivedMs - (ring.stampMs[record] ?? 0) <= DEFAULT_ARBITRATION.freshMs
    if (ring.isLive[record] === 0 || !isFresh) {
      if (isAccepted) throw this.#wrong('off-session-accepted', describe())
      return
    }
    if (!isSnapshot) this.#truth[front.line].lastLiveMs = this.#parts.time.monotonicMs()
    const lastMoment = this.#moments[contract] ?? -1
    const wasAccepted = this.#accepted[contract]?.has(ordinal) === true
    const isNews = moment > lastMoment || (moment === lastMoment && !wasAccepted)
    if (isNews && !isAccepted) throw this.#wrong('tick-lost', describe())
    if (!isNews && isAccepted) throw this.#wrong(wasAccepted ? 'tick-twice' : 'tick-backwards', describe())
    if (!isAccepted) {
      if (!wasAccepted && this.#wasOvertaken(front, { contract, ordinal, moment, stampMs }))
        throw this.#wrong('tick-overtaken', describe())
      return
    }
    this.counts.accepted++
    this.#sullied.delete(contract)
    const exchange = this.#parts.market.contracts[contract]?.exchange ?? ''
    const second = Math.floor(this.#parts.time.monotonicMs() / 1_000)
    const seconds = this.#tickSeconds.get(exchange) ?? { count: 0, last: 0 }
    if (second !== seconds.last) this.#tickSeconds.set(exchange, { count: seconds.count + 1, last: second })
    this.#moments[contract] = moment
    this.#accepted[contract]?.add(ordinal)
    this.#history[contract]?.push({ ordinal, moment, stampMs })
  }

  /** When its bridge took it, it was newer than all that was taken on either line: only the order of reading made it old. */
  #wasOvertaken(
    front: SimFront,
    tick: { contract: number; ordinal: number; moment: number; stampMs: number },
  ): boolean {
    const { contract, ordinal, moment, stampMs } = tick
    // Two lines that come back at once know nothing of each other yet.
    const { wholeSinceMs } = this.#truth[front.line]
    const { time } = this.#parts
    if (wholeSinceMs === null || wholeSinceMs > stampMs - time.nowMs + time.monotonicMs()) return false
    const before = this.#history[contract]?.findLast((each) => each.stampMs <= stampMs)
    if (moment <= (before?.moment ?? -1)) return false
    // A front that leaves a tick out brings the next one in its place, and nobody can know.
    return !this.#parts.fronts[otherLine(front.line)].hasSkipped(contract, ordinal)
  }

  /** A crash lost these before they were on disk: nobody has seen them. */
  forgetLost(lost: readonly JournalledTick[]): void {
    for (const { contract, ordinal, row } of lost) {
      if (row[3] === 1) continue
      this.#accepted[contract]?.delete(ordinal)
      const history = this.#history[contract]
      while (history !== undefined && (history.at(-1)?.ordinal ?? -1) >= ordinal) history.pop()
      this.#moments[contract] = history?.at(-1)?.moment ?? -1
    }
  }

  journalled(tick: AppendedTick, supervisor: FeedSupervisor): void {
    if (tick.epoch < this.#epochSeen)
      throw this.#wrong('epoch', `a tick is stamped ${tick.epoch} after ${this.#epochSeen}`)
    if (tick.epoch > supervisor.epoch) throw this.#wrong('epoch', `a tick is stamped ${tick.epoch}, not yet decided`)
    this.#epochSeen = tick.epoch
  }

  /** Only remembers what is wrong: the caller's promise chain is not the place to throw. */
  published({ epoch, servingLine }: FeedChange, epochOnDisk: number): void {
    if (epoch > epochOnDisk) this.#wrong('epoch', `epoch ${epoch} is published, but ${epochOnDisk} is on disk`)
    const known = this.#servingOfEpoch.get(epoch)
    if (known !== undefined && known !== servingLine)
      this.#wrong('epoch', `epoch ${epoch} is published for ${known} and for ${servingLine}`)
    this.#servingOfEpoch.set(epoch, servingLine)
    this.#epochTold = Math.max(this.#epochTold, epoch)
  }

  /** A tick as published was accepted of the contract, so that a corrupted one could be told from it. */
  hasSeenTruth(contract: number): boolean {
    return (this.#history[contract]?.length ?? 0) > 0
  }

  // ---- logins

  loginSent(line: Line, account: string): void {
    this.counts.logins++
    const { time, schedule } = this.#parts
    // A login that leaves while the refusal is still in the pipe crosses it on the way.
    const latchedForMs = time.nowMs - (this.#latched.get(account) ?? time.nowMs)
    if (latchedForMs > LOGIN_CROSSING_MS)
      throw this.#wrong('latched-login', `${line} logs in with a latched account, ${latchedForMs.toFixed(1)} ms after`)
    if (this.#isKilled) throw this.#wrong('latched-login', `${line} logs in after the kill switch`)
    const recent = (this.#logins.get(account) ?? []).filter((atMs) => time.nowMs - atMs < LOGIN_WINDOW_MS)
    // A grant is written before the login is sent, so two logins may come closer together than their grants.
    const strict = recent.filter((atMs) => time.nowMs - atMs < LOGIN_WINDOW_MS - 100)
    if (strict.length + 1 > schedule.loginsPerMinute)
      throw this.#wrong('login-budget', `${line}: login ${strict.length + 1} of ${account} within a minute`)
    this.#logins.set(account, [...recent, time.nowMs])
  }

  loginAnswered(line: Line, account: string, code: number): void {
    if (!LATCHING_IDS.has(code)) return
    const { time, fronts } = this.#parts
    const readMs = time.nowMs + fronts[line].readDelayMs()
    this.#latched.set(account, Math.min(readMs, this.#latched.get(account) ?? readMs))
  }

  latchesCleared(): void {
    this.#latched.clear()
  }

  // ---- rounds

  lifeBegins(supervisor: FeedSupervisor): void {
    if (supervisor.epoch <= this.#epoch)
      throw this.#wrong('epoch', `epoch ${supervisor.epoch} is used again after a start`)
    this.#lifeSinceMs = this.#parts.time.monotonicMs()
    this.#serving = supervisor.serving
    this.#epoch = supervisor.epoch
    this.#servingOfEpoch.set(supervisor.epoch, supervisor.serving)
    this.#tickSeconds.clear()
    this.#isPaused = false
    this.#lastSwitchMs = null
    this.#automaticSwitchesMs = []
    this.#feedStatesMs = []
    for (const line of LINES) this.#wasWanted[line] = false
  }

  judgeRound(life: DaemonLife, step: FailoverStep, command: FailoverCommand | null): void {
    if (this.#serving === null) return
    this.counts.rounds++
    this.#learn(life)
    this.#obey(command, step)
    this.#judgeEpoch(life.supervisor, step)
    if (step.serve !== this.#serving) this.#judgeSwitch(this.#serving, step, command, life)
    this.#serving = step.serve
    this.#epoch = life.supervisor.epoch
    this.#judgeFeedState(life)
    this.#judgeTelling(life.supervisor, step, command)
    this.#judgeResting(life, command)
    this.#judgePromptness(life)
  }

  /** Both lines in order for so long that rounds may be rarer. */
  calmForMs(): number {
    const nowMs = this.#parts.time.monotonicMs()
    return Math.min(...LINES.map((line) => nowMs - (this.#truth[line].okSinceMs ?? nowMs)))
  }

  isInOrder(line: Line): boolean {
    return this.#truth[line].okSinceMs !== null
  }

  #learn(life: DaemonLife): void {
    const { time, calendar, fronts } = this.#parts
    const nowMs = time.monotonicMs()
    const isOpen = calendar.marketState(time.wallMs()) === 'open'
    this.#openSinceMs = isOpen ? (this.#openSinceMs ?? nowMs) : null
    for (const line of LINES) {
      const front = fronts[line]
      const session = life.sessions[line]
      const truth = this.#truth[line]
      const { active } = front
      if (active.halted.size > 0) this.#lastHaltMs = nowMs
      const isDead = !front.isLoggedIn || front.isHung || active.muted || front.backlogMs > 7_000
      const isBroken = !front.isWhole || session.book.subscribed < session.book.expected
      const isDegraded =
        active.garbage.length > 0 || active.lose.length > 0 || active.lagMs > 0 || front.backlogMs > 1_000
      const isFaulty = active.down || active.loginError !== 0 || active.muted || isDegraded || active.ackRatio < 1
      const isFaultless =
        !isFaulty && active.throttleCode === 0 && active.refuse === undefined && session.state !== 'latched'
      truth.faultlessSinceMs = isFaultless ? (truth.faultlessSinceMs ?? nowMs) : null
      truth.wholeSinceMs = isBroken ? null : (truth.wholeSinceMs ?? nowMs)
      truth.deadSinceMs = isDead ? (truth.deadSinceMs ?? nowMs) : null
      if (!front.isLoggedIn) truth.lastBrokenMs = nowMs
      const isOk = !isDead && !isBroken && !isDegraded && session.state === 'streaming'
      truth.okSinceMs = isOk ? (truth.okSinceMs ?? nowMs) : null
      if (!isOk) truth.lastTroubleMs = nowMs
    }
  }

  #obey(command: FailoverCommand | null, step: FailoverStep): void {
    if (command === 'pause') this.#isPaused = true
    if (command === 'resume') this.#isPaused = false
    if (command === 'kill') this.#isKilled = true
    if (command === 'resume' || step.reason === 'operator-chose-line') this.#automaticSwitchesMs = []
  }

  #judgeEpoch(supervisor: FeedSupervisor, step: FailoverStep): void {
    const isMoved = step.serve !== this.#serving
    const expected = this.#epoch + (isMoved ? 1 : 0)
    if (supervisor.epoch !== expected)
      throw this.#wrong('epoch', `epoch ${supervisor.epoch} instead of ${expected} (${step.reason})`)
    if (step.epochBump !== isMoved) throw this.#wrong('epoch', `a bump is told without a move (${step.reason})`)
    if (supervisor.serving !== step.serve) throw this.#wrong('epoch', 'two serving lines are told')
  }

  #judgeSwitch(from: Line, step: FailoverStep, command: FailoverCommand | null, life: DaemonLife): void {
    const { time, policy } = this.#parts
    const nowMs = time.monotonicMs()
    this.counts.switches++
    const sinceSwitchMs = this.#lastSwitchMs === null ? Number.POSITIVE_INFINITY : nowMs - this.#lastSwitchMs
    this.#lastSwitchMs = nowMs
    const told = `${from} -> ${step.serve} (${step.reason}, cause ${step.cause})`
    if (this.#isKilled) throw this.#wrong('failover-while-paused', `${told} after the kill switch`)
    if (command === 'serve-primary' || command === 'serve-backup') return
    if (this.#isPaused) throw this.#wrong('failover-while-paused', told)

    const front = this.#parts.fronts[step.serve]
    if (this.#latched.has(front.account) && !front.isLoggedIn) throw this.#wrong('failover-to-latched', told)

    const truth = this.#truth[from]
    const target = this.#truth[step.serve]
    const memoryMs = CAUSE_MEMORY_MS.get(step.cause ?? '') ?? CAUSE_MEMORY_USUAL_MS
    const isCaused = nowMs - truth.lastTroubleMs <= memoryMs
    const isHome = step.serve === life.supervisor.state.home
    const targetHeldMs = nowMs - target.lastBrokenMs
    const isStableHome = isHome && targetHeldMs >= policy.failbackStableMs - SLACK_MS
    if (step.reason === 'home-proved-stable' && !isStableHome)
      throw this.#wrong('failback-too-soon', `${told} although the line held only ${targetHeldMs} ms`)
    if (!isCaused && !isStableHome) throw this.#wrong('failover-without-cause', told)
    if (IMPAIRED.has(step.cause ?? '') && sinceSwitchMs < policy.holdDownMs)
      throw this.#wrong('hold-down', `${told} ${sinceSwitchMs} ms after the switch before`)
    if (step.reason === 'latched-line-dead') {
      if (sinceSwitchMs < policy.latchRescueMs - SLACK_MS) throw this.#wrong('flap-limit', `${told} too soon`)
      return
    }
    this.#automaticSwitchesMs = this.#automaticSwitchesMs.filter((atMs) => nowMs - atMs < policy.flapWindowMs)
    this.#automaticSwitchesMs.push(nowMs)
    if (this.#automaticSwitchesMs.length > policy.flapLimit) throw this.#wrong('flap-limit', told)
  }

  #judgeFeedState({ supervisor, sessions }: DaemonLife): void {
    const nowMs = this.#parts.time.monotonicMs()
    const { feedState } = supervisor
    if (this.#openSinceMs === null) return
    const openForMs = nowMs - this.#openSinceMs
    const isHaltRecent = nowMs - this.#lastHaltMs < MISSED_GAP_MS
    const okForMs = Math.max(...LINES.map((line) => nowMs - (this.#truth[line].okSinceMs ?? nowMs)))
    if (feedState === 'GAP' && Math.min(okForMs, openForMs) >= FALSE_GAP_MS && !isHaltRecent)
      throw this.#wrong('false-gap', `a line has been in order for ${okForMs} ms`)

    const lastLiveMs = Math.max(...LINES.map((line) => this.#truth[line].lastLiveMs))
    const silentMs = nowMs - Math.max(lastLiveMs, this.#openSinceMs, this.#lifeSinceMs)
    const isRising = LINES.some(
      (line) => sessions[line].state === 'subscribing' && nowMs - sessions[line].stateSinceMs <= RISING_MS,
    )
    const isTold = feedState === 'GAP' || feedState === 'KILLED' || feedState === 'CLOSED'
    // A line that came up meanwhile has as long as no market is silent to prove itself.
    const hasRisen = LINES.some(
      (line) => sessions[line].state === 'streaming' && sessions[line].stateSinceMs > lastLiveMs,
    )
    const allowedMs = hasRisen ? MISSED_GAP_MS + PROOF_MS : MISSED_GAP_MS
    if (silentMs > allowedMs && !isRising && !isTold && this.liquidExchanges() >= 2)
      throw this.#wrong('missed-gap', `${feedState} although no tick came for ${silentMs} ms`)
  }

  /** Consumers know the epoch, are told of a gap with bounds that hold, and are not told one thing and its opposite all the time. */
  #judgeTelling(
    { epoch, feedState, lastFailover }: FeedSupervisor,
    { gap }: FailoverStep,
    command: FailoverCommand | null,
  ): void {
    const nowMs = this.#parts.time.monotonicMs()
    if (this.#epochTold < epoch && nowMs - Math.max(this.#lifeSinceMs, this.#lastSwitchMs ?? 0) > TOLD_WITHIN_MS)
      throw this.#wrong('epoch-untold', `nobody was told of epoch ${epoch}, only of ${this.#epochTold}`)
    if (gap !== null && this.#openSinceMs !== null) {
      const { fromMs, toMs } = gap
      if (fromMs < this.#openSinceMs - SLACK_MS || toMs < fromMs || toMs > nowMs)
        throw this.#wrong('gap-bounds', `a gap from ${fromMs} to ${toMs} in a market open since ${this.#openSinceMs}`)
    }
    const gapMs = lastFailover?.gap_ms ?? 0
    if (this.#openSinceMs !== null && gapMs > nowMs - this.#openSinceMs + GAP_MEASURED_SLACK_MS)
      throw this.#wrong('gap-bounds', `gap_ms ${gapMs} in a market open since ${this.#openSinceMs}, now ${nowMs}`)
    if (command !== null || this.#openSinceMs === null) this.#feedStatesMs = []
    if (feedState !== this.#feedState) {
      this.#feedStatesMs.push(nowMs)
      this.#feedStateSinceMs = nowMs
    }
    this.#feedState = feedState
    const switchedForMs = feedState === 'SWITCHED' ? nowMs - this.#feedStateSinceMs : 0
    if (switchedForMs > this.#parts.policy.raiseGraceMs + SLACK_MS)
      throw this.#wrong('switched-for-ever', `the feed has been SWITCHED for ${switchedForMs} ms`)
    this.#feedStatesMs = this.#feedStatesMs.filter((ms) => nowMs - ms < FLAPPING_WITHIN_MS)
    const fromMs = this.#feedStatesMs[0] ?? nowMs
    if (this.#feedStatesMs.length > FEED_STATES_MAX && !this.#isEventful(fromMs - CAUSE_MEMORY_USUAL_MS, nowMs))
      throw this.#wrong(
        'feed-state-flapping',
        `${this.#feedStatesMs.length} feed states within ${nowMs - fromMs} ms, and nothing happened`,
      )
  }

  /** A fault begins or ends, or somebody does something. */
  #isEventful(fromMs: number, toMs: number): boolean {
    const { schedule, time } = this.#parts
    const offsetMs = time.nowMs - time.monotonicMs() - schedule.startMs
    const isWithin = (ms: number) => ms - offsetMs >= fromMs && ms - offsetMs <= toMs
    return (
      schedule.faults.some(({ atMs, forMs }) => isWithin(atMs) || isWithin(atMs + forMs)) ||
      schedule.acts.some(({ atMs, downMs }) => isWithin(atMs) || isWithin(atMs + downMs))
    )
  }

  /** No line is taken down that alone delivers. */
  #judgeResting({ sessions }: DaemonLife, command: FailoverCommand | null): void {
    const nowMs = this.#parts.time.monotonicMs()
    for (const line of LINES) {
      const isWanted = sessions[line].wanted === 'streaming'
      const isTakenDown = this.#wasWanted[line] && !isWanted
      this.#wasWanted[line] = isWanted
      if (!isTakenDown || command !== null || this.#isKilled || this.#openSinceMs === null) continue
      const otherDeadForMs = nowMs - (this.#truth[otherLine(line)].deadSinceMs ?? nowMs)
      if (this.#truth[line].okSinceMs !== null && otherDeadForMs > CAUSE_MEMORY_USUAL_MS)
        throw this.#wrong(
          'only-line-rested',
          `${line} delivers, and the other line has been dead for ${otherDeadForMs} ms`,
        )
    }
  }

  /** Those from which the present life knows that ticks are due. */
  liquidExchanges(): number {
    const { market, calendar, time } = this.#parts
    const open = market.contracts.filter(
      ({ exchange, product, gapMs }) =>
        gapMs < 1_000 &&
        (this.#tickSeconds.get(exchange)?.count ?? 0) > 30 &&
        calendar.productState(exchange, product, time.wallMs() - MISSED_GAP_MS) === 'open' &&
        calendar.productState(exchange, product, time.wallMs()) === 'open',
    )
    // A single contract does not make an exchange liquid.
    const names = open.map(({ exchange }) => exchange)
    return new Set(names.filter((name, i) => names.indexOf(name) !== i)).size
  }

  /** A dead serving line is left in time when the other one is in order. */
  #judgePromptness({ supervisor }: DaemonLife): void {
    const { schedule, time, policy } = this.#parts
    const { state } = supervisor
    const nowMs = time.monotonicMs()
    if (state.automation.kind !== 'automatic') this.#automaticSinceMs = null
    else this.#automaticSinceMs ??= nowMs
    if (this.#automaticSinceMs === null || this.#openSinceMs === null) return
    if (state.phase.kind === 'starting' || state.phase.kind === 'killed') return
    const isHot = schedule.standby === 'hot'
    const other = this.#truth[otherLine(state.serving)]
    const { deadSinceMs } = this.#truth[state.serving]
    // What stands by can only be known to be free of faults.
    const otherSinceMs = isHot ? other.okSinceMs : Math.max(other.faultlessSinceMs ?? nowMs, this.#lifeSinceMs)
    if (deadSinceMs === null || otherSinceMs === null) return
    const isSettled = Math.min(nowMs - otherSinceMs, nowMs - this.#openSinceMs) >= (isHot ? WELL_BEFORE_MS : 60_000)
    if (!isSettled || nowMs - this.#lastHaltMs < MISSED_GAP_MS) return
    // A line that stood by was dead by design until it was chosen.
    const deadForMs = nowMs - Math.max(deadSinceMs, this.#automaticSinceMs, this.#lastSwitchMs ?? 0)
    // The line left stays up while the new one is raised.
    const isRaising = state.phase.kind === 'raising'
    const allowedMs = isRaising ? policy.raiseGraceMs + SLACK_MS : this.#allowedToBeDeadMs(state.serving, isHot)
    if (deadForMs > allowedMs)
      throw this.#wrong('late-failover', `${state.serving} has been dead for ${deadForMs} ms and serves still`)
  }

  /** Loss of the session is seen at once; silence takes a witness, or as long as no market is silent. */
  #allowedToBeDeadMs(serving: Line, isHot: boolean): number {
    const isLiquid = this.liquidExchanges() >= 2
    if (!isHot) return isLiquid ? 45_000 : Number.POSITIVE_INFINITY
    if (!this.#parts.fronts[serving].isLoggedIn) return 1_700
    return isLiquid ? 12_000 : 40_000
  }

  #wrong(rule: Rule, message: string): Violation {
    this.violation ??= new Violation(rule, message)
    return this.violation
  }
}

function freshTruth(): LineTruth {
  return {
    lastTroubleMs: Number.NEGATIVE_INFINITY,
    okSinceMs: null,
    wholeSinceMs: null,
    faultlessSinceMs: null,
    deadSinceMs: null,
    lastBrokenMs: Number.NEGATIVE_INFINITY,
    lastLiveMs: Number.NEGATIVE_INFINITY,
  }
}
