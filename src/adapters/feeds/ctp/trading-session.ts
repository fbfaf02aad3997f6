/**
 * A trading session of CTP, short-lived and in a process of its own: authenticate, login, list the instruments, and away. Once per
 * trading day it gives the catalogue; fronts that verify market-data logins want to have seen it first. It sends nothing else, so
 * nothing that could trade, and no settlement confirmation.
 *
 * One login per call and none repeated: whether the account may log in (latch, budget) and whether to try again is the caller's to
 * decide, by the kind of the failure. Only the query, which costs no login, is repeated when the front wants it later.
 */
import { type Clock, sleep } from '#clock.ts'
import { Failure } from '#domain/failure.ts'
import {
  FEED_ERROR_TEXTS,
  type FeedErrorKind,
  isFeedErrorKind,
  kindOfLoginError,
  kindOfLoginReturnCode,
  NOT_HANDED_OVER,
} from '#domain/feed-error.ts'
import { nextAttempt } from '#domain/retry.ts'
import type { HiddenText } from '#domain/secret-ref.ts'
import { type BridgeCommand, type BridgeEnd, BridgeProcess } from '../bridge-process.ts'
import type { TradingLogin, TradingLoginWatch } from '../feed-adapter.ts'
import { bridgeText, frontErrorTexts, type Message, PROTOCOL_VERSION, vendorText } from '../wire.ts'
import { kindOfBridgeExit } from './bridge-exit.ts'
import { type CtpStart, ctpStartPairs } from './start-options.ts'

export interface TradingSessionOptions {
  command: BridgeCommand
  start: Omit<CtpStart, 'session'>
  account: { brokerId: string; userId: string }
  /** Null: the front does not ask for authentication. */
  appId: string | null
  /** Resolved just before use. @throws Failure when it can't be resolved */
  authCode(signal: AbortSignal): Promise<HiddenText>
  password(signal: AbortSignal): Promise<HiddenText>
  timeouts: {
    helloMs: number
    connectMs: number
    loginMs: number
    /** Between two rows of the list, not from its beginning: a whole list takes up to a minute. */
    rowMs: number
  }
  clock: Clock
  log(text: string): void
  watch?: TradingLoginWatch
}

/** One row of the vendor's instrument list, as far as we use it. */
interface CatalogueRow {
  symbol: string
  exchange: string
  product: string
  /** '1' futures, '2' options, '3' combination, '4' spot, '5' EFP, '6' spot option, '7' TAS. */
  productClass: string
  name: string
  /** yyyymmdd, '' when the vendor gives none. */
  expiry: string
  underlying: string
  openDate: string
  multiplier: number
  /** Null when the vendor gives none. */
  priceTick: number | null
  isTrading: boolean
}

/** Status of a product, told without being asked: `status` is the vendor's character, `enteredAt` HH:MM:SS. */
interface ProductStatus {
  exchange: string
  product: string
  status: string
  enteredAt: string
}

export interface FetchedCatalogue {
  /** yyyymmdd, as the trading front says it. */
  tradingDay: string
  rows: CatalogueRow[]
  statuses: ProductStatus[]
}

/** A front's refusal, with the vendor's own number of it. */
export class VendorRefusal extends Failure<FeedErrorKind> {
  readonly errorId: number

  constructor(kind: FeedErrorKind, errorId: number, message: string) {
    super(kind, message, FEED_ERROR_TEXTS[kind].remedy)
    this.errorId = errorId
  }
}

/**
 * Logs in and lists every instrument.
 * @throws Failure<FeedErrorKind> (a VendorRefusal where the front said no); rejects with the signal's reason when aborted. The bridge
 * process is gone in every case.
 */
export async function fetchCatalogue(options: TradingSessionOptions, signal: AbortSignal): Promise<FetchedCatalogue> {
  return withSession(options, true, signal, async (session) => {
    const tradingDay = await session.logIn()
    const rows = await session.listInstruments()
    return { tradingDay, rows, statuses: session.statuses }
  })
}

/** Logs in and leaves: what a market-data front with login verification wants to have seen today. Rejects as fetchCatalogue does. */
export async function logInOnce(options: TradingSessionOptions, signal: AbortSignal): Promise<{ tradingDay: string }> {
  return withSession(options, false, signal, async (session) => ({ tradingDay: await session.logIn() }))
}

/** The same with what can go wrong as a value. Rejects with the signal's reason when aborted. */
export async function tradingLogin(options: TradingSessionOptions, signal: AbortSignal): Promise<TradingLogin> {
  try {
    await logInOnce(options, signal)
    return { ok: true }
  } catch (error) {
    signal.throwIfAborted()
    if (!(error instanceof Failure) || !isFeedErrorKind(error.kind)) throw error
    return { ok: false, kind: error.kind, message: error.message }
  }
}

async function withSession<T>(
  options: TradingSessionOptions,
  wantsStatuses: boolean,
  signal: AbortSignal,
  use: (session: TradingSession) => Promise<T>,
): Promise<T> {
  signal.throwIfAborted()
  const session = new TradingSession(options, wantsStatuses, signal)
  try {
    return await use(session)
  } catch (error) {
    if (error instanceof Failure && isFeedErrorKind(error.kind)) options.watch?.failed(error.kind, error.message)
    throw error
  } finally {
    await session.close()
  }
}

const RETIRE_GRACE_MS = 300
/** With the retry table's pause between them, a front that wants a query later gets about half a minute. */
const QUERY_ATTEMPTS_MAX = 6

const AWAITED = ['hello', 'connected', 'authenticated', 'loggedIn', 'catalogueEnd', 'requested'] as const
type Awaited = (typeof AWAITED)[number]

interface Complaint {
  message: string
  remedy: string
  code: number
}

class TradingSession {
  readonly statuses: ProductStatus[] = []
  readonly #options: TradingSessionOptions
  readonly #signal: AbortSignal
  readonly #bridge: BridgeProcess
  #rows: CatalogueRow[] = []
  /** Why nothing more can be expected of this session. */
  #broken: Failure<FeedErrorKind> | null = null
  /** The last thing the bridge itself complained of, which explains its end. */
  #complaint: Complaint | null = null
  readonly #wantsStatuses: boolean
  #isConnected = false
  #lastRowMs = 0
  readonly #arrived: Message[] = []
  #wake: () => void = () => undefined

  constructor(options: TradingSessionOptions, wantsStatuses: boolean, signal: AbortSignal) {
    this.#options = options
    this.#wantsStatuses = wantsStatuses
    this.#signal = signal
    this.#bridge = new BridgeProcess(
      options.command,
      {
        reading: () => undefined,
        tick: () => undefined,
        message: (message) => this.#receive(message),
        printed: (text) => options.log(text),
        ended: (end) => this.#break(failureOfEnd(end, this.#complaint)),
      },
      options.clock,
    )
  }

  async close(): Promise<void> {
    await this.#bridge.retire(RETIRE_GRACE_MS)
  }

  /** Starts, connects, authenticates and logs in; resolves the trading day. */
  async logIn(): Promise<string> {
    const { account, appId, start, timeouts } = this.#options
    const { code: version } = await this.#next('hello', 0, timeouts.helloMs, 'bridge-hung')
    if (version !== PROTOCOL_VERSION) {
      throw failure('protocol-fault', `the bridge speaks version ${version}, not ${PROTOCOL_VERSION}`)
    }
    // The whole day's statuses: a session this short would see no change of any.
    const publicTopic = this.#wantsStatuses ? 'restart' : 'quick'
    this.#bridge.send('start', { texts: ctpStartPairs({ ...start, session: 'td', publicTopic }) })
    await this.#next('connected', 0, timeouts.connectMs, 'connect-timeout')
    const who = ['broker', account.brokerId, 'user', account.userId]

    if (appId !== null) {
      const authCode = await this.#options.authCode(this.#signal)
      this.#leaving()
      const request = this.#bridge.send('authenticate', {
        texts: [...who, 'app_id', appId, 'auth_code', authCode.reveal()],
      })
      await this.#accepted(request)
      checkRefusal('authentication', await this.#next('authenticated', request, timeouts.loginMs, 'login-timeout'))
    }
    const password = await this.#options.password(this.#signal)
    this.#leaving()
    const request = this.#bridge.send('login', { texts: [...who, 'password', password.reveal()] })
    await this.#accepted(request)
    const answer = await this.#next('loggedIn', request, timeouts.loginMs, 'login-timeout')
    checkRefusal('login', answer)
    return vendorText(answer.texts[1])
  }

  #leaving(): void {
    this.#options.watch?.leaving()
    this.#signal.throwIfAborted()
  }

  async listInstruments(): Promise<CatalogueRow[]> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#queryOnce()
      } catch (error) {
        const isTooEarly = error instanceof Failure && error.kind === 'query-not-ready'
        if (!isTooEarly || attempt >= QUERY_ATTEMPTS_MAX) throw error
        const { clock, log } = this.#options
        const next = nextAttempt('query-not-ready', attempt, 0, clock.monotonicMs())
        log(`${error.message}; asking again`)
        if (next.again === 'at') await sleep(Math.max(0, next.atMs - clock.monotonicMs()), this.#signal)
      }
    }
  }

  async #queryOnce(): Promise<CatalogueRow[]> {
    this.#rows = []
    const request = this.#bridge.send('queryInstruments')
    this.#lastRowMs = this.#options.clock.monotonicMs()
    const { code } = await this.#next('requested', request, this.#options.timeouts.rowMs, 'query-timeout')
    if (code === -2 || code === -3) throw failure('query-not-ready', `the vendor library returned ${code}`)
    if (code !== 0) throw this.#notTaken('the instrument query', code)
    const answer = await this.#next('catalogueEnd', request, this.#options.timeouts.rowMs, 'query-timeout')
    // An error that answers the query comes as an end or as an error of its own, by vendor and version.
    if (answer.code !== 0) {
      const text = vendorText(answer.texts[0])
      throw new VendorRefusal(
        kindOfQueryError(answer.code),
        answer.code,
        `the query failed: error ${answer.code} ${text}`,
      )
    }
    const announced = answer.type === 'catalogueEnd' ? answer.numbers[0] : this.#rows.length
    if (announced !== this.#rows.length) {
      throw failure('query-timeout', `${this.#rows.length} instruments arrived of ${announced}`)
    }
    return this.#rows
  }

  /** The vendor's request function took the request. */
  async #accepted(request: number): Promise<void> {
    const { code } = await this.#next('requested', request, this.#options.timeouts.loginMs, 'bridge-hung')
    if (code !== 0) throw this.#notTaken('the request', code)
  }

  #notTaken(what: string, code: number): Failure<FeedErrorKind> {
    const kind = kindOfLoginReturnCode(code)
    if (code === NOT_HANDED_OVER && this.#complaint !== null) {
      return new Failure(kind, this.#complaint.message, this.#complaint.remedy)
    }
    return failure(kind, `the vendor library did not send ${what} (return code ${code})`)
  }

  #receive(message: Message): void {
    switch (message.type) {
      case 'catalogueRow':
        this.#lastRowMs = this.#options.clock.monotonicMs()
        this.#rows.push(catalogueRow(message))
        return
      case 'productStatus':
        this.statuses.push(productStatus(message))
        return
      case 'connected':
        this.#isConnected = true
        this.#arrived.push(message)
        this.#wake()
        return
      case 'disconnected':
        // The library would connect again by itself, but with the login forgotten; another session is cleaner.
        if (this.#isConnected)
          this.#break(failure('disconnected', `the front disconnected us (reason ${message.code})`))
        return
      case 'frontError':
        if (message.code < 0) this.#complaint = { ...frontErrorTexts(message), code: message.code }
        else this.#arrived.push(message)
        this.#options.log(`front error ${message.code} ${frontErrorTexts(message).message}`.trimEnd())
        this.#wake()
        return
      case 'log':
        this.#options.log(bridgeText(message.texts[0]))
        return
      default:
        if (AWAITED.some((type) => type === message.type)) this.#arrived.push(message)
        this.#wake()
    }
  }

  #break(why: Failure<FeedErrorKind>): void {
    this.#broken ??= why
    this.#wake()
  }

  /** The frame of this type that answers `request` (0: any), or the front's error that does. */
  async #next(type: Awaited, request: number, timeoutMs: number, onTimeout: FeedErrorKind): Promise<Message> {
    const { clock } = this.#options
    const startedMs = clock.monotonicMs()
    for (;;) {
      this.#signal.throwIfAborted()
      const found = this.#arrived.findIndex(
        (message) =>
          (message.type === type && (request === 0 || message.request === request)) ||
          (message.type === 'frontError' && request !== 0 && message.request === request),
      )
      const [message] = found < 0 ? [] : this.#arrived.splice(found, 1)
      if (message !== undefined) return message
      if (this.#broken !== null) throw this.#broken
      const sinceMs = type === 'catalogueEnd' ? Math.max(startedMs, this.#lastRowMs) : startedMs
      const leftMs = sinceMs + timeoutMs - clock.monotonicMs()
      if (leftMs <= 0) throw failure(onTimeout, `${FEED_ERROR_TEXTS[onTimeout].message} (${timeoutMs} ms)`)
      await this.#wokenWithin(leftMs)
    }
  }

  async #wokenWithin(ms: number): Promise<void> {
    const woken = new AbortController()
    this.#wake = () => woken.abort()
    await sleep(ms, AbortSignal.any([this.#signal, woken.signal])).catch((reason: unknown) => {
      if (!woken.signal.aborted && !this.#signal.aborted) throw reason
    })
  }
}

function checkRefusal(step: string, { code, texts }: Message): void {
  if (code === 0) return
  const text = vendorText(texts[0])
  throw new VendorRefusal(
    kindOfLoginError('trading', code, text),
    code,
    `the trading front refused the ${step}: error ${code} ${text}`.trimEnd(),
  )
}

function kindOfQueryError(id: number): FeedErrorKind {
  switch (id) {
    case 90:
      return 'query-not-ready'
    case 6:
      return 'sent-out-of-order'
    case 7:
    case 8:
      return 'front-not-ready'
    default:
      return 'query-refused'
  }
}

function catalogueRow({ texts, numbers }: Message): CatalogueRow {
  const [
    symbol = '',
    exchange = '',
    product = '',
    productClass = '',
    name = '',
    expiry = '',
    underlying = '',
    openDate = '',
  ] = texts.map(vendorText)
  const [multiplier = 0, priceTick = Number.NaN, trading = 0] = numbers
  return {
    symbol,
    exchange,
    product,
    productClass,
    name,
    expiry,
    underlying,
    openDate,
    multiplier,
    priceTick: Number.isNaN(priceTick) ? null : priceTick,
    isTrading: trading !== 0,
  }
}

function productStatus({ code, texts }: Message): ProductStatus {
  const [exchange = '', product = '', enteredAt = ''] = texts.map(vendorText)
  return { exchange, product, status: String.fromCharCode(code), enteredAt }
}

function failure(kind: FeedErrorKind, message: string): Failure<FeedErrorKind> {
  return new Failure(kind, message, FEED_ERROR_TEXTS[kind].remedy)
}

function failureOfEnd(end: BridgeEnd, complaint: Complaint | null): Failure<FeedErrorKind> {
  switch (end.kind) {
    case 'not-started':
      return failure(
        end.passes ? 'host-exhausted' : 'bridge-unavailable',
        `the bridge process could not be started: ${end.message}`,
      )
    case 'protocol-fault':
      return failure('protocol-fault', `the bridge process spoke nonsense: ${end.message}`)
    case 'exited': {
      const kind = kindOfBridgeExit(end.code)
      if (complaint !== null && end.code === -complaint.code)
        return new Failure(kind, complaint.message, complaint.remedy)
      const how = end.signal === null ? `exit code ${end.code}` : `signal ${end.signal}`
      return failure(kind, `the bridge process ended (${how})`)
    }
  }
}
