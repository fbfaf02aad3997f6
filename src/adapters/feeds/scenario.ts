/**
 * Scenario files: which line fails when, and how. Parsing is strict, because a fault that is silently ignored makes a drill pass that
 * proved nothing. Times are ms since the scenario's zero: start of the market in `sim`, first row in `replay`.
 */
import { unreachable } from '#domain/assert.ts'
import { Failure } from '#domain/failure.ts'
import { EXCHANGES, type Exchange, isExchange } from '#domain/instrument.ts'
import { LINES, type Line } from '#domain/line.ts'

const GARBAGE_KINDS = [
  'dbl-max',
  'nan',
  'negative-volume',
  'malformed-time',
  'far-future-time',
  'absurd-volume',
] as const
export type GarbageKind = (typeof GARBAGE_KINDS)[number]

interface FaultSpan {
  atMs: number
  line: Line | 'both'
  /** How long it holds, Infinity for ever. Of a moment: how long its effect lasts. */
  forMs: number
}

export type Fault = FaultSpan &
  (
    | { fault: 'disconnect'; reason: number }
    | { fault: 'refuse-connect' }
    /** Without `for_ms` only the next login of the process fails. */
    | { fault: 'login-error'; id: number; once: boolean }
    | { fault: 'mute' }
    | { fault: 'drop-subscriptions' }
    /** `ratio` of the answers to a subscription arrive; the subscription itself works. */
    | { fault: 'partial-acks'; ratio: number }
    | { fault: 'refuse-contracts'; count: number; id: number }
    | { fault: 'throttle'; code: -2 | -3 }
    /** Everything since `byMs` ago comes again. */
    | { fault: 'rewind'; byMs: number }
    | { fault: 'duplicate' }
    | { fault: 'garbage'; kinds: readonly GarbageKind[]; ratio: number; replace: boolean }
    | { fault: 'lag'; byMs: number }
    | { fault: 'lose'; ratio: number }
    | { fault: 'crash' }
    | { fault: 'hang' }
    | { fault: 'exchange-halt'; exchange: Exchange }
  )
export type FaultName = Fault['fault']

export interface Scenario {
  faults: readonly Fault[]
}

export const NO_FAULTS: Scenario = { faults: [] }

type Keys = Readonly<Record<string, 'required' | 'optional'>>

/** The keys each fault knows beside `at_ms`, `line` and `fault`. */
const KEYS: Readonly<Record<FaultName, Keys>> = {
  disconnect: { reason: 'optional', for_ms: 'optional' },
  'refuse-connect': { for_ms: 'optional' },
  'login-error': { id: 'required', for_ms: 'optional' },
  mute: { for_ms: 'optional' },
  'drop-subscriptions': {},
  'partial-acks': { ratio: 'optional', for_ms: 'optional' },
  'refuse-contracts': { count: 'required', id: 'optional', for_ms: 'optional' },
  throttle: { code: 'optional', for_ms: 'optional' },
  rewind: { by_ms: 'required' },
  duplicate: { for_ms: 'optional' },
  garbage: { kinds: 'optional', ratio: 'optional', replace: 'optional', for_ms: 'optional' },
  lag: { by_ms: 'required', for_ms: 'optional' },
  lose: { ratio: 'required', for_ms: 'optional' },
  crash: {},
  hang: { for_ms: 'optional' },
  'exchange-halt': { exchange: 'required', for_ms: 'optional' },
}
export const FAULT_NAMES = Object.keys(KEYS) as FaultName[]

/** An instrument that the front does not know, by the vendor's list. */
export const INSTRUMENT_NOT_FOUND = 16
/** The vendor's API tries again by itself about this soon. */
const RECONNECT_MS = 1000

/**
 * Reads a scenario file's text; '' is the scenario without faults.
 * @throws Failure 'scenario-invalid', naming every problem at once
 */
export function parseScenario(text: string): Scenario {
  if (text.trim() === '') return NO_FAULTS
  let entries: unknown
  try {
    entries = JSON.parse(text)
  } catch (error) {
    throw invalid([`not valid JSON: ${error instanceof Error ? error.message : String(error)}`], error)
  }
  if (!Array.isArray(entries)) throw invalid(['expected a JSON array of faults'])

  const problems: string[] = []
  const faults: Fault[] = []
  for (const [i, entry] of entries.entries()) {
    const reader = new EntryReader(`fault ${i + 1}`, entry, problems)
    const fault = reader.read()
    if (fault !== undefined) faults.push(fault)
  }
  if (problems.length > 0) throw invalid(problems)
  return { faults: faults.sort((a, b) => a.atMs - b.atMs) }
}

function invalid(problems: readonly string[], cause?: unknown): Failure {
  return new Failure(
    'scenario-invalid',
    `scenario: ${problems.join('; ')}`,
    'Correct the scenario file; docs/scenarios.md describes every fault with its keys.',
    cause,
  )
}

class EntryReader {
  readonly #place: string
  readonly #problems: string[]
  readonly #entry: Readonly<Record<string, unknown>> | undefined

  constructor(place: string, entry: unknown, problems: string[]) {
    this.#place = place
    this.#problems = problems
    const isObject = typeof entry === 'object' && entry !== null && !Array.isArray(entry)
    this.#entry = isObject ? Object.fromEntries(Object.entries(entry)) : undefined
  }

  read(): Fault | undefined {
    const before = this.#problems.length
    const fault = this.#readFault()
    return this.#problems.length === before ? fault : undefined
  }

  #readFault(): Fault | undefined {
    if (this.#entry === undefined) return this.#reject('expected an object')
    const name = this.#entry['fault']
    if (!isFaultName(name)) {
      const near = typeof name === 'string' ? nearest(name, FAULT_NAMES) : undefined
      return this.#reject(
        `unknown fault ${JSON.stringify(name)}, ${near === undefined ? `expected one of ${FAULT_NAMES.join(', ')}` : `did you mean ${near}?`}`,
      )
    }
    this.#checkKeys(name)
    const atMs = this.#number('at_ms', { min: 0 })
    const span = { atMs, line: this.#line(name) }
    const forMs = (otherwise: number) => this.#number('for_ms', { min: 0, otherwise })
    switch (name) {
      case 'disconnect':
        return {
          ...span,
          fault: name,
          reason: this.#number('reason', { otherwise: 4097, whole: true }),
          forMs: forMs(RECONNECT_MS),
        }
      case 'login-error': {
        const id = this.#number('id', { whole: true })
        if (id === 0) this.#reject('id 0 would be a success')
        return {
          ...span,
          fault: name,
          id,
          once: this.#entry['for_ms'] === undefined,
          forMs: forMs(Number.POSITIVE_INFINITY),
        }
      }
      case 'partial-acks':
        return { ...span, fault: name, ratio: this.#ratio(0.5), forMs: forMs(Number.POSITIVE_INFINITY) }
      case 'refuse-contracts':
        return {
          ...span,
          fault: name,
          count: this.#number('count', { min: 1, whole: true }),
          id: this.#number('id', { otherwise: INSTRUMENT_NOT_FOUND, whole: true }),
          forMs: forMs(Number.POSITIVE_INFINITY),
        }
      case 'throttle': {
        const code = this.#number('code', { otherwise: -2 })
        if (code !== -2 && code !== -3) return this.#reject(`code must be -2 or -3, got ${code}`)
        return { ...span, fault: name, code, forMs: forMs(Number.POSITIVE_INFINITY) }
      }
      case 'rewind':
        return { ...span, fault: name, byMs: this.#number('by_ms', { min: 1 }), forMs: 0 }
      case 'garbage':
        return {
          ...span,
          fault: name,
          kinds: this.#garbageKinds(),
          ratio: this.#ratio(0.1),
          replace: this.#flag('replace'),
          forMs: forMs(Number.POSITIVE_INFINITY),
        }
      case 'lag':
        return { ...span, fault: name, byMs: this.#number('by_ms', { min: 1 }), forMs: forMs(Number.POSITIVE_INFINITY) }
      case 'lose':
        return { ...span, fault: name, ratio: this.#ratio(undefined), forMs: forMs(Number.POSITIVE_INFINITY) }
      case 'exchange-halt': {
        const exchange = this.#entry['exchange']
        if (typeof exchange !== 'string' || !isExchange(exchange))
          return this.#reject(`exchange must be one of ${EXCHANGES.join(', ')}, got ${JSON.stringify(exchange)}`)
        return { ...span, fault: name, exchange, forMs: forMs(Number.POSITIVE_INFINITY) }
      }
      case 'drop-subscriptions':
      case 'crash':
        return { ...span, fault: name, forMs: 0 }
      case 'refuse-connect':
      case 'mute':
      case 'duplicate':
      case 'hang':
        return { ...span, fault: name, forMs: forMs(Number.POSITIVE_INFINITY) }
      default:
        return unreachable(name)
    }
  }

  #checkKeys(name: FaultName): void {
    const known = ['at_ms', 'line', 'fault', ...Object.keys(KEYS[name])]
    for (const key of Object.keys(this.#entry ?? {})) {
      if (known.includes(key)) continue
      const near = nearest(key, known)
      this.#reject(
        `${name} has no ${key}${near === undefined ? `; it has ${known.join(', ')}` : `, did you mean ${near}?`}`,
      )
    }
    for (const [key, presence] of Object.entries(KEYS[name])) {
      if (presence === 'required' && this.#entry?.[key] === undefined) this.#reject(`${name} needs ${key}`)
    }
  }

  #line(name: FaultName): Line | 'both' {
    const line = this.#entry?.['line']
    if (name === 'exchange-halt') {
      // An exchange halts for everybody; one silent line is `mute`.
      if (line !== undefined && line !== 'both') this.#reject('exchange-halt holds for both lines')
      return 'both'
    }
    for (const known of [...LINES, 'both'] as const) if (line === known) return known
    this.#reject(`line must be primary, backup or both, got ${JSON.stringify(line)}`)
    return 'both'
  }

  #number(
    key: string,
    { min, whole = false, otherwise }: { min?: number; whole?: boolean; otherwise?: number },
  ): number {
    const value = this.#entry?.[key]
    if (value === undefined && otherwise !== undefined) return otherwise
    // A missing key that is required was reported with the keys; at_ms is required of every fault.
    if (value === undefined && key !== 'at_ms') return Number.NaN
    const isNumber = typeof value === 'number' && Number.isFinite(value)
    if (!isNumber || (min !== undefined && value < min) || (whole && !Number.isInteger(value))) {
      const wanted = `a ${whole ? 'whole ' : ''}number${min === undefined ? '' : ` of at least ${min}`}`
      this.#reject(`${key} must be ${wanted}, got ${JSON.stringify(value)}`)
      return Number.NaN
    }
    return value
  }

  #ratio(otherwise: number | undefined): number {
    const value = this.#entry?.['ratio'] ?? otherwise
    if (value === undefined) return Number.NaN
    if (typeof value === 'number' && value >= 0 && value <= 1) return value
    this.#reject(`ratio must be a number from 0 to 1, got ${JSON.stringify(value)}`)
    return Number.NaN
  }

  #flag(key: string): boolean {
    const value = this.#entry?.[key] ?? false
    if (typeof value !== 'boolean') this.#reject(`${key} must be true or false, got ${JSON.stringify(value)}`)
    return value === true
  }

  #garbageKinds(): readonly GarbageKind[] {
    const value = this.#entry?.['kinds'] ?? GARBAGE_KINDS
    if (!Array.isArray(value) || value.length === 0) {
      this.#reject(`kinds must be a list of ${GARBAGE_KINDS.join(', ')}`)
      return []
    }
    const kinds: GarbageKind[] = []
    for (const item of value) {
      const kind = GARBAGE_KINDS.find((known) => known === item)
      if (kind !== undefined) kinds.push(kind)
      else this.#reject(`unknown garbage ${JSON.stringify(item)}, expected ${GARBAGE_KINDS.join(', ')}`)
    }
    return kinds
  }

  #reject(problem: string): undefined {
    this.#problems.push(`${this.#place}: ${problem}`)
  }
}

function isFaultName(name: unknown): name is FaultName {
  return typeof name === 'string' && Object.hasOwn(KEYS, name)
}

/** The known word at an edit distance of at most two, so that a slip of the keys is answered with the right word. */
function nearest(word: string, known: readonly string[]): string | undefined {
  const ranked = known.map((name) => ({
    name,
    distance: editDistance(word.toLowerCase().replaceAll('_', '-'), name.replaceAll('_', '-')),
  }))
  const best = ranked.reduce((a, b) => (b.distance < a.distance ? b : a))
  return best.distance <= Math.max(2, Math.floor(best.name.length / 3)) ? best.name : undefined
}

function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const substitution = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)
      next.push(Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, substitution))
    }
    row = next
  }
  return row[b.length] ?? 0
}
