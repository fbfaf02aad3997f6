/**
 * The latest tick of every instrument as the JSON that was or would be published, so that a snapshot is answered by copying. Fixed places
 * in large chunks: replacing a tick makes no garbage.
 */
import type { EncodedName } from '#adapters/bus/tick-encoder.ts'
import { productOfInstrument } from '#domain/instrument.ts'

/** A tick with five levels takes some 900 bytes. */
const PLACE_BYTES = 1024
const PLACES_PER_CHUNK = 1024
/** As many instruments as a daemon ever knows. */
const PLACES_MAX = 40_000

export interface LatestTick {
  readonly symbol: string
  readonly exchange: string
  readonly product: string
  readonly vtSymbol: string
  /** Journal sequence; 0 for one that was found in the stream. */
  sequence: number
}

export class LatestTicks {
  /** The last journal sequence that was looked at. */
  sequence = 0
  readonly #ticks: LatestTick[] = []
  readonly #lengths = new Uint32Array(PLACES_MAX)
  readonly #chunks: Buffer[] = []
  /** Places of ticks longer than a place. */
  readonly #long = new Map<number, Buffer>()
  /** By `symbol.exchange` and by symbol: ids are unique over all exchanges. */
  readonly #places = new Map<string, number>()
  #sorted: number[] | null = null

  get count(): number {
    return this.#ticks.length
  }

  /** `json` is copied. */
  put(name: EncodedName, sequence: number, json: Uint8Array): void {
    this.sequence = sequence
    if (name.place < 0) name.place = this.#placeOf(name)
    if (name.place >= PLACES_MAX) return
    this.#store(name.place, sequence, json)
  }

  /** Takes a published tick of an instrument that no tick came for yet. What is no tick is passed over. */
  seed(json: Uint8Array): void {
    const bytes = Buffer.from(json.buffer, json.byteOffset, json.length)
    const name = nameIn(bytes.toString('utf8'))
    if (name === null) return
    const place = this.#placeOf(name)
    if (place >= PLACES_MAX || (this.#lengths[place] ?? 0) > 0) return
    this.#store(place, 0, bytes)
  }

  /** Places of the instruments in order of `symbol.exchange`. */
  sorted(): readonly number[] {
    const name = (place: number) => this.#ticks[place]?.vtSymbol ?? ''
    this.#sorted ??= this.#ticks.map((_, place) => place).sort((a, b) => (name(a) < name(b) ? -1 : 1))
    return this.#sorted
  }

  /** @param name `symbol.exchange` or the symbol alone */
  placeOf(name: string): number | undefined {
    return this.#places.get(name)
  }

  tick(place: number): LatestTick | undefined {
    return this.#ticks[place]
  }

  /** The tick's JSON, valid until the next tick is taken. */
  json(place: number): Buffer {
    const length = this.#lengths[place] ?? 0
    const long = this.#long.get(place)
    if (long !== undefined) return long
    const at = (place % PLACES_PER_CHUNK) * PLACE_BYTES
    return this.#chunk(place).subarray(at, at + length)
  }

  #placeOf(name: { symbol: string; exchange: string; vtSymbol: string }): number {
    const known = this.#places.get(name.vtSymbol)
    if (known !== undefined) return known
    if (this.#ticks.length >= PLACES_MAX) return PLACES_MAX
    const { symbol, exchange, vtSymbol } = name
    const place =
      this.#ticks.push({ symbol, exchange, vtSymbol, product: productOfInstrument(symbol), sequence: 0 }) - 1
    this.#places.set(vtSymbol, place)
    this.#places.set(symbol, place)
    this.#sorted = null
    return place
  }

  #store(place: number, sequence: number, json: Uint8Array): void {
    const tick = this.#ticks[place]
    // Older ones come by when history is published again.
    if (tick === undefined || sequence < tick.sequence) return
    tick.sequence = sequence
    this.#lengths[place] = json.length
    if (json.length > PLACE_BYTES) {
      this.#long.set(place, Buffer.from(json))
      return
    }
    if (this.#long.size > 0) this.#long.delete(place)
    this.#chunk(place).set(json, (place % PLACES_PER_CHUNK) * PLACE_BYTES)
  }

  #chunk(place: number): Buffer {
    const index = Math.floor(place / PLACES_PER_CHUNK)
    const known = this.#chunks[index]
    if (known !== undefined) return known
    const chunk = Buffer.alloc(PLACES_PER_CHUNK * PLACE_BYTES)
    this.#chunks[index] = chunk
    return chunk
  }
}

function nameIn(json: string): { symbol: string; exchange: string; vtSymbol: string } | null {
  try {
    const tick: unknown = JSON.parse(json)
    const text = (name: string): unknown => (typeof tick === 'object' && tick !== null ? Reflect.get(tick, name) : null)
    const symbol = text('symbol')
    const exchange = text('exchange')
    const vtSymbol = text('vt_symbol')
    const isTick = typeof symbol === 'string' && typeof exchange === 'string' && typeof vtSymbol === 'string'
    return isTick ? { symbol, exchange, vtSymbol } : null
  } catch {
    // Somebody else's message.
    return null
  }
}
