/** The health report where no daemon made one, and its readable forms: the plugin line, the details, CSV. */
import type { Remediation, TransmittedHealth } from '#adapters/control/parse-answers.ts'
import { inSentences, type Problem } from '#domain/failure.ts'
import { isoShanghai } from '#domain/iso-time.ts'
import { formatRatio, type Terminal } from '../terminal.ts'

export const NO_REMEDIATION: Remediation = { attempts: 0, requested: 0, recovered: 0, rate_limit_events: 0 }

export interface UnknownReportFacts {
  mode: string
  profile: string
  nowMs: number
  problems: readonly Problem[]
}

/** No evidence, no verdict: every figure is empty and the exit code is 3. */
export function unknownReport({ mode, profile, nowMs, problems }: UnknownReportFacts): TransmittedHealth {
  return {
    schema: 'feed-supervisor/health/1',
    generated_at: isoShanghai(nowMs),
    mode,
    profile,
    window: null,
    trading_day: null,
    session_state: null,
    serving_line: null,
    verdict: 'UNKNOWN',
    exit_code: 3,
    coverage_ratio: null,
    tick_coverage_ratio: null,
    expected_total: 0,
    subscribed_total: 0,
    ticked_total: 0,
    missing_contracts: [],
    refused_contracts: [],
    stalled_contracts: [],
    single_line_contracts: [],
    unexpected_contracts: [],
    ignored_contracts: [],
    lines: { primary: null, backup: null },
    throughput_mps: 0,
    latency_ms_p99: null,
    bus: { kind: 'none', backlog: 0, connected: false },
    remediation: NO_REMEDIATION,
    warnings: [],
    errors: problems.map(inSentences),
  }
}

/** The one line that a monitoring system shows, with its performance data behind the bar. */
export function summaryLine(report: TransmittedHealth): string {
  const { verdict, expected_total: expected, subscribed_total: subscribed } = report
  if (verdict === 'UNKNOWN') return `FEED UNKNOWN - ${report.errors[0] ?? 'no evidence'}`
  const facts = [
    `coverage ${ratioText(report.coverage_ratio)} (${subscribed}/${expected})`,
    `ticking ${ratioText(report.tick_coverage_ratio)}`,
    `serving ${report.serving_line ?? 'none'}`,
    `session ${report.session_state}`,
    ...countOf(report.refused_contracts.length, 'refused'),
    ...countOf(report.stalled_contracts.length, 'stalled'),
  ]
  return `FEED ${verdict} - ${facts.join(', ')} | ${performanceData(report)}`
}

function ratioText(ratio: number | null): string {
  return ratio === null ? 'unknown' : formatRatio(ratio)
}

function countOf(count: number, what: string): string[] {
  return count === 0 ? [] : [`${count} ${what}`]
}

function performanceData(report: TransmittedHealth): string {
  const p99 = report.latency_ms_p99
  return [
    `coverage=${report.coverage_ratio ?? 'U'};;;0;1`,
    `ticking=${report.tick_coverage_ratio ?? 'U'};;;0;1`,
    `missing=${report.missing_contracts.length}`,
    `stalled=${report.stalled_contracts.length}`,
    `throughput=${report.throughput_mps}`,
    ...(p99 === null ? [] : [`latency_p99=${p99}ms`]),
  ].join(' ')
}

const SHOWN_CONTRACTS = 10

export function sayReport(terminal: Terminal, report: TransmittedHealth, quiet: boolean): void {
  const tone = report.verdict === 'OK' ? 'good' : report.verdict === 'WARNING' ? 'caution' : 'bad'
  terminal.say(terminal.paint(tone, summaryLine(report)))
  if (quiet) return
  sayLines(terminal, report)
  sayContracts(terminal, 'missing', report.missing_contracts)
  sayContracts(terminal, 'refused', report.refused_contracts)
  const stalled = report.stalled_contracts.map((contract) => {
    const lag = contract.lag_seconds === null ? 'no tick yet' : `${Math.round(contract.lag_seconds)} s`
    return `${contract.symbol}.${contract.exchange} on ${contract.line} (${contract.severity}, ${lag})`
  })
  sayContracts(terminal, 'stalled', stalled)
  sayContracts(terminal, 'on one line only', report.single_line_contracts)
  const { attempts, requested, recovered, rate_limit_events: limited } = report.remediation
  if (attempts > 0) {
    terminal.say(
      `  remediation: ${attempts} attempts, ${requested} requested, ${recovered} back, ${limited} rate limits`,
    )
  }
  for (const warning of report.warnings) terminal.say(`${terminal.paint('caution', '!')} ${warning}`)
  for (const error of report.errors) terminal.say(`${terminal.paint('bad', '✘')} ${error}`)
}

function sayLines(terminal: Terminal, report: TransmittedHealth): void {
  const rows = Object.entries(report.lines).flatMap(([name, line]) =>
    line === null ? [] : [[name, line.state, `${line.subscribed}/${line.expected}`, line.pulse, line.detail]],
  )
  if (rows.length === 0) return
  const titles = ['line', 'state', 'subscribed', 'pulse', '']
  terminal.table(
    titles.map((title) => ({ title })),
    rows,
  )
}

function sayContracts(terminal: Terminal, what: string, contracts: readonly string[]): void {
  if (contracts.length === 0) return
  const shown = contracts.slice(0, SHOWN_CONTRACTS).join(', ')
  const more = contracts.length > SHOWN_CONTRACTS ? ` and ${contracts.length - SHOWN_CONTRACTS} more` : ''
  terminal.say(`  ${contracts.length} ${what}: ${shown}${more}`)
}

const CSV_HEADER = 'symbol,exchange,line,problem,severity,lag_seconds,evidence'

/** One row per contract that something is wrong with; the header alone when nothing is. */
export function csvOf(report: TransmittedHealth): string {
  const plain = (contracts: readonly string[], problem: string, severity: string) =>
    contracts.map((contract) =>
      csvRow([...splitContract(contract), report.serving_line ?? '', problem, severity, '', '']),
    )
  const rows = [
    ...plain(report.missing_contracts, 'missing', 'critical'),
    ...plain(report.refused_contracts, 'refused', 'warning'),
    ...report.stalled_contracts.map(({ symbol, exchange, line, severity, lag_seconds: lag, evidence }) =>
      csvRow([symbol, exchange, line, 'stalled', severity, lag === null ? '' : String(lag), evidence]),
    ),
    ...plain(report.single_line_contracts, 'single-line', 'warning'),
    ...plain(report.unexpected_contracts, 'unexpected', 'warning'),
  ]
  return `${[CSV_HEADER, ...rows].join('\n')}\n`
}

/** "rb2605.SHFE" to its parts; combination names hold no dot. */
function splitContract(contract: string): [string, string] {
  const dot = contract.lastIndexOf('.')
  return dot < 0 ? [contract, ''] : [contract.slice(0, dot), contract.slice(dot + 1)]
}

function csvRow(cells: readonly string[]): string {
  return cells.map((cell) => (/[",\n\r]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell)).join(',')
}
