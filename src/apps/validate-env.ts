/**
 * Would a start find everything it needs? Reports every problem of configuration and surroundings at once, each with its remedy, and
 * touches nothing. See #config/load-config.ts for what is read and preflight.ts for what is checked.
 */
import { resolve } from 'node:path'
import { type CheckResult, runPreflight } from '#adapters/preflight/run-preflight.ts'
import { type Clock, systemClock } from '#clock.ts'
import type { ParsedConfig } from '#config/parse-config.ts'
import { type Problem, problemOf } from '#domain/failure.ts'
import { EXIT } from './exit-codes.ts'
import { loadAppConfig } from './load-app-config.ts'
import { preflightChecks } from './preflight.ts'
import { newCommand, outputFormOf, parseCommandLine, type SharedOptions, sharedOptionsOf } from './shared-options.ts'
import { openTerminal, type Terminal, wantsColor } from './terminal.ts'

interface ValidateOptions {
  readonly shared: SharedOptions
  readonly requireBackup: boolean
  readonly offline: boolean
}

interface ValidationReport {
  schema: 'feed-supervisor/validate-env/1'
  command: 'validate-env'
  outcome: 'valid' | 'invalid' | 'fault'
  exit_code: number
  profile: string
  checks: readonly CheckResult[]
  problems: readonly Problem[]
  warnings: readonly Problem[]
}

/** @returns the exit code: 0, 78, 64 after bad usage, 1 after a fault of ours */
export async function main(argv: readonly string[], env: NodeJS.ProcessEnv): Promise<number> {
  const command = newCommand({
    name: 'validate-env',
    description:
      'Report every problem of configuration and surroundings at once, each with its remedy. Changes nothing.',
    exitCodes: [
      '0   everything a start needs is there (there may be warnings)',
      '64  usage',
      '78  at least one problem',
    ],
    examples: ['validate-env --profile live --require-backup', 'validate-env --source .env.paper --offline --json'],
  })
  command
    .option('--source <file>', 'environment file to validate (the same as --env-file)')
    .option('--require-backup', 'a missing backup line is a problem', false)
    .option('--offline', 'no network checks', false)
  let chosen: ValidateOptions | null = null
  command.action((given: Record<string, unknown>) => {
    const shared = sharedOptionsOf(command)
    const source = given['source']
    if (typeof source === 'string' && shared.envFile !== undefined && resolve(source) !== resolve(shared.envFile)) {
      command.error('error: --source and --env-file name two files: give one of them')
    }
    chosen = {
      shared: typeof source === 'string' ? { ...shared, envFile: source } : shared,
      requireBackup: given['requireBackup'] === true,
      offline: given['offline'] === true,
    }
  })
  const ended = await parseCommandLine(command, argv)
  if (ended !== null || chosen === null) return ended ?? EXIT.usage
  return validate(chosen, env, systemClock)
}

async function validate(options: ValidateOptions, env: NodeJS.ProcessEnv, clock: Clock): Promise<number> {
  const output = process.stdout
  const { json, quiet } = options.shared
  const form = outputFormOf({ json }, output.isTTY === true)
  const terminal = openTerminal({ form, output, quiet, color: wantsColor(env, output), clock })
  const report = await reportOn(options, env, clock).catch((error: unknown) => faultReport(options, error))
  for (const { name, result, duration_ms, detail } of report.checks) {
    terminal.step({ name, outcome: result, duration_ms, detail })
  }
  tellPerson(terminal, report, quiet)
  terminal.result(report)
  return report.exit_code
}

async function reportOn(options: ValidateOptions, env: NodeJS.ProcessEnv, clock: Clock): Promise<ValidationReport> {
  const startedMs = clock.monotonicMs()
  const parsed = await loadAppConfig(options.shared, env, { requireBackup: options.requireBackup })
  const parsing = { startedMs, endedMs: clock.monotonicMs() }
  const draft = parsed.ok ? { config: parsed.config, doubtful: new Set<never>() } : parsed.draft
  const checks =
    draft === null
      ? []
      : await runPreflight(
          preflightChecks(draft.config, { ...options, stateDir: 'inspect', env, clock, doubtful: draft.doubtful }),
          clock,
        )
  const failures = checks.filter(({ result }) => result === 'failed').map(problemOfCheck)
  const problems = [...(parsed.ok ? [] : parsed.problems), ...failures]
  return {
    schema: 'feed-supervisor/validate-env/1',
    command: 'validate-env',
    outcome: problems.length === 0 ? 'valid' : 'invalid',
    exit_code: problems.length === 0 ? EXIT.done : EXIT.configuration,
    profile: parsed.ok ? parsed.config.profile : parsed.profile,
    checks: [configurationCheck(parsed, parsing), envFileCheck(parsed), ...checks],
    problems,
    warnings: [...parsed.warnings, ...checks.filter(({ result }) => result === 'warning').map(problemOfCheck)],
  }
}

function configurationCheck(
  parsed: ParsedConfig,
  { startedMs, endedMs }: { startedMs: number; endedMs: number },
): CheckResult {
  const count = parsed.ok ? 0 : parsed.problems.length
  const warnings = parsed.warnings.length
  return {
    name: 'configuration',
    result: count > 0 ? 'failed' : warnings > 0 ? 'warning' : 'ok',
    detail: `${numbered(count, 'problem')}, ${numbered(warnings, 'warning')}`,
    remedy: count > 0 ? 'Correct what is listed under problems.' : null,
    duration_ms: Math.round(endedMs - startedMs),
  }
}

/** A row of its own in the list; the finding itself is among the configuration's problems or warnings already. */
function envFileCheck(parsed: ParsedConfig): CheckResult {
  const row = { name: 'env-file', duration_ms: 0 }
  const broken = parsed.ok ? undefined : parsed.problems.find(({ name }) => name.startsWith('env-file'))
  const unwise = parsed.warnings.find(({ name }) => name.startsWith('env-file'))
  if (broken !== undefined) return { ...row, result: 'failed', detail: broken.message, remedy: broken.remedy }
  if (unwise !== undefined) return { ...row, result: 'warning', detail: unwise.message, remedy: unwise.remedy }
  const path = parsed.ok ? parsed.config.envFile : (parsed.draft?.config.envFile ?? null)
  if (path === null) return { ...row, result: 'skipped', detail: 'no env file is read', remedy: null }
  return { ...row, result: 'ok', detail: `${path} is private`, remedy: null }
}

function numbered(count: number, noun: string): string {
  return `${count === 0 ? 'no' : count} ${noun}${count === 1 ? '' : 's'}`
}

function problemOfCheck({ name, detail, remedy }: CheckResult): Problem {
  return { name, message: detail, remedy: remedy ?? '' }
}

function faultReport(options: ValidateOptions, error: unknown): ValidationReport {
  return {
    schema: 'feed-supervisor/validate-env/1',
    command: 'validate-env',
    outcome: 'fault',
    exit_code: EXIT.fault,
    profile: options.shared.profile ?? 'sim',
    checks: [],
    problems: [problemOf(error)],
    warnings: [],
  }
}

function tellPerson(terminal: Terminal, report: ValidationReport, quiet: boolean): void {
  for (const { name, message, remedy } of report.problems) {
    terminal.say(`${terminal.paint('bad', name)}: ${message}\n  -> ${remedy}`)
  }
  if (!quiet) {
    for (const { name, message, remedy } of report.warnings) {
      terminal.say(`${terminal.paint('caution', name)}: ${message}\n  -> ${remedy}`)
    }
  }
  const { problems, warnings, profile } = report
  const summary = `profile ${profile}: ${numbered(problems.length, 'problem')}, ${numbered(warnings.length, 'warning')}`
  if (!quiet || problems.length > 0) terminal.say(terminal.paint(problems.length === 0 ? 'good' : 'bad', summary))
}
