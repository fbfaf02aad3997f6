/**
 * Subscribes again what is missing or stalled, on the line concerned, and looks whether it helped. A contract that the front refuses
 * is not asked for again: only an exchange or a broker can mend that.
 */
import type { ControlClient, SubscribeOrder } from '#adapters/control/control-client.ts'
import type { Remediation, TransmittedHealth } from '#adapters/control/parse-answers.ts'
import { type Clock, sleep } from '#clock.ts'
import { problemOf } from '#domain/failure.ts'
import { formatVtSymbol } from '#domain/instrument.ts'
import { LINES, type Line } from '#domain/line.ts'

export interface RemediationOptions {
  control: Pick<ControlClient, 'subscribe'>
  ask: () => Promise<TransmittedHealth>
  maxAttempts: number
  /** How long an attempt may take to show in the report. */
  settleMs: number
  clock: Clock
}

export interface RemediationResult {
  report: TransmittedHealth
  remediation: Remediation
  /** Contracts still in need, all lines together. */
  unresolved: number
  warnings: string[]
}

const LOOK_EVERY_MS = 500

export async function remediate(first: TransmittedHealth, options: RemediationOptions): Promise<RemediationResult> {
  let report = first
  const remediation = { attempts: 0, requested: 0, recovered: 0, rate_limit_events: 0 }
  const warnings: string[] = []
  while (needOf(report) > 0 && remediation.attempts < options.maxAttempts) {
    remediation.attempts++
    for (const order of ordersFor(report)) {
      const outcome = await place(order, options)
      if (outcome.kind === 'done') remediation.requested += outcome.accepted
      else warnings.push(`resubscribing on ${order.line} failed: ${outcome.why}`)
    }
    report = await settled(options)
  }
  // A daemon that died meanwhile has no need left, and nothing recovered.
  if (report.verdict !== 'UNKNOWN') remediation.recovered = Math.max(0, needOf(first) - needOf(report))
  remediation.rate_limit_events = Math.max(0, rateLimitHits(report) - rateLimitHits(first))
  return { report, remediation, unresolved: needOf(report), warnings }
}

type Placed = { kind: 'done'; accepted: number } | { kind: 'failed'; why: string }

async function place(order: SubscribeOrder, { control }: RemediationOptions): Promise<Placed> {
  try {
    const answer = await control.subscribe(order)
    if (answer.kind === 'done') return { kind: 'done', accepted: answer.body.accepted }
    return { kind: 'failed', why: answer.problem.message }
  } catch (error) {
    return { kind: 'failed', why: problemOf(error).message }
  }
}

async function settled({ ask, settleMs, clock }: RemediationOptions): Promise<TransmittedHealth> {
  const deadline = clock.monotonicMs() + settleMs
  let report = await ask()
  while (needOf(report) > 0 && clock.monotonicMs() < deadline) {
    await sleep(LOOK_EVERY_MS)
    report = await ask()
  }
  return report
}

/** Contracts that subscribing again may help. */
export function needOf(report: TransmittedHealth): number {
  return LINES.reduce((sum, line) => sum + missingOn(report, line) + stalledOn(report, line).length, 0)
}

function ordersFor(report: TransmittedHealth): SubscribeOrder[] {
  return LINES.flatMap((line) => {
    const stalled = stalledOn(report, line)
    return [
      ...(missingOn(report, line) > 0 ? [{ line, only: 'missing' as const }] : []),
      ...(stalled.length > 0 ? [{ line, symbols: stalled, only: 'stalled' as const }] : []),
    ]
  })
}

/** A line that is not logged in has nothing to subscribe with; its own session sees to that first. */
function missingOn(report: TransmittedHealth, line: Line): number {
  const status = report.lines[line]
  if (status === null || !status.logged_in) return 0
  return Math.max(0, status.expected - status.subscribed - status.refused)
}

function stalledOn(report: TransmittedHealth, line: Line): string[] {
  if (report.lines[line]?.logged_in !== true) return []
  return report.stalled_contracts
    .filter((contract) => contract.line === line)
    .map(({ symbol, exchange }) => formatVtSymbol(symbol, exchange))
}

function rateLimitHits(report: TransmittedHealth): number {
  return LINES.reduce((sum, line) => sum + (report.lines[line]?.rate_limit_hits ?? 0), 0)
}
