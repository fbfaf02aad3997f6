/** A bridge without a process: the test says what the front answers, and reads what the line asked. */
import type { Bridge, BridgeEnd, BridgeSink } from '#adapters/feeds/bridge-process.ts'
import { type Message, writeTickHeader } from '#adapters/feeds/wire.ts'
import { type TickWords, tickRecord } from './tick-builder.ts'

export interface SentCommand {
  type: string
  texts: string[]
  numbers: readonly number[]
}

let pids = 50_000

export class ScriptedBridge implements Bridge {
  readonly pid = ++pids
  readonly sent: SentCommand[] = []
  retired = false
  /** Resolves when the process is gone after it was told to end. */
  gone: Promise<void> = Promise.resolve()
  readonly #sink: BridgeSink
  readonly #instruments = new Map<string, number>()
  #sequence = 0

  constructor(sink: BridgeSink) {
    this.#sink = sink
  }

  send(type: string, fields: { numbers?: readonly number[]; texts?: readonly (string | Uint8Array)[] } = {}): number {
    this.sent.push({ type, numbers: fields.numbers ?? [], texts: (fields.texts ?? []).map(String) })
    return this.sent.length
  }

  async retire(): Promise<void> {
    this.retired = true
    await this.gone
  }

  say(type: Message['type'], fields: Partial<Omit<Message, 'texts'>> & { texts?: readonly string[] } = {}): void {
    this.#sink.reading()
    const { texts = [], ...rest } = fields
    this.#sink.message({
      ...{
        type,
        sequence: ++this.#sequence,
        instrument: 0,
        wallMs: 0,
        monotonicMs: 0,
        code: 0,
        request: 0,
        numbers: [],
      },
      ...rest,
      texts: texts.map((text) => Buffer.from(text)),
    })
  }

  /** As if it had dropped this many frames. */
  skipFrames(count: number): void {
    this.#sequence += count
  }

  end(end: BridgeEnd): void {
    this.#sink.ended(end)
  }

  count(type: string): number {
    return this.sent.filter((command) => command.type === type).length
  }

  last(type: string): SentCommand | undefined {
    return this.sent.findLast((command) => command.type === type)
  }

  /** Answers the question for the contracts. */
  list(symbols: readonly string[]): void {
    for (const symbol of symbols) this.say('catalogueRow', { texts: [symbol, 'SHFE'] })
    this.say('catalogueEnd')
  }

  /** Return code of the last subscribe request, and per contract an error id where it is to be answered. */
  answerSubscribe(code: number, errorOf: (symbol: string) => number | null = () => 0): void {
    const request = this.sent.findLastIndex(({ type }) => type === 'subscribe')
    this.say('requested', { code, request: request + 1 })
    if (code !== 0) return
    for (const symbol of this.sent[request]?.texts ?? []) {
      const error = errorOf(symbol)
      const instrument = this.#explain(symbol)
      if (error !== null) this.say('subscribed', { instrument, code: error, request: request + 1 })
    }
  }

  tick(symbol: string, words: TickWords): void {
    const instrument = this.#explain(symbol)
    const record = tickRecord({ ...words, instrument })
    writeTickHeader(record, 0, { sequence: ++this.#sequence, instrument })
    this.#sink.reading()
    this.#sink.tick(record, 0)
  }

  #explain(symbol: string): number {
    const known = this.#instruments.get(symbol)
    if (known !== undefined) return known
    const instrument = this.#instruments.size + 1
    this.#instruments.set(symbol, instrument)
    this.say('instrument', { instrument, texts: [symbol, 'SHFE'] })
    return instrument
  }
}
