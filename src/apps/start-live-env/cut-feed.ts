/**
 * The kill switch: the latch on disk first, then both lines at once. The daemon is asked, since it can tell the consumers; when it does
 * not do so within a second, its processes are ended from outside. Nothing that fails on the way keeps the rest from being done.
 */
import { controlClient, isNotRunning } from '#adapters/control/control-client.ts'
import { setKillLatch } from '#adapters/state/latches.ts'
import { cutProcesses } from '#adapters/supervisors/cut-processes.ts'
import { sleep } from '#clock.ts'
import { type Problem, problemOf } from '#domain/failure.ts'
import { isoShanghai } from '#domain/iso-time.ts'
import type { FeedStatus } from '#domain/status.ts'
import type { Run } from './run.ts'

export interface FeedCut {
  /** The daemon's word after the cut; null when none is left. */
  status: FeedStatus | null
  /** From the latch to no bridge being left; null when some are. */
  tookMs: number | null
  problems: Problem[]
}

const ANSWER_MS = 1_000
const GONE_MS = 1_000
const LOOK_EVERY_MS = 20

export async function cutFeed(run: Run, { reason, drill }: { reason: string; drill: string | null }): Promise<FeedCut> {
  const { config, clock, steps, warnings } = run
  const startedMs = clock.monotonicMs()
  const problems: Problem[] = []
  try {
    const kept = await setKillLatch(config.stateDir, { since: isoShanghai(clock.wallMs()), reason, drill })
    const how = kept === 'whole' ? 'set' : 'set, without its reason'
    if (kept === 'without-reason')
      warnings.push(`The disk of ${config.stateDir} is full: the latch holds, but its reason was not kept.`)
    const outcome = kept === 'whole' ? 'ok' : 'warning'
    steps.record('latch', outcome, `${how}: every start refuses with 77 until status --clear-latch kill`, startedMs)
  } catch (error) {
    const problem = problemOf(error)
    problems.push(problem)
    steps.record('latch', 'failed', problem.message, startedMs)
  }
  const cutStartedMs = clock.monotonicMs()
  const asked = await askDaemon(run, { reason, drill })
  if (asked.kind === 'cut') {
    steps.record('cut', 'ok', 'both lines are cut, consumers are told KILLED', cutStartedMs)
    return { status: asked.status, tookMs: clock.monotonicMs() - startedMs, problems }
  }
  const report = await cutProcesses(config.stateDir)
  const why = asked.kind === 'absent' ? 'no daemon answers' : asked.why
  if (report.left.length > 0 || (report.daemonPid === null && asked.kind === 'deaf')) {
    const who = report.left.length > 0 ? `processes ${report.left.join(', ')} are left` : 'its process was not found'
    problems.push({
      name: 'not-cut',
      message: `the lines may still be up: ${why}, and ${who}`,
      remedy: 'End the processes of full-feed-subscription by hand, as the user who started them.',
    })
    steps.record('cut', 'failed', `${why}; ${who}`, cutStartedMs)
    return { status: null, tookMs: null, problems }
  }
  const ended = report.daemonPid === null ? 'nothing was running' : `the daemon and its bridges were ended (SIGKILL)`
  steps.record('cut', report.daemonPid === null ? 'ok' : 'warning', `${why}: ${ended}`, cutStartedMs)
  return { status: null, tookMs: clock.monotonicMs() - startedMs, problems }
}

type Asked = { kind: 'cut'; status: FeedStatus } | { kind: 'absent' } | { kind: 'deaf'; why: string }

async function askDaemon({ control, clock }: Run, order: { reason: string; drill: string | null }): Promise<Asked> {
  // A refusal may mean that only the latch was not kept, so what counts is whether the bridges go. A client that waits as long as other orders may take would leave the lines up meanwhile.
  const hasty = controlClient({ socketPath: control.socketPath, timeoutMs: ANSWER_MS, orderTimeoutMs: ANSWER_MS })
  try {
    const answer = await hasty.servingLine({
      command: 'kill',
      reason: order.reason,
      ...(order.drill !== null && { drill: order.drill }),
    })
    const deadlineMs = clock.monotonicMs() + GONE_MS
    for (;;) {
      const status = await hasty.status()
      const isCut = status.lines.primary.bridge_pid === null && (status.lines.backup?.bridge_pid ?? null) === null
      if (isCut && status.feed_state === 'KILLED') return { kind: 'cut', status }
      if (clock.monotonicMs() >= deadlineMs) {
        const late = `the daemon did not end its bridges within ${GONE_MS / 1000} s`
        return { kind: 'deaf', why: answer.kind === 'refused' ? answer.problem.message : late }
      }
      await sleep(LOOK_EVERY_MS)
    }
  } catch (error) {
    if (isNotRunning(error)) return { kind: 'absent' }
    return { kind: 'deaf', why: problemOf(error).message }
  }
}
