/**
 * Holds one line: starts its bridge, connects, logs in, keeps its contracts subscribed, and begins again where the world makes it. What to
 * do after a failure is the retry table's decision (`#domain/retry.ts`); this file performs it. How a login is made is in line-login.ts,
 * how contracts are asked for in line-subscriber.ts, what a bridge's frames mean in bridge-frames.ts.
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
import type { FeedAdapter } from '#adapters/feeds/feed-adapter.ts'
import { PROTOCOL_VERSION } from '#adapters/feeds/wire.ts'
import { assert } from '#domain/assert.ts'
import type { FeedErrorKind } from '#domain/feed-error.ts'
import { type Line, type LineIndex, lineIndex } from '#domain/line.ts'
import { attemptNumber, nextAttempt, STABLE_AFTER_MS } from '#domain/retry.ts'
import type { WantedUp } from '#domain/standby.ts'
import type { LineState } from '#domain/status.ts'
import { Subscription, type SubscriptionBook } from '#domain/subscription-book.ts'
import { BridgeFrames, type FrameEnvironment } from './bridge-frames.ts'
import { LineLogin, type LoginEnvironment } from './line-login.ts'
import { type CutShort, cutShort, failureOf, type LineFailure, type LineInbox, newLineInbox } from './line-notes.ts'
import { FOR_EVER_MS, LineProgress, quietSleep } from './line-progress.ts'
import { LineSubscriber, type SubscriberEnvironment } from './line-subscriber.ts'

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
export interface LineEnvironment extends LoginEnvironment, SubscriberEnvironment, FrameEnvironment {
  timeouts: LineTimeouts
  openBridge(command: BridgeCommand, sink: BridgeSink): Bridge
  /** Something that the supervisor should look at now rather than at its next round. */
  changed(): void
  log(level: 'debug' | 'info' | 'warn' | 'error', message: string, details?: Record<string, unknown>): void
}

const RETIRE_GRACE_MS = 300
/** A front that accepts does so within this time, or later by its own doing. */
const PROMPT_MS = 500
const SILENCE_CHECK_MS = 500

export class LineSession {
  readonly line: Line
  readonly index: LineIndex
  readonly adapter: FeedAdapter
  connected = false
  loggedIn = false
  /** Since the last success, in a row. */
  connectFailures = 0
  /** Why no bridge can ever bring more, in the bridge's own words; null while one may. */
  unusableInput: string | null = null
  readonly disconnects = new Map<DisconnectReason, number>()

  readonly #env: LineEnvironment
  readonly #inbox: LineInbox
  readonly #progress: LineProgress
  readonly #subscriber: LineSubscriber
  readonly #login: LineLogin
  readonly #frames: BridgeFrames
  #bridge: Bridge | null = null
  #isStarted = false
  #wanted: WantedUp
  #wantedChanged = new AbortController()
  #loginScope = new AbortController()
  /** How long the last login held. */
  #heldMs = 0
  /** Failures of each kind since a session held: no kind's backoff or last attempt is touched by another's. */
  readonly #attempts = new Map<FeedErrorKind, number>()

  constructor(line: Line, adapter: FeedAdapter, wanted: WantedUp, env: LineEnvironment) {
    this.line = line
    this.index = lineIndex(line)
    this.adapter = adapter
    this.#wanted = wanted
    this.#env = env
    const inbox = newLineInbox(env)
    this.#inbox = inbox
    const progress = new LineProgress(env.clock, env.changed)
    const subscriber = new LineSubscriber({ line, env, progress, isWanted: () => this.#wanted !== 'logged-in' })
    this.#progress = progress
    this.#subscriber = subscriber
    this.#login = new LineLogin({
      line,
      adapter,
      env,
      inbox,
      progress,
      isWanted: () => this.#wanted !== 'off',
      reconnectKind: () => (subscriber.isDroppedWhileAsking ? 'dropped-while-subscribing' : 'disconnected'),
    })
    this.#frames = new BridgeFrames({
      line,
      env,
      inbox,
      subscriber,
      connected: () => {
        this.connected = true
      },
      loginAnswered: (request, code, text) => this.#login.answered(request, code, text),
      disconnected: (reason) => this.#onDisconnected(reason),
    })
  }

  get state(): LineState {
    return this.#progress.state
  }
  get detail(): string {
    return this.#progress.detail
  }
  /** CLOCK_MONOTONIC of the last change of `state`. */
  get stateSinceMs(): number {
    return this.#progress.stateSinceMs
  }
  /** On its way up without needing the market's time to pass: a replay at full speed would run away from it. */
  get isComingUp(): boolean {
    return this.#progress.isComingUp
  }
  get book(): SubscriptionBook {
    return this.#subscriber.book
  }
  get rateLimitHits(): number {
    return this.#subscriber.rateLimitHits
  }
  get loginOutcomes(): Readonly<LineLogin['outcomes']> {
    return this.#login.outcomes
  }
  /** Since the last success, in a row. */
  get loginFailures(): number {
    return this.#login.failures
  }
  /** CLOCK_MONOTONIC of the last frame of any kind. */
  get lastFrameMs(): number {
    return this.#frames.lastFrameMs
  }
  get drops(): BridgeFrames['drops'] {
    return this.#frames.drops
  }
  /** CLOCK_MONOTONIC since which the contract is subscribed. */
  subscribedSinceMs(slot: number): number {
    return this.#subscriber.subscribedSinceMs(slot)
  }
  get counters(): BridgeFrames['counters'] {
    return this.#frames.counters
  }
  get bridgePid(): number | null {
    return this.#bridge?.pid ?? null
  }
  /** The bridge was told to start: it obeys commands and keeps the market's time. */
  get isStarted(): boolean {
    return this.#isStarted
  }
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
    if (isRaise) this.#subscriber.wake()
    else this.#inbox.put({ type: 'recycle', failure: null })
  }

  /** Gives the present bridge up and begins again, as the retry table has it for this kind of failure. */
  recycle(kind: FeedErrorKind, message: string): void {
    this.#inbox.put({ type: 'recycle', failure: { kind, message } })
  }

  /** Asks again for these contracts; returns how many are on this line's list. */
  subscribeAgain(slots: Iterable<number>): number {
    return this.#subscriber.askAgain(slots)
  }

  /** A new trading day has a new instrument list: what was refused yesterday is asked for again. */
  forgetRefusals(): void {
    this.subscribeAgain(this.book.slotsIn(Subscription.refused))
  }

  /** Contracts were put on the line's list, or these taken off it, while the line may be up. */
  listChanged(removed: readonly number[]): void {
    this.#subscriber.unlist(removed, this.#bridge)
  }

  /** Replay only. */
  advance(toMs: number): void {
    this.#bridge?.send('advance', { numbers: [toMs] })
  }

  /** Holds the line until the signal aborts; then the bridge is gone. Never rejects but for our own mistakes. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      this.#heldMs = 0
      // Before all else: a latched line that was to rest would pass for one that could be raised.
      if (this.#env.isLatched(this.adapter.accountKey)) {
        this.#progress.become('latched', 'the account is latched after a refused login; an operator must clear it')
        await quietSleep(1_000, signal)
        continue
      }
      if (this.#wanted === 'off') {
        this.#progress.become('off', 'at rest: not logged in')
        await this.#untilWantedChanges(signal)
        continue
      }
      const failure = this.#inItsWords(await this.#holdBridge(signal))
      if (failure === null) continue
      if (failure.kind === 'input-unusable') this.unusableInput = failure.message
      const attempt = (this.#attempts.get(failure.kind) ?? 0) + 1
      this.#attempts.set(failure.kind, attempt)
      await this.#performRetry(failure, attempt, signal)
    }
    this.#progress.become('off', 'stopped')
  }

  /** An exit code says what is to be done; the bridge has said why before. */
  #inItsWords(failure: LineFailure | null): LineFailure | null {
    const { lastWords } = this.#frames
    return failure?.kind === 'input-unusable' && lastWords !== '' ? { ...failure, message: lastWords } : failure
  }

  async #performRetry(failure: LineFailure, attempt: number, signal: AbortSignal): Promise<void> {
    const { clock, jitter, log } = this.#env
    const decision = nextAttempt(failure.kind, attempt, jitter(), clock.monotonicMs())
    log('warn', `${this.line}: ${failure.message}`, { kind: failure.kind, attempt, decision: decision.again })
    await this.#login.latchKept
    if (this.#env.isLatched(this.adapter.accountKey)) {
      this.#progress.become('latched', failure.message)
      return
    }
    switch (decision.again) {
      case 'at': {
        this.#progress.become('waiting', failure.message)
        await quietSleep(
          Math.max(0, decision.atMs - clock.monotonicMs()),
          AbortSignal.any([signal, this.#wantedChanged.signal]),
        )
        return
      }
      case 'never':
        this.#progress.become(decision.latch ? 'latched' : 'failed', failure.message)
        if (!decision.latch) await this.#untilWantedChanges(signal)
        return
      case 'after-operator':
        this.#progress.become('failed', failure.message)
        await this.#untilWantedChanges(signal)
        return
      case 'next-session':
        assert(false, 'only a contract waits for the next session, never a whole line')
    }
  }

  async #untilWantedChanges(signal: AbortSignal): Promise<void> {
    await quietSleep(FOR_EVER_MS, AbortSignal.any([signal, this.#wantedChanged.signal]))
  }

  /** One bridge process from start to end. Null: it was ended on purpose. */
  async #holdBridge(signal: AbortSignal): Promise<LineFailure | null> {
    this.#progress.become('connecting', 'starting the bridge')
    this.#inbox.clear()
    this.#frames.begin()
    const bridge = this.#env.openBridge(this.adapter.command(), {
      reading: () => this.#frames.reading(),
      tick: (views, at) => this.#frames.tick(views, at),
      message: (message) => this.#frames.message(message),
      printed: (text) => this.#env.log('debug', `${this.line} bridge: ${text}`),
      ended: (end) => this.#onEnded(bridge, end),
    })
    this.#bridge = bridge
    const watch = setInterval(() => this.#watchSilence(), SILENCE_CHECK_MS)
    try {
      const greeting = await this.#greet(bridge, signal)
      if (greeting !== 'started') return greeting
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
      this.#bridge = null
      this.#subscriber.forget()
      this.#env.changed()
    }
  }

  async #greet(bridge: Bridge, signal: AbortSignal): Promise<'started' | LineFailure | null> {
    const { helloMs } = this.#env.timeouts
    const hello = await this.#inbox.take(['hello', 'ended', 'recycle'], { timeoutMs: helloMs, signal })
    if (hello.kind === 'aborted') return null
    if (hello.kind === 'timed-out') return { kind: 'bridge-hung', message: 'the bridge process did not say hello' }
    if (hello.item.type !== 'hello') return failureOf(hello.item)
    const { code: version } = hello.item.message
    if (version !== PROTOCOL_VERSION) {
      return { kind: 'protocol-fault', message: `the bridge speaks version ${version}, not ${PROTOCOL_VERSION}` }
    }
    bridge.send('start', { texts: this.adapter.startPairs() })
    this.#isStarted = true
    return 'started'
  }

  async #queryList(bridge: Bridge, signal: AbortSignal): Promise<'listed' | LineFailure | null> {
    bridge.send('queryInstruments')
    const { catalogueMs } = this.#env.timeouts
    const answer = await this.#inbox.take(['catalogueEnd', 'ended', 'recycle'], { timeoutMs: catalogueMs, signal })
    if (answer.kind === 'aborted') return null
    if (answer.kind === 'timed-out') return { kind: 'bridge-hung', message: 'the bridge did not list its instruments' }
    return answer.item.type === 'catalogueEnd' ? 'listed' : failureOf(answer.item)
  }

  /** Connects, logs in, subscribes and streams, again after each disconnect that the vendor library mends by itself. */
  async #keepConnection(bridge: Bridge, signal: AbortSignal): Promise<LineFailure | null> {
    const { connectMs } = this.#env.timeouts
    let reconnects = 0
    for (;;) {
      if (!this.connected) {
        const detail = reconnects === 0 ? 'connecting to the front' : 'waiting for the front to come back'
        this.#progress.become('connecting', detail)
        const answer = await this.#awaitConnection(signal)
        if (answer.kind === 'aborted') return null
        if (answer.kind === 'timed-out') {
          this.connectFailures++
          return { kind: 'connect-timeout', message: `no front connected within ${connectMs} ms` }
        }
        if (answer.item.type !== 'connected') return failureOf(answer.item)
      }
      this.#heldMs = 0
      const login = await this.#login.logIn(bridge, reconnects, signal)
      const end = login === 'logged-in' ? await this.#stream(bridge, signal) : login
      if (end !== 'disconnected' && end !== 'log-in-again') return end
      reconnects = attemptNumber(reconnects, this.#heldMs)
    }
  }

  async #awaitConnection(signal: AbortSignal) {
    const { connectMs } = this.#env.timeouts
    const promptMs = Math.min(PROMPT_MS, connectMs)
    const prompt = await this.#inbox.take(['connected', 'ended', 'recycle'], { timeoutMs: promptMs, signal })
    if (prompt.kind !== 'timed-out') return prompt
    // Nobody answers at once, so it is the front that is not there.
    this.#progress.isComingUp = false
    return this.#inbox.take(['connected', 'ended', 'recycle'], { timeoutMs: connectMs - promptMs, signal })
  }

  /** For as long as the login holds. */
  async #stream(bridge: Bridge, signal: AbortSignal): Promise<CutShort> {
    this.loggedIn = true
    this.connectFailures = 0
    this.#loginScope = new AbortController()
    const loggedInAtMs = this.#env.clock.monotonicMs()
    this.#env.changed()
    const scope = AbortSignal.any([signal, this.#loginScope.signal])
    const subscribing = this.#subscriber.keepSubscribed(bridge, scope)
    const holding = this.#noteHeld(scope)
    try {
      const answer = await this.#inbox.take(['disconnected', 'ended', 'recycle'], { signal })
      this.#heldMs = this.#env.clock.monotonicMs() - loggedInAtMs
      return answer.kind === 'taken' ? cutShort(answer.item) : null
    } finally {
      this.#loginScope.abort()
      await Promise.all([subscribing, holding])
    }
  }

  async #noteHeld(scope: AbortSignal): Promise<void> {
    await quietSleep(STABLE_AFTER_MS, scope)
    if (scope.aborted) return
    this.#attempts.clear()
    this.#env.sessionHeld(this.adapter.accountKey)
  }

  #onDisconnected(reason: number): void {
    this.#subscriber.dropped()
    this.connected = false
    this.loggedIn = false
    this.#countDisconnect(disconnectLabel(reason))
    this.#loginScope.abort()
    this.#inbox.put({ type: 'disconnected', reason })
    this.#progress.become('connecting', `the front disconnected us (reason ${reason})`)
  }

  #onEnded(bridge: Bridge, end: BridgeEnd): void {
    if (this.#bridge !== bridge && this.#bridge !== null) return
    if (this.connected && this.#isStarted) this.#countDisconnect('bridge-ended')
    this.connected = false
    this.loggedIn = false
    this.#loginScope.abort()
    this.#inbox.put({ type: 'ended', end, complaint: this.#frames.complaint })
    this.#env.changed()
  }

  #countDisconnect(reason: DisconnectReason): void {
    this.disconnects.set(reason, (this.disconnects.get(reason) ?? 0) + 1)
  }

  #watchSilence(): void {
    const { clock, readingSinceMs } = this.#env
    const silentMs = clock.monotonicMs() - Math.max(this.#frames.lastFrameMs, readingSinceMs())
    if (silentMs > this.#env.timeouts.silenceMs && this.connected) {
      this.#frames.lastFrameMs = this.#env.clock.monotonicMs()
      this.recycle('bridge-hung', `the bridge process sent nothing for ${Math.round(silentMs)} ms`)
    }
  }
}

const RANK = { off: 0, 'logged-in': 1, streaming: 2 } as const satisfies Record<WantedUp, number>

/** A bridge that ends while it is connected takes the connection with it. */
export const DISCONNECT_REASONS = [
  'read-failed',
  'write-failed',
  'heartbeat-timeout',
  'heartbeat-send-failed',
  'bad-packet',
  'other',
  'bridge-ended',
] as const
type DisconnectReason = (typeof DISCONNECT_REASONS)[number]

/** Metric label for a vendor's disconnect reason: a closed set, since other libraries deliver numbers of their own. */
function disconnectLabel(reason: number): DisconnectReason {
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
