/**
 * The process around an embedded front: says hello, obeys frames on stdin, counts once a second, and ends with its supervisor. A market
 * is opened by the first `start`; commands that come while it is being opened wait for it.
 *
 * Exit codes: 0 the supervisor closed stdin or went away, 64 not run by a supervisor or wrong start options, 65 unusable input,
 * 66 input that can't be read, 70 anything unforeseen while obeying a command.
 */
import { createWriteStream, fstatSync } from 'node:fs'
import { Socket } from 'node:net'
import type { Readable, Writable } from 'node:stream'
import { sleep, systemClock } from '#clock.ts'
import { Failure } from '#domain/failure.ts'
import { LINES, type Line } from '#domain/line.ts'
import { BridgeWriter } from './bridge-writer.ts'
import type { HostProcess } from './embedded-front.ts'
import { parseScenario, type Scenario } from './scenario.ts'
import { FrameReader, type Message, PROTOCOL_VERSION, ProtocolFault, textPairs } from './wire.ts'

/** A market that was opened by `start`. */
export interface EmbeddedMarket {
  /** A rejection ends the process. */
  command(message: Message): void | Promise<void>
  marketNowMs(): number
}

export interface EmbeddedBridgeOptions {
  /** As told in `hello`. */
  adapter: string
  open(options: StartOptions, writer: BridgeWriter, process: HostProcess): Promise<EmbeddedMarket>
  stdin: Readable
  pid: number
  parentPid(): number
  exit(code: number): never
  crash(): void
}

const COUNTERS_EVERY_MS = 1000
const LAST_WORDS_MS = 500
/** A supervisor that closed stdin kills us 300 ms later. */
const FAREWELL_MS = 200
const FRAMES_FD = 3

/** Runs until the process ends. */
export function runEmbeddedBridge(options: EmbeddedBridgeOptions): void {
  const { adapter, stdin, pid, exit } = options
  const out = openFrames(exit)
  // The supervisor is gone: there is nobody left to report to.
  out.on('error', () => exit(0))
  const writer = new BridgeWriter(out)
  writer.send('hello', Date.now(), { code: PROTOCOL_VERSION, numbers: [pid], texts: [adapter, `${adapter} 1`] })

  let market: EmbeddedMarket | undefined
  let isOpening = false
  const waiting: Message[] = []
  setInterval(() => writer.sendCounters(market?.marketNowMs() ?? Date.now()), COUNTERS_EVERY_MS)

  const obey = (opened: EmbeddedMarket, message: Message) => {
    void Promise.resolve(opened.command(message)).catch((error) => fail(error, { writer, exit }))
  }
  const open = async (start: Message) => {
    try {
      market = await options.open(new StartOptions(start), writer, hostProcess(options, writer))
      for (const message of waiting.splice(0)) obey(market, message)
    } catch (error) {
      await fail(error, { writer, exit })
    }
  }
  const reader = new FrameReader({
    tick: () => {
      throw new ProtocolFault('the supervisor sent a tick')
    },
    message: (message) => {
      if (message.type === 'start') {
        if (isOpening) return
        isOpening = true
        void open(message)
      } else if (market === undefined) waiting.push(message)
      else obey(market, message)
    },
  })
  stdin.on('data', (chunk: Buffer) => {
    try {
      reader.push(chunk)
    } catch (error) {
      void fail(error, { writer, exit })
    }
  })
  stdin.on('end', () => void leave(writer, market?.marketNowMs() ?? Date.now(), exit))
  stdin.on('error', () => exit(0))
}

function openFrames(exit: (code: number) => never): Writable {
  try {
    const kind = fstatSync(FRAMES_FD)
    if (kind.isFIFO() || kind.isSocket()) return new Socket({ fd: FRAMES_FD, readable: false, writable: true })
    if (kind.isFile()) return createWriteStream('', { fd: FRAMES_FD })
  } catch {
    // No such descriptor: run by hand, like any other that can't take frames.
  }
  console.error('This program is run by full-feed-subscription, which reads its frames on file descriptor 3.')
  return exit(64)
}

/** The end in order: what was dropped in the last second is told as well. */
async function leave(writer: BridgeWriter, wallMs: number, exit: (code: number) => never): Promise<void> {
  try {
    writer.sendCounters(wallMs)
    await Promise.race([writer.drained(), sleep(FAREWELL_MS)])
  } finally {
    exit(0)
  }
}

/** Tells the supervisor and whoever reads stderr what is wrong, and ends. */
async function fail(
  error: unknown,
  { writer, exit }: { writer: BridgeWriter; exit(code: number): never },
): Promise<void> {
  const isKnown = error instanceof Failure
  const text = isKnown ? `${error.kind}: ${error.message}. ${error.remedy}` : String(error)
  console.error(error instanceof Error && !isKnown ? error.stack : text)
  try {
    writer.send('log', Date.now(), { texts: [text] })
    // Nobody may be reading any more, and that must not keep a broken bridge alive.
    await Promise.race([writer.drained(), sleep(LAST_WORDS_MS)])
  } finally {
    exit(exitCodeOf(error))
  }
}

function exitCodeOf(error: unknown): number {
  if (error instanceof ProtocolFault) return 64
  if (!(error instanceof Failure)) return 70
  if (error.kind === 'replay-file-unreadable') return 66
  return error.kind.startsWith('replay-') ? 65 : 64
}

const HANG_SLICE_MS = 500

function hostProcess({ crash, parentPid, exit }: EmbeddedBridgeOptions, writer: BridgeWriter): HostProcess {
  return {
    crash,
    hang(forMs) {
      // What was sent so far was sent before the hang.
      writer.flush()
      const parent = parentPid()
      const sleeper = new Int32Array(new SharedArrayBuffer(4))
      const untilMs = systemClock.monotonicMs() + forMs
      for (let leftMs = forMs; leftMs > 0; leftMs = untilMs - systemClock.monotonicMs()) {
        Atomics.wait(sleeper, 0, 0, Math.min(HANG_SLICE_MS, leftMs))
        // Hanging for ever is for a supervisor to notice, not for an orphan to do.
        if (parentPid() !== parent) exit(0)
      }
    },
  }
}

/** The pairs of the `start` frame. Whatever is wrong with them is the supervisor's mistake, so the messages name the option. */
export class StartOptions {
  readonly #pairs: Map<string, string>

  constructor(start: Message) {
    this.#pairs = textPairs(start)
  }

  text(name: string, otherwise = ''): string {
    return this.#pairs.get(name) ?? otherwise
  }

  number(name: string, otherwise?: number): number {
    const text = this.text(name)
    const value = text === '' ? otherwise : Number(text)
    if (value === undefined || !Number.isFinite(value)) throw this.#invalid(name, 'a number')
    return value
  }

  optionalNumber(name: string): number | undefined {
    return this.text(name) === '' ? undefined : this.number(name)
  }

  /** A JSON object of texts; '' is an empty one. */
  textMap(name: string): ReadonlyMap<string, string> {
    const text = this.text(name)
    if (text === '') return new Map()
    try {
      const value: unknown = JSON.parse(text)
      if (typeof value === 'object' && value !== null)
        return new Map(Object.entries(value).map(([key, item]) => [key, String(item)]))
    } catch {
      // Reported below, like any other text that is no object.
    }
    throw this.#invalid(name, 'a JSON object of texts')
  }

  get line(): Line {
    const line = LINES.find((known) => known === this.text('line'))
    if (line === undefined) throw this.#invalid('line', LINES.join(' or '))
    return line
  }

  get scenario(): Scenario {
    return parseScenario(this.text('scenario'))
  }

  #invalid(name: string, wanted: string): Failure {
    return new Failure(
      'start-option-invalid',
      `start option ${name}: expected ${wanted}, got ${JSON.stringify(this.#pairs.get(name) ?? null)}`,
      'Report it: the supervisor and its bridge come from one package and must agree.',
    )
  }
}
