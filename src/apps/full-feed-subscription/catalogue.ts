/**
 * `full-feed-subscription catalogue`: what to subscribe. `refresh` fetches the day's list, `show` tells the list in use or one of the
 * files, `diff` what changed since the trading day before or against a file.
 */
import { controlClient, isNotRunning } from '#adapters/control/control-client.ts'
import { currentCataloguePath, datedCataloguePath, datedCatalogues } from '#adapters/state/catalogue-files.ts'
import { readCatalogue } from '#config/contract-files.ts'
import { listChanges } from '#domain/catalogue.ts'
import { Failure, type Problem, problemOf } from '#domain/failure.ts'
import { formatVtSymbol } from '#domain/instrument.ts'
import { EXIT } from '../exit-codes.ts'
import { quickSettings } from '../quick-settings.ts'
import type { SharedOptions } from '../shared-options.ts'
import type { RefreshOptions, RefreshReport } from './refresh-catalogue.ts'

interface CatalogueRequest extends RefreshOptions {
  action: 'refresh' | 'show' | 'diff'
  /** A contract list, or a trading day (yyyymmdd) whose list was kept. */
  file: string | undefined
}

export async function catalogue(
  shared: SharedOptions,
  env: NodeJS.ProcessEnv,
  request: CatalogueRequest,
): Promise<number> {
  if (request.action === 'refresh') return refresh(shared, env, request)
  try {
    const places = await quickSettings(shared, env, process.cwd())
    if (request.action === 'show') await show(shared, places, request.file)
    else await diff(shared, places, request.file)
    return EXIT.done
  } catch (error) {
    if (!(error instanceof Failure)) throw error
    const problem = problemOf(error)
    const exitCode = /^(contract|env-file|no-catalogue)/.test(problem.name) ? EXIT.configuration : EXIT.notReady
    return refuse(shared, request.action, { exitCode, outcome: problem.name, problems: [problem] })
  }
}

interface Places {
  stateDir: string
  controlSocket: string
}

interface List {
  /** Where it comes from, for people. */
  source: string
  names: string[]
}

async function show(shared: SharedOptions, places: Places, file: string | undefined): Promise<void> {
  const { source, names } = file === undefined ? await listInUse(places) : await listOf(places, file)
  print(shared, { action: 'show', source, total: names.length, contracts: names }, names)
}

async function diff(shared: SharedOptions, places: Places, file: string | undefined): Promise<void> {
  const [before, after] =
    file === undefined ? await lastTwo(places) : [await listInUse(places), await listOf(places, file)]
  const { added, removed } = listChanges(before.names, after.names)
  print(shared, { action: 'diff', before: before.source, after: after.source, added, removed }, [
    ...added.map((name) => `+ ${name}`),
    ...removed.map((name) => `- ${name}`),
  ])
}

/** The running daemon's list; without a daemon, the one that it would read. */
async function listInUse({ stateDir, controlSocket }: Places): Promise<List> {
  try {
    const { subscriptions } = await controlClient({ socketPath: controlSocket }).subscriptions()
    return { source: 'the running daemon', names: namesOf(subscriptions) }
  } catch (error) {
    if (!isNotRunning(error)) throw error
    const path = currentCataloguePath(stateDir)
    return readList(path).catch((unread: unknown) => {
      // Neither is there: that no daemon runs is then what to tell.
      throw unread instanceof Failure && unread.kind === 'contract-file-missing' ? error : unread
    })
  }
}

function listOf({ stateDir }: Places, file: string): Promise<List> {
  return readList(/^\d{8}$/.test(file) ? datedCataloguePath(stateDir, file) : file)
}

async function lastTwo({ stateDir }: Places): Promise<[List, List]> {
  const [newest, older] = await datedCatalogues(stateDir)
  if (newest === undefined || older === undefined) {
    throw new Failure(
      'no-catalogue',
      `${stateDir} keeps the lists of ${newest === undefined ? 'no trading day' : 'one trading day'}, two are needed`,
      'Run full-feed-subscription catalogue refresh on two trading days, or name a contract list (JSON or CSV).',
    )
  }
  return [await readList(older.path), await readList(newest.path)]
}

async function readList(path: string): Promise<List> {
  const { contracts } = await readCatalogue(path)
  return { source: path, names: namesOf(contracts) }
}

function namesOf(contracts: readonly { symbol: string; exchange: string }[]): string[] {
  return contracts.map(({ symbol, exchange }) => formatVtSymbol(symbol, exchange)).sort()
}

async function refresh(shared: SharedOptions, env: NodeJS.ProcessEnv, options: RefreshOptions): Promise<number> {
  // Only this action needs the whole configuration and a bridge, and the others should answer at once.
  const { exitCodeOfRefresh, refreshCatalogue } = await import('./refresh-catalogue.ts')
  const { loadAppConfig } = await import('../load-app-config.ts')
  const parsed = await loadAppConfig(shared, env)
  if (!parsed.ok) {
    const { problems } = parsed
    return refuse(shared, 'refresh', { exitCode: EXIT.configuration, outcome: 'refused', problems })
  }
  const stop = new AbortController()
  const onSignal = () => stop.abort(new Failure('aborted', 'stopped by a signal', 'Refresh again.'))
  process.on('SIGTERM', onSignal)
  process.on('SIGINT', onSignal)
  try {
    const say = (text: string) => process.stderr.write(`${text}\n`)
    const around = { env, signal: stop.signal, say, log: (text: string) => shared.verbose && say(text) }
    const report = await refreshCatalogue(parsed.config, options, around)
    tell(shared, report)
    return report.exit_code
  } catch (error) {
    if (!(error instanceof Failure)) throw error
    const exitCode = exitCodeOfRefresh(error.kind)
    return refuse(shared, 'refresh', { exitCode, outcome: error.kind, problems: [problemOf(error)] })
  } finally {
    process.off('SIGTERM', onSignal)
    process.off('SIGINT', onSignal)
  }
}

function tell(shared: SharedOptions, report: RefreshReport): void {
  for (const warning of report.warnings) process.stderr.write(`warning: ${warning}\n`)
  if (report.outcome === 'shrunk') {
    const remedy = `catalogue diff ${report.file} tells what is missing; --force takes the list all the same`
    process.stderr.write(`  -> ${remedy}\n`)
  }
  const { outcome, detail, total, added, removed, trading_day } = report
  const counts = total === undefined ? '' : `: ${total} contracts, ${added} came and ${removed} went`
  const lines = [`${outcome}${trading_day === null ? '' : ` ${trading_day}`}${counts}; ${detail}`]
  if (outcome === 'refreshed' && report.reloaded !== true) {
    lines.push('A running daemon reads it at its next start, or now with --reload (or SIGHUP).')
  }
  print(shared, { action: 'refresh', ...report }, shared.quiet ? [] : lines)
}

function refuse(
  shared: SharedOptions,
  action: string,
  { exitCode, outcome, problems }: { exitCode: number; outcome: string; problems: readonly Problem[] },
): number {
  for (const { name, message, remedy } of problems) process.stderr.write(`${name}: ${message}\n  -> ${remedy}\n`)
  if (shared.json) print(shared, { action, outcome, exit_code: exitCode, problems }, [])
  return exitCode
}

function print(shared: SharedOptions, report: object, lines: readonly string[]): void {
  if (shared.json) {
    process.stdout.write(
      `${JSON.stringify({ schema: 'feed-supervisor/catalogue/1', command: 'catalogue', exit_code: 0, ...report })}\n`,
    )
    return
  }
  process.stdout.write(lines.map((line) => `${line}\n`).join(''))
}
