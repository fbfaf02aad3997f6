/**
 * The operator's word on which line serves: failover, failback, pause, resume, and the kill switch. The daemon decides and proves; these
 * modes carry the order and the answer. Only the kill switch works without a daemon, because its latch must hold whatever runs.
 */
import type { ServingLineCommand } from '#adapters/control/control-client.ts'
import { setKillLatch } from '#adapters/state/latches.ts'
import { problemOf } from '#domain/failure.ts'
import { isoShanghai } from '#domain/iso-time.ts'
import type { FailoverRecord, FeedStatus } from '#domain/status.ts'
import { EXIT } from '../exit-codes.ts'
import type { ModeEnd, Run } from './run.ts'

export function moveServingLine(command: 'failover' | 'failback'): (run: Run) => Promise<ModeEnd> {
  return (run) => order(run, command, (failover, status) => movedSentence(failover, status))
}

export function setAutomation(command: 'pause' | 'resume'): (run: Run) => Promise<ModeEnd> {
  const sentence = command === 'pause' ? 'automatic failover is off until resume' : 'automatic failover is on'
  return (run) => order(run, command, () => sentence)
}

function movedSentence(failover: FailoverRecord | null, status: FeedStatus | null): string {
  if (failover === null) return `the ${status?.serving_line ?? 'target'} line serves already`
  const proof =
    failover.first_tick_ms === null ? 'no tick yet' : `first tick after ${Math.round(failover.first_tick_ms)} ms`
  return `from ${failover.from} to ${failover.to}, ${proof}, ${failover.lost ?? 'unknown'} lost`
}

async function order(
  run: Run,
  command: ServingLineCommand,
  sentence: (failover: FailoverRecord | null, status: FeedStatus | null) => string,
): Promise<ModeEnd> {
  const { control, steps, clock, options } = run
  const startedMs = clock.monotonicMs()
  const answer = await control.servingLine({ command, reason: options.reason ?? `start-live-env ${command}` })
  const status = await control.status().catch(() => null)
  if (answer.kind === 'refused') {
    steps.record(command, 'failed', answer.problem.message, startedMs)
    return { outcome: 'refused', exitCode: EXIT.notReady, status, problems: [answer.problem] }
  }
  steps.record(command, 'ok', sentence(answer.body, status), startedMs)
  return { outcome: 'done', exitCode: EXIT.done, status, failover: answer.body }
}

/** The latch first: should anything after it fail, no start brings the lines back. */
export async function kill(run: Run): Promise<ModeEnd> {
  const { config, clock, control, options, steps, supervisor } = run
  const reason = options.reason ?? 'start-live-env kill'
  await steps.take('latch', async () => {
    await setKillLatch(config.stateDir, { since: isoShanghai(clock.wallMs()), reason })
    return { detail: 'set: every start refuses with 77 until status --clear-latch kill', value: undefined }
  })
  const cut = await steps.take('cut', async () => {
    const answer = await control.servingLine({ command: 'kill', reason }).catch((error: unknown) => problemOf(error))
    if ('kind' in answer && answer.kind === 'done') return { detail: 'both lines cut, consumers told', value: true }
    // The daemon cannot or will not: then its process ends, without draining, and the lines with it.
    const report = await supervisor.stop({ reason, drainMs: 0, signalMs: CUT_MS })
    const detail =
      report.outcome === 'not-running' ? 'nothing was running' : `the daemon (process ${report.pid}) was ended`
    return { detail, value: false }
  })
  const status = cut ? await control.status().catch(() => null) : null
  return { outcome: 'killed', exitCode: EXIT.done, status }
}

const CUT_MS = 1_000
