/**
 * Health by another list than the daemon's own: judged by the daemon, or, where a second file says what is subscribed, here. Without a
 * daemon's evidence only the age of a last tick can accuse a contract, and what a file says is true of the moment it was made, so an old
 * one cannot make anything OK.
 */
import type { ControlClient, HealthQuestion } from '#adapters/control/control-client.ts'
import type { TransmittedHealth } from '#adapters/control/parse-answers.ts'
import { type ActiveContract, readActiveFile, readCatalogue } from '#config/contract-files.ts'
import { type ContractEvidence, joinContracts } from '#domain/contract-facts.ts'
import { DEFAULT_HEALTH_THRESHOLDS, type HealthThresholds, judgeHealth } from '#domain/health.ts'
import { productOfInstrument } from '#domain/instrument.ts'
import { isoShanghai } from '#domain/iso-time.ts'
import type { MarketCalendar, SessionState } from '#domain/session-calendar.ts'
import type { QuickSettings } from '../quick-settings.ts'
import { marketCalendarOf, marketTimeOf } from '../trading-window.ts'
import type { CheckOptions } from './options.ts'
import { NO_REMEDIATION } from './report.ts'

export interface OfflineQuestion {
  options: CheckOptions
  catalogue: string
  activeFile: string
  settings: Pick<QuickSettings, 'profile' | 'market' | 'coverageThreshold'>
  nowMs: number
}

/** @throws Failure for a file that is missing, malformed or empty */
export async function judgeOffline(question: OfflineQuestion): Promise<TransmittedHealth> {
  const { options, settings, nowMs } = question
  const catalogue = await readCatalogue(question.catalogue)
  const active = await readActiveFile(question.activeFile)
  const calendar = marketCalendarOf(settings.market)
  const atMs = active.generatedAtMs ?? nowMs
  const marketMs = marketTimeOf(settings.market, atMs)
  const thresholds = thresholdsOf(options, settings)
  const sessionState = calendar.marketState(marketMs)
  const tradingDay = calendar.tradingDayOf(marketMs)
  const span = calendar.windowAt(marketMs)
  const verdict = judgeHealth({
    // Lists are all there is to judge, so they are judged in closed hours too, as leniently as in a break.
    sessionState: sessionState === 'closed' || sessionState === 'holiday' ? 'break' : sessionState,
    tradingDay,
    contracts: joinContracts(
      catalogue.contracts,
      evidenceOf(active.subscriptions, { calendar, atMs, marketMs }, thresholds),
    ),
    daemon: 'offline',
    failures: [],
    thresholds,
  })
  const report: TransmittedHealth = {
    schema: 'feed-supervisor/health/1',
    generated_at: isoShanghai(nowMs),
    mode: options.mode,
    profile: settings.profile,
    window: span.window,
    trading_day: String(span.tradingDay),
    ...verdict,
    session_state: sessionState,
    lines: { primary: null, backup: null },
    throughput_mps: 0,
    latency_ms_p99: null,
    bus: { kind: 'none', backlog: 0, connected: false },
    remediation: NO_REMEDIATION,
  }
  report.warnings = [...report.warnings, ...warningOfDuplicates([...catalogue.duplicates, ...active.duplicates])]
  return doubtAge(report, nowMs - atMs, thresholds)
}

/** What the daemon says when it goes by another list than its own. @throws Failure as for files, and without a daemon */
export async function judgeByCatalogue(
  control: ControlClient,
  question: HealthQuestion,
  path: string,
): Promise<TransmittedHealth> {
  const { contracts, duplicates } = await readCatalogue(path)
  const report = await control.health({ ...question, catalogue: contracts })
  return { ...report, warnings: [...report.warnings, ...warningOfDuplicates(duplicates)] }
}

function warningOfDuplicates(duplicates: readonly string[]): string[] {
  return duplicates.length === 0 ? [] : [`Listed more than once: ${duplicates.join(', ')}.`]
}

function thresholdsOf(options: CheckOptions, settings: Pick<QuickSettings, 'coverageThreshold'>): HealthThresholds {
  const coverageThreshold = options.coverageThreshold ?? settings.coverageThreshold
  const { lagWarningSeconds, lagCriticalSeconds } = options
  return {
    ...DEFAULT_HEALTH_THRESHOLDS,
    ...(coverageThreshold !== null && { coverageThreshold }),
    ...(lagWarningSeconds !== null && { lagWarningMs: lagWarningSeconds * 1000 }),
    ...(lagCriticalSeconds !== null && { lagCriticalMs: lagCriticalSeconds * 1000 }),
  }
}

function evidenceOf(
  active: readonly ActiveContract[],
  { calendar, atMs, marketMs }: { calendar: MarketCalendar; atMs: number; marketMs: number },
  { lagCriticalMs }: HealthThresholds,
): ContractEvidence[] {
  const states = new Map<string, { sessionState: SessionState; inStateForMs: number }>()
  const stateOf = (exchange: string, product: string) => {
    const key = `${product}.${exchange}`
    const known = states.get(key) ?? stateFor(calendar, exchange, product, marketMs, lagCriticalMs)
    states.set(key, known)
    return known
  }
  return active.map(({ symbol, exchange, lastTickMs }) => ({
    symbol,
    exchange,
    lines: {
      primary: {
        listed: true,
        subscribed: true,
        refused: false,
        lastTickAgeMs: lastTickMs === null ? null : Math.max(0, atMs - lastTickMs),
        missedTicks: null,
      },
      backup: null,
    },
    ...stateOf(exchange, productOfInstrument(symbol)),
    expectedGapMs: null,
    tickEvidence: lastTickMs === null ? 'none' : 'age',
  }))
}

const LOOK_BACK_STEP_MS = 60_000

/** How long a product has been in its state, to the minute and no further back than it matters. */
function stateFor(calendar: MarketCalendar, exchange: string, product: string, atMs: number, atMostMs: number) {
  const sessionState = calendar.productState(exchange, product, atMs)
  let inStateForMs = 0
  while (inStateForMs <= atMostMs) {
    if (calendar.productState(exchange, product, atMs - inStateForMs - LOOK_BACK_STEP_MS) !== sessionState) break
    inStateForMs += LOOK_BACK_STEP_MS
  }
  return { sessionState, inStateForMs }
}

function doubtAge(report: TransmittedHealth, ageMs: number, { lagCriticalMs }: HealthThresholds): TransmittedHealth {
  if (ageMs <= lagCriticalMs) return report
  const warnings = [...report.warnings, `The active file was made ${Math.round(ageMs / 60_000)} minutes ago.`]
  if (report.verdict !== 'OK') return { ...report, warnings }
  return { ...report, warnings, verdict: 'WARNING', exit_code: 1 }
}
