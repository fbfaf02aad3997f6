/**
 * The operator's word on which line serves: failover, failback, pause, resume, and the kill switch. The daemon decides and proves; these
 * modes carry the order and the answer. Only the kill switch works without a daemon, because its latch must hold whatever runs.
 */
import type { ServingLineOrder } from '#adapters/control/control-client.ts'
import { scanRange } from '#adapters/journal/scan-range.ts'
import type { FailoverRecord, FeedStatus } from '#domain/status.ts'
import { EXIT } from '../exit-codes.ts'
import { cutFeed } from './cut-feed.ts'
import { awaitProof } from './prove-switch.ts'
import { EndRun, type ModeEnd, type Run } from './run.ts'

export function moveServingLine(command: 'failover' | 'failback'): (run: Run) => Promise<ModeEnd> {
  return async (run) => {
    const { steps, clock, config, options, warnings } = run
    const startedMs = clock.monotonicMs()
    const before = await run.control.status()
    refuseWhenKilled(before)
    const firstSequence = before.journal.last_sequence + 1
    const ordered = await order(run, { command, given_at_ms: startedMs })
    if (ordered === null) {
      const status = await run.control.status()
      if (status.feed_state === 'GAP') return servesNothing(run, status, startedMs)
      steps.record(command, 'ok', `the ${status.serving_line} line serves already`, startedMs)
      return { outcome: 'done', exitCode: EXIT.done, status, failover: null }
    }
    const deadlineMs = startedMs + (options.timeoutMs ?? config.timeouts.readyMs)
    const { record, status, proven } = await awaitProof(run, ordered, deadlineMs)
    const duplicates = await duplicatesSince(run, firstSequence, status)
    if (duplicates !== null && duplicates > 0) warnings.push(`${duplicates} ticks are in the journal twice.`)
    const failover = { ...record, duplicates }
    steps.record(command, proven ? 'ok' : 'failed', movedSentence(failover), startedMs)
    if (proven) return { outcome: 'done', exitCode: EXIT.done, status, failover }
    const message = `${record.to} serves, but ${lackOf(record)} in time`
    const remedy = `See start-live-env status for the ${record.to} line; the other one takes over again if it stays so.`
    const problems = [{ name: 'not-proven', message, remedy }]
    return { outcome: 'not-proven', exitCode: EXIT.notReady, status, failover, problems }
  }
}

/** The latch forbids whatever these orders ask for. Throws an EndRun with exit code 77. */
function refuseWhenKilled(status: FeedStatus): void {
  if (status.feed_state !== 'KILLED') return
  const message = 'the feed is cut by the kill switch, and stays cut until an operator clears its latch'
  const remedy =
    'When the feed may run again: start-live-env status --clear-latch kill --reason TEXT, then start-live-env.'
  const problems = [{ name: 'killed', message, remedy }]
  throw new EndRun({ outcome: 'refused', exitCode: EXIT.refused, status, problems })
}

/** Nobody moves to where the feed is already; but a line in a gap serves nobody. */
function servesNothing({ steps, options }: Run, status: FeedStatus, startedMs: number): ModeEnd {
  const { serving_line: serving, lines } = status
  const message = `the ${serving} line is the serving line already and delivers nothing: ${lines[serving]?.pulse_reason ?? ''}`
  steps.record(options.mode, 'failed', message, startedMs)
  const remedy = 'See start-live-env status for both lines; the feed goes on with the first one that delivers.'
  const problems = [{ name: 'not-proven', message, remedy }]
  return { outcome: 'not-proven', exitCode: EXIT.notReady, status, failover: null, problems }
}

function movedSentence({ from, to, first_tick_ms: firstTickMs, lost }: FailoverRecord): string {
  const proof = firstTickMs === null ? 'no tick yet' : `first tick after ${Math.round(firstTickMs)} ms`
  return `from ${from} to ${to}, ${proof}, ${lost ?? 'unknown'} lost`
}

function lackOf({ first_tick_ms: firstTickMs }: FailoverRecord): string {
  return firstTickMs === null ? 'no tick of it came' : 'not enough of its contracts were subscribed'
}

/** Null when the journal can't be read: the switch is made, whatever its record says. */
async function duplicatesSince(run: Run, from: number, { journal }: FeedStatus): Promise<number | null> {
  try {
    return (await scanRange(run.config.stateDir, from, journal.last_sequence)).duplicates
  } catch {
    return null
  }
}

export function setAutomation(command: 'pause' | 'resume'): (run: Run) => Promise<ModeEnd> {
  const sentence = command === 'pause' ? 'automatic failover is off until resume' : 'automatic failover is on'
  return async (run) => {
    const startedMs = run.clock.monotonicMs()
    refuseWhenKilled(await run.control.status())
    const warned = run.warnings.length
    await order(run, { command })
    const isKept = run.warnings.length === warned
    const lasting = command === 'pause' && isKept ? ', also after a restart' : ''
    run.steps.record(command, isKept ? 'ok' : 'warning', `${sentence}${lasting}`, startedMs)
    return { outcome: 'done', exitCode: EXIT.done, status: await run.control.status().catch(() => null) }
  }
}

/** Throws an EndRun with exit code 69 when the daemon declines. */
async function order(run: Run, what: Omit<ServingLineOrder, 'reason'>): Promise<FailoverRecord | null> {
  const { control, steps, clock, options, warnings } = run
  const startedMs = clock.monotonicMs()
  const answer = await control.servingLine({ reason: options.reason ?? `start-live-env ${what.command}`, ...what })
  if (answer.kind === 'done') {
    if (answer.body.warning !== null) warnings.push(answer.body.warning)
    return answer.body.failover
  }
  steps.record(what.command, 'failed', answer.problem.message, startedMs)
  const status = await control.status().catch(() => null)
  throw new EndRun({ outcome: 'refused', exitCode: EXIT.notReady, status, problems: [answer.problem] })
}

/** Killed is what is cut and stays cut; a latch that the disk did not take is a fault, though the lines are down. */
export async function kill(run: Run): Promise<ModeEnd> {
  const { status, problems } = await cutFeed(run, { reason: run.options.reason ?? 'start-live-env kill', drill: null })
  if (problems.length > 0) return { outcome: 'not-killed', exitCode: EXIT.fault, status, problems }
  return { outcome: 'killed', exitCode: EXIT.done, status }
}
