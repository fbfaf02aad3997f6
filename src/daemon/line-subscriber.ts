/**
 * Asks the front for every contract of a line's list: in paced batches, again where no answer came, again later where the front was not
 * ready. What a front refuses is not asked for again before the next trading day. An answer is an acknowledgement, and so is a tick.
 */
import type { Bridge } from '#adapters/feeds/bridge-process.ts'
import { type Clock, sleep } from '#clock.ts'
import {
  FEED_ERROR_TEXTS,
  kindOfReturnCode,
  kindOfSubscribeError,
  type SubscribeErrorKind,
} from '#domain/feed-error.ts'
import { INSTRUMENTS_MAX } from '#domain/instrument-table.ts'
import type { Line } from '#domain/line.ts'
import { nextAttempt, paceAfterDrops } from '#domain/retry.ts'
import { Subscription, SubscriptionBook } from '#domain/subscription-book.ts'
import { FOR_EVER_MS, type LineProgress, quietSleep } from './line-progress.ts'
import { sleepReading } from './own-pauses.ts'
import type { PacingPolicy, SubscriptionPacer } from './subscription-pacer.ts'

export interface SubscriberEnvironment {
  clock: Clock
  /** CLOCK_MONOTONIC since which answers are read without a break. */
  readingSinceMs(): number
  /** `ackMs`: from a subscribe request to each contract's answer. */
  timeouts: { ackMs: number }
  pacing: PacingPolicy
  pacer: SubscriptionPacer
  maxSubscribeAttempts: number
  slotName(slot: number): { symbol: string; exchange: string }
  /** The front is about to push its last known state of the instrument. */
  expectSnapshot(slot: number): void
  /** A random number in [0, 1) for backoff. */
  jitter(): number
  log(level: 'warn', message: string, details?: Record<string, unknown>): void
}

interface SubscriberParts {
  line: Line
  env: SubscriberEnvironment
  progress: LineProgress
  /** False for a standby that is logged in and no more. */
  isWanted(): boolean
}

const RETRY_DELAY_MAX_MS = 60_000
/** Ids of this many contracts fit into one frame, however long they are. */
const UNSUBSCRIBE_BATCH = 500
/** Ids have 81 bytes at most, so this many fit into one frame. */
const REQUEST_CONTRACTS_MAX = 700

export class LineSubscriber {
  readonly book = new SubscriptionBook()
  rateLimitHits = 0
  readonly #parts: SubscriberParts
  /** By number of the request: who waits for the vendor's return code. */
  readonly #answers = new Map<number, (code: number) => void>()
  /** Refused for the moment; asked for again by themselves. */
  readonly #notReady = new Set<number>()
  /** Not told yet. */
  readonly #refusals: { symbol: string; code: number; kind: SubscribeErrorKind }[] = []
  /** The front takes no more in this login: these are refused without being asked for, until the next one or until there is room. */
  readonly #overLimit = new Set<number>()
  #isFull = false
  /** Sessions in a row that the front cut while contracts were being asked for. */
  #dropsWhileAsking = 0
  readonly #subscribedSinceMs = new Float64Array(INSTRUMENTS_MAX)
  #wake: (() => void) | null = null

  constructor(parts: SubscriberParts) {
    this.#parts = parts
  }

  /** The front has cut the last session while contracts were being asked for. */
  get isDroppedWhileAsking(): boolean {
    return this.#dropsWhileAsking > 0
  }

  /** For as long as the login holds: asks for what is wanted, and waits for answers and new wishes. */
  async keepSubscribed(bridge: Bridge, scope: AbortSignal): Promise<void> {
    const { progress, isWanted } = this.#parts
    const { clock, pacing, timeouts, maxSubscribeAttempts, readingSinceMs } = this.#parts.env
    let unansweredRounds = 0
    let lastRequestMs = 0
    while (!scope.aborted) {
      if (!isWanted()) {
        progress.become('logged-in', 'standby is warm: logged in, not subscribed')
        await this.#untilWoken(scope)
        continue
      }
      if (this.#isFull) this.#leaveOut(this.book.slotsIn(Subscription.wanted))
      const batch = this.book.takeBatch(Math.min(pacing.batchSize, REQUEST_CONTRACTS_MAX))
      if (batch.length > 0) {
        progress.become('subscribing', `subscribed ${this.book.subscribed} of ${this.book.expected}`)
        const sent = await this.#requestBatch(bridge, batch, scope)
        if (!sent) this.book.returnBatch(batch)
        lastRequestMs = clock.monotonicMs()
        continue
      }
      const answerDueMs = Math.max(lastRequestMs, readingSinceMs()) + timeouts.ackMs - clock.monotonicMs()
      if (this.book.requested > 0 && answerDueMs > 0) {
        await this.#untilWoken(scope, answerDueMs)
        continue
      }
      // All was asked for and every answer that comes has come. What stayed silent is asked for again, later and later.
      const unanswered = this.book.slotsIn(Subscription.requested)
      unansweredRounds = unanswered.length === 0 ? 0 : unansweredRounds + 1
      if (unanswered.length === 0 || unansweredRounds >= maxSubscribeAttempts) {
        this.#dropsWhileAsking = 0
        progress.become('streaming', this.#streamingDetail(unanswered.length))
        this.#tellRefused()
      }
      await this.#untilWoken(scope, this.#nextRoundMs(unansweredRounds))
      if (this.book.wanted > 0) continue
      this.book.returnBatch(this.book.slotsIn(Subscription.requested))
      this.book.askAgain(this.#notReady)
      this.#notReady.clear()
    }
  }

  /** There may be something to ask for. */
  wake(): void {
    this.#wake?.()
  }

  /** Asks again for these contracts; returns how many are on this line's list. */
  askAgain(slots: Iterable<number>): number {
    const asked = this.book.askAgain(slots)
    this.wake()
    return asked
  }

  /** Takes contracts off the list. Without a bridge nobody has to be told. */
  unlist(slots: readonly number[], bridge: Bridge | null): void {
    const listed = slots.filter((slot) => this.book.state(slot) !== Subscription.unlisted)
    const hadRoom = this.#isFull && listed.some((slot) => this.book.state(slot) === Subscription.subscribed)
    for (const slot of listed) {
      this.book.unlist(slot)
      this.#overLimit.delete(slot)
    }
    // What was subscribed makes room for as many others; the front says when it is full again.
    if (hadRoom) this.#forgetLimit()
    const symbols = listed.map((slot) => this.#parts.env.slotName(slot).symbol)
    for (let from = 0; from < symbols.length; from += UNSUBSCRIBE_BATCH) {
      bridge?.send('unsubscribe', { texts: symbols.slice(from, from + UNSUBSCRIBE_BATCH) })
    }
    this.wake()
  }

  /** The vendor's return code for a request. */
  answered(request: number, code: number): void {
    this.#answers.get(request)?.(code)
  }

  /** A tick is the only proof of a subscription that a front is bound to give. */
  ticked(slot: number): void {
    if (this.book.state(slot) === Subscription.requested) this.acknowledged(slot)
  }

  /** CLOCK_MONOTONIC since which the contract is subscribed, as far as it is. */
  subscribedSinceMs(slot: number): number {
    return this.#subscribedSinceMs[slot] ?? 0
  }

  acknowledged(slot: number): void {
    if (this.book.state(slot) !== Subscription.subscribed) {
      this.#subscribedSinceMs[slot] = this.#parts.env.clock.monotonicMs()
    }
    this.book.acknowledge(slot)
    const { progress } = this.#parts
    if (this.book.requested === 0) this.wake()
    else if (progress.state === 'subscribing') {
      progress.detail = `subscribed ${this.book.subscribed} of ${this.book.expected}`
    }
  }

  refused(slot: number, code: number): void {
    const kind = kindOfSubscribeError(code)
    if (kind === 'subscription-limit') {
      this.#meetLimit(slot)
      return
    }
    this.#refusals.push({ symbol: this.#parts.env.slotName(slot).symbol, code, kind })
    this.book.refuse(slot)
    if (kind === 'contract-not-ready') this.#notReady.add(slot)
    if (this.book.requested === 0) this.wake()
  }

  /** Once for all that was asked for: a front whose list is an old one refuses thousands. */
  #tellRefused(): void {
    const refused = this.#refusals.splice(0)
    if (refused.length === 0) return
    const { line, env } = this.#parts
    const symbols = refused.slice(0, REFUSED_TOLD_MAX).map(({ symbol }) => symbol)
    const [codes, kinds] = [new Set(refused.map(({ code }) => code)), new Set(refused.map(({ kind }) => kind))]
    const message = `${line}: the front refused ${refused.length} contract${refused.length === 1 ? '' : 's'}`
    env.log('warn', message, { symbols, codes: [...codes], kinds: [...kinds] })
  }

  /** Told once: a market beyond the limit is thousands of the same answer. */
  #meetLimit(slot: number): void {
    this.#leaveOut([slot])
    if (!this.#isFull) {
      this.#isFull = true
      const { line, env } = this.#parts
      const { subscribed, expected } = this.book
      const { message, remedy } = FEED_ERROR_TEXTS['subscription-limit']
      env.log('warn', `${line}: ${message}: ${subscribed} of ${expected} are subscribed. ${remedy}`, {
        kind: 'subscription-limit',
      })
    }
    if (this.book.requested === 0) this.wake()
  }

  /** Refused without being asked for: they stay expected, so that coverage shows them missing. */
  #leaveOut(slots: readonly number[]): void {
    for (const slot of slots) {
      this.book.refuse(slot)
      this.#overLimit.add(slot)
    }
  }

  #forgetLimit(): void {
    this.#isFull = false
    this.book.askAgain(this.#overLimit)
    this.#overLimit.clear()
  }

  /** The front cut the session; call before the line's state changes. */
  dropped(): void {
    if (this.#parts.progress.state === 'subscribing') this.#dropsWhileAsking++
    this.forget()
  }

  /** Whoever was to answer is gone, and what it had subscribed with it. */
  forget(): void {
    for (const answer of this.#answers.values()) answer(NO_ANSWER)
    this.#answers.clear()
    this.book.forget()
    this.#forgetLimit()
  }

  /** When to ask again for contracts that gave no answer or were not ready; undefined when there are none. */
  #nextRoundMs(unansweredRounds: number): number | undefined {
    const { pacing, jitter } = this.#parts.env
    if (unansweredRounds > 0) {
      return Math.min(RETRY_DELAY_MAX_MS, pacing.retryDelayMs * 2 ** Math.min(unansweredRounds - 1, 16))
    }
    if (this.#notReady.size === 0) return undefined
    const decision = nextAttempt('contract-not-ready', 1, jitter(), 0)
    return decision.again === 'at' ? decision.atMs : undefined
  }

  #streamingDetail(unanswered: number): string {
    const { subscribed, expected, refused } = this.book
    const missing = unanswered === 0 ? '' : `, ${unanswered} unanswered`
    return `subscribed ${subscribed} of ${expected}${refused === 0 ? '' : `, ${refused} refused`}${missing}`
  }

  /** False: the request did not leave, and the batch must be asked for again. */
  async #requestBatch(bridge: Bridge, batch: readonly number[], scope: AbortSignal): Promise<boolean> {
    const { clock, pacer, jitter, slotName, expectSnapshot } = this.#parts.env
    try {
      await pacer.admit(batch.length * paceAfterDrops(this.#dropsWhileAsking), scope)
      for (const slot of batch) expectSnapshot(slot)
      const request = bridge.send('subscribe', { texts: batch.map((slot) => slotName(slot).symbol) })
      const code = await this.#answerTo(request, scope)
      if (code === 0) return true
      // No library documents a positive code: the request is as good as not sent.
      const kind = kindOfReturnCode(Math.min(code, -1))
      if (kind === 'subscribe-throttled') this.rateLimitHits++
      const decision = nextAttempt(kind, 1, jitter(), clock.monotonicMs())
      const waitMs = decision.again === 'at' ? decision.atMs - clock.monotonicMs() : 1_000
      await sleep(Math.max(0, waitMs), scope)
      return false
    } catch (error) {
      if (scope.aborted) return false
      throw error
    }
  }

  /** The vendor's return code for a request, or NO_ANSWER when none comes in time. */
  async #answerTo(request: number, scope: AbortSignal): Promise<number> {
    const answered = new Promise<number>((resolve) => this.#answers.set(request, resolve))
    const settled = new AbortController()
    const { timeouts } = this.#parts.env
    const end = AbortSignal.any([scope, settled.signal])
    const overdue = sleepReading(timeouts.ackMs, end, this.#parts.env).then(() => NO_ANSWER)
    const code = await Promise.race([answered, overdue])
    settled.abort()
    this.#answers.delete(request)
    return code
  }

  async #untilWoken(scope: AbortSignal, timeoutMs = FOR_EVER_MS): Promise<void> {
    const woken = new AbortController()
    this.#wake = () => woken.abort()
    await quietSleep(timeoutMs, AbortSignal.any([scope, woken.signal]))
    this.#wake = null
  }
}

const REFUSED_TOLD_MAX = 20
/** As the vendor has it for a request that found no session. */
const NO_ANSWER = -1
