/**
 * The log of a command or the daemon: JSON lines to stderr and to <state-dir>/logs/, redacted on the way; for a person where stderr is a
 * terminal. Times carry the market's offset like every other output. stderr that is a plain file (a daemon's console) is bounded too, since nobody rotates it.
 */
import { fstatSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { isatty } from 'node:tty'
import pino, { type Logger as PinoLogger } from 'pino'
import { type Clock, systemClock } from '#clock.ts'
import { isoShanghai } from '#domain/iso-time.ts'
import { readableLine } from './readable-line.ts'
import { redactLine } from './redaction.ts'
import { openRotatingFile } from './rotating-file.ts'

export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error'
export type Logger = Pick<PinoLogger, LogLevel>

export interface LoggerOptions {
  /** Which program writes: the beginning of the file's name. */
  name: string
  /** Null keeps the log on stderr alone, for commands that must not touch the disk. */
  stateDir: string | null
  fileLevel: LogLevel
  stderrLevel: LogLevel
  totalBytesMax: number
  retentionDays: number
  clock?: Clock
}

export interface OpenLog {
  logger: Logger
  /** Lines that the disk refused since the start. */
  refused(): number
  close(): void
}

const PARTS_WITHIN_TOTAL = 8
const CONSOLE_BYTES_MAX = 4 * 1024 * 1024
const STDERR = 2

export function openLog(options: LoggerOptions): OpenLog {
  const { name, stateDir, clock = systemClock } = options
  const file =
    stateDir === null
      ? null
      : openRotatingFile({
          directory: join(stateDir, 'logs'),
          name,
          partBytesMax: Math.max(65_536, Math.floor(options.totalBytesMax / PARTS_WITHIN_TOTAL)),
          totalBytesMax: options.totalBytesMax,
          retentionDays: options.retentionDays,
          clock,
        })
  const streams = [
    { level: options.stderrLevel, stream: { write: boundedStderr() } },
    ...(file === null ? [] : [{ level: options.fileLevel, stream: { write: (line: string) => file.write(line) } }]),
  ]
  const logger = pino(
    {
      name,
      level: quieter(options.stderrLevel, file === null ? options.stderrLevel : options.fileLevel),
      base: { pid: process.pid },
      timestamp: () => `,"time":"${isoShanghai(clock.wallMs())}"`,
      formatters: { level: (label) => ({ level: label }) },
      // On the line as a whole rather than by pino's paths: those know no depth, and nothing of texts.
      hooks: { streamWrite: redactLine },
    },
    pino.multistream(streams),
  )
  return { logger, refused: () => file?.refused ?? 0, close: () => file?.close() }
}

const LEVELS: readonly LogLevel[] = ['trace', 'debug', 'info', 'warn', 'error']
function quieter(a: LogLevel, b: LogLevel): LogLevel {
  return LEVELS.indexOf(a) < LEVELS.indexOf(b) ? a : b
}

function boundedStderr(): (line: string) => void {
  let left = isPlainFile(STDERR) ? CONSOLE_BYTES_MAX : Number.POSITIVE_INFINITY
  const shown = isatty(STDERR) ? readableLine : (line: string) => line
  return (line) => {
    if (left <= 0) return
    left -= line.length
    try {
      writeSync(STDERR, shown(line))
    } catch {
      // A closed or full stderr: the file has the line, and there is no third place to complain.
    }
  }
}

function isPlainFile(fd: number): boolean {
  try {
    return fstatSync(fd).isFile()
  } catch {
    return false
  }
}
