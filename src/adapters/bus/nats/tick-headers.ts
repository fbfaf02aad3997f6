/**
 * The header of a published tick as bytes, with the tick's JSON behind it, in one ring that is written round and round. The library
 * holds what it was given until its next write to the socket, at most some 32 KiB later, and copies it then: the ring is far longer.
 */
import type { MsgHdrs } from '@nats-io/transport-node'
import { fixedText, MARGIN_BYTES, putBytes, putFixed, putInteger, TextBuffer } from '../ascii-writer.ts'
import type { OutgoingTick } from '../tick-bus.ts'

/** Header that carries the journal's sequence. */
export const SEQUENCE_HEADER = 'Fs-Seq'

const BEGINNING = fixedText(`NATS/1.0\r\n${SEQUENCE_HEADER}: `)
const EXPECTED = fixedText('\r\nNats-Expected-Last-Sequence: ')
const END = fixedText('\r\n\r\n')
const HEADER_BYTES_MAX = 128
const RING_BYTES = 1 << 18

export class TickHeaders {
  readonly #ring = new TextBuffer(RING_BYTES)
  #at = 0
  #header: Uint8Array = this.#ring.bytes.subarray(0, 0)

  /** All that the library does with headers is to ask for their bytes, so it is given no Map to build them from. */
  readonly forLibrary = { encode: () => this.#header } as unknown as MsgHdrs

  /** Makes `forLibrary` the header of this tick; returns the tick's JSON, safe until the library has copied it. */
  write({ json, sequence, streamSequence }: OutgoingTick): Uint8Array {
    if (this.#at + HEADER_BYTES_MAX + json.length + MARGIN_BYTES > RING_BYTES) this.#at = 0
    const start = this.#at
    let end = putInteger(this.#ring, putFixed(this.#ring, start, BEGINNING), sequence)
    end = putInteger(this.#ring, putFixed(this.#ring, end, EXPECTED), streamSequence - 1)
    end = putFixed(this.#ring, end, END)
    this.#header = this.#ring.bytes.subarray(start, end)
    this.#at = putBytes(this.#ring, end, json)
    return this.#ring.bytes.subarray(end, this.#at)
  }
}
