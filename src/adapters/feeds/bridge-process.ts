/**
 * One bridge process and its pipe: starts it, hands its frames on, and ends it. A bridge that crashes, hangs or speaks nonsense costs
 * this object and nothing else. When it ends, whatever it had written before is still delivered; after a bounded wait the pipe is closed,
 * so that nothing can come later.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { Readable, type Writable } from 'node:stream'
import type { Clock } from '#clock.ts'
import type { TickViews } from '#domain/tick.ts'
import { encodeMessage, FrameReader, type FrameSink, type FrameTypeName, type Message, ProtocolFault } from './wire.ts'

/** How to start a bridge. Never holds a secret: arguments are readable by every user of the host. */
export interface BridgeCommand {
  program: string
  args: readonly string[]
  env: Readonly<Record<string, string>>
}

export type BridgeEnd =
  /** `unfinishedBytes`: of a frame that it was writing when it died. */
  | { kind: 'exited'; code: number | null; signal: NodeJS.Signals | null; unfinishedBytes?: number }
  | { kind: 'protocol-fault'; message: string }
  /** `passes`: for want of something that others give back, so that a later try may succeed. */
  | { kind: 'not-started'; message: string; passes: boolean }

export interface BridgeSink {
  /** A piece of the pipe is about to be cut into frames. */
  reading(): void
  tick(views: TickViews, at: number): void
  message(message: Message): void
  /** A line that the bridge or the vendor library printed: untrusted text. */
  printed(text: string): void
  /** Called exactly once, after the last frame. */
  ended(end: BridgeEnd): void
}

/** What holds a line needs of a bridge, whatever it runs in. */
export type Bridge = Pick<BridgeProcess, 'pid' | 'send' | 'retire'>

/** After a bridge's death its pipe is read for this long at most; a healthy pipe is drained within a few milliseconds. */
const DRAIN_MAX_MS = 1_000
const PRINTED_LINE_MAX = 500

export class BridgeProcess implements FrameSink {
  /** All null when the system did not even try to start it. */
  readonly #child: ChildProcess | null
  #pipe: Readable | null = null
  #commands: Writable | null = null
  readonly #reader: FrameReader
  readonly #sink: BridgeSink
  readonly #clock: Clock
  #commandSequence = 0
  #end: BridgeEnd | null = null
  #pipeDone = false
  #endTold = false
  /** Told to end, so that it may end in the middle of a frame. */
  #isRetired = false
  readonly #ended: Promise<void>
  #resolveEnded: () => void = () => undefined

  constructor(command: BridgeCommand, sink: BridgeSink, clock: Clock) {
    this.#sink = sink
    this.#clock = clock
    this.#reader = new FrameReader(this)
    this.#ended = new Promise((resolve) => {
      this.#resolveEnded = resolve
    })
    this.#child = this.#start(command)
    if (this.#child !== null) this.#listen(this.#child)
  }

  #start(command: BridgeCommand): ChildProcess | null {
    try {
      const child = spawn(command.program, command.args, {
        stdio: ['pipe', 'pipe', 'pipe', 'pipe'],
        env: { ...command.env },
      })
      child.on('error', (error) => this.#childEnded(notStarted(error)))
      child.on('exit', (code, signal) => this.#childEnded({ kind: 'exited', code, signal }))
      return child
    } catch (error) {
      // Too long an argument list, no memory: thrown, where other failures are an event. Told as late as those are.
      this.#pipeDone = true
      setImmediate(() => this.#childEnded(notStarted(error)))
      return null
    }
  }

  #listen(child: ChildProcess): void {
    // Without descriptors for its pipes a child has no stdio at all, whatever the types say; its 'error' tells the rest.
    const pipes: ChildProcess['stdio'] | undefined = child.stdio
    const [stdin, stdout, stderr, frames] = pipes ?? []
    if (!stdin || !stdout || !stderr || !(frames instanceof Readable)) {
      this.#pipeDone = true
      return
    }
    this.#commands = stdin
    this.#pipe = frames
    for (const stream of [stdout, stderr]) this.#passPrintedLines(stream)
    // A bridge that died closes its stdin; its exit tells the story, so EPIPE here adds nothing.
    stdin.on('error', () => undefined)
    frames.on('data', (chunk: Buffer) => this.#take(chunk))
    frames.on('error', () => this.#pipeEnded())
    frames.on('close', () => this.#pipeEnded())
  }

  get pid(): number | null {
    return this.#child?.pid ?? null
  }

  tick(views: TickViews, at: number): void {
    this.#sink.tick(views, at)
  }

  message(message: Message): void {
    this.#sink.message(message)
  }

  /** Sends a command; its number comes back in the answers' `request`. A dead bridge swallows it: `ended` tells. */
  send(
    type: Exclude<FrameTypeName, 'tick'>,
    fields: { numbers?: readonly number[]; texts?: readonly (string | Uint8Array)[] } = {},
  ): number {
    const sequence = ++this.#commandSequence
    if (this.#end === null && this.#commands?.destroyed === false) {
      this.#commands.write(
        encodeMessage(type, {
          ...fields,
          sequence,
          wallMs: this.#clock.wallMs(),
          monotonicMs: this.#clock.monotonicMs(),
        }),
      )
    }
    return sequence
  }

  /** Stops reading, so that the pipe fills up, or goes on: for tests of a stalled reader. */
  setReading(reading: boolean): void {
    if (reading) this.#pipe?.resume()
    else this.#pipe?.pause()
  }

  /**
   * Ends the bridge: EOF on its stdin, SIGKILL after `graceMs`. Resolves when the process is gone and its pipe is drained, at most
   * `graceMs` plus one second later.
   */
  async retire(graceMs: number): Promise<void> {
    this.#isRetired = true
    this.#commands?.end()
    const kill = setTimeout(() => this.#child?.kill('SIGKILL'), graceMs)
    await this.#ended
    clearTimeout(kill)
  }

  #take(chunk: Buffer): void {
    this.#sink.reading()
    try {
      this.#reader.push(chunk)
    } catch (error) {
      if (!(error instanceof ProtocolFault)) throw error
      this.#pipe?.destroy()
      this.#child?.kill('SIGKILL')
      this.#childEnded({ kind: 'protocol-fault', message: error.message })
    }
  }

  #childEnded(end: BridgeEnd): void {
    if (this.#end !== null) return
    this.#end = end
    if (this.#pipeDone) this.#tellEnd()
    else setTimeout(() => this.#tellEnd(), DRAIN_MAX_MS).unref()
  }

  #pipeEnded(): void {
    this.#pipeDone = true
    if (this.#end !== null) this.#tellEnd()
    // A bridge that closes its frames but lives on is of no use to anybody.
    else this.#child?.kill('SIGKILL')
  }

  #tellEnd(): void {
    if (this.#endTold || this.#end === null) return
    this.#endTold = true
    this.#pipe?.destroy()
    this.#sink.ended(this.#isRetired ? this.#end : withUnfinished(this.#end, this.#reader.held))
    this.#resolveEnded()
  }

  #passPrintedLines(stream: Readable): void {
    let held = ''
    stream.setEncoding('latin1')
    stream.on('data', (text: string) => {
      const lines = (held + text).split('\n')
      held = (lines.pop() ?? '').slice(0, PRINTED_LINE_MAX)
      for (const line of lines) if (line.trim() !== '') this.#sink.printed(line.slice(0, PRINTED_LINE_MAX))
    })
    stream.on('error', () => undefined)
  }
}

/** Others give back what was short; all else stays as it is until somebody changes it. */
const PASSING_CODES: readonly unknown[] = ['EMFILE', 'ENFILE', 'EAGAIN', 'ENOMEM']

function notStarted(error: unknown): BridgeEnd {
  const message = error instanceof Error ? error.message : String(error)
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  return { kind: 'not-started', message, passes: PASSING_CODES.includes(code) }
}

/** A bridge that ended in order must have ended its last frame; one that died in the middle of one died all the same. */
function withUnfinished(end: BridgeEnd, heldBytes: number): BridgeEnd {
  if (end.kind !== 'exited' || heldBytes === 0) return end
  if (end.code !== 0) return { ...end, unfinishedBytes: heldBytes }
  return { kind: 'protocol-fault', message: `its frames end after ${heldBytes} bytes of one` }
}
