/**
 * How the commands speak: steps, bars and tables for a person, one JSON object per line for a pipe, one JSON document with --json.
 * Whoever reports calls the same functions in every form and never asks which it is.
 */
import { type Clock, systemClock } from '#clock.ts'
import { isoShanghai } from '#domain/iso-time.ts'
import type { OutputForm } from './shared-options.ts'

export type StepOutcome = 'ok' | 'warning' | 'failed' | 'skipped' | 'planned'

export interface StepRecord {
  name: string
  outcome: StepOutcome
  duration_ms: number
  detail: string
}

export interface ProgressBar {
  label: string
  done: number
  total: number
  /** Null while it cannot be told. */
  etaMs: number | null
}

export interface Column {
  title: string
  align?: 'left' | 'right'
}

/** Where the text goes; `process.stdout` is one. */
export interface Output {
  write(text: string): unknown
  isTTY?: boolean
  columns?: number
}

export interface TerminalOptions {
  form: OutputForm
  output: Output
  /** Only results and problems. */
  quiet: boolean
  color: boolean
  clock?: Clock
}

export interface Terminal {
  readonly form: OutputForm
  step(record: StepRecord): void
  /** What goes on at the moment: replaced by the next call, gone with the next step. */
  progress(headline: string, bars: readonly ProgressBar[]): void
  /** Text for a person only; programs find the same facts in the result. */
  say(text: string): void
  table(columns: readonly Column[], rows: readonly (readonly string[])[]): void
  /** The result, once, at the end. A person has been told already; `--quiet` or not, programs get it. */
  result(document: object): void
  paint(tone: Tone, text: string): string
}

export type Tone = 'good' | 'caution' | 'bad' | 'faint' | 'strong'

/** Codes that switch the style on and off again. */
const STYLE_OF_TONE = {
  good: [32, 39],
  caution: [33, 39],
  bad: [31, 39],
  faint: [2, 22],
  strong: [1, 22],
} as const satisfies Record<Tone, readonly [number, number]>
const MARK_OF_OUTCOME: Record<StepOutcome, { mark: string; tone: Tone }> = {
  ok: { mark: '✔', tone: 'good' },
  warning: { mark: '!', tone: 'caution' },
  failed: { mark: '✘', tone: 'bad' },
  skipped: { mark: '-', tone: 'faint' },
  planned: { mark: '·', tone: 'strong' },
}
const BAR_WIDTH = 24
/** Of the longest step: a phase of a drill. */
const NAME_WIDTH = 22
const JSON_PROGRESS_EVERY_MS = 1_000

/** Whether colours are wanted, by the two conventions programs agree on. */
export function wantsColor(env: NodeJS.ProcessEnv, output: Output): boolean {
  if (env['NO_COLOR'] !== undefined && env['NO_COLOR'] !== '') return false
  return output.isTTY === true || (env['FORCE_COLOR'] !== undefined && env['FORCE_COLOR'] !== '0')
}

export function openTerminal(options: TerminalOptions): Terminal {
  const { form, color, clock = systemClock } = options
  const paint = (tone: Tone, text: string) => {
    const [on, off] = STYLE_OF_TONE[tone]
    return color ? `\x1b[${on}m${text}\x1b[${off}m` : text
  }
  const speaker = form === 'table' ? forPerson(options, paint) : forProgram(options, clock)
  return { form, paint, ...speaker }
}

type Speaker = Omit<Terminal, 'form' | 'paint'>

function forPerson({ output, quiet }: TerminalOptions, paint: Terminal['paint']): Speaker {
  let drawnLines = 0
  const erase = () => {
    if (drawnLines > 0) output.write(`\x1b[${drawnLines}A\x1b[0J`)
    drawnLines = 0
  }
  const say = (text: string) => {
    erase()
    output.write(`${text}\n`)
  }
  return {
    step(record) {
      if (quiet && record.outcome !== 'failed') return
      const { mark, tone } = MARK_OF_OUTCOME[record.outcome]
      const took = record.duration_ms >= 100 ? paint('faint', `  ${formatDuration(record.duration_ms)}`) : ''
      say(`${paint(tone, mark)} ${record.name.padEnd(NAME_WIDTH)} ${record.detail}${took}`)
    },
    progress(headline, bars) {
      if (quiet || output.isTTY !== true) return
      erase()
      const width = (output.columns || 80) - 1
      // A line that wraps would take two rows and could not be erased by counting lines.
      const lines = [headline, ...bars.map((bar) => formatBar(bar, width - 2))].map((line) =>
        `  ${line}`.slice(0, width),
      )
      output.write(`${lines.join('\n')}\n`)
      drawnLines = lines.length
    },
    say,
    table(columns, rows) {
      say(formatTable(columns, rows).join('\n'))
    },
    result() {
      erase()
    },
  }
}

function forProgram({ form, output, quiet }: TerminalOptions, clock: Clock): Speaker {
  const streams = form === 'json-lines'
  let progressAtMs = Number.NEGATIVE_INFINITY
  const event = (name: string, fields: object) =>
    output.write(`${JSON.stringify({ event: name, at: isoShanghai(clock.wallMs()), ...fields })}\n`)
  return {
    step(record) {
      if (streams && !quiet) event('step', record)
    },
    progress(headline, bars) {
      if (!streams || quiet || clock.monotonicMs() < progressAtMs + JSON_PROGRESS_EVERY_MS) return
      progressAtMs = clock.monotonicMs()
      const lines = bars.map(({ label, done, total, etaMs }) => ({ label, done, total, eta_ms: etaMs }))
      event('progress', { detail: headline, bars: lines })
    },
    say() {},
    table() {},
    result(document) {
      if (streams) event('result', document)
      else output.write(`${JSON.stringify(document, null, 2)}\n`)
    },
  }
}

/** On a narrow terminal the bar gives way to the figures. */
export function formatBar({ label, done, total, etaMs }: ProgressBar, width = Number.POSITIVE_INFINITY): string {
  const ratio = total === 0 ? 1 : Math.min(1, done / total)
  const percent = `${Math.floor(ratio * 100)}%`.padStart(4)
  const eta = etaMs === null || ratio === 1 ? '' : `  ${formatDuration(etaMs)} left`
  const [name, figures] = [label.padEnd(8), `${percent}  ${done}/${total}${eta}`]
  const barWidth = Math.max(0, Math.min(BAR_WIDTH, width - name.length - figures.length - 2))
  if (barWidth === 0) return `${name} ${figures}`
  const filled = Math.round(ratio * barWidth)
  return `${name} ${'█'.repeat(filled)}${'░'.repeat(barWidth - filled)} ${figures}`
}

export function formatTable(columns: readonly Column[], rows: readonly (readonly string[])[]): string[] {
  const widths = columns.map((column, i) =>
    Math.max(column.title.length, ...rows.map((row) => visibleLength(row[i] ?? ''))),
  )
  const line = (cells: readonly string[]) =>
    columns
      .map((column, i) => {
        const cell = cells[i] ?? ''
        const padding = ' '.repeat(Math.max(0, (widths[i] ?? 0) - visibleLength(cell)))
        return column.align === 'right' ? padding + cell : cell + padding
      })
      .join('  ')
      .trimEnd()
  return [
    line(columns.map((column) => column.title)),
    line(widths.map((width) => '─'.repeat(width))),
    ...rows.map(line),
  ]
}

/** 15 -> "15 ms", 850 -> "0.9 s", 75_000 -> "1 m 15 s", 7_500_000 -> "2 h 05 m" */
export function formatDuration(ms: number): string {
  if (ms < 95) return `${Math.round(ms)} ms`
  if (ms < 9_950) return `${(ms / 1000).toFixed(1)} s`
  const seconds = Math.round(ms / 1000)
  if (seconds < 60) return `${seconds} s`
  const minutes = Math.floor(seconds / 60)
  if (minutes < 60) return `${minutes} m ${String(seconds % 60).padStart(2, '0')} s`
  return `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, '0')} m`
}

/** 0.99987 -> "99.98%": rounded down, so that 100% means all of them. */
export function formatRatio(ratio: number): string {
  return `${(Math.floor(ratio * 10_000 + 1e-9) / 100).toFixed(2)}%`
}

const ANSI_STYLE = new RegExp(`${String.fromCharCode(27)}\\[[0-9;]*m`, 'g')
function visibleLength(text: string): number {
  return text.replace(ANSI_STYLE, '').length
}
