/**
 * Ticks as the commands of the NATS protocol, many in one piece: `HPUB subject reply header-length length`, header, JSON. The library
 * would make a string, four buffers and a promise's worth of bookkeeping of each tick, which costs more than all the rest of publishing.
 *
 * The header makes a chain. The first tick of a link names the stream sequence that must be the last; each other one names the message
 * id of the tick before it. The server stores a tick only if its condition holds, so nothing can be lost, doubled or shuffled within a
 * window: a tick refused, a foreign message in between or a late one of an older link breaks the chain, and all behind it are refused.
 * Sequences alone would not do: a foreign message takes the place of a refused tick, and the next one would fit again.
 */
import { type FixedText, fixedText, MARGIN_BYTES, putBytes, putFixed, putInteger, TextBuffer } from '../ascii-writer.ts'
import type { OutgoingTick } from '../tick-bus.ts'
import { TICK_JSON_BYTES_MAX } from '../tick-encoder.ts'

/** Header that carries the journal's sequence. */
export const SEQUENCE_HEADER = 'Fs-Seq'

const COMMAND = fixedText('HPUB ')
const SPACE = fixedText(' ')
const LINE_END = fixedText('\r\n')
const BEGINNING = fixedText(`NATS/1.0\r\n${SEQUENCE_HEADER}: `)
const EXPECTED_SEQUENCE = fixedText('\r\nNats-Expected-Last-Sequence: ')
const HEADER_END = fixedText('\r\n\r\n')

/** A subject of an instrument with a name of unheard-of length, the reply and two lengths; then the header. */
const COMMAND_BYTES_MAX = 2_048
/** Some 40 ticks a piece: enough that a piece's own price no longer shows, and the server begins early. */
const PIECE_BYTES = 32 << 10
const SUBJECTS_MAX = 100_000

export class TickCommands {
  readonly #buffer = new TextBuffer(PIECE_BYTES + COMMAND_BYTES_MAX + TICK_JSON_BYTES_MAX + MARGIN_BYTES)
  readonly #send: (piece: Uint8Array) => void
  readonly #reply: FixedText
  readonly #id: FixedText
  readonly #expectedId: FixedText
  readonly #subjects = new Map<string, FixedText>()
  #at = 0
  #isFirst = true

  /**
   * @param reply ASCII subject of the answers, which no other link uses: its end names the chain
   * @param send gets whole commands, to keep
   */
  constructor(reply: string, send: (piece: Uint8Array) => void) {
    const chain = reply.slice(reply.lastIndexOf('.') + 1)
    this.#send = send
    this.#reply = fixedText(`${reply} `)
    this.#id = fixedText(`\r\nNats-Msg-Id: ${chain}-`)
    this.#expectedId = fixedText(`\r\nNats-Expected-Last-Msg-Id: ${chain}-`)
  }

  /** Goes out with the piece that it fills, or at the end of this turn of the event loop. */
  add({ subject, json, sequence, streamSequence, wantsAck }: OutgoingTick): void {
    const target = this.#buffer
    if (this.#at === 0) queueMicrotask(() => this.#flush())
    const condition = this.#isFirst ? EXPECTED_SEQUENCE : this.#expectedId
    const before = streamSequence - 1
    const headerLength =
      BEGINNING.length +
      digits(sequence) +
      this.#id.length +
      digits(streamSequence) +
      condition.length +
      digits(before) +
      HEADER_END.length

    let end = putFixed(target, this.#at, COMMAND)
    end = putFixed(target, end, this.#subjectText(subject))
    if (wantsAck) end = putFixed(target, end, this.#reply)
    end = putFixed(target, putInteger(target, end, headerLength), SPACE)
    end = putFixed(target, putInteger(target, end, headerLength + json.length), LINE_END)
    end = putInteger(target, putFixed(target, end, BEGINNING), sequence)
    end = putInteger(target, putFixed(target, end, this.#id), streamSequence)
    end = putFixed(target, putInteger(target, putFixed(target, end, condition), before), HEADER_END)
    end = putFixed(target, putBytes(target, end, json), LINE_END)
    this.#isFirst = false
    this.#at = end
    if (end >= PIECE_BYTES) this.#flush()
  }

  #flush(): void {
    if (this.#at === 0) return
    const piece = Buffer.from(this.#buffer.bytes.subarray(0, this.#at))
    this.#at = 0
    this.#send(piece)
  }

  /** With the space behind it. */
  #subjectText(subject: string): FixedText {
    const known = this.#subjects.get(subject)
    if (known !== undefined) return known
    if (this.#subjects.size >= SUBJECTS_MAX) this.#subjects.clear()
    const text = fixedText(`${subject} `)
    this.#subjects.set(subject, text)
    return text
  }
}

/** How many digits a whole number from 0 to 10^15 has. */
function digits(value: number): number {
  let count = 1
  for (let bound = 10; value >= bound; bound *= 10) count++
  return count
}
