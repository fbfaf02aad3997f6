/**
 * The health verdict: evidence about daemon, lines and contracts in, the fields of the report out. Nothing is OK without evidence: an
 * empty catalogue, no daemon, or evidence that could not be had is UNKNOWN. A warning makes the verdict WARNING, an error CRITICAL.
 *
 * In continuous trading everything is judged. In an auction or a break no tick is owed; in a break fronts restart as well, so missing
 * subscriptions only warn. When closed, the verdict is about daemon, journal and whether the lines may log in at all.
 *
 * A whole market has 25,000 contracts and the daemon judges them between two ticks, so each contract is looked at once and only those
 * that something is to be said of are remembered.
 */
import { unreachable } from './assert.ts'
import type { ContractFacts, ContractOnLine } from './contract-facts.ts'
import { LINES, type Line, otherLine } from './line.ts'
import { isListedOn } from './listing-period.ts'
import { FAULT_OF_REASON, PULSE_SENTENCES, type PulseReason } from './liveness.ts'
import type { SessionState } from './session-calendar.ts'
import type { FeedState, LineState } from './status.ts'

export interface HealthThresholds {
  coverageThreshold: number
  lagWarningMs: number
  lagCriticalMs: number
  /** A contract is late when it is silent for this many of its expected gaps, and for `lagWarningMs`. */
  gapFactor: number
  /** A contract with a longer expected gap is not liquid: its silence proves nothing. */
  liquidGapMs: number
  /** News of the other line that this line must have missed before the other's ticks accuse it: single ticks do get lost. */
  missedTicksMin: number
}

export const DEFAULT_HEALTH_THRESHOLDS: HealthThresholds = {
  coverageThreshold: 0.995,
  // The longest hole of a liquid contract in the recorded days is 42 s.
  lagWarningMs: 60_000,
  lagCriticalMs: 300_000,
  gapFactor: 20,
  liquidGapMs: 5_000,
  missedTicksMin: 3,
}

export interface LineFacts {
  state: LineState
  pulseReason: PulseReason
  /** Ticks that its bridge had to drop because this daemon read too late, and how long ago the last of them; null when there are none. */
  dropped?: { ticks: number; agoMs: number } | null
}

/** What the daemon says of itself. */
export interface DaemonFacts {
  journal: 'writing' | 'failing'
  /** Why it fails, in sentences. */
  journalTrouble?: string | null
  bus: { kind: 'none' | 'nats'; connected: boolean }
  lines: Readonly<Record<Line, LineFacts | null>>
  serving: Line
  /** The line that the configuration names first. */
  preferred: Line
  feedState: FeedState
  automation: 'automatic' | 'paused' | 'flap-latched'
}

export interface HealthInput {
  sessionState: SessionState
  tradingDay: number
  /** Read one after the other and not kept, so that the same object may come again and again with other facts. */
  contracts: Iterable<ContractFacts>
  /** `offline`: catalogue and active file were given, so no daemon is asked for. `absent`: none answered. */
  daemon: DaemonFacts | 'offline' | 'absent'
  /** Evidence that was asked for and could not be had, one sentence each. */
  failures: readonly string[]
  thresholds: HealthThresholds
}

export type Verdict = 'OK' | 'WARNING' | 'CRITICAL' | 'UNKNOWN'
export type Severity = 'warning' | 'critical'

/** Why a contract counts as stalled. */
export type StallEvidence = 'other-line' | 'expected-gap' | 'last-tick-age'

export interface StalledContract {
  symbol: string
  exchange: string
  line: Line
  lag_seconds: number | null
  severity: Severity
  evidence: StallEvidence
}

/** The fields of the report that are judgement; names are outside behaviour. Contracts are spelled `symbol.EXCHANGE`. */
export interface HealthVerdict {
  session_state: SessionState
  serving_line: Line | null
  verdict: Verdict
  exit_code: 0 | 1 | 2 | 3
  /** Null when nothing is expected. */
  coverage_ratio: number | null
  tick_coverage_ratio: number | null
  expected_total: number
  subscribed_total: number
  ticked_total: number
  missing_contracts: string[]
  refused_contracts: string[]
  stalled_contracts: StalledContract[]
  single_line_contracts: string[]
  unexpected_contracts: string[]
  ignored_contracts: string[]
  warnings: string[]
  errors: string[]
}

export const EXIT_CODE_OF_VERDICT = { OK: 0, WARNING: 1, CRITICAL: 2, UNKNOWN: 3 } as const satisfies Record<
  Verdict,
  number
>

/** Facts by weight; the heaviest names the verdict. */
interface Findings {
  warnings: string[]
  errors: string[]
  unknowns: string[]
}

export function judgeHealth(input: HealthInput): HealthVerdict {
  const serving = typeof input.daemon === 'string' ? 'primary' : input.daemon.serving
  const contracts = sortContracts(input, serving)
  const findings: Findings = { warnings: [], errors: [], unknowns: [...input.failures] }
  judgeDaemon(input, findings)
  judgeCoverage(input, contracts, findings)
  judgeStalls(contracts.stalled, findings)

  const verdict = verdictOf(findings)
  const { expected, missing, refused, ticked } = contracts
  const subscribedTotal = expected - missing.length - refused.length
  return {
    session_state: input.sessionState,
    serving_line: typeof input.daemon === 'string' ? null : serving,
    verdict,
    exit_code: EXIT_CODE_OF_VERDICT[verdict],
    coverage_ratio: expected === 0 ? null : subscribedTotal / expected,
    tick_coverage_ratio: expected === 0 ? null : ticked / expected,
    expected_total: expected,
    subscribed_total: subscribedTotal,
    ticked_total: ticked,
    missing_contracts: missing,
    refused_contracts: refused,
    stalled_contracts: contracts.stalled,
    single_line_contracts: contracts.singleLine,
    unexpected_contracts: contracts.unexpected,
    ignored_contracts: contracts.ignored,
    warnings: findings.warnings,
    errors: [...findings.errors, ...findings.unknowns],
  }
}

/** What is proven bad outweighs what is not known; what is not known outweighs what is proven good. */
function verdictOf({ warnings, errors, unknowns }: Findings): Verdict {
  if (errors.length > 0) return 'CRITICAL'
  if (unknowns.length > 0) return 'UNKNOWN'
  return warnings.length > 0 ? 'WARNING' : 'OK'
}

/** Numbers, and the names of those that the report tells. */
interface SortedContracts {
  /** On the serving line's list, or on nobody's; listed at the exchange today. */
  expected: number
  ticked: number
  missing: string[]
  /** How many of the missing ones are listed only since today. */
  missingNewcomers: number
  refused: string[]
  ignored: string[]
  unexpected: string[]
  singleLine: string[]
  stalled: StalledContract[]
}

function sortContracts(input: HealthInput, serving: Line): SortedContracts {
  const sorted: SortedContracts = {
    expected: 0,
    ticked: 0,
    missing: [],
    missingNewcomers: 0,
    refused: [],
    ignored: [],
    unexpected: [],
    singleLine: [],
    stalled: [],
  }
  for (const contract of input.contracts) sortContract(contract, sorted, input, serving)
  return sorted
}

function sortContract(contract: ContractFacts, sorted: SortedContracts, input: HealthInput, serving: Line): void {
  const { listing, lines } = contract
  if (isOnOneListOfTwo(contract)) sorted.singleLine.push(nameOf(contract))
  if (listing === null) {
    if (isCarried(contract)) sorted.unexpected.push(nameOf(contract))
    return
  }
  const here = lines[serving]
  const isSubscribed = here?.subscribed === true
  const isLastDay = listing.expiryDay === input.tradingDay
  // On its last day a contract may leave the front at any time, so it is expected for as long as it is subscribed.
  if (!isListedOn(listing, input.tradingDay) || (isLastDay && !isSubscribed)) {
    sorted.ignored.push(nameOf(contract))
    return
  }
  if (here?.listed !== true && contract.isDemanded !== true && isListedAnywhere(contract)) return
  sorted.expected++
  if (here !== null && ticksNow(contract, here, input)) sorted.ticked++
  if (!isSubscribed && here?.refused === true) sorted.refused.push(nameOf(contract))
  else if (!isSubscribed) {
    sorted.missing.push(nameOf(contract))
    if (listing.openDay === input.tradingDay) sorted.missingNewcomers++
  }
  if (input.sessionState === 'open' && !isLastDay) findStalls(contract, sorted.stalled, input.thresholds, serving)
}

function ticksNow(contract: ContractFacts, here: ContractOnLine, { daemon, thresholds }: HealthInput): boolean {
  const { sessionState, expectedGapMs } = contract
  const delivers = typeof daemon === 'string' || deliversTicks(daemon)
  return isTicking(
    { isOpen: sessionState === 'open', delivers, lastTickAgeMs: here.lastTickAgeMs, expectedGapMs },
    thresholds,
  )
}

export interface TickingFacts {
  isOpen: boolean
  /** Whether the feed delivers anything at all. */
  delivers: boolean
  /** Null when it brought no tick in this trading day. */
  lastTickAgeMs: number | null
  expectedGapMs: number | null
}

/**
 * Does the contract tick? It did in this trading day; and while it trades, its last tick is no older than its usual gap explains. A quiet
 * contract's silence proves nothing, but a feed that delivers nothing has no contract that ticks.
 */
export function isTicking(
  facts: TickingFacts,
  thresholds: Pick<HealthThresholds, 'lagWarningMs' | 'gapFactor'>,
): boolean {
  const { isOpen, delivers, lastTickAgeMs, expectedGapMs } = facts
  if (lastTickAgeMs === null) return false
  if (!isOpen) return true
  if (!delivers) return false
  const gapMs = expectedGapMs ?? Number.POSITIVE_INFINITY
  return lastTickAgeMs < Math.max(thresholds.lagWarningMs, gapMs * thresholds.gapFactor)
}

export function deliversTicks({ feedState, lines }: Pick<DaemonFacts, 'feedState' | 'lines'>): boolean {
  const isSilent = (line: Line) => lines[line] === null || lines[line].pulseReason === 'market-silent-on-both'
  return feedState !== 'GAP' && feedState !== 'KILLED' && !(isSilent('primary') && isSilent('backup'))
}

function isCarried({ lines }: ContractFacts): boolean {
  return lines.primary?.subscribed === true || lines.backup?.subscribed === true
}

function isListedAnywhere({ lines }: ContractFacts): boolean {
  return lines.primary?.listed === true || lines.backup?.listed === true
}

function isOnOneListOfTwo({ lines: { primary, backup } }: ContractFacts): boolean {
  return primary !== null && backup !== null && primary.listed !== backup.listed
}

function nameOf({ symbol, exchange }: ContractFacts): string {
  return `${symbol}.${exchange}`
}

function judgeDaemon({ daemon, sessionState }: HealthInput, findings: Findings): void {
  if (daemon === 'offline') return
  if (daemon === 'absent') {
    findings.unknowns.push('No daemon answers on the control socket.')
    return
  }
  if (daemon.journal === 'failing') findings.errors.push(daemon.journalTrouble ?? 'The journal cannot be written.')
  if (daemon.bus.kind !== 'none' && !daemon.bus.connected) {
    findings.warnings.push('The bus is not connected; ticks wait in the journal.')
  }
  if (daemon.automation === 'paused') findings.warnings.push('Automatic failover is paused.')
  if (daemon.automation === 'flap-latched') {
    findings.warnings.push('Automatic failover is latched after too many switches; resume it when the lines are calm.')
  }
  if (daemon.serving !== daemon.preferred) {
    findings.warnings.push(`The ${daemon.serving} line serves instead of the ${daemon.preferred} line.`)
  }
  judgeFeedState(daemon.feedState, findings)
  judgeLines(daemon, sessionState, findings)
  judgeDrops(daemon, findings)
}

/** What was dropped an hour ago is for the log; what was dropped just now may be dropped again. */
const DROPS_TOLD_FOR_MS = 600_000

function judgeDrops({ lines }: DaemonFacts, findings: Findings): void {
  for (const line of LINES) {
    const dropped = lines[line]?.dropped ?? null
    if (dropped === null || dropped.agoMs > DROPS_TOLD_FOR_MS) continue
    findings.warnings.push(
      `${line}: its bridge had to drop ticks because they were read too late: ${dropped.ticks} so far, the last ones ${Math.round(dropped.agoMs / 1_000)} s ago.`,
    )
  }
}

function judgeFeedState(feedState: FeedState, findings: Findings): void {
  switch (feedState) {
    case 'KILLED':
      findings.errors.push('The feed is cut by the kill switch.')
      return
    case 'GAP':
      findings.errors.push('Neither line delivers.')
      return
    case 'SUSPECT':
      findings.warnings.push('The serving line is in doubt.')
      return
    case 'ACTIVE':
    case 'SWITCHED':
    case 'CLOSED':
      return
    default:
      unreachable(feedState)
  }
}

/** One line that can't be used is a warning while another can; two are critical. A line that rests outside trading is in order. */
function judgeLines({ lines }: DaemonFacts, sessionState: SessionState, findings: Findings): void {
  const isBroken = (line: Line): boolean => {
    const facts = lines[line]
    if (facts === null) return false
    if (facts.state === 'latched' || facts.state === 'failed') return true
    const fault = FAULT_OF_REASON[facts.pulseReason]
    if (sessionState === 'closed' || sessionState === 'holiday') return facts.pulseReason === 'bridge-silent'
    return fault === 'dead' || fault === 'impaired'
  }
  const isUseless = (line: Line): boolean => {
    const facts = lines[line]
    return facts === null || (isBroken(line) && FAULT_OF_REASON[facts.pulseReason] !== 'impaired')
  }
  if (sessionState === 'open' && LINES.every((line) => lines[line]?.pulseReason === 'market-silent-on-both')) {
    findings.warnings.push(PULSE_SENTENCES['market-silent-on-both'])
  }
  for (const line of LINES.filter(isBroken)) {
    const { pulseReason = 'failed' } = lines[line] ?? {}
    const sentence = `${line}: ${PULSE_SENTENCES[pulseReason]}`
    if (isUseless(line) && isUseless(otherLine(line))) findings.errors.push(sentence)
    else findings.warnings.push(sentence)
  }
}

function judgeCoverage(
  { sessionState, thresholds }: HealthInput,
  contracts: SortedContracts,
  findings: Findings,
): void {
  const { expected, missing, missingNewcomers, refused } = contracts
  if (expected === 0) {
    findings.unknowns.push('The catalogue holds no contract that should be subscribed now.')
    return
  }
  if (sessionState === 'closed' || sessionState === 'holiday') return
  // A contract listed today may reach a front late; it warns, but is no reason to wake anybody.
  const judged = expected - missingNewcomers
  const lacking = missing.length - missingNewcomers + refused.length
  if (judged > 0 && (judged - lacking) / judged < thresholds.coverageThreshold) {
    const sentence = `${lacking} of ${judged} contracts are not subscribed; the threshold is ${thresholds.coverageThreshold}.`
    // In a break the front may just be restarting.
    if (sessionState === 'break') findings.warnings.push(sentence)
    else findings.errors.push(sentence)
  } else if (missing.length > missingNewcomers) {
    findings.warnings.push(`${missing.length - missingNewcomers} contracts are not subscribed.`)
  }
  if (missingNewcomers > 0) {
    findings.warnings.push(`${missingNewcomers} contracts listed today are not subscribed yet.`)
  }
}

function judgeStalls(stalled: readonly StalledContract[], findings: Findings): void {
  const critical = stalled.filter(({ severity }) => severity === 'critical').length
  if (critical > 0) findings.errors.push(`${critical} contracts are stalled beyond the critical lag.`)
  if (stalled.length > critical) findings.warnings.push(`${stalled.length - critical} contracts are stalled.`)
}

function findStalls(
  contract: ContractFacts,
  found: StalledContract[],
  thresholds: HealthThresholds,
  serving: Line,
): void {
  const { symbol, exchange, sessionState, lines } = contract
  if (sessionState !== 'open') return
  const { primary, backup } = lines
  const onPrimary = judgeStall(contract, primary, backup, thresholds)
  const onBackup = judgeStall(contract, backup, primary, thresholds)
  if (onPrimary === null && onBackup === null) return
  for (const [line, stall] of [['primary', onPrimary] as const, ['backup', onBackup] as const]) {
    if (stall === null) continue
    // What only the standing-by line misses reaches consumers all the same.
    found.push({ symbol, exchange, line, ...stall, severity: line === serving ? stall.severity : 'warning' })
  }
}

type Stall = Pick<StalledContract, 'lag_seconds' | 'severity' | 'evidence'>

function judgeStall(
  contract: ContractFacts,
  here: ContractOnLine | null,
  other: ContractOnLine | null,
  thresholds: HealthThresholds,
): Stall | null {
  if (here === null || !here.subscribed || contract.tickEvidence === 'none') return null
  const lagMs = here.lastTickAgeMs
  if (lagMs !== null && lagMs < thresholds.lagWarningMs) return null
  // Nothing is owed from before the product opened, or from before anybody could have heard it.
  const heardForMs = here.watchedForMs ?? Number.POSITIVE_INFINITY
  const owedMs = Math.min(lagMs ?? Number.POSITIVE_INFINITY, contract.inStateForMs, heardForMs)
  if (owedMs < thresholds.lagWarningMs) return null
  const stall = (evidence: StallEvidence, isCritical: boolean): Stall => ({
    lag_seconds: lagMs === null ? null : lagMs / 1000,
    severity: isCritical ? 'critical' : 'warning',
    evidence,
  })
  const isBeyondCritical = owedMs >= thresholds.lagCriticalMs
  if (contract.tickEvidence === 'age') return lagMs === null ? null : stall('last-tick-age', isBeyondCritical)

  const gapMs = contract.expectedGapMs ?? Number.POSITIVE_INFINITY
  const isLiquid = gapMs <= thresholds.liquidGapMs
  const isWitness = other?.subscribed === true
  if (isWitness && (here.missedTicks ?? 0) >= thresholds.missedTicksMin) {
    return stall('other-line', isBeyondCritical && isLiquid)
  }
  if (!isLiquid || owedMs < gapMs * thresholds.gapFactor) return null
  // Silent on both lines is the exchange's doing: worth knowing, no fault of a line.
  return stall('expected-gap', isBeyondCritical && !isWitness)
}
