/**
 * `drill`: rehearses what must work on a bad day and proves it by ticks. It begins only on a feed that is well, and ends on the line it
 * began with whatever happens: orders of a drill leave the home line as it is, so that even a drill that is killed half-way is undone by
 * automatic failback.
 */
import { clearDrillLatch } from '#adapters/state/latches.ts'
import type { DaemonLaunch } from '#adapters/supervisors/supervisor.ts'
import { sleep } from '#clock.ts'
import { type DrillPhase, obstacleOf } from '#domain/drill.ts'
import { problemOf } from '#domain/failure.ts'
import { type Line, otherLine } from '#domain/line.ts'
import type { FeedStatus } from '#domain/status.ts'
import { formatDuration, openTerminal } from '../terminal.ts'
import { awaitReady } from './await-ready.ts'
import { cutFeed } from './cut-feed.ts'
import { relaunchOf } from './daemon-launch.ts'
import { DrillRun, PhaseFailure, worstRecovery } from './drill-run.ts'
import { awaitProof } from './prove-switch.ts'
import { EndRun, type ModeEnd, type Run, StepLog } from './run.ts'
import { checkLatches } from './safety.ts'
import { stopRunning } from './stop.ts'

export async function drill(run: Run): Promise<ModeEnd> {
  await checkLatches(run)
  switch (run.options.drillKind) {
    case 'failover':
      return drillFailover(await DrillRun.begin(run, 'failover'))
    case 'kill-switch':
      return drillKillSwitch(await DrillRun.begin(run, 'kill-switch'))
  }
}

/** Ticks on the new line that are worth counting, and time for the longest gap to show. */
const SETTLE_MS = 2_200
const RESTORE_MS = 15_000
const RESTORE_LOOK_MS = 250

async function drillFailover(drill: DrillRun): Promise<ModeEnd> {
  const { config } = drill.run
  await carriedOut(async () => {
    const began = await before(drill)
    const home = began.serving_line
    const target = otherLine(home)
    try {
      await move(drill, 'failover', target)
      await drill.backlog('backlog-after-failover')
      await drill.health('health-after-failover', target)
      await move(drill, 'failback', home)
      await drill.backlog('backlog-after-failback')
      await drill.health('health-after-failback', home)
    } finally {
      await putBack(drill, home, 'health-after-failback')
      await drill.compare(began)
    }
  })
  return drill.finish({ recoveryMs: worstRecovery(drill.switches), objectiveMs: config.failover.objectiveMs })
}

/** Runs the phases; a failed one is on record already and ends them. */
async function carriedOut(phases: () => Promise<void>): Promise<void> {
  try {
    await phases()
  } catch (error) {
    if (!(error instanceof PhaseFailure)) throw error
  }
}

async function before(drill: DrillRun): Promise<FeedStatus> {
  const { control } = drill.run
  const began = await drill.phase('health-before', async () => {
    const status = await control.status()
    drill.began = status
    drill.endedOn = status.serving_line
    const obstacle = obstacleOf(status, drill.kind)
    if (obstacle !== null) return { outcome: 'failed', detail: obstacle, value: status }
    const { verdict, errors } = await control.health({ mode: 'dry-run' })
    const isWell = verdict === 'OK' || verdict === 'WARNING'
    const detail = isWell ? `${verdict}, ${status.serving_line} serves` : `${verdict}: ${errors.join(' ')}`
    return { outcome: isWell ? 'ok' : 'failed', detail, value: status }
  })
  await drill.backlog('backlog-before')
  return began
}

async function move(drill: DrillRun, phase: 'failover' | 'failback', line: Line): Promise<void> {
  const { run } = drill
  await drill.phase(phase, async () => {
    const answer = await run.control.servingLine({
      command: phase,
      line,
      reason: drill.reason,
      drill: drill.id,
      given_at_ms: run.clock.monotonicMs(),
    })
    if (answer.kind === 'refused') throw new PhaseFailure(answer.problem)
    const ordered = answer.body.failover
    if (ordered === null)
      return { outcome: 'failed', detail: `${line} served already, so nothing was switched`, value: null }
    const deadlineMs = drill.deadline()
    await awaitProof(run, ordered, deadlineMs)
    await drill.lookAgain(deadlineMs, SETTLE_MS)
    const { record, proven } = await awaitProof(run, ordered, deadlineMs)
    drill.switches.push(record)
    const times = [record.detect_ms, record.decide_ms, record.first_tick_ms, record.coverage_restored_ms].map(timeOf)
    const detail = `${record.from} to ${record.to}: order ${times[0]}, decision ${times[1]}, first tick ${times[2]}, coverage ${times[3]}`
    return { outcome: proven ? 'ok' : 'failed', detail, value: null }
  })
}

function timeOf(ms: number | null): string {
  return ms === null ? 'not seen' : formatDuration(ms)
}

/** Whatever happened before, and also after an interrupt. */
async function putBack(drill: DrillRun, line: Line, phase: DrillPhase): Promise<void> {
  const { control, clock, steps } = drill.run
  const startedMs = clock.monotonicMs()
  let why = ''
  let isMoved = false
  do {
    try {
      const { serving_line: serving } = await control.status()
      drill.endedOn = serving
      if (serving === line) {
        if (isMoved) steps.record('put-back', 'warning', `${line} serves again`, startedMs)
        return
      }
      isMoved = true
      const order = { command: 'failback', line, reason: `${drill.reason}: putting back`, drill: drill.id } as const
      const answer = await control.servingLine(order)
      if (answer.kind === 'refused') why = answer.problem.message
    } catch (error) {
      why = problemOf(error).message
    }
    await sleep(RESTORE_LOOK_MS)
  } while (clock.monotonicMs() < startedMs + RESTORE_MS)
  steps.record('put-back', 'failed', `${line} does not serve again: ${why}`, startedMs)
  drill.failedPhase ??= phase
  drill.problems.push({
    name: 'not-put-back',
    message: `the feed is not back on ${line}, on which the drill began: ${why}`,
    remedy:
      'See start-live-env status; automatic failback brings it back once the line is stable, or start-live-env failback.',
  })
}

/** Production must be back within ten minutes, the others within thirty. */
const ENVIRONMENT_OBJECTIVE_MS = { sim: 1_800_000, paper: 1_800_000, staging: 600_000, live: 600_000 } as const

async function drillKillSwitch(drill: DrillRun): Promise<ModeEnd> {
  const { run } = drill
  let recoveryMs: number | null = null
  await carriedOut(async () => {
    const began = await before(drill)
    const launch = await launchToRestore(run)
    const cutMs = run.clock.monotonicMs()
    try {
      await cutAll(drill)
      await provesRefusal(drill)
    } finally {
      await restore(drill, launch)
    }
    await putBack(drill, began.serving_line, 'health-after-restore')
    await drill.backlog('backlog-after-restore')
    await drill.health('health-after-restore', began.serving_line)
    recoveryMs = run.clock.monotonicMs() - cutMs
    await drill.compare(began)
  })
  return drill.finish({ recoveryMs, objectiveMs: ENVIRONMENT_OBJECTIVE_MS[run.config.profile] })
}

async function cutAll(drill: DrillRun): Promise<void> {
  await drill.phase('cut', async () => {
    const { status, tookMs, problems } = await cutFeed(unheard(drill.run), { reason: drill.reason, drill: drill.id })
    const [problem] = problems
    if (problem !== undefined) throw new PhaseFailure(problem)
    if (status === null) {
      return {
        outcome: 'failed',
        detail: 'the daemon had to be ended to cut its lines: no consumer was told',
        value: null,
      }
    }
    const detail = `both lines gone ${timeOf(tookMs)} after the order, consumers are told ${status.feed_state}`
    return { outcome: 'ok', detail, value: null }
  })
}

/** What belongs to one phase is told as that phase: a refusal that is wanted must not look like a failure. */
function unheard(run: Run): Run {
  const terminal = openTerminal({ form: 'json', output: { write: () => true }, quiet: true, color: false })
  return { ...run, steps: new StepLog(terminal, run.clock, run.logger), warnings: [] }
}

async function provesRefusal(drill: DrillRun): Promise<void> {
  await drill.phase('refusal', async () => {
    const refusal = await checkLatches(unheard(drill.run)).then(
      () => null,
      (error: unknown) => error,
    )
    const isRefused = refusal instanceof EndRun && refusal.end.exitCode === 77
    const detail = isRefused ? 'a start is refused with 77' : 'a start would not have been refused'
    return { outcome: isRefused ? 'ok' : 'failed', detail, value: null }
  })
}

/** Asked before anything is cut: what could not be started again is not ended. */
async function launchToRestore(run: Run): Promise<DaemonLaunch | null> {
  const running = await run.supervisor.launchOfRunning()
  if (running === null) return null
  const { launch, missing } = relaunchOf(run, running)
  if (missing.length === 0) return launch
  throw new PhaseFailure({
    name: 'secrets-missing',
    message: `the daemon was started with secrets that are not in this environment: ${missing.join(', ')}`,
    remedy: 'Run the drill with the environment that start-live-env start had, or give secrets as references.',
  })
}

/** Also after a phase that failed or an interrupt: the latch goes, unless somebody meant it meanwhile, and the feed comes back. */
async function restore(drill: DrillRun, launch: DaemonLaunch | null): Promise<void> {
  const { run } = drill
  const patient: Run = { ...run, interrupted: new AbortController().signal }
  await drill.lastingPhase('restore', async () => {
    if (!(await clearDrillLatch(run.config.stateDir, drill.id))) {
      throw new PhaseFailure({
        name: 'killed',
        message: 'the kill switch was pulled in earnest while the drill ran: the feed stays cut',
        remedy: 'When the feed may run again: start-live-env status --clear-latch kill --reason TEXT, then start.',
      })
    }
    await stopRunning(patient)
    if (launch === null) {
      throw new PhaseFailure({
        name: 'not-restored',
        message: 'how the daemon had been started could not be read, so it was not started again',
        remedy: 'Run start-live-env.',
      })
    }
    const startedMs = run.clock.monotonicMs()
    const daemon = await run.supervisor.start(launch)
    const ready = await awaitReady(patient, { daemon, startedMs })
    if (ready.kind !== 'ready') {
      if (ready.kind !== 'died') daemon.letGo()
      const message = `the feed did not come back: ${ready.kind === 'died' ? daemon.lastWords(4).join(' | ') : ready.kind}`
      throw new PhaseFailure({
        name: 'not-restored',
        message,
        remedy: 'See start-live-env status; then start-live-env.',
      })
    }
    daemon.letGo()
    return { outcome: 'ok', detail: `the feed is back, ${ready.status.serving_line} serves`, value: null }
  })
}
