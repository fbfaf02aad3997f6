/**
 * Turns what the sessions and the tick path count into the evidence that a pulse is measured from. Holds only what needs a memory: the
 * last minute's counts, the usual gap between ticks of an exchange, and since when an exchange is in its session state.
 */
import { EXCHANGES } from '#domain/instrument.ts'
import type { Line, LineIndex } from '#domain/line.ts'
import { type ExchangeEvidence, type LineEvidence, type SilenceEvidence, sinceReading } from '#domain/liveness.ts'
import type { MarketCalendar, SessionState } from '#domain/session-calendar.ts'
import type { LineSession } from './line-session.ts'
import type { LineTicks, Silence, TickPath } from './tick-path.ts'

const GUARD_WINDOW_MS = 60_000
/** Weight of the newest second with ticks in the usual tick rate: about half of it comes from the last 40 of them. */
const RATE_WEIGHT = 1 / 60
/** Seconds with ticks from which a rate is taken for usual: the first ones of a quiet exchange may come in a heap. */
const RATE_SAMPLES_MIN = 20
/** A longer silence counts as this long: an outage must not make a liquid exchange look quiet. */
const RATE_SILENCE_MAX_S = 30
/** A percentile of fewer delays says nothing: the first ticks after a login come in a heap. */
const DELAYS_MIN = 1_000

interface ExchangeMemory {
  state: SessionState
  stateSinceMs: number
  ticksBefore: number
  /** Ticks while open and the seconds that they took, both lines' best, the past fading. */
  rateTicks: number
  rateSeconds: number
  /** Seconds with ticks that were learnt from. */
  rateSamples: number
  /** Since the last second with ticks, while open. */
  silentSeconds: number
}

export class EvidenceKeeper {
  readonly #path: TickPath
  readonly #sessions: Readonly<Record<Line, LineSession | null>>
  readonly #calendar: MarketCalendar
  readonly #readingSinceMs: () => number
  readonly #exchanges: ExchangeMemory[]
  /** Cumulative counts, one a second. */
  readonly #received: readonly [Float64Array, Float64Array]
  readonly #invalid: readonly [Float64Array, Float64Array]
  readonly #streamingSinceMs: (number | null)[] = [null, null]
  #sample = 0
  #sampledAtMs: number

  constructor(parts: {
    path: TickPath
    sessions: Readonly<Record<Line, LineSession | null>>
    calendar: MarketCalendar
    /** CLOCK_MONOTONIC since which both pipes are read without a break. */
    readingSinceMs(): number
    /** How far back invalid ticks are counted against those received; a minute where none is given. */
    guardWindowMs?: number
    nowMs: number
    marketMs: number
  }) {
    // The second that is being counted comes on top.
    const samples = Math.ceil((parts.guardWindowMs ?? GUARD_WINDOW_MS) / 1_000) + 1
    this.#received = [new Float64Array(samples), new Float64Array(samples)]
    this.#invalid = [new Float64Array(samples), new Float64Array(samples)]
    this.#path = parts.path
    this.#sessions = parts.sessions
    this.#calendar = parts.calendar
    this.#readingSinceMs = () => parts.readingSinceMs()
    this.#sampledAtMs = parts.nowMs
    this.#exchanges = EXCHANGES.map((exchange) => ({
      state: parts.calendar.exchangeState(exchange, parts.marketMs),
      stateSinceMs: parts.nowMs,
      ticksBefore: 0,
      rateTicks: 0,
      rateSeconds: 0,
      rateSamples: 0,
      silentSeconds: 0,
    }))
  }

  /** Once per round: session states, and once a second the samples. */
  update(nowMs: number, marketMs: number): void {
    EXCHANGES.forEach((exchange, i) => {
      const memory = this.#exchanges[i]
      const state = this.#calendar.exchangeState(exchange, marketMs)
      if (memory === undefined || memory.state === state) return
      memory.state = state
      memory.stateSinceMs = nowMs
      memory.silentSeconds = 0
      // What was owed before a break is not owed after it.
      for (const line of this.#path.lines) line.exchanges[i]?.reset()
      if (state === 'open') for (const line of this.#path.lines) line.market.reset()
    })
    for (const session of Object.values(this.#sessions)) {
      if (session === null) continue
      // Asking again for contracts within a session makes it no younger: it owes what it owed before.
      const asksAgain = session.state === 'subscribing' && session.loggedIn && session.wanted === 'streaming'
      if (session.state !== 'streaming') {
        if (!asksAgain) this.#streamingSinceMs[session.index] = null
      } else if (this.#streamingSinceMs[session.index] === null) this.#beginStreaming(session.index, nowMs)
    }
    if (nowMs - this.#sampledAtMs >= 1_000) this.#takeSample(nowMs)
  }

  /** A line owes nothing from before it was up: while it was down or stood by, the other one's ticks were no evidence against it. */
  #beginStreaming(index: LineIndex, nowMs: number): void {
    this.#streamingSinceMs[index] = nowMs
    const { market, exchanges } = this.#path.lines[index]
    for (const silence of [market, ...exchanges]) silence.excuse()
  }

  /** How long any exchange has been in continuous trading; 0 when none is. */
  openForMs(nowMs: number): number {
    const open = this.#exchanges.filter(({ state }) => state === 'open')
    return open.reduce((longest, { stateSinceMs }) => Math.max(longest, nowMs - stateSinceMs), 0)
  }

  evidenceOf(session: LineSession, nowMs: number): LineEvidence {
    const { index } = session
    const mine = this.#path.lines[index]
    const other = this.#path.lines[index === 0 ? 1 : 0]
    const otherSession = this.#sessions[session.line === 'primary' ? 'backup' : 'primary']
    return sinceReading(this.#readingSinceMs(), {
      state: session.state,
      stateSinceMs: session.stateSinceMs,
      wantedUp: session.wanted === 'streaming',
      lastFrameMs: session.lastFrameMs,
      streamingSinceMs: this.#streamingSinceMs[index] ?? null,
      otherStreamingSinceMs: otherSession === null ? null : (this.#streamingSinceMs[otherSession.index] ?? null),
      market: silenceEvidence(mine.market, other.market),
      exchanges: EXCHANGES.map((exchange, i) => this.#exchangeEvidence(exchange, i, mine, other, nowMs)),
      coverage: { own: coverageOf(session), other: otherSession === null ? null : coverageOf(otherSession) },
      recent: { received: windowSum(this.#received[index]), invalid: windowSum(this.#invalid[index]) },
      delayP95Ms: mine.behind.quantileMs(0.95, nowMs, DELAYS_MIN),
      connectFailures: session.loggedIn ? 0 : session.connectFailures,
      loginFailures: session.loginFailures,
    })
  }

  #exchangeEvidence(exchange: string, i: number, mine: LineTicks, other: LineTicks, nowMs: number): ExchangeEvidence {
    const memory = this.#exchanges[i]
    const [silence, otherSilence] = [mine.exchanges[i], other.exchanges[i]]
    return {
      exchange,
      sessionState: memory?.state ?? 'closed',
      inStateForMs: nowMs - (memory?.stateSinceMs ?? nowMs),
      expectedGapMs: memory === undefined ? null : expectedGapMs(memory),
      ...(silence !== undefined && otherSilence !== undefined
        ? silenceEvidence(silence, otherSilence)
        : { thisLastTickMs: null, otherLastTickMs: null, unanswered: null }),
    }
  }

  #takeSample(nowMs: number): void {
    const seconds = (nowMs - this.#sampledAtMs) / 1_000
    this.#sampledAtMs = nowMs
    this.#sample = (this.#sample + 1) % this.#received[0].length
    this.#path.lines.forEach((line, index) => {
      const received = this.#received[index === 0 ? 0 : 1]
      const invalid = this.#invalid[index === 0 ? 0 : 1]
      received[this.#sample] = line.received
      invalid[this.#sample] = line.outcomes[3] ?? 0
    })
    this.#exchanges.forEach((memory, i) => {
      // The better of both lines, since one of them may be the one that is silent.
      const ticks = Math.max(...this.#path.lines.map((line) => line.exchangeTicks[i] ?? 0))
      const news = Math.max(0, ticks - memory.ticksBefore)
      memory.ticksBefore = ticks
      if (memory.state !== 'open') return
      if (news === 0) {
        memory.silentSeconds += seconds
        return
      }
      // Silence counts once it is over: until then it is what the usual rate is to be compared with.
      const tookSeconds = Math.min(memory.silentSeconds, RATE_SILENCE_MAX_S) + seconds
      memory.rateTicks += news - RATE_WEIGHT * memory.rateTicks
      memory.rateSeconds += tookSeconds - RATE_WEIGHT * memory.rateSeconds
      memory.rateSamples++
      memory.silentSeconds = 0
    })
  }
}

/** Null while unknown. A rate learnt from a few seconds only is tempered by the silence since. */
function expectedGapMs({ rateTicks, rateSeconds, rateSamples, silentSeconds }: ExchangeMemory): number | null {
  if (rateTicks === 0) return null
  const silence = rateSamples < RATE_SAMPLES_MIN ? Math.min(silentSeconds, RATE_SILENCE_MAX_S) : 0
  return (1_000 * (rateSeconds + silence)) / rateTicks
}

/** Subscribed share of the line's own list; null while it has none. */
export function coverageOf(session: LineSession): number | null {
  return session.book.expected === 0 ? null : session.book.subscribed / session.book.expected
}

function silenceEvidence(mine: Silence, other: Silence): SilenceEvidence {
  return {
    thisLastTickMs: mine.lastTickMs === 0 ? null : mine.lastTickMs,
    otherLastTickMs: other.lastTickMs === 0 ? null : other.lastTickMs,
    unanswered: mine.unanswered === 0 ? null : { ticks: mine.unanswered, sinceMs: mine.unansweredSinceMs },
  }
}

/** Counts of a cumulative counter within the window: the newest sample minus the oldest one kept. */
function windowSum(samples: Float64Array): number {
  const newest = samples.reduce((most, sample) => Math.max(most, sample), 0)
  const oldest = samples.reduce((least, sample) => Math.min(least, sample), Number.POSITIVE_INFINITY)
  return newest - oldest
}
