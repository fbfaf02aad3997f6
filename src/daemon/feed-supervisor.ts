/**
 * Looks at both lines several times a second and whenever one of them changes, lets the failover machine decide, and performs what it
 * decided: serving line, epoch, standby levels, second chances for a line that went mute. Ticks do not pass through here.
 */

import type { EpochFile } from '#adapters/state/epoch-file.ts'
import { type Clock, sleep } from '#clock.ts'
import {
  type FailoverCommand,
  type FailoverPolicy,
  type FailoverState,
  type FailoverStep,
  failoverStep,
  startFailover,
} from '#domain/failover.ts'
import { FAILOVER_SENTENCES } from '#domain/failover-reason.ts'
import { isoShanghai } from '#domain/iso-time.ts'
import { LINES, type Line, lineIndex, otherLine } from '#domain/line.ts'
import type { LineView, Readiness } from '#domain/line-fitness.ts'
import {
  type LivenessPolicy,
  measurePulse,
  PULSE_SENTENCES,
  type PulseReading,
  type PulseReason,
} from '#domain/liveness.ts'
import type { MarketCalendar } from '#domain/session-calendar.ts'
import { linesWanted, type StandbyMode } from '#domain/standby.ts'
import type { FailoverRecord, FeedState } from '#domain/status.ts'
import { Subscription } from '#domain/subscription-book.ts'
import { coverageOf, type EvidenceKeeper } from './line-evidence.ts'
import type { LineSession } from './line-session.ts'
import type { MarketClock } from './market-clock.ts'
import { type Delivery, deliveryNow, lostSince } from './switch-losses.ts'
import type { TickPath } from './tick-path.ts'

export interface SupervisorParts {
  sessions: Readonly<Record<Line, LineSession | null>>
  path: TickPath
  evidence: EvidenceKeeper
  calendar: MarketCalendar
  marketClock: MarketClock
  clock: Clock
  epochFile: Pick<EpochFile, 'write'>
  liveness: LivenessPolicy
  failover: FailoverPolicy
  standbyMode: StandbyMode
  firstTickMs: number
  /** CLOCK_MONOTONIC since which both pipes are read without a break. */
  readingSinceMs(): number
  home: Line
  automatic: boolean
  linesShareFront: boolean
  /** News that the journal did not take, ever. */
  lost(): number
  log(level: 'info' | 'warn', message: string, details?: Record<string, unknown>): void
  tradingDayChanged(tradingDay: number): void
  /** The feed state that consumers are told, or the epoch, changed. */
  published(change: FeedChange): void
  /** For the audit log: the serving line changed, automation was latched, or the feed was cut. */
  decided?(step: FailoverStep, record: FailoverRecord | null): void
}

/** What comes with an operator's command. */
export interface OrderManner {
  /** The line that automation returns to stays as it is, and so does the count of switches: a drill is no choice of line. */
  keepsHome: boolean
  /** CLOCK_MONOTONIC: when the operator gave the order, where that is known, and when it got here. */
  givenAtMs: number | null
  takenAtMs: number
}

export interface FeedChange {
  epoch: number
  servingLine: Line
  feedState: FeedState
  sinceMs: number
  /** While the state is GAP: CLOCK_MONOTONIC of the last tick before it. */
  gapSinceMs: number | null
  step: FailoverStep
}

/** A switch that is being measured until the new line has ticked and is covered, or until the deadline. */
interface OpenRecord {
  record: FailoverRecord
  decidedAtMs: number
  before: Delivery
  /** The longest time between accepted ticks in the seconds before. */
  gapBeforeMs: number
}

/** A line that stays mute is given up and dialled again after this long, and not again before the second has passed. */
const MUTE_PATIENCE_MS = 10_000
const LONE_PATIENCE_MS = 300_000
const SECOND_CHANCE_EVERY_MS = 60_000
const RECORD_DEADLINE_MS = 30_000
/** What asking for contracts again may mend; other silence takes a new session. */
const ASKED_AGAIN: ReadonlySet<PulseReason> = new Set(['exchange-mute', 'coverage-low', 'nothing-subscribed'])
/** A switch for silence comes seconds after the last tick, so the gaps of the last one or two of these spans belong to it. */
const GAP_SPAN_MS = 5_000
/** An order that claims to be older was not given by a command that waits for it. */
const ORDER_AGE_MAX_MS = 60_000

export class FeedSupervisor {
  state: FailoverState
  feedState: FeedState = 'GAP'
  feedStateSinceMs: number
  /** Consumers know this epoch: they are told of it with the first round, whatever the state is then. */
  #isTold = false
  #isOpen = false
  lastStep: FailoverStep | null = null
  lastFailover: FailoverRecord | null = null
  epoch = 0
  tradingDay: number
  readonly pulses: Record<Line, PulseReading | null> = { primary: null, backup: null }
  /** Switches by `from to reason`, for the metrics. */
  readonly failovers = new Map<string, { from: Line; to: Line; reason: string; count: number }>()
  /** CLOCK_MONOTONIC of the last round. */
  lastRoundMs: number
  readonly #parts: SupervisorParts
  #open: OpenRecord | null = null
  #epochWrites: Promise<void> = Promise.resolve()
  readonly #redSinceMs: Record<Line, number | null> = { primary: null, backup: null }
  readonly #secondChanceMs: Record<Line, number> = {
    primary: Number.NEGATIVE_INFINITY,
    backup: Number.NEGATIVE_INFINITY,
  }
  #gapSpan = { sinceMs: 0, beforeMs: 0 }

  constructor(parts: SupervisorParts) {
    this.#parts = parts
    const nowMs = parts.clock.monotonicMs()
    this.lastRoundMs = nowMs
    this.state = startFailover({ serving: parts.home, paused: !parts.automatic, nowMs })
    this.feedStateSinceMs = nowMs
    this.tradingDay = parts.calendar.tradingDayOf(parts.marketClock.nowMs())
  }

  get serving(): Line {
    return this.state.serving
  }

  /**
   * Makes the first epoch of this life durable. Call before any line is started.
   * @param lastTickMs market time of the last live tick of an earlier life, null when there is none: since then consumers lack ticks
   */
  async begin(lastEpochInUse: number, lastTickMs: number | null): Promise<void> {
    this.epoch = lastEpochInUse + 1
    await this.#parts.epochFile.write(this.epoch)
    this.#parts.path.epoch = this.epoch
    const { calendar, marketClock, clock, path } = this.#parts
    const agoMs = marketClock.nowMs() - (lastTickMs ?? Number.POSITIVE_INFINITY)
    if (lastTickMs !== null && agoMs >= 0 && wasOpenSince(calendar, lastTickMs, agoMs)) {
      path.lastAcceptedMs = clock.monotonicMs() - agoMs
    }
  }

  /** One round: collect, decide, perform. Returns the step, for the operator whose command it carried. */
  round(command: FailoverCommand | null = null, manner: OrderManner | null = null): FailoverStep {
    const { clock, marketClock, path, evidence, sessions, failover } = this.#parts
    const nowMs = clock.monotonicMs()
    const marketMs = marketClock.nowMs()
    this.lastRoundMs = nowMs
    evidence.update(nowMs, marketMs)
    this.#watchTradingDay(marketMs)
    const views = { primary: this.#view('primary', nowMs), backup: this.#view('backup', nowMs) }
    path.alone = LINES.filter((line) => sessions[line]?.state === 'streaming').length < 2

    const marketState = this.#parts.calendar.marketState(marketMs)
    const isOpen = marketState === 'open' || marketState === 'auction'
    if (isOpen && !this.#isOpen && this.lastStep !== null) this.#beginOpening(nowMs)
    this.#isOpen = isOpen
    const step = failoverStep(
      this.state,
      {
        lines: views,
        marketIsOpen: isOpen,
        linesShareFront: this.#parts.linesShareFront,
        lastTickMs: path.lastAcceptedMs === 0 ? null : path.lastAcceptedMs,
        command,
        nowMs,
      },
      failover,
    )
    this.#perform(manner?.keepsHome === true ? keepingHome(step, this.state) : step, nowMs, manner)
    this.#measureSwitch(nowMs)
    this.#watchGaps(nowMs)
    for (const line of LINES) this.#giveSecondChance(line, nowMs)
    return step
  }

  /** Resolves when the switch that is under way is measured, or after `timeoutMs`. */
  async measured(timeoutMs: number): Promise<void> {
    const { clock } = this.#parts
    const deadlineMs = clock.monotonicMs() + timeoutMs
    const record = this.#open?.record
    while (record?.first_tick_ms === null && clock.monotonicMs() < deadlineMs) await sleep(20)
  }

  /** Resolves when every epoch decided so far is on disk. */
  async settled(): Promise<void> {
    await this.#epochWrites
  }

  #view(line: Line, nowMs: number): LineView | null {
    const session = this.#parts.sessions[line]
    if (session === null) return null
    const reading = measurePulse(this.#parts.evidence.evidenceOf(session, nowMs), this.#parts.liveness, nowMs)
    const before = this.pulses[line]
    // Of a line that was never up, that it is not up yet is no news; the first look at it is none at all.
    if (before !== null && before.reason !== reading.reason) {
      const isComingUp = reading.reason === 'not-connected' && session.loginOutcomes.accepted === 0
      this.#parts.log(
        reading.pulse === 'red' && !isComingUp ? 'warn' : 'info',
        `${line} is ${reading.pulse}: ${PULSE_SENTENCES[reading.reason]}`,
      )
    }
    this.pulses[line] = reading
    return { ...reading, readiness: this.#readiness(session) }
  }

  #readiness(session: LineSession): Readiness {
    if (session.wanted !== 'streaming') {
      if (session.state === 'logged-in') return 'can-be-raised'
      return session.state === 'off' && !this.#sharesLatch(session) ? 'can-be-raised' : 'unable'
    }
    if (!session.loggedIn) return 'unable'
    const coverage = coverageOf(session)
    if (coverage !== null && coverage >= this.#parts.liveness.coverageThreshold) return 'ready'
    // What the front refuses for good is not waited for: a line that carries all the rest is better than a dead one.
    const { expected, refused, subscribed } = session.book
    return subscribed > 0 && subscribed === expected - refused ? 'ready' : 'unable'
  }

  /** At rest it has not met the latch yet that the other line's login brought on the account of both. */
  #sharesLatch(session: LineSession): boolean {
    const other = this.#parts.sessions[otherLine(session.line)]
    return other?.state === 'latched' && other.adapter.accountKey === session.adapter.accountKey
  }

  #perform(step: FailoverStep, nowMs: number, manner: OrderManner | null): void {
    const from = this.state.serving
    const automationBefore = this.state.automation.kind
    this.state = step.state
    this.lastStep = step
    if (step.changed) {
      const cause = step.cause === null ? '' : ` ${PULSE_SENTENCES[step.cause]}`
      this.#parts.log(step.epochBump ? 'warn' : 'info', `${FAILOVER_SENTENCES[step.reason]}${cause}`, {
        reason: step.reason,
        serving_line: step.serve,
        feed_state: step.feedState,
      })
    }
    const feedStateChanged = step.feedState !== this.feedState
    if (feedStateChanged) {
      this.feedState = step.feedState
      this.feedStateSinceMs = nowMs
    }
    if (step.epochBump) this.#recordSwitch(from, step, nowMs, manner)
    const isLatched = step.state.automation.kind === 'flap-latched' && automationBefore !== 'flap-latched'
    if (step.epochBump || isLatched || (step.changed && step.reason === 'operator-killed')) {
      this.#parts.decided?.(step, step.epochBump ? this.lastFailover : null)
    }
    if (step.epochBump) this.#bumpEpoch(step)
    else if (feedStateChanged || !this.#isTold) this.#publishInTurn(step)
    this.#isTold = true
    this.#raiseAndRest()
  }

  #bumpEpoch(step: FailoverStep): void {
    const epoch = ++this.epoch
    // Durable before any tick or feed state carries it, so that it can't be used twice after a crash. A full disk must not stop a
    // failover, though.
    this.#epochWrites = this.#epochWrites
      .then(() => this.#parts.epochFile.write(epoch))
      .catch((error: unknown) => this.#parts.log('warn', `epoch ${epoch} can't be kept on disk: ${String(error)}`))
      .then(() => {
        this.#parts.path.epoch = epoch
      })
    this.#publishInTurn(step)
  }

  /** As decided now, told when every epoch up to this one is on disk. */
  #publishInTurn(step: FailoverStep): void {
    const change: FeedChange = {
      epoch: this.epoch,
      servingLine: this.state.serving,
      feedState: this.feedState,
      sinceMs: this.feedStateSinceMs,
      gapSinceMs: this.state.gapSinceMs,
      step,
    }
    this.#epochWrites = this.#epochWrites.then(() => this.#parts.published(change))
  }

  #raiseAndRest(): void {
    const wanted = linesWanted(this.state, this.#parts.standbyMode)
    for (const line of LINES) this.#parts.sessions[line]?.want(wanted[line])
  }

  #recordSwitch(from: Line, step: FailoverStep, nowMs: number, manner: OrderManner | null): void {
    const { path, marketClock } = this.#parts
    const to = step.serve
    const key = `${from} ${to} ${step.reason}`
    const known = this.failovers.get(key) ?? { from, to, reason: step.reason, count: 0 }
    this.failovers.set(key, { ...known, count: known.count + 1 })
    const record: FailoverRecord = {
      at: isoShanghai(marketClock.nowMs()),
      from,
      to,
      reason: step.reason,
      ...(manner === null ? this.#timesOfFault(from, nowMs) : timesOfOrder(manner, nowMs)),
      first_tick_ms: null,
      coverage_restored_ms: null,
      gap_ms: null,
      lost: null,
      duplicates: null,
    }
    const gapBeforeMs = Math.max(path.gapMs, this.#gapSpan.beforeMs)
    path.watchSwitch(lineIndex(to))
    this.lastFailover = record
    this.#open = { record, decidedAtMs: nowMs, before: this.#delivery(nowMs), gapBeforeMs }
  }

  /** From the line's last tick to its red pulse, and from there to the switch. */
  #timesOfFault(from: Line, nowMs: number): Pick<FailoverRecord, 'detect_ms' | 'decide_ms'> {
    const { lastTickMs } = this.#parts.path.lines[lineIndex(from)].market
    const redSinceMs = this.#redSinceMs[from] ?? nowMs
    return {
      detect_ms: lastTickMs === 0 ? null : tenths(redSinceMs - lastTickMs),
      decide_ms: tenths(nowMs - redSinceMs),
    }
  }

  #delivery(nowMs: number): Delivery {
    const { path, sessions, lost } = this.#parts
    return deliveryNow(path, sessions, lost(), nowMs)
  }

  /** Nobody owed a tick before: neither a gap nor the time between two ticks reaches back across a close. */
  #beginOpening(nowMs: number): void {
    this.#parts.path.forgetGap()
    this.#gapSpan = { sinceMs: nowMs, beforeMs: 0 }
  }

  /** Between switches the longest gap is kept for a while only. */
  #watchGaps(nowMs: number): void {
    if (this.#open !== null || nowMs - this.#gapSpan.sinceMs < GAP_SPAN_MS) return
    const { path } = this.#parts
    this.#gapSpan = { sinceMs: nowMs, beforeMs: path.gapMs }
    path.gapMs = 0
  }

  #measureSwitch(nowMs: number): void {
    if (this.#open === null) return
    const { record, decidedAtMs, before, gapBeforeMs } = this.#open
    const { path, sessions, liveness } = this.#parts
    if (record.first_tick_ms === null && path.firstTickReadMs > 0) {
      record.first_tick_ms = tenths(Math.max(0, path.firstTickReadMs - decidedAtMs))
    }
    const session = sessions[record.to]
    const coverage = session === null ? null : coverageOf(session)
    if (record.coverage_restored_ms === null && coverage !== null && coverage >= liveness.coverageThreshold) {
      record.coverage_restored_ms = tenths(nowMs - decidedAtMs)
    }
    record.gap_ms = tenths(Math.max(gapBeforeMs, path.gapMs))
    record.lost = lostSince(before, this.#delivery(nowMs))
    const isComplete = record.first_tick_ms !== null && record.coverage_restored_ms !== null
    if ((isComplete && nowMs - decidedAtMs > 2_000) || nowMs - decidedAtMs > RECORD_DEADLINE_MS) this.#open = null
  }

  /**
   * A line that is connected but brings nothing, or not enough, does not mend itself: its contracts are asked for again, and if that does
   * not help it is dialled anew.
   */
  #giveSecondChance(line: Line, nowMs: number): void {
    const session = this.#parts.sessions[line]
    const pulse = this.pulses[line]
    if (session === null || pulse === null || pulse.pulse !== 'red') {
      const isInDoubt = pulse?.pulse === 'yellow'
      const isOverdue = isInDoubt && (this.#firstTickIsOverdue(line, nowMs) || this.#isSilentAlone(line, nowMs))
      this.#redSinceMs[line] = isOverdue ? (this.#redSinceMs[line] ?? nowMs) : null
      if (session === null || this.#redSinceMs[line] === null) return
    } else {
      this.#redSinceMs[line] ??= nowMs
    }
    const redForMs = nowMs - this.#judgedSince(this.#redSinceMs[line] ?? nowMs)
    const isUp = session.state === 'streaming' || session.state === 'subscribing'
    if (!isUp || redForMs < MUTE_PATIENCE_MS || nowMs - this.#secondChanceMs[line] < SECOND_CHANCE_EVERY_MS) return
    if (this.#waitsForOther(line, nowMs)) return
    this.#secondChanceMs[line] = nowMs
    if (pulse?.pulse === 'yellow' && !this.#mayDialInDoubt(line, nowMs)) {
      const slots = session.book.slotsIn(Subscription.subscribed)
      this.#parts.log('warn', `${line}: silent for long; asking for its ${slots.length} contracts again`)
      session.subscribeAgain(slots)
    } else if (pulse !== null && ASKED_AGAIN.has(pulse.reason)) {
      // Only what is unanswered, what the other line brought news of, and, of an exchange that fell silent, what brought nothing since:
      // the rest of the subscriptions is good.
      const { missed, lastLiveMs } = this.#parts.path.lines[session.index]
      const sinceMs = pulse.reason === 'exchange-mute' ? nowMs - redForMs : Number.NEGATIVE_INFINITY
      const silent = session.book
        .slotsIn(Subscription.subscribed)
        .filter((slot) => (missed[slot] ?? 0) > 0 || (lastLiveMs[slot] ?? 0) < sinceMs)
      const slots = silent.concat(session.book.slotsIn(Subscription.requested))
      this.#parts.log('warn', `${line}: asking for its ${slots.length} contracts again`)
      session.subscribeAgain(slots)
    } else if (pulse?.reason !== 'lagging' && pulse?.reason !== 'invalid-ticks') {
      session.recycle('first-tick-timeout', `the line brings no ticks; dialling it again`)
    }
  }

  /**
   * Both lines silent for longer than any market is may still be the exchanges: then both lines are sound, and one of them stays up. The
   * other is dialled first, and has time to bring a tick.
   */
  #waitsForOther(line: Line, nowMs: number): boolean {
    if (line !== this.serving || this.pulses[line]?.reason !== 'market-silent') return false
    const other = otherLine(line)
    if (this.#parts.sessions[other]?.state !== 'streaming' || this.pulses[other]?.pulse === 'green') return false
    const wasDialled = this.#secondChanceMs[other] >= (this.#redSinceMs[line] ?? nowMs)
    return !wasDialled || nowMs - this.#secondChanceMs[other] < this.#parts.firstTickMs
  }

  /**
   * Nobody can tell a dead line from a market at rest here, so a session is given up only where that costs consumers nothing: on the line
   * that does not serve; on a line alone when it has been silent for very long.
   */
  #mayDialInDoubt(line: Line, nowMs: number): boolean {
    if (!this.#firstTickIsOverdue(line, nowMs)) return false
    const { sessions, path, evidence } = this.#parts
    if (sessions[otherLine(line)]?.state === 'streaming') return line !== this.serving
    const silentMs = Math.min(evidence.openForMs(nowMs), nowMs - path.lines[lineIndex(line)].market.lastTickMs)
    return silentMs >= LONE_PATIENCE_MS
  }

  /** It ticked, and then for long no line did, so that there is none to compare with: it may have lost its subscriptions unnoticed. */
  #isSilentAlone(line: Line, nowMs: number): boolean {
    const session = this.#parts.sessions[line]
    if (session === null || this.pulses[line]?.reason !== 'silent-alone') return false
    const lastTicksMs = this.#parts.path.lines.map(({ market }) => market.lastTickMs)
    return nowMs - this.#judgedSince(Math.max(...lastTicksMs, session.stateSinceMs)) > this.#parts.firstTickMs
  }

  /** Subscribed in an open market, and not one live tick since: worth a new login even without another line to compare with. */
  #firstTickIsOverdue(line: Line, nowMs: number): boolean {
    const session = this.#parts.sessions[line]
    if (session === null || session.state !== 'streaming' || session.book.subscribed === 0) return false
    const { lastTickMs } = this.#parts.path.lines[session.index].market
    const { evidence, firstTickMs } = this.#parts
    return (
      lastTickMs < session.stateSinceMs &&
      nowMs - this.#judgedSince(session.stateSinceMs) > firstTickMs &&
      evidence.openForMs(nowMs) > firstTickMs
    )
  }

  /** What this process slept through is no patience with a line. */
  #judgedSince(ms: number): number {
    return Math.max(ms, this.#parts.readingSinceMs())
  }

  #watchTradingDay(marketMs: number): void {
    const tradingDay = this.#parts.calendar.tradingDayOf(marketMs)
    if (tradingDay === this.tradingDay) return
    this.tradingDay = tradingDay
    this.#parts.path.forgetTicked()
    for (const line of LINES) this.#parts.sessions[line]?.forgetRefusals()
    this.#parts.tradingDayChanged(tradingDay)
  }
}

/** No opening of the market is longer, so that the way back through the calendar is short. */
const OPENING_MAX_MS = 6 * 3_600_000

function wasOpenSince(calendar: MarketCalendar, fromMs: number, forMs: number): boolean {
  if (forMs > OPENING_MAX_MS) return false
  for (let ms = fromMs; ms <= fromMs + forMs; ms = calendar.nextChangeMs(ms)) {
    const state = calendar.marketState(ms)
    if (state !== 'open' && state !== 'auction') return false
  }
  return true
}

function timesOfOrder({ givenAtMs, takenAtMs }: OrderManner, nowMs: number) {
  const onTheWayMs = givenAtMs === null ? Number.NaN : takenAtMs - givenAtMs
  const isCredible = onTheWayMs >= 0 && onTheWayMs < ORDER_AGE_MAX_MS
  return { detect_ms: isCredible ? tenths(onTheWayMs) : null, decide_ms: tenths(nowMs - takenAtMs) }
}

/** Finer is noise. */
function tenths(ms: number): number {
  return Math.round(ms * 10) / 10
}

function keepingHome(step: FailoverStep, { home, automaticSwitchesMs }: FailoverState): FailoverStep {
  return { ...step, state: { ...step.state, home, automaticSwitchesMs } }
}
