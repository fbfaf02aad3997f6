/**
 * Holds one line: starts its bridge, connects, logs in within the budget, subscribes the whole list at the permitted pace, and begins
 * again where the world makes it. What to do after a failure is the retry table's decision (`#domain/retry.ts`); this file performs it.
 *
 *     off -> connecting -> logging-in -> [logged-in] -> subscribing -> streaming
 *      ^          \____________\______________\______________/
 *      |                          waiting  (retry table says when)
 *      |                          latched  (an operator must clear it)
 *      `------- the supervisor wants the line cold
 *
 * The vendor library reconnects by itself but forgets login and subscriptions, so `disconnected` leads back to `connecting` with the
 * same bridge; a bridge that died, hangs or speaks nonsense is replaced.
 */

import type { Bridge, BridgeCommand, BridgeEnd, BridgeSink } from '#adapters/feeds/bridge-process.ts'
import { kindOfBridgeExit } from '#adapters/feeds/ctp/bridge-exit.ts'
import type { FeedAdapter } from '#adapters/feeds/feed-adapter.ts'
import { type Message, PROTOCOL_VERSION, vendorText } from '#adapters/feeds/wire.ts'
import { type Clock, sleep } from '#clock.ts'
import { unreachable } from '#domain/assert.ts'
import { Failure } from '#domain/failure.ts'
import { type FeedErrorKind, kindOfLoginError, kindOfReturnCode, kindOfSubscribeError } from '#domain/feed-error.ts'
import { type Line, type LineIndex, lineIndex } from '#domain/line.ts'
import { attemptNumber, nextAttempt, paceAfterDrops } from '#domain/retry.ts'
import type { WantedUp } from '#domain/standby.ts'
import type { LineState } from '#domain/status.ts'
import { Subscription, SubscriptionBook } from '#domain/subscription-book.ts'
import type { TickViews } from '#domain/tick.ts'
import { Inbox } from './inbox.ts'
import type { PacingPolicy, SubscriptionPacer } from './subscription-pacer.ts'

export interface LineTimeouts {
  /** From starting the bridge process to its first frame. */
  helloMs: number
  connectMs: number
  loginMs: number
  /** From a subscribe request to each contract's answer. */
  ackMs: number
  /** Between frames: the bridge counts once a second, so more silence than this is a hang. */
  silenceMs: number
  /** From the start of the instrument query to its last row, between rows. */
  catalogueMs: number
}

/** What a line session needs of the daemon around it. */
export interface LineEnvironment {
  clock: Clock
  openBridge(command: BridgeCommand, sink: BridgeSink): Bridge
  timeouts: LineTimeouts
  pacing: PacingPolicy
  pacer: SubscriptionPacer
  maxSubscribeAttempts: number
  /** Milliseconds until a login of this account may be sent; 0 means it was granted, and counted on disk. */
  requestLogin(accountKey: string): Promise<number>
  /** The account must not log in until an operator clears it. */
  isLatched(accountKey: string): boolean
  latch(accountKey: string, message: string): Promise<void>
  /** Slot of the instrument, made on first sight; null for an unknown exchange. */
  slotOf(symbol: string, exchange: string): number | null
  /** The bridge lists a contract that the line could carry. */
  listed(symbol: string, exchange: string): void
  slotName(slot: number): { symbol: string; exchange: string }
  /** The front is about to push its last known state of the instrument. */
  expectSnapshot(slot: number): void
  /** Frames are about to be read, at this moment of CLOCK_MONOTONIC. */
  reading(nowMs: number): void
  tick(slot: number, views: TickViews, at: number): void
  /** Replay only: the bridge sent everything up to `reachedMs`. */
  reached(reachedMs: number, nextMs: number): void
  /** Something that the supervisor should look at now rather than at its next round. */
  changed(): void
  /** A random number in [0, 1) for backoff. */
  jitter(): number
  marketIsOpen(): boolean
  log(level: 'debug' | 'info' | 'warn' | 'error', message: string, details?: Record<string, unknown>): void
}

type Note =
  | { type: 'hello'; message: Message }
  | { type: 'connected' }
  | { type: 'disconnected'; reason: number }
  | { type: 'loggedIn'; message: Message }
  | { type: 'catalogueRow' }
  | { type: 'catalogueEnd' }
  | { type: 'ended'; end: BridgeEnd }
  | { type: 'recycle'; failure: LineFailure | null }

/** Why a bridge or a connection was given up. */
interface LineFailure {
  kind: FeedErrorKind
  message: string
}

const NOTES_MAX = 100_000
const RETIRE_GRACE_MS = 300
const RETRY_DELAY_MAX_MS = 60_000
/** Ids of this many contracts fit into one frame, however long they are. */
const UNSUBSCRIBE_BATCH = 500
/** Ids have 81 bytes at most, so this many fit into one frame. */
const REQUEST_CONTRACTS_MAX = 700
/** A market has some 20,000 instruments; a number far beyond is no number of an instrument. */
const INSTRUMENT_NUMBER_MAX = 1_000_000
/** A trading login as old as this is taken for seen by a market-data front that verifies, so that a storm of drops makes few of them. */
const TRADING_LOGIN_REUSED_MS = 60 * 60_000
/** A front that accepts does so within this time, or later by its own doing. */
const PROMPT_MS = 500

export class LineSession {
  readonly line: Line
  readonly index: LineIndex
  readonly book = new SubscriptionBook()
  readonly adapter: FeedAdapter
  state: LineState = 'off'
  detail = 'not started'
  /** CLOCK_MONOTONIC of the last change of `state`. */
  stateSinceMs: number
  connected = false
  loggedIn = false
  /** CLOCK_MONOTONIC of the last frame of any kind. */
  lastFrameMs: number
  /** Since the last success, in a row. */
  connectFailures = 0
  loginFailures = 0
  tradingDay = ''
  apiVersion = ''
  counters = { received: 0, written: 0, dropped: 0, highWater: 0 }
  rateLimitHits = 0
  bridgeStarts = 0
  readonly loginOutcomes: Record<'granted' | 'accepted' | 'refused' | 'timed-out', number> = {
    granted: 0,
    accepted: 0,
    refused: 0,
    'timed-out': 0,
  }
  readonly disconnects = new Map<string, number>()
  /** Ticks that came from a bridge after its bounded drain. */
  lateBytes = 0
  /** Frames that the pipe lost, seen by holes in the bridge's own count. */
  missingFrames = 0

  readonly #env: LineEnvironment
  readonly #inbox = new Inbox<Note>(NOTES_MAX)
  readonly #answers = new Map<number, (code: number) => void>()
  #bridge: Bridge | null = null
  #isStarted = false
  #lastSequence = 0
  #slots = new Int32Array(0)
  #wanted: WantedUp
  #wantedChanged = new AbortController()
  #loginScope = new AbortController()
  /** How long the last login held. */
  #heldMs = 0
  /** Sessions in a row that the front cut while contracts were being asked for. */
  #dropsWhileSubscribing = 0
  readonly #notReady = new Set<number>()
  /** CLOCK_MONOTONIC of the last trading login that the market-data front has not disowned. */
  #tradingLoginMs = Number.NEGATIVE_INFINITY
  #wakeSubscriber: (() => void) | null = null

  constructor(line: Line, adapter: FeedAdapter, wanted: WantedUp, env: LineEnvironment) {
    this.line = line
    this.index = lineIndex(line)
    this.adapter = adapter
    this.#wanted = wanted
    this.#env = env
    this.stateSinceMs = env.clock.monotonicMs()
    this.lastFrameMs = this.stateSinceMs
  }

  get bridgePid(): number | null {
    return this.#bridge?.pid ?? null
  }

  /** The bridge was told to start: it obeys commands and keeps the market's time. */
  get isStarted(): boolean {
    return this.#isStarted
  }

  /** On its way up without needing the market's time to pass: a replay at full speed would run away from it. */
  isComingUp = false

  get wanted(): WantedUp {
    return this.#wanted
  }

  /** Raises or lowers what the line should be; takes effect at once, dropping a login that is not wanted any more. */
  want(wanted: WantedUp): void {
    if (wanted === this.#wanted) return
    const isRaise = RANK[wanted] > RANK[this.#wanted]
    this.#wanted = wanted
    this.#wantedChanged.abort()
    this.#wantedChanged = new AbortController()
    if (isRaise) this.#wakeSubscriber?.()
    else this.#inbox.put({ type: 'recycle', failure: null })
  }

  /** Gives the present bridge up and begins again, as the retry table has it for this kind of failure. */
  recycle(kind: FeedErrorKind, message: string): void {
    this.#inbox.put({ type: 'recycle', failure: { kind, message } })
  }

  /** Asks again for these contracts; returns how many are on this line's list. */
  subscribeAgain(slots: Iterable<number>): number {
    const asked = this.book.askAgain(slots)
    this.#wakeSubscriber?.()
    return asked
  }

  /** A new trading day has a new instrument list: what was refused yesterday is asked for again. */
  forgetRefusals(): void {
    this.subscribeAgain(this.book.slotsIn(Subscription.refused))
  }

  /** Contracts were put on the line's list, or these taken off it, while the line may be up. */
  listChanged(removed: readonly number[]): void {
    const subscribed = removed.filter((slot) => this.book.state(slot) !== Subscription.unlisted)
    for (const slot of subscribed) this.book.unlist(slot)
    const symbols = subscribed.map((slot) => this.#env.slotName(slot).symbol)
    for (let from = 0; from < symbols.length; from += UNSUBSCRIBE_BATCH) {
      this.#bridge?.send('unsubscribe', { texts: symbols.slice(from, from + UNSUBSCRIBE_BATCH) })
    }
    this.#wakeSubscriber?.()
  }

  /** Replay only. */
  advance(toMs: number): void {
    this.#bridge?.send('advance', { numbers: [toMs] })
  }

  /** Holds the line until the signal aborts; then the bridge is gone. Never rejects but for our own mistakes. */
  async run(signal: AbortSignal): Promise<void> {
    let attempt = 0
    let lastKind: FeedErrorKind | null = null
    while (!signal.aborted) {
      this.#heldMs = 0
      // Before all else: a latched line that was to rest would pass for one that could be raised.
      if (this.#env.isLatched(this.adapter.accountKey)) {
        this.#become('latched', 'the account is latched after a refused login; an operator must clear it')
        await quietSleep(1_000, signal)
        continue
      }
      if (this.#wanted === 'off') {
        this.#become('off', 'standby is cold: not logged in')
        await this.#untilWantedChanges(signal)
        continue
      }
      const failure = await this.#holdBridge(signal)
      if (failure === null) continue
      // Each kind has its own backoff and its own last attempt: a night of refused connects must not use up those of a login.
      attempt = failure.kind === lastKind ? attemptNumber(attempt, this.#heldMs) : 1
      lastKind = failure.kind
      await this.#performRetry(failure, attempt, signal)
    }
    this.#become('off', 'stopped')
  }

  async #performRetry(failure: LineFailure, attempt: number, signal: AbortSignal): Promise<void> {
    const { clock, jitter, log } = this.#env
    const decision = nextAttempt(failure.kind, attempt, jitter(), clock.monotonicMs())
    log('warn', `${this.line}: ${failure.message}`, { kind: failure.kind, attempt, decision: decision.again })
    switch (decision.again) {
      case 'at': {
        this.#become('waiting', failure.message)
        await quietSleep(
          Math.max(0, decision.atMs - clock.monotonicMs()),
          AbortSignal.any([signal, this.#wantedChanged.signal]),
        )
        return
      }
      case 'never':
        if (decision.latch) await this.#env.latch(this.adapter.accountKey, failure.message)
        this.#become(decision.latch ? 'latched' : 'failed', failure.message)
        if (!decision.latch) await this.#untilWantedChanges(signal)
        return
      case 'after-operator':
        this.#become('failed', failure.message)
        await this.#untilWantedChanges(signal)
        return
      case 'next-session':
        this.#become('waiting', failure.message)
        while (!signal.aborted && !this.#env.marketIsOpen()) await quietSleep(1_000, signal)
        return
    }
  }

  /** One bridge process from start to end. Null: it was ended on purpose. */
  async #holdBridge(signal: AbortSignal): Promise<LineFailure | null> {
    const { clock, timeouts } = this.#env
    this.#become('connecting', 'starting the bridge')
    this.#inbox.clear()
    this.#slots = new Int32Array(0)
    this.#lastSequence = 0
    this.bridgeStarts++
    this.lastFrameMs = clock.monotonicMs()
    const bridge = this.#env.openBridge(this.adapter.command(), {
      reading: () => {
        this.lastFrameMs = clock.monotonicMs()
        this.#env.reading(this.lastFrameMs)
      },
      tick: (views, at) => this.#onTick(views, at),
      message: (message) => this.#onMessage(message),
      printed: (text) => this.#env.log('debug', `${this.line} bridge: ${text}`),
      ended: (end) => this.#onEnded(bridge, end),
    })
    this.#bridge = bridge
    const watch = setInterval(() => this.#watchSilence(), 500)
    try {
      const hello = await this.#inbox.take(['hello', 'ended', 'recycle'], { timeoutMs: timeouts.helloMs, signal })
      if (hello.kind === 'aborted') return null
      if (hello.kind === 'timed-out') return { kind: 'bridge-hung', message: 'the bridge process did not say hello' }
      if (hello.item.type === 'ended') return failureOfEnd(hello.item.end)
      if (hello.item.type === 'recycle') return hello.item.failure
      const { code: version } = hello.item.message
      if (version !== PROTOCOL_VERSION) {
        return { kind: 'protocol-fault', message: `the bridge speaks version ${version}, not ${PROTOCOL_VERSION}` }
      }
      bridge.send('start', { texts: this.adapter.startPairs() })
      this.#isStarted = true
      if (this.adapter.listing === 'bridge') {
        const outcome = await this.#queryList(bridge, signal)
        if (outcome !== 'listed') return outcome
      }
      return await this.#keepConnection(bridge, signal)
    } finally {
      clearInterval(watch)
      this.#isStarted = false
      this.#loginScope.abort()
      await bridge.retire(RETIRE_GRACE_MS)
      // Not before: what is drained may still speak of a connection.
      this.connected = false
      this.loggedIn = false
      this.lateBytes += bridge.bytesDropped
      this.#bridge = null
      this.#failAnswers()
      this.book.forget()
      this.#env.changed()
    }
  }

  /** Connects, logs in, subscribes and streams, again after each disconnect that the vendor library mends by itself. */
  async #keepConnection(bridge: Bridge, signal: AbortSignal): Promise<LineFailure | null> {
    let reconnects = 0
    for (;;) {
      const { timeouts } = this.#env
      if (!this.connected) {
        this.#become('connecting', reconnects === 0 ? 'connecting to the front' : 'waiting for the front to come back')
        const answer = await this.#awaitConnection(signal)
        if (answer.kind === 'aborted') return null
        if (answer.kind === 'timed-out') {
          this.connectFailures++
          return { kind: 'connect-timeout', message: `no front connected within ${timeouts.connectMs} ms` }
        }
        if (answer.item.type === 'ended') return failureOfEnd(answer.item.end)
        if (answer.item.type === 'recycle') return answer.item.failure
      }
      const failure = await this.#loginAndStream(bridge, reconnects, signal)
      if (failure === 'disconnected' || failure === 'log-in-again') {
        reconnects = attemptNumber(reconnects, this.#heldMs)
        continue
      }
      return failure
    }
  }

  async #awaitConnection(signal: AbortSignal) {
    const { connectMs } = this.#env.timeouts
    const promptMs = Math.min(PROMPT_MS, connectMs)
    const prompt = await this.#inbox.take(['connected', 'ended', 'recycle'], { timeoutMs: promptMs, signal })
    if (prompt.kind !== 'timed-out') return prompt
    // Nobody answers at once, so it is the front that is not there.
    this.isComingUp = false
    return this.#inbox.take(['connected', 'ended', 'recycle'], { timeoutMs: connectMs - promptMs, signal })
  }

  async #loginAndStream(
    bridge: Bridge,
    reconnects: number,
    signal: AbortSignal,
  ): Promise<LineFailure | 'disconnected' | 'log-in-again' | null> {
    this.#heldMs = 0
    // Before the permit: a secret store that is down must not use up the login budget.
    let pairs: string[]
    try {
      pairs = await this.adapter.loginPairs(signal)
    } catch (error) {
      if (signal.aborted) return null
      if (!(error instanceof Failure)) throw error
      return { kind: 'secret-unavailable', message: `${error.message} ${error.remedy}` }
    }
    const before = await this.#logInToTradeFirst(reconnects, signal)
    if (before !== 'made' && before !== 'reused') return before
    const permitted = await this.#awaitLoginPermit(before === 'made' ? 0 : reconnects, signal)
    if (permitted !== 'granted') return permitted
    if (this.#wanted === 'off') return null

    this.#become('logging-in', 'logging in')
    this.loginOutcomes.granted++
    bridge.send('login', { texts: pairs })
    const { timeouts } = this.#env
    const answer = await this.#inbox.take(['loggedIn', 'disconnected', 'ended', 'recycle'], {
      timeoutMs: timeouts.loginMs,
      signal,
    })
    if (answer.kind === 'aborted') return null
    if (answer.kind === 'timed-out') {
      this.loginOutcomes['timed-out']++
      this.loginFailures++
      return { kind: 'login-timeout', message: `no answer to the login within ${timeouts.loginMs} ms` }
    }
    switch (answer.item.type) {
      case 'disconnected':
        return 'disconnected'
      case 'ended':
        return failureOfEnd(answer.item.end)
      case 'recycle':
        return answer.item.failure
      case 'loggedIn':
        break
    }
    const { code, texts } = answer.item.message
    if (code !== 0) {
      this.loginOutcomes.refused++
      this.loginFailures++
      const text = vendorText(texts[0])
      const kind = kindOfLoginError('market-data', code, text)
      if (kind === 'trading-login-required' && before === 'reused' && this.adapter.tradingLogin) {
        // The front's day may have turned since; refused right after a fresh one, the account is latched.
        this.#env.log('warn', `${this.line}: the front knows no trading login any more; making a new one`)
        this.#tradingLoginMs = Number.NEGATIVE_INFINITY
        return 'log-in-again'
      }
      return {
        kind,
        message: `the front refused the login: error ${code} ${text}`.trimEnd(),
      }
    }
    this.loginOutcomes.accepted++
    this.connectFailures = 0
    this.loginFailures = 0
    this.loggedIn = true
    this.tradingDay = vendorText(texts[1])
    return this.#stream(bridge, signal)
  }

  /** The trading login that the adapter wants before a market-data login, within the budget; whatever happens to the line meanwhile ends it. */
  async #logInToTradeFirst(
    reconnects: number,
    signal: AbortSignal,
  ): Promise<'made' | 'reused' | LineFailure | 'disconnected' | null> {
    const { tradingLogin } = this.adapter
    const { clock } = this.#env
    if (!tradingLogin || clock.monotonicMs() - this.#tradingLoginMs < TRADING_LOGIN_REUSED_MS) return 'reused'
    const permitted = await this.#awaitLoginPermit(reconnects, signal)
    if (permitted !== 'granted') return permitted

    this.#become('logging-in', 'logging in to the trading front first')
    this.loginOutcomes.granted++
    const settled = new AbortController()
    const givenUp = new AbortController()
    const interruption = this.#inbox
      .take(['disconnected', 'ended', 'recycle'], { signal: AbortSignal.any([signal, settled.signal]) })
      .finally(() => givenUp.abort())
    const outcome = await tradingLogin(AbortSignal.any([signal, givenUp.signal])).catch((error: unknown) => {
      if (givenUp.signal.aborted || signal.aborted) return null
      throw error
    })
    settled.abort()
    const interrupted = await interruption
    if (interrupted.kind === 'taken') {
      const { item } = interrupted
      if (item.type === 'disconnected') return 'disconnected'
      return item.type === 'ended' ? failureOfEnd(item.end) : item.failure
    }
    if (outcome === null) return null
    if (outcome.ok) {
      this.loginOutcomes.accepted++
      this.#tradingLoginMs = clock.monotonicMs()
      return 'made'
    }
    this.loginOutcomes[outcome.kind === 'login-timeout' ? 'timed-out' : 'refused']++
    this.loginFailures++
    return { kind: outcome.kind, message: outcome.message }
  }

  /** Waits for the retry table (after a reconnect) and for the login budget; a disconnect meanwhile ends the wait. */
  async #awaitLoginPermit(
    reconnects: number,
    signal: AbortSignal,
  ): Promise<'granted' | LineFailure | 'disconnected' | null> {
    const { clock } = this.#env
    const kind = this.#dropsWhileSubscribing > 0 ? 'dropped-while-subscribing' : 'disconnected'
    const decision = nextAttempt(kind, Math.max(1, reconnects), this.#env.jitter(), clock.monotonicMs())
    let readyAtMs = reconnects === 0 || decision.again !== 'at' ? clock.monotonicMs() : decision.atMs
    for (;;) {
      const waitMs = readyAtMs - clock.monotonicMs()
      if (waitMs <= 0) {
        // Another line, or an operator's command, may have met the refusal of a shared account meanwhile.
        if (this.#env.isLatched(this.adapter.accountKey)) return null
        const budgetMs = await this.#env.requestLogin(this.adapter.accountKey)
        if (budgetMs === 0) return 'granted'
        this.#become('waiting', `login budget is used up; next login in ${Math.ceil(budgetMs / 1000)} s`)
        readyAtMs = clock.monotonicMs() + budgetMs
        continue
      }
      if (this.state !== 'waiting') this.#become('waiting', `reconnected; logging in again in ${Math.ceil(waitMs)} ms`)
      const answer = await this.#inbox.take(['disconnected', 'ended', 'recycle'], { timeoutMs: waitMs, signal })
      if (answer.kind === 'aborted') return null
      if (answer.kind === 'timed-out') continue
      if (answer.item.type === 'ended') return failureOfEnd(answer.item.end)
      if (answer.item.type === 'recycle') return answer.item.failure
      return 'disconnected'
    }
  }

  async #stream(bridge: Bridge, signal: AbortSignal): Promise<LineFailure | 'disconnected' | null> {
    this.#loginScope = new AbortController()
    const scope = AbortSignal.any([signal, this.#loginScope.signal])
    const loggedInAtMs = this.#env.clock.monotonicMs()
    this.#env.changed()
    const subscriber = this.#keepSubscribed(bridge, scope)
    try {
      const answer = await this.#inbox.take(['disconnected', 'ended', 'recycle'], { signal })
      this.#heldMs = this.#env.clock.monotonicMs() - loggedInAtMs
      if (answer.kind !== 'taken') return null
      switch (answer.item.type) {
        case 'disconnected':
          return 'disconnected'
        case 'ended':
          return failureOfEnd(answer.item.end)
        case 'recycle':
          return answer.item.failure
        default:
          return unreachable(answer.item)
      }
    } finally {
      this.#loginScope.abort()
      this.#wakeSubscriber?.()
      await subscriber
    }
  }

  /** Asks for every wanted contract in paced batches, asks again where no answer came, and waits for new wishes. */
  async #keepSubscribed(bridge: Bridge, scope: AbortSignal): Promise<void> {
    const { clock, pacing, timeouts, maxSubscribeAttempts } = this.#env
    let unansweredRounds = 0
    let lastRequestMs = 0
    while (!scope.aborted) {
      if (this.#wanted === 'logged-in') {
        this.#become('logged-in', 'standby is warm: logged in, not subscribed')
        await this.#untilWoken(scope)
        continue
      }
      const batch = this.book.takeBatch(Math.min(pacing.batchSize, REQUEST_CONTRACTS_MAX))
      if (batch.length > 0) {
        this.#become('subscribing', `subscribed ${this.book.subscribed} of ${this.book.expected}`)
        const sent = await this.#requestBatch(bridge, batch, scope)
        if (!sent) this.book.returnBatch(batch)
        lastRequestMs = clock.monotonicMs()
        continue
      }
      const answerDueMs = lastRequestMs + timeouts.ackMs - clock.monotonicMs()
      if (this.book.requested > 0 && answerDueMs > 0) {
        await this.#untilWoken(scope, answerDueMs)
        continue
      }
      // All was asked for and every answer that comes has come. What stayed silent is asked for again, later and later.
      const unanswered = this.book.slotsIn(Subscription.requested)
      unansweredRounds = unanswered.length === 0 ? 0 : unansweredRounds + 1
      if (unanswered.length === 0 || unansweredRounds >= maxSubscribeAttempts) {
        this.#dropsWhileSubscribing = 0
        this.#become('streaming', this.#streamingDetail(unanswered.length))
      }
      await this.#untilWoken(scope, this.#nextRoundMs(unansweredRounds))
      if (this.book.wanted > 0) continue
      this.book.returnBatch(this.book.slotsIn(Subscription.requested))
      this.book.askAgain(this.#notReady)
      this.#notReady.clear()
    }
  }

  /** When to ask again for contracts that gave no answer or were not ready; undefined when there are none. */
  #nextRoundMs(unansweredRounds: number): number | undefined {
    if (unansweredRounds > 0) {
      const { retryDelayMs } = this.#env.pacing
      return Math.min(RETRY_DELAY_MAX_MS, retryDelayMs * 2 ** Math.min(unansweredRounds - 1, 16))
    }
    if (this.#notReady.size === 0) return undefined
    const decision = nextAttempt('contract-not-ready', 1, this.#env.jitter(), 0)
    return decision.again === 'at' ? decision.atMs : undefined
  }

  #streamingDetail(unanswered: number): string {
    const { subscribed, expected, refused } = this.book
    const missing = unanswered === 0 ? '' : `, ${unanswered} unanswered`
    return `subscribed ${subscribed} of ${expected}${refused === 0 ? '' : `, ${refused} refused`}${missing}`
  }

  /** False: the request did not leave, and the batch must be asked for again. */
  async #requestBatch(bridge: Bridge, batch: readonly number[], scope: AbortSignal): Promise<boolean> {
    try {
      await this.#env.pacer.admit(batch.length * paceAfterDrops(this.#dropsWhileSubscribing), scope)
      for (const slot of batch) this.#env.expectSnapshot(slot)
      const request = bridge.send('subscribe', { texts: batch.map((slot) => this.#env.slotName(slot).symbol) })
      const code = await this.#answerTo(request, scope)
      if (code === 0) return true
      // No library documents a positive code: the request is as good as not sent.
      const kind = kindOfReturnCode(Math.min(code, -1))
      if (kind === 'subscribe-throttled') this.rateLimitHits++
      const decision = nextAttempt(kind, 1, this.#env.jitter(), this.#env.clock.monotonicMs())
      const waitMs = decision.again === 'at' ? decision.atMs - this.#env.clock.monotonicMs() : 1_000
      await sleep(Math.max(0, waitMs), scope)
      return false
    } catch (error) {
      if (scope.aborted) return false
      throw error
    }
  }

  /** The vendor's return code for a request, or -1 when none comes in time. */
  async #answerTo(request: number, scope: AbortSignal): Promise<number> {
    const answered = new Promise<number>((resolve) => this.#answers.set(request, resolve))
    const settled = new AbortController()
    const overdue = sleep(this.#env.timeouts.ackMs, AbortSignal.any([scope, settled.signal])).then(
      () => -1,
      () => -1,
    )
    const code = await Promise.race([answered, overdue])
    settled.abort()
    this.#answers.delete(request)
    return code
  }

  async #queryList(bridge: Bridge, signal: AbortSignal): Promise<'listed' | LineFailure | null> {
    bridge.send('queryInstruments')
    const answer = await this.#inbox.take(['catalogueEnd', 'ended', 'recycle'], {
      timeoutMs: this.#env.timeouts.catalogueMs,
      signal,
    })
    if (answer.kind === 'aborted') return null
    if (answer.kind === 'timed-out') return { kind: 'bridge-hung', message: 'the bridge did not list its instruments' }
    switch (answer.item.type) {
      case 'catalogueEnd':
        return 'listed'
      case 'recycle':
        return answer.item.failure
      case 'ended':
        return failureOfEnd(answer.item.end)
      default:
        return unreachable(answer.item)
    }
  }

  #onTick(views: TickViews, at: number): void {
    this.#countMissing((views.i32[(at >> 2) + 2] ?? 0) >>> 0)
    const slot = this.#slots[views.i32[(at >> 2) + 3] ?? 0] ?? -1
    // A tick is the only proof of a subscription that a front is bound to give.
    if (slot >= 0 && this.book.state(slot) === Subscription.requested) this.#acknowledge(slot)
    this.#env.tick(slot, views, at)
  }

  /** Frames are numbered from 1 and wrap at 2^32: a hole is what the bridge had to drop. */
  #countMissing(sequence: number): void {
    const missing = (sequence - this.#lastSequence - 1) >>> 0
    if (missing > 0 && missing < 2 ** 31) this.missingFrames += missing
    this.#lastSequence = sequence
  }

  #acknowledge(slot: number): void {
    this.book.acknowledge(slot)
    if (this.book.requested === 0) this.#wakeSubscriber?.()
    else if (this.state === 'subscribing') this.detail = `subscribed ${this.book.subscribed} of ${this.book.expected}`
  }

  #onMessage(message: Message): void {
    this.#countMissing(message.sequence)
    switch (message.type) {
      case 'hello':
        this.apiVersion = vendorText(message.texts[1])
        this.#inbox.put({ type: 'hello', message })
        return
      case 'instrument':
        this.#learnInstrument(message)
        return
      case 'connected':
        this.connected = true
        this.#inbox.put({ type: 'connected' })
        return
      case 'disconnected':
        this.#onDisconnected(message.code)
        return
      case 'loggedIn':
        this.#inbox.put({ type: 'loggedIn', message })
        return
      case 'subscribed':
        this.#onSubscribed(message)
        return
      case 'requested':
        this.#answers.get(message.request)?.(message.code)
        return
      case 'counters': {
        const [received = 0, written = 0, dropped = 0, highWater = 0] = message.numbers
        this.counters = { received, written, dropped, highWater }
        return
      }
      case 'catalogueRow':
        this.#env.listed(vendorText(message.texts[0]), vendorText(message.texts[1]))
        return
      case 'catalogueEnd':
        this.#inbox.put({ type: 'catalogueEnd' })
        return
      case 'reached':
        this.#env.reached(message.numbers[0] ?? 0, message.numbers[1] ?? Number.POSITIVE_INFINITY)
        return
      case 'frontError':
        this.#env.log('warn', `${this.line}: front error ${message.code} ${vendorText(message.texts[0])}`.trimEnd())
        return
      case 'log':
        this.#env.log('info', `${this.line} bridge: ${vendorText(message.texts[0])}`)
        return
      default:
        // Frames of a trading session, or commands: nothing that a market-data line acts on.
        return
    }
  }

  #learnInstrument(message: Message): void {
    const number = message.instrument
    if (number > INSTRUMENT_NUMBER_MAX) {
      this.recycle('protocol-fault', `the bridge numbers an instrument ${number}`)
      return
    }
    if (number >= this.#slots.length) {
      const larger = new Int32Array(Math.max(1024, 2 * number)).fill(-1)
      larger.set(this.#slots)
      this.#slots = larger
    }
    const slot = this.#env.slotOf(vendorText(message.texts[0]), vendorText(message.texts[1]))
    this.#slots[number] = slot ?? -1
  }

  #onSubscribed(message: Message): void {
    const slot = this.#slots[message.instrument] ?? -1
    if (slot < 0) return
    if (message.code === 0) {
      this.#acknowledge(slot)
      return
    }
    const kind = kindOfSubscribeError(message.code)
    this.#env.log('warn', `${this.line}: the front refused ${this.#env.slotName(slot).symbol}`, {
      code: message.code,
      kind,
    })
    this.book.refuse(slot)
    if (kind === 'contract-not-ready') this.#notReady.add(slot)
    if (this.book.requested === 0) this.#wakeSubscriber?.()
  }

  #onDisconnected(reason: number): void {
    if (this.state === 'subscribing') this.#dropsWhileSubscribing++
    this.connected = false
    this.loggedIn = false
    const label = disconnectLabel(reason)
    this.disconnects.set(label, (this.disconnects.get(label) ?? 0) + 1)
    this.#loginScope.abort()
    this.#failAnswers()
    this.book.forget()
    this.#inbox.put({ type: 'disconnected', reason })
    this.#become('connecting', `the front disconnected us (reason ${reason})`)
  }

  #onEnded(bridge: Bridge, end: BridgeEnd): void {
    if (this.#bridge !== bridge && this.#bridge !== null) return
    this.connected = false
    this.loggedIn = false
    this.#loginScope.abort()
    this.#inbox.put({ type: 'ended', end })
    this.#env.changed()
  }

  #watchSilence(): void {
    const silentMs = this.#env.clock.monotonicMs() - this.lastFrameMs
    if (silentMs > this.#env.timeouts.silenceMs && this.connected) {
      this.lastFrameMs = this.#env.clock.monotonicMs()
      this.recycle('bridge-hung', `the bridge process sent nothing for ${Math.round(silentMs)} ms`)
    }
  }

  #failAnswers(): void {
    for (const answer of this.#answers.values()) answer(-1)
    this.#answers.clear()
  }

  #become(state: LineState, detail: string): void {
    this.detail = detail
    if (state === this.state) return
    this.isComingUp = state !== 'streaming' && state !== 'latched' && state !== 'failed' && state !== 'logged-in'
    this.state = state
    this.stateSinceMs = this.#env.clock.monotonicMs()
    this.#env.changed()
  }

  async #untilWantedChanges(signal: AbortSignal): Promise<void> {
    await quietSleep(2 ** 31 - 1, AbortSignal.any([signal, this.#wantedChanged.signal]))
  }

  async #untilWoken(scope: AbortSignal, timeoutMs?: number): Promise<void> {
    const woken = new AbortController()
    this.#wakeSubscriber = () => woken.abort()
    await quietSleep(timeoutMs ?? 2 ** 31 - 1, AbortSignal.any([scope, woken.signal]))
    this.#wakeSubscriber = null
  }
}

const RANK = { off: 0, 'logged-in': 1, streaming: 2 } as const satisfies Record<WantedUp, number>

/** Sleeps, and takes an abort as the end of the sleep. */
async function quietSleep(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, signal).catch((reason: unknown) => {
    if (!signal.aborted) throw reason
  })
}

function failureOfEnd(end: BridgeEnd): LineFailure {
  switch (end.kind) {
    case 'exited':
      return {
        kind: kindOfBridgeExit(end.code),
        message: `the bridge process ended (${end.signal === null ? `exit code ${end.code}` : `signal ${end.signal}`})`,
      }
    case 'protocol-fault':
      return { kind: 'protocol-fault', message: `the bridge process spoke nonsense: ${end.message}` }
    case 'not-started':
      return { kind: 'bridge-unavailable', message: `the bridge process could not be started: ${end.message}` }
  }
}

/** Metric label for a vendor's disconnect reason: a closed set, since other libraries deliver numbers of their own. */
export function disconnectLabel(reason: number): string {
  switch (reason) {
    case 0x1001:
      return 'read-failed'
    case 0x1002:
      return 'write-failed'
    case 0x2001:
      return 'heartbeat-timeout'
    case 0x2002:
      return 'heartbeat-send-failed'
    case 0x2003:
      return 'bad-packet'
    default:
      return 'other'
  }
}
