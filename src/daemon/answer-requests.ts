/**
 * The control plane over the bus: what is listed, what is subscribed, the latest ticks, the health. Every list comes in pages, since a
 * reply may hold a megabyte at most; a page says from where to ask on. Anybody may ask, so everything is checked and bounded.
 */
import type { RequestBus } from '#adapters/bus/request-bus.ts'
import { type Clock, sleep } from '#clock.ts'
import { type BusFailure, busRetryMs } from '#domain/bus-failure.ts'
import { Failure } from '#domain/failure.ts'
import { formatVtSymbol, isExchange } from '#domain/instrument.ts'
import { isoShanghai } from '#domain/iso-time.ts'
import type { LatestTicks } from './latest-ticks.ts'

export interface ListedContract {
  readonly symbol: string
  readonly exchange: string
  readonly product: string
}

export interface RequestProviders {
  contracts(): readonly ListedContract[]
  /** One JSON row per subscription, `last_tick_at` among its fields. */
  subscriptions(): readonly (ListedContract & { readonly row: object })[]
  subscribe(symbols: readonly string[]): { accepted: string[]; rejected: { symbol: string; reason: string }[] }
  health(): object
  latest: LatestTicks
}

export const REQUEST_NAMES = [
  'md.contracts.list',
  'md.subscribe.bulk',
  'md.subscriptions.active',
  'md.snapshot',
  'health.check',
] as const
type RequestName = (typeof REQUEST_NAMES)[number]

const BODY_BYTES_MAX = 1 << 19
const SYMBOLS_MAX = 20_000
const PAGE_MAX = 5_000
/** Lists and health are made at most this often, whoever asks. */
const FRESH_MS = 1_000
/** Longer lists within a health report are cut, and the report says which. */
const REPORT_LIST_MAX = 200

export class RequestDesk {
  readonly #providers: RequestProviders
  readonly #clock: Clock
  readonly #contracts: Fresh<readonly ListedContract[]>
  readonly #subscriptions: Fresh<ReturnType<RequestProviders['subscriptions']>>
  readonly #health: Fresh<Uint8Array>

  constructor(providers: RequestProviders, clock: Clock) {
    this.#providers = providers
    this.#clock = clock
    this.#contracts = new Fresh(clock, () => bySymbol(providers.contracts()))
    this.#subscriptions = new Fresh(clock, () => bySymbol(providers.subscriptions()))
    this.#health = new Fresh(clock, () => encode(withShortLists(providers.health())))
  }

  /** The reply to one request. Never throws: a fault of ours is answered as one. */
  answer(name: string, body: Uint8Array, replyBytesMax: number): Uint8Array {
    try {
      return this.#answer(REQUEST_NAMES.find((each) => each === name) ?? unknownName(name), body, replyBytesMax)
    } catch (error) {
      return errorAnswer(error instanceof Failure ? error : internalFault(error))
    }
  }

  #answer(name: RequestName, body: Uint8Array, replyBytesMax: number): Uint8Array {
    const request = parseBody(body)
    switch (name) {
      case 'md.contracts.list': {
        const rows = this.#contracts.value()
        const row = ({ symbol, exchange, product }: ListedContract) => ({
          symbol,
          exchange,
          vt_symbol: formatVtSymbol(symbol, exchange),
          product,
        })
        return this.#page('contracts', rows, row, parsePage(request), replyBytesMax)
      }
      case 'md.subscriptions.active':
        return this.#page(
          'subscriptions',
          this.#subscriptions.value(),
          ({ row }) => row,
          parsePage(request),
          replyBytesMax,
        )
      case 'md.subscribe.bulk':
        return this.#subscribe(request, replyBytesMax)
      case 'md.snapshot':
        return this.#snapshot(request, replyBytesMax)
      case 'health.check':
        return this.#health.value()
    }
  }

  #subscribe(request: unknown, replyBytesMax: number): Uint8Array {
    const symbols = parseSymbols(request)
    if (symbols === null) throw badRequest('symbols is missing', 'Send {"symbols": ["rb2605.SHFE"]}.')
    const { accepted, rejected } = this.#providers.subscribe([...new Set(symbols)])
    const answer = encode({ accepted, rejected })
    if (answer.length <= replyBytesMax) return answer
    // Symbols are short, so only reasons can have grown it that far.
    return encode({ accepted, rejected: rejected.slice(0, 1000), rejected_total: rejected.length })
  }

  #page<Row extends ListedContract>(
    field: string,
    rows: readonly Row[],
    show: (row: Row) => object,
    page: Page,
    replyBytesMax: number,
  ): Uint8Array {
    const wanted = rows.filter((row) => matches(page, row))
    const parts: string[] = []
    let bytes = 200
    let next: string | null = null
    let last = ''
    for (const row of wanted) {
      const name = formatVtSymbol(row.symbol, row.exchange)
      if (page.after !== null && name <= page.after) continue
      const text = JSON.stringify(show(row))
      const textBytes = Buffer.byteLength(text) + 1
      if (parts.length >= page.limit || bytes + textBytes > replyBytesMax) {
        next = last
        break
      }
      parts.push(text)
      bytes += textBytes
      last = name
    }
    const generated = isoShanghai(this.#clock.wallMs())
    return Buffer.from(
      `{"${field}":[${parts.join(',')}],"total":${wanted.length},"next":${JSON.stringify(next)},"generated_at":"${generated}"}`,
      'utf8',
    )
  }

  #snapshot(request: unknown, replyBytesMax: number): Uint8Array {
    const { latest } = this.#providers
    const page = parsePage(request)
    const symbols = parseSymbols(request)
    const missing: string[] = []
    const places = symbols === null ? latest.sorted() : placesOf(latest, symbols, missing)
    const head = Buffer.from('{"ticks":[', 'latin1')
    const pieces: Uint8Array[] = [head]
    let bytes = head.length + 1000
    if (missing.length > PAGE_MAX) throw badRequest('too many unknown symbols', 'Ask for contracts that are listed.')
    for (const symbol of missing) bytes += Buffer.byteLength(JSON.stringify(symbol)) + 1
    let count = 0
    let next: string | null = null
    let last = ''
    for (const place of places) {
      const tick = latest.tick(place)
      if (tick === undefined || !matches(page, tick)) continue
      if (page.after !== null && tick.vtSymbol <= page.after) continue
      const json = latest.json(place)
      if (json.length === 0) continue
      if (count >= page.limit || bytes + json.length > replyBytesMax) {
        next = last
        break
      }
      if (count > 0) pieces.push(COMMA)
      pieces.push(json)
      bytes += json.length + 1
      count++
      last = tick.vtSymbol
    }
    const facts = { missing, next, seq: latest.sequence, generated_at: isoShanghai(this.#clock.wallMs()) }
    pieces.push(Buffer.from(`],${JSON.stringify(facts).slice(1)}`, 'utf8'))
    return Buffer.concat(pieces)
  }
}

const COMMA = Buffer.from(',', 'latin1')

export interface RequestServer {
  readonly isListening: boolean
  close(): Promise<void>
}

/** Answers requests until closed. A bus that can't be reached is tried again; trouble is told once for each kind in a row. */
export function serveRequests(parts: {
  bus: RequestBus
  desk: RequestDesk
  jitter(): number
  log(level: 'info' | 'warn', message: string, details?: Record<string, unknown>): void
}): RequestServer {
  const { bus, desk, jitter, log } = parts
  const stopping = new AbortController()
  let isListening = false
  const run = async () => {
    let attempt = 0
    let lastKind = ''
    while (!stopping.signal.aborted) {
      let failure: BusFailure | null
      try {
        failure = await bus.listen(stopping.signal, {
          names: REQUEST_NAMES,
          listening: () => {
            isListening = true
            lastKind = ''
          },
          answer: (name, body, replyBytesMax) => desk.answer(name, body, replyBytesMax),
        })
      } catch (error) {
        if (stopping.signal.aborted) return
        if (!(error instanceof Failure)) throw error
        failure = error
      }
      isListening = false
      if (failure === null) return
      attempt = failure.kind === lastKind ? attempt + 1 : 1
      if (attempt === 1)
        log('warn', `requests are not answered: ${failure.message} ${failure.remedy}`, { kind: failure.kind })
      lastKind = failure.kind
      await sleep(busRetryMs(failure.kind, attempt, jitter()), stopping.signal).catch(() => undefined)
    }
  }
  const ran = run()
  return {
    get isListening() {
      return isListening
    },
    async close() {
      stopping.abort()
      await ran
    },
  }
}

/** What a requester gets when there is no time for an answer. */
export const BUSY_ANSWER = errorAnswer(
  new Failure(
    'too-many-requests',
    'The daemon has no time for more requests.',
    'Ask again in a second, and less often.',
  ),
)

interface Page {
  exchange: string | null
  product: string | null
  after: string | null
  limit: number
}

function parseBody(body: Uint8Array): unknown {
  if (body.length > BODY_BYTES_MAX) {
    throw new Failure('request-too-large', `${body.length} bytes`, `Send at most ${BODY_BYTES_MAX} bytes.`)
  }
  if (body.length === 0) return {}
  let request: unknown
  try {
    request = JSON.parse(Buffer.from(body.buffer, body.byteOffset, body.length).toString('utf8'))
  } catch (error) {
    throw badRequest(`the request is no JSON: ${error instanceof Error ? error.message : error}`, 'Send a JSON object.')
  }
  if (typeof request !== 'object' || request === null || Array.isArray(request)) {
    throw badRequest('the request is no JSON object', 'Send a JSON object, {} for everything.')
  }
  return request
}

function parsePage(request: unknown): Page {
  const exchange = textIn(request, 'exchange')
  if (exchange !== null && !isExchange(exchange)) {
    throw badRequest(`no exchange is called ${JSON.stringify(exchange)}`, 'Use CFFEX, SHFE, INE, DCE, CZCE or GFEX.')
  }
  const limit = field(request, 'limit') ?? PAGE_MAX
  if (typeof limit !== 'number' || !Number.isInteger(limit) || limit < 1) {
    throw badRequest('limit is no positive integer', `Send an integer of 1 to ${PAGE_MAX}.`)
  }
  return {
    exchange,
    product: textIn(request, 'product'),
    after: textIn(request, 'after'),
    limit: Math.min(limit, PAGE_MAX),
  }
}

function parseSymbols(request: unknown): string[] | null {
  const symbols = field(request, 'symbols')
  if (symbols === undefined) return null
  if (!Array.isArray(symbols) || !symbols.every((each) => typeof each === 'string')) {
    throw badRequest('symbols is no list of texts', 'Send {"symbols": ["rb2605.SHFE"]}.')
  }
  if (symbols.length > SYMBOLS_MAX) {
    throw badRequest(`more than ${SYMBOLS_MAX} symbols at once`, 'Send them in several requests.')
  }
  return symbols
}

const TEXT_MAX = 200

function textIn(request: unknown, name: string): string | null {
  const value = field(request, name)
  if (value === undefined || value === null) return null
  if (typeof value !== 'string' || value.length > TEXT_MAX) {
    throw badRequest(`${name} is no text of at most ${TEXT_MAX} characters`, `Leave ${name} out or send a name.`)
  }
  return value
}

function field(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined
}

function matches({ exchange, product }: Page, row: ListedContract): boolean {
  return (exchange === null || row.exchange === exchange) && (product === null || row.product === product)
}

/** Places in order of name, each once. */
function placesOf(latest: LatestTicks, symbols: readonly string[], missing: string[]): number[] {
  const places = new Set<number>()
  for (const symbol of new Set(symbols)) {
    const place = latest.placeOf(symbol)
    if (place === undefined) missing.push(symbol.slice(0, TEXT_MAX))
    else places.add(place)
  }
  const name = (place: number) => latest.tick(place)?.vtSymbol ?? ''
  return [...places].sort((a, b) => (name(a) < name(b) ? -1 : 1))
}

function bySymbol<Row extends ListedContract>(rows: readonly Row[]): readonly Row[] {
  const names = new Map(rows.map((row) => [row, formatVtSymbol(row.symbol, row.exchange)]))
  return [...rows].sort((a, b) => ((names.get(a) ?? '') < (names.get(b) ?? '') ? -1 : 1))
}

function withShortLists(report: object): object {
  const cut: string[] = []
  const entries = Object.entries(report).map(([name, value]) => {
    if (!Array.isArray(value) || value.length <= REPORT_LIST_MAX) return [name, value]
    cut.push(name)
    return [name, value.slice(0, REPORT_LIST_MAX)]
  })
  return { ...Object.fromEntries(entries), ...(cut.length > 0 && { truncated: cut }) }
}

function encode(value: object): Uint8Array {
  return Buffer.from(JSON.stringify(value), 'utf8')
}

function errorAnswer({ kind, message, remedy }: Failure): Uint8Array {
  return encode({ error: { kind, message, remedy } })
}

function badRequest(message: string, remedy: string): Failure {
  return new Failure('bad-request', message.slice(0, 500), remedy)
}

function unknownName(name: string): never {
  throw badRequest(`nothing is called ${name}`, `Ask for ${REQUEST_NAMES.join(', ')}.`)
}

function internalFault(error: unknown): Failure {
  const text = error instanceof Error ? error.message : String(error)
  return new Failure('internal', text.slice(0, 500), "Look at the daemon's log.", error)
}

/** A value that is made anew when it is asked for and older than FRESH_MS. */
class Fresh<T> {
  readonly #clock: Clock
  readonly #make: () => T
  #made: { value: T; atMs: number } | null = null

  constructor(clock: Clock, make: () => T) {
    this.#clock = clock
    this.#make = make
  }

  value(): T {
    const nowMs = this.#clock.monotonicMs()
    if (this.#made === null || nowMs - this.#made.atMs >= FRESH_MS) this.#made = { value: this.#make(), atMs: nowMs }
    return this.#made.value
  }
}
