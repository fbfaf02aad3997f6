/**
 * `full-feed-subscription catalogue refresh`: the contract list of the trading day, from a trading session of its own: once a day, one
 * login, within the budget and under the latches that the daemon keeps to. A list that suddenly got shorter is not taken.
 */
import { inspectLibrary } from '#adapters/feeds/ctp/build-record.ts'
import { type FetchedCatalogue, fetchCatalogue, VendorRefusal } from '#adapters/feeds/ctp/trading-session.ts'
import { openSecretStores } from '#adapters/secrets/resolve-secret.ts'
import {
  currentCataloguePath,
  datedCataloguePath,
  datedCatalogues,
  keepCatalogue,
  keepRefusedCatalogue,
  refusedCataloguePath,
} from '#adapters/state/catalogue-files.ts'
import { lockOwnerPid, takeLock } from '#adapters/state/run-lock.ts'
import { prepareStateDir } from '#adapters/state/state-dir.ts'
import { sleep, systemClock } from '#clock.ts'
import type { Config, LineConfig } from '#config/config.ts'
import { readCatalogue } from '#config/contract-files.ts'
import { loadCalendar } from '#config/parse-calendar.ts'
import { LineSecrets } from '#daemon/line-secrets.ts'
import { LoginPermits } from '#daemon/login-permits.ts'
import { accountOf, tradingSessionOf } from '#daemon/trading-session.ts'
import { contractsOf, isSuddenShrink, type LeftOut, listChanges } from '#domain/catalogue.ts'
import { Failure } from '#domain/failure.ts'
import { type FeedErrorKind, isFeedErrorKind } from '#domain/feed-error.ts'
import { formatVtSymbol } from '#domain/instrument.ts'
import { isoShanghai } from '#domain/iso-time.ts'
import type { Line } from '#domain/line.ts'
import { nextAttempt } from '#domain/retry.ts'
import { maskAccount } from '#domain/secret-ref.ts'
import { createMarketCalendar } from '#domain/session-calendar.ts'
import { EXIT } from '../exit-codes.ts'

export interface RefreshOptions {
  line: Line
  /** Also when this trading day has been refreshed already. */
  again: boolean
  /** Take a list that shrank. */
  force: boolean
  /** Let the running daemon read the new list. */
  reload: boolean
}

export interface RefreshReport {
  outcome: 'refreshed' | 'skipped' | 'shrunk'
  exit_code: number
  trading_day: string | null
  detail: string
  file?: string
  line?: Line
  account?: string
  total?: number
  previous_total?: number | null
  added?: number
  removed?: number
  left_out?: LeftOut
  /** How many products the front says are in which state now. */
  product_status?: Record<string, number>
  reloaded?: boolean
  warnings: string[]
}

interface Around {
  env: NodeJS.ProcessEnv
  signal: AbortSignal
  /** What an operator who waits should know. */
  say(text: string): void
  /** What the vendor's library says. */
  log(text: string): void
}

const clock = systemClock

/** @throws Failure; `exitCodeOfRefresh` has the exit code of its kind */
export async function refreshCatalogue(
  config: Config,
  options: RefreshOptions,
  around: Around,
): Promise<RefreshReport> {
  if (config.feed.adapter !== 'ctp') {
    const detail = `the ${config.feed.adapter} feed lists its contracts itself: nothing to refresh`
    return { outcome: 'skipped', exit_code: EXIT.done, trading_day: null, detail, warnings: [] }
  }
  const line = lineWithTradingFront(config, options.line)
  await prepareStateDir(config.stateDir)
  const lock = await takeLock(config.stateDir, 'catalogue', {
    pid: process.pid,
    command: 'full-feed-subscription catalogue refresh',
    since: isoShanghai(clock.wallMs()),
  })
  if (lock.kind === 'taken') {
    const by = lock.by === null ? '' : ` (pid ${lock.by.pid})`
    throw new Failure('catalogue-locked', `another refresh is under way${by}`, 'Wait for it; it ends by itself.')
  }
  try {
    return await refreshAlone(config, line, options, around)
  } finally {
    await lock.lock.release()
  }
}

function lineWithTradingFront(config: Config, name: Line): LineConfig {
  const line = config.feed[name]
  const prefix = `CTP_${name.toUpperCase()}`
  if (line === null) {
    throw new Failure('no-such-line', `there is no ${name} line`, `Set ${prefix}_*, or use the other line.`)
  }
  if (line.tdFronts.length > 0) return line
  throw new Failure(
    'no-trading-front',
    `the ${name} line has no trading front, so its contract list comes by file`,
    `Set ${prefix}_TD_ADDRESS with APP_ID and AUTH_CODE, or replace the catalogue file yourself (CATALOGUE_FILE).`,
  )
}

async function refreshAlone(
  config: Config,
  line: LineConfig,
  { again, force, reload }: RefreshOptions,
  around: Around,
): Promise<RefreshReport> {
  const today = tradingDayNow(config)
  const warnings: string[] = []
  if (today === null)
    warnings.push('the market calendar does not cover today, so the trading day is asked of the front')
  const dated = await datedCatalogues(config.stateDir)
  if (!again && today !== null && dated.some(({ tradingDay }) => tradingDay === today)) {
    const detail = 'this trading day has been refreshed already; --again does it once more'
    const file = datedCataloguePath(config.stateDir, today)
    return { outcome: 'skipped', exit_code: EXIT.done, trading_day: today, detail, file, warnings }
  }

  const fetched = await fetchWithPermit(config, line, around)
  const { contracts, leftOut } = contractsOf(fetched.rows)
  if (contracts.length === 0) {
    throw new Failure(
      'catalogue-empty',
      `the trading front listed ${fetched.rows.length} instruments, none of which can be subscribed`,
      'Refresh again later; the list in use stays as it is.',
    )
  }
  const tradingDay = /^\d{8}$/.test(fetched.tradingDay) ? fetched.tradingDay : (today ?? localDay())
  const text = fileText(config, line, { tradingDay, contracts })
  const previous = await namesIn(currentCataloguePath(config.stateDir))
  const names = contracts.map(({ symbol, exchange }) => formatVtSymbol(symbol, exchange))
  const changes = listChanges(previous ?? [], names)
  const facts = {
    trading_day: tradingDay,
    line: line.line,
    account: maskAccount(line.userId),
    total: names.length,
    previous_total: previous?.length ?? null,
    added: changes.added.length,
    removed: changes.removed.length,
    left_out: leftOut,
    product_status: countStatuses(fetched.statuses),
    warnings,
  }

  if (previous !== null && isSuddenShrink(previous.length, names.length)) {
    const shrank = `the list shrank from ${previous.length} to ${names.length} contracts`
    if (!force) {
      const file = refusedCataloguePath(config.stateDir)
      await keepRefusedCatalogue(config.stateDir, text)
      warnings.push(shrank)
      return { outcome: 'shrunk', exit_code: EXIT.notReady, detail: `${shrank}: the old list stays`, file, ...facts }
    }
    warnings.push(`${shrank}; taken by --force`)
  }
  await keepCatalogue(config.stateDir, tradingDay, text)
  const current = currentCataloguePath(config.stateDir)
  if (config.catalogue.file !== current) {
    warnings.push(`CATALOGUE_FILE names ${config.catalogue.file}, so the daemon does not read ${current}`)
  }
  const reloaded = reload && (await reloadDaemon(config.stateDir))
  return { outcome: 'refreshed', exit_code: EXIT.done, detail: current, file: current, ...facts, reloaded }
}

const STATUS_WORDS: Readonly<Record<string, string>> = {
  '0': 'before_open',
  '1': 'no_trading',
  '2': 'continuous',
  '3': 'auction_order_entry',
  '4': 'auction_balance',
  '5': 'auction_match',
  '6': 'closed',
  '7': 'processing',
}

/** Of each product the last one, since the front tells the whole day's. */
function countStatuses(statuses: FetchedCatalogue['statuses']): Record<string, number> {
  const latest = new Map(statuses.map(({ exchange, product, status }) => [`${exchange} ${product}`, status]))
  const counts: Record<string, number> = {}
  for (const status of latest.values()) {
    const word = STATUS_WORDS[status] ?? 'other'
    counts[word] = (counts[word] ?? 0) + 1
  }
  return counts
}

/** Null on a day that the calendar does not know. */
function tradingDayNow(config: Config): string | null {
  const parsed = loadCalendar(config.calendar.dir)
  if (!parsed.ok) return null
  const calendar = createMarketCalendar(parsed.data)
  const nowMs = clock.wallMs()
  return calendar.coverage(nowMs).covered ? String(calendar.tradingDayOf(nowMs)) : null
}

function localDay(): string {
  return isoShanghai(clock.wallMs()).slice(0, 10).replaceAll('-', '')
}

/** Null where there is no list yet, or none that can be read: then there is nothing to compare with. */
async function namesIn(path: string): Promise<string[] | null> {
  try {
    const { contracts } = await readCatalogue(path)
    return contracts.map(({ symbol, exchange }) => formatVtSymbol(symbol, exchange))
  } catch (error) {
    if (error instanceof Failure) return null
    throw error
  }
}

function fileText(
  config: Config,
  line: LineConfig,
  { tradingDay, contracts }: { tradingDay: string; contracts: readonly object[] },
): string {
  const head = {
    schema: 'feed-supervisor/catalogue-file/1',
    trading_day: tradingDay,
    generated_at: isoShanghai(clock.wallMs()),
    profile: config.profile,
    line: line.line,
  }
  // One contract a line, so that ordinary tools can compare two files.
  const rows = contracts.map((contract) => JSON.stringify(contract)).join(',\n')
  return `${JSON.stringify(head).slice(0, -1)},"symbols":[\n${rows}\n]}\n`
}

/** A window of the budget and a little more: by then it has room, unless the daemon needs it all. */
const BUDGET_WAIT_MS = 90_000

async function fetchWithPermit(
  config: Config,
  line: LineConfig,
  { env, signal, say, log }: Around,
): Promise<FetchedCatalogue> {
  const account = accountOf(line)
  const permits = new LoginPermits({
    stateDir: config.stateDir,
    clock,
    perMinute: config.pacing.loginPerMinute,
    onTrouble: say,
  })
  await permits.open([account])
  const { bridgePath, sdkLibDir } = config.feed
  await inspectLibrary('td', { bridgePath, sdkLibDir }, env, signal)
  const secrets = new LineSecrets(line, openSecretStores(config.secretStores, env, clock))
  const session = tradingSessionOf(config, line, { env, secrets, clock, log })
  // Before the permit: a secret store that is down must not use up the login budget.
  if (session.appId !== null) await session.authCode(signal)
  await session.password(signal)
  await awaitPermit(permits, { account, line: line.line, signal, say })
  try {
    return await fetchCatalogue(session, signal)
  } catch (error) {
    if (error instanceof Failure && isFeedErrorKind(error.kind)) {
      const next = nextAttempt(error.kind, 1, 0, 0)
      if (next.again === 'never' && next.latch) {
        const id = error instanceof VendorRefusal ? error.errorId : null
        await permits.latch(account, line.line, maskAccount(line.userId), error.message, id)
        throw latched(`${error.message} The account is latched.`, line.line, error)
      }
      throw new Failure(error.kind, error.message, REMEDY_HERE[error.kind] ?? error.remedy, error)
    }
    throw error
  }
}

const LATER = 'Refresh again in a few minutes; the list in use stays as it is.'
/** A daemon tries again by itself; a refresh is over, and whoever called it has to. */
const REMEDY_HERE: Partial<Record<FeedErrorKind, string>> = {
  'front-not-ready': 'Refresh again once the front is open; the list in use stays as it is.',
  'login-too-frequent': LATER,
  'duplicate-login': LATER,
  'login-timeout': `${LATER} A front that stays silent often means that the library does not fit it.`,
  'not-connected': LATER,
  disconnected: LATER,
  'query-not-ready': LATER,
  'query-timeout': LATER,
  'bridge-crashed': `${LATER} If it goes on, --verbose shows the bridge's own log.`,
  'bridge-hung': LATER,
  'flow-directory-busy': 'A login of this account to the trading front is under way: refresh again in a minute.',
  'host-exhausted': 'Raise the limits of open files and processes, or free memory, and refresh again.',
  'secret-unavailable': 'Check the secret reference and its store, and refresh again.',
}

async function awaitPermit(
  permits: LoginPermits,
  { account, line, signal, say }: { account: string; line: Line; signal: AbortSignal; say(text: string): void },
): Promise<void> {
  const deadlineMs = clock.monotonicMs() + BUDGET_WAIT_MS
  for (;;) {
    await permits.refresh()
    if (permits.isKilled) {
      const remedy = 'Once it may run again: start-live-env status --clear-latch kill --reason TEXT.'
      throw new Failure('killed', 'the kill latch is set, so nobody logs in', remedy)
    }
    if (permits.isLatched(account)) throw latched('the account is latched after a refused login', line)
    const waitMs = await permits.request(account)
    if (waitMs === 0) return
    if (clock.monotonicMs() + waitMs > deadlineMs) {
      const remedy = 'Refresh again once the daemon holds its lines, or raise RATE_LIMIT_LOGIN_PER_MINUTE.'
      throw new Failure('login-budget', 'the login budget of the account is used up', remedy)
    }
    say(`the login budget is used up; waiting ${Math.ceil(waitMs / 1000)} s`)
    await sleep(waitMs, signal)
  }
}

function latched(message: string, line: Line, cause?: unknown): Failure {
  const remedy = `Correct the cause, then run: start-live-env status --reason TEXT --clear-latch ${line}.`
  return new Failure('account-latched', message, remedy, cause)
}

/** The daemon is who holds its lock, by the kernel's own books; false when none runs. */
async function reloadDaemon(stateDir: string): Promise<boolean> {
  const pid = await lockOwnerPid(stateDir, 'daemon')
  if (pid === null) return false
  process.kill(pid, 'SIGHUP')
  return true
}

const CONFIGURATION_KINDS: readonly string[] = [
  'no-such-line',
  'no-trading-front',
  'bridge-unavailable',
  'secret-unavailable',
  'flow-directory-unusable',
  'protocol-fault',
  'wrong-library',
  'configuration-refused',
]

export function exitCodeOfRefresh(kind: string): number {
  if (kind === 'account-latched' || kind === 'killed') return EXIT.refused
  if (kind === 'catalogue-locked') return EXIT.locked
  if (CONFIGURATION_KINDS.includes(kind) || kind.startsWith('state-dir')) return EXIT.configuration
  return EXIT.notReady
}
