/**
 * Logs a connected line in: not before the retry table and the login budget permit it, with a trading login first where the front wants
 * one, and with an account that is not latched. Refusals are told by their kind; what follows from them is the retry table's decision. One
 * that latches the account does so when it is read, before anything is waited for.
 */
import type { Bridge } from '#adapters/feeds/bridge-process.ts'
import type { FeedAdapter } from '#adapters/feeds/feed-adapter.ts'
import { vendorText } from '#adapters/feeds/wire.ts'
import type { Clock } from '#clock.ts'
import { Failure } from '#domain/failure.ts'
import { type FeedErrorKind, isLoginAnswer, kindOfLoginError, kindOfLoginReturnCode } from '#domain/feed-error.ts'
import type { Line } from '#domain/line.ts'
import { nextAttempt, refusalsMax } from '#domain/retry.ts'
import { type CutShort, cutShort, type LineFailure, type LineInbox, sentenceOf } from './line-notes.ts'
import type { LineProgress } from './line-progress.ts'

export interface LoginEnvironment {
  clock: Clock
  timeouts: { loginMs: number }
  /** Milliseconds until a login of this account may be sent; 0 means it was granted, and counted on disk. */
  requestLogin(accountKey: string): Promise<number>
  /** The account must not log in until an operator clears it. */
  isLatched(accountKey: string): boolean
  /** Latches the account: in this process at once, on disk when it resolves. */
  latch(accountKey: string, message: string): Promise<void>
  /** One more refusal that may be tried again a few times; returns how many there were since a session of the account held. */
  countRefusal(accountKey: string): number
  /** A session of the account has held: what was refused before counts no more. */
  sessionHeld(accountKey: string): void
  /** A random number in [0, 1) for backoff. */
  jitter(): number
  log(level: 'warn', message: string): void
}

interface LoginParts {
  line: Line
  adapter: FeedAdapter
  env: LoginEnvironment
  inbox: LineInbox
  progress: LineProgress
  /** The line is to be up, as far as anybody knows by now. */
  isWanted(): boolean
  /** As what kind of failure a reconnect is waited for. */
  reconnectKind(): 'disconnected' | 'dropped-while-subscribing'
}

/** A trading login as old as this is taken for seen by a market-data front that verifies, so that a storm of drops makes few of them. */
const TRADING_LOGIN_REUSED_MS = 60 * 60_000

const LOGIN_ANSWERS = ['loggedIn', 'not-taken', 'frontError', 'disconnected', 'ended', 'recycle'] as const

export class LineLogin {
  readonly outcomes: Record<'granted' | 'accepted' | 'refused' | 'timed-out', number> = {
    granted: 0,
    accepted: 0,
    refused: 0,
    'timed-out': 0,
  }
  /** Since the last success, in a row. */
  failures = 0
  readonly #parts: LoginParts
  /** CLOCK_MONOTONIC of the last trading login that the market-data front has not disowned. */
  #tradingLoginMs = Number.NEGATIVE_INFINITY
  /** The login sent last, until its answer is read, be it after its deadline or while its bridge is drained. */
  #underWay: { request: number; tradingLogin: 'made' | 'reused' } | 'trading' | null = null
  #latching: Promise<void> = Promise.resolve()

  constructor(parts: LoginParts) {
    this.#parts = parts
  }

  /** Resolves when every latch that this line brought on is on disk. */
  get latchKept(): Promise<void> {
    return this.#latching
  }

  /** What the front says to the login under way, called when it is read. `request`: null where the answer is one to a login anyhow. */
  answered(request: number | null, code: number, text: string): void {
    const login = this.#underWay
    if (login === null || login === 'trading' || (request !== null && request !== login.request)) return
    if (code === 0) this.#underWay = null
    else if (!this.#isDisowned(code, text, login.tradingLogin))
      this.#heed(kindOfRefusal(code, text), refusal(code, text))
  }

  /** Counts once for each login, whoever tells of its refusal first. */
  #heed(kind: FeedErrorKind, message: string): void {
    if (this.#underWay === null) return
    this.#underWay = null
    const { line, adapter, env } = this.#parts
    const max = refusalsMax(kind)
    if (max === null || (max > 1 && env.countRefusal(adapter.accountKey) < max)) return
    const text = max === 1 ? message : `${message} (for the ${max}. time, and no session held since)`
    this.#latching = env
      .latch(adapter.accountKey, text)
      .catch((error: unknown) => env.log('warn', `${line}: the account is latched, but not on disk: ${String(error)}`))
  }

  /** The front's day may have turned since an older trading login; refused right after a fresh one, the account is latched. */
  #isDisowned(code: number, text: string, tradingLogin: 'made' | 'reused'): boolean {
    if (tradingLogin !== 'reused' || !this.#parts.adapter.tradingLogin) return false
    return kindOfRefusal(code, text) === 'trading-login-required'
  }

  /** After `reconnects` reconnects in a row of this bridge. `log-in-again`: on the same connection, with a new trading login. */
  async logIn(
    bridge: Bridge,
    reconnects: number,
    signal: AbortSignal,
  ): Promise<'logged-in' | 'log-in-again' | CutShort> {
    const { adapter, env, progress, isWanted } = this.#parts
    // Before the permit: a secret store that is down must not use up the login budget.
    let pairs: string[]
    try {
      pairs = await adapter.loginPairs(signal)
    } catch (error) {
      if (signal.aborted) return null
      if (!(error instanceof Failure)) throw error
      return { kind: 'secret-unavailable', message: `${error.message} ${error.remedy}` }
    }
    const before = await this.#logInToTradeFirst(reconnects, signal)
    if (before !== 'made' && before !== 'reused') return before
    const permitted = await this.#awaitPermit(before === 'made' ? 0 : reconnects, signal)
    if (permitted !== 'granted') return permitted
    if (!isWanted()) return null

    progress.become('logging-in', 'logging in')
    this.outcomes.granted++
    const request = bridge.send('login', { texts: pairs })
    this.#underWay = { request, tradingLogin: before }
    const answer = await this.#answerTo(request, signal)
    if (answer.kind === 'aborted') return null
    if (answer.kind === 'timed-out') {
      this.outcomes['timed-out']++
      this.failures++
      return { kind: 'login-timeout', message: `no answer to the login within ${env.timeouts.loginMs} ms` }
    }
    const { item } = answer
    switch (item.type) {
      case 'not-taken':
        return this.#notSent(item.code, `the vendor library did not send the login (return code ${item.code})`)
      case 'frontError':
        if (item.code < 0) return this.#notSent(item.code, sentenceOf(item.words))
        return this.#refused(item.code, item.words.message, before)
      case 'loggedIn': {
        const { code, texts } = item.message
        if (code !== 0) return this.#refused(code, vendorText(texts[0]), before)
        this.outcomes.accepted++
        this.failures = 0
        return 'logged-in'
      }
      default:
        return cutShort(item)
    }
  }

  /** Whatever answers this login, in any of the ways that libraries have, or ends it. */
  async #answerTo(request: number, signal: AbortSignal) {
    const { env, inbox } = this.#parts
    const deadlineMs = env.clock.monotonicMs() + env.timeouts.loginMs
    for (;;) {
      const timeoutMs = Math.max(0, deadlineMs - env.clock.monotonicMs())
      const answer = await inbox.take(LOGIN_ANSWERS, { timeoutMs, signal })
      if (answer.kind !== 'taken') return answer
      const { item } = answer
      const isOfAnother = (item.type === 'not-taken' || item.type === 'frontError') && item.request !== request
      if (!isOfAnother) return answer
    }
  }

  #notSent(code: number, message: string): LineFailure {
    this.failures++
    return { kind: kindOfLoginReturnCode(code), message }
  }

  #refused(code: number, text: string, tradingLogin: 'made' | 'reused'): 'log-in-again' | LineFailure {
    const { line, env } = this.#parts
    this.outcomes.refused++
    this.failures++
    if (this.#isDisowned(code, text, tradingLogin)) {
      env.log('warn', `${line}: the front knows no trading login any more; making a new one`)
      this.#tradingLoginMs = Number.NEGATIVE_INFINITY
      return 'log-in-again'
    }
    return { kind: kindOfRefusal(code, text), message: refusal(code, text) }
  }

  /** The trading login that the adapter wants before a market-data login, within the budget; whatever happens to the line meanwhile ends it. */
  async #logInToTradeFirst(reconnects: number, signal: AbortSignal): Promise<'made' | 'reused' | CutShort> {
    const { adapter, env, inbox, progress } = this.#parts
    const { tradingLogin } = adapter
    if (!tradingLogin || env.clock.monotonicMs() - this.#tradingLoginMs < TRADING_LOGIN_REUSED_MS) return 'reused'
    const permitted = await this.#awaitPermit(reconnects, signal)
    if (permitted !== 'granted') return permitted

    progress.become('logging-in', 'logging in to the trading front first')
    this.outcomes.granted++
    const settled = new AbortController()
    const givenUp = new AbortController()
    const interruption = inbox
      .take(['disconnected', 'ended', 'recycle'], { signal: AbortSignal.any([signal, settled.signal]) })
      .finally(() => givenUp.abort())
    this.#underWay = 'trading'
    const watch = {
      leaving: () => {
        if (env.isLatched(adapter.accountKey)) givenUp.abort()
      },
      failed: (kind: FeedErrorKind, message: string) => this.#heed(kind, message),
    }
    const outcome = await tradingLogin(AbortSignal.any([signal, givenUp.signal]), watch).catch((error: unknown) => {
      if (givenUp.signal.aborted || signal.aborted) return null
      throw error
    })
    if (outcome?.ok === false) this.#heed(outcome.kind, outcome.message)
    settled.abort()
    const interrupted = await interruption
    if (interrupted.kind === 'taken') return cutShort(interrupted.item)
    if (outcome === null) return null
    if (outcome.ok) {
      this.outcomes.accepted++
      this.#tradingLoginMs = env.clock.monotonicMs()
      return 'made'
    }
    if (outcome.kind === 'login-timeout') this.outcomes['timed-out']++
    else if (isLoginAnswer(outcome.kind)) this.outcomes.refused++
    this.failures++
    return { kind: outcome.kind, message: outcome.message }
  }

  /** Waits for the retry table (after a reconnect) and for the login budget; a disconnect meanwhile ends the wait. */
  async #awaitPermit(reconnects: number, signal: AbortSignal): Promise<'granted' | CutShort> {
    const { adapter, env, inbox, progress, reconnectKind } = this.#parts
    const { clock } = env
    const decision = nextAttempt(reconnectKind(), Math.max(1, reconnects), env.jitter(), clock.monotonicMs())
    let readyAtMs = reconnects === 0 || decision.again !== 'at' ? clock.monotonicMs() : decision.atMs
    for (;;) {
      const waitMs = readyAtMs - clock.monotonicMs()
      if (waitMs <= 0) {
        if (env.isLatched(adapter.accountKey)) return null
        const budgetMs = await env.requestLogin(adapter.accountKey)
        // Another line, or an operator's command, may have met the refusal of a shared account while the budget was written.
        if (env.isLatched(adapter.accountKey)) return null
        if (budgetMs === 0) return 'granted'
        progress.become('waiting', `login budget is used up; next login in ${Math.ceil(budgetMs / 1000)} s`)
        readyAtMs = clock.monotonicMs() + budgetMs
        continue
      }
      if (progress.state !== 'waiting') {
        progress.become('waiting', `reconnected; logging in again in ${Math.ceil(waitMs)} ms`)
      }
      const answer = await inbox.take(['disconnected', 'ended', 'recycle'], { timeoutMs: waitMs, signal })
      if (answer.kind === 'aborted') return null
      if (answer.kind === 'taken') return cutShort(answer.item)
    }
  }
}

function kindOfRefusal(code: number, text: string): FeedErrorKind {
  return kindOfLoginError('market-data', code, text)
}

function refusal(code: number, text: string): string {
  return `the front refused the login: error ${code} ${text}`.trimEnd()
}
