/** The command line of check-feed-health. */
import type { Command } from 'commander'
import { InvalidArgumentError } from 'commander'
import { newCommand, type SharedOptions, sharedOptionsOf } from '../shared-options.ts'
import { splitWords } from './command-words.ts'
import type { ReportForm } from './report-file.ts'

export const CHECK_MODES = ['dry-run', 'enforce', 'audit'] as const
export type CheckMode = (typeof CHECK_MODES)[number]

export interface CheckOptions {
  shared: SharedOptions
  mode: CheckMode
  catalogue: string | null
  activeFile: string | null
  coverageThreshold: number | null
  lagWarningSeconds: number | null
  lagCriticalSeconds: number | null
  maxRemediationAttempts: number
  /** Split into words. */
  escalationCommand: readonly string[] | null
  pushgatewayUrl: string | null
  skipMetrics: boolean
  out: ReportForm | null
  outDir: string | null
  waitMs: number
  ifTradingDay: boolean
}

export function checkCommand(): Command {
  return newCommand({
    name: 'check-feed-health',
    description: 'Asks the running daemon how healthy the feed is, and answers by exit code as monitoring plugins do.',
    exitCodes: ['0  OK', '1  WARNING', '2  CRITICAL', '3  UNKNOWN: no daemon, unreadable or empty input, bad usage'],
    examples: [
      'check-feed-health --profile live --json',
      'check-feed-health --mode enforce --escalation-command "page-me {marker}"',
    ],
  })
    .option(
      '--mode <mode>',
      'dry-run (look), enforce (mend what can be mended), audit (look and keep a report)',
      modeOf,
      'dry-run',
    )
    .option('--catalogue <file>', 'contracts expected, instead of those of the daemon')
    .option('--active-file <file>', 'contracts subscribed, instead of asking a daemon; needs --catalogue')
    .option(
      '--coverage-threshold <ratio>',
      'share that must be subscribed (default: of the configuration, 0.995)',
      ratioOf,
    )
    .option(
      '--lag-warning <seconds>',
      'silence of a contract that is a warning (default: of the configuration)',
      secondsOf,
    )
    .option(
      '--lag-critical <seconds>',
      'silence of a contract that is critical (default: of the configuration)',
      secondsOf,
    )
    .option('--max-remediation-attempts <n>', 'rounds of resubscribing in mode enforce', attemptsOf, 3)
    .option(
      '--escalation-command <cmd>',
      'run, without a shell, when enforcing did not help; {marker}, {exit_code} are replaced',
      wordsOf,
    )
    .option('--pushgateway-url <url>', 'push metrics there (default: PUSHGATEWAY_URL)', httpUrlOf)
    .option('--skip-metrics', 'push no metrics', false)
    .option('--out <form>', 'also write a report file: json or csv', formOf)
    .option('--out-dir <dir>', 'where report files go (default: <state-dir>/reports)')
    .option('--wait <seconds>', 'ask again for so long until the verdict is OK', secondsOf, 0)
    .option('--if-trading-day', 'on a day without trading: exit 0, outcome skipped', false)
}

/** Throws what commander throws on bad usage. */
export function checkOptionsOf(command: Command): CheckOptions {
  const given = command.opts<ParsedOptions>()
  if (given.activeFile !== undefined && given.catalogue === undefined) {
    command.error('error: --active-file needs --catalogue: without it nobody knows what should be there')
  }
  if ((given.lagWarning ?? 0) > (given.lagCritical ?? Number.POSITIVE_INFINITY)) {
    command.error('error: --lag-warning must not be longer than --lag-critical')
  }
  return {
    shared: sharedOptionsOf(command),
    mode: given.mode,
    catalogue: given.catalogue ?? null,
    activeFile: given.activeFile ?? null,
    coverageThreshold: given.coverageThreshold ?? null,
    lagWarningSeconds: given.lagWarning ?? null,
    lagCriticalSeconds: given.lagCritical ?? null,
    maxRemediationAttempts: given.maxRemediationAttempts,
    escalationCommand: given.escalationCommand ?? null,
    pushgatewayUrl: given.pushgatewayUrl ?? null,
    skipMetrics: given.skipMetrics,
    out: given.out ?? null,
    outDir: given.outDir ?? null,
    waitMs: given.wait * 1000,
    ifTradingDay: given.ifTradingDay,
  }
}

interface ParsedOptions {
  mode: CheckMode
  catalogue?: string
  activeFile?: string
  coverageThreshold?: number
  lagWarning?: number
  lagCritical?: number
  maxRemediationAttempts: number
  escalationCommand?: string[]
  pushgatewayUrl?: string
  skipMetrics: boolean
  out?: ReportForm
  outDir?: string
  wait: number
  ifTradingDay: boolean
}

function modeOf(text: string): CheckMode {
  const mode = CHECK_MODES.find((known) => known === text)
  if (mode === undefined) throw new InvalidArgumentError(`Expected one of ${CHECK_MODES.join(', ')}.`)
  return mode
}

function formOf(text: string): ReportForm {
  if (text !== 'json' && text !== 'csv') throw new InvalidArgumentError('Expected json or csv.')
  return text
}

function ratioOf(text: string): number {
  const value = numberOf(text)
  if (!(value > 0 && value <= 1)) throw new InvalidArgumentError('Expected a share above 0 and up to 1, such as 0.995.')
  return value
}

function secondsOf(text: string): number {
  const value = numberOf(text)
  if (!(value >= 0 && value <= 86_400)) throw new InvalidArgumentError('Expected seconds from 0 to 86400.')
  return value
}

function attemptsOf(text: string): number {
  const value = numberOf(text)
  if (!(Number.isInteger(value) && value >= 0 && value <= 100))
    throw new InvalidArgumentError('Expected a whole number from 0 to 100.')
  return value
}

function numberOf(text: string): number {
  return /^\d+(\.\d+)?$/.test(text) ? Number(text) : Number.NaN
}

function wordsOf(text: string): string[] {
  const words = splitWords(text)
  if (words === null) throw new InvalidArgumentError('A quote in it is not closed.')
  if (words.length === 0) throw new InvalidArgumentError('Expected a program and its arguments.')
  return words
}

function httpUrlOf(text: string): string {
  if (!URL.canParse(text) || !/^https?:$/.test(new URL(text).protocol)) {
    throw new InvalidArgumentError('Expected an http or https URL.')
  }
  return text
}
