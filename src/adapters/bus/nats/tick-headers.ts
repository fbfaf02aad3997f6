/**
 * The header of a published tick as bytes, with the tick's JSON behind it, in one ring that is written round and round. The library
 * holds what it was given until its next write to the socket, at most some 32 KiB later, and copies it then: the ring is far longer.
 *
 * The header makes a chain. The first tick of a link names the stream sequence that must be the last; each other one names the message
 * id of the tick before it. The server stores a tick only if its condition holds, so nothing can be lost, doubled or shuffled within a
 * window: a tick refused, a foreign message in between or a late one of an older link breaks the chain, and all behind it are refused.
 * Sequences alone would not do: a foreign message takes the place of a refused tick, and the next one would fit again.
 */
import type { MsgHdrs } from '@nats-io/transport-node'
import { type FixedText, fixedText, MARGIN_BYTES, putBytes, putFixed, putInteger, TextBuffer } from '../ascii-writer.ts'
import type { OutgoingTick } from '../tick-bus.ts'

/** Header that carries the journal's sequence. */
export const SEQUENCE_HEADER = 'Fs-Seq'

const BEGINNING = fixedText(`NATS/1.0\r\n${SEQUENCE_HEADER}: `)
const EXPECTED_SEQUENCE = fixedText('\r\nNats-Expected-Last-Sequence: ')
const END = fixedText('\r\n\r\n')
const HEADER_BYTES_MAX = 256
const RING_BYTES = 1 << 18

export class TickHeaders {
  readonly #ring = new TextBuffer(RING_BYTES)
  readonly #id: FixedText
  readonly #expectedId: FixedText
  #at = 0
  #isFirst = true
  #header: Uint8Array = this.#ring.bytes.subarray(0, 0)

  /** All that the library does with headers is to ask for their bytes, so it is given no Map to build them from. */
  readonly forLibrary = { encode: () => this.#header } as unknown as MsgHdrs

  /** @param chain ASCII text that no other link uses */
  constructor(chain: string) {
    this.#id = fixedText(`\r\nNats-Msg-Id: ${chain}-`)
    this.#expectedId = fixedText(`\r\nNats-Expected-Last-Msg-Id: ${chain}-`)
  }

  /** Makes `forLibrary` the header of this tick; returns the tick's JSON, safe until the library has copied it. */
  write({ json, sequence, streamSequence }: OutgoingTick): Uint8Array {
    const ring = this.#ring
    if (this.#at + HEADER_BYTES_MAX + json.length + MARGIN_BYTES > RING_BYTES) this.#at = 0
    const start = this.#at
    let end = putInteger(ring, putFixed(ring, start, BEGINNING), sequence)
    end = putInteger(ring, putFixed(ring, end, this.#id), streamSequence)
    end = putFixed(ring, end, this.#isFirst ? EXPECTED_SEQUENCE : this.#expectedId)
    end = putFixed(ring, putInteger(ring, end, streamSequence - 1), END)
    this.#isFirst = false
    this.#header = ring.bytes.subarray(start, end)
    this.#at = putBytes(ring, end, json)
    return ring.bytes.subarray(end, this.#at)
  }
}
