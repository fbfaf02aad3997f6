/**
 * `start` and `restart`: from nothing, or from an environment that works, to one that is proven healthy. Whatever can be refused is
 * refused before anything is touched, and an environment that ran before is put back when its successor does not get there.
 */
import { runPreflight } from '#adapters/preflight/run-preflight.ts'
import type { DaemonEnd, DaemonLaunch, StartedDaemon } from '#adapters/supervisors/supervisor.ts'
import { configFingerprint } from '#config/fingerprint.ts'
import type { Problem } from '#domain/failure.ts'
import type { FeedStatus } from '#domain/status.ts'
import { EXIT } from '../exit-codes.ts'
import { preflightChecks } from '../preflight.ts'
import { allowedMs, awaitReady, type ReadyOutcome } from './await-ready.ts'
import { launchOf } from './daemon-launch.ts'
import { type Before, findWayBack, goBack, lookBefore, NOTHING_BEFORE } from './go-back.ts'
import { reviewedPlan } from './plan.ts'
import { proveHealth } from './prove-health.ts'
import { EndRun, type ModeEnd, type Run } from './run.ts'
import { checkLatches } from './safety.ts'
import { readSnapshots, withdrawSnapshots } from './snapshot.ts'
import { stopRunning } from './stop.ts'
import { watchGuards } from './watch-guards.ts'

const LAST_WORDS = 8
export const STEPS_UP = ['daemon', 'connect', 'login', 'subscribe', 'health', 'snapshot', 'metrics']

export async function start(run: Run): Promise<ModeEnd> {
  if (run.options.ifTradingDay && run.window.opensMs === null) return skipped(run)
  await checkLatches(run)
  const running = await look(run)
  const isServing = running.kind === 'answering' && running.status.feed_state !== 'KILLED'
  if (isServing && run.options.plan === null) return adopt(run, running.status)
  if (running.kind === 'silent') return silentDaemon(running.pid)
  const plan = await reviewedPlan(run)
  if (isServing && plan?.action === 'none') return { ...(await adopt(run, running.status)), plan: plan.id }
  if (isServing) return { ...(await replace(run)), plan: plan?.id ?? null }
  await preflight(run)
  if (run.options.dryRun) return planned(run, STEPS_UP)
  // The kill switch cut this one for good; its latch is cleared, or we would not have come so far.
  if (running.kind === 'answering') await stopRunning(run)
  if (run.interrupted.aborted) return interrupted(null, 'Nothing was started.')
  return { ...(await bringUp(run, NOTHING_BEFORE)), plan: plan?.id ?? null }
}

export async function restart(run: Run): Promise<ModeEnd> {
  if (run.options.ifTradingDay && run.window.opensMs === null) return skipped(run)
  await checkLatches(run)
  const plan = await reviewedPlan(run)
  return { ...(await replace(run)), plan: plan?.id ?? null }
}

async function replace(run: Run): Promise<ModeEnd> {
  await preflight(run)
  const before = await lookBefore(run)
  if (run.options.dryRun) {
    return planned(run, ['stop', ...STEPS_UP])
  }
  if (run.interrupted.aborted) return interrupted(null, 'Nothing was changed.')
  await stopRunning(run)
  return bringUp(run, before)
}

function skipped({ window, steps, clock }: Run): ModeEnd {
  steps.record('calendar', 'skipped', `no ${window.window} window on this date`, clock.monotonicMs())
  return { outcome: 'skipped', exitCode: EXIT.done }
}

export function planned({ steps, clock }: Run, names: readonly string[]): ModeEnd {
  for (const name of names) steps.record(name, 'planned', 'would be done now', clock.monotonicMs())
  return { outcome: 'planned', exitCode: EXIT.done }
}

type Found = { kind: 'none' } | { kind: 'answering'; status: FeedStatus } | { kind: 'silent'; pid: number }

async function look({ control, supervisor }: Run): Promise<Found> {
  const status = await control.status().catch(() => null)
  if (status !== null) return { kind: 'answering', status }
  const pid = await supervisor.find()
  return pid === null ? { kind: 'none' } : { kind: 'silent', pid }
}

function silentDaemon(pid: number): ModeEnd {
  const message = `a daemon (process ${pid}) runs here and does not answer on its control socket`
  const remedy = 'Wait a moment if it has just been started; start-live-env restart replaces one that hangs.'
  return { outcome: 'not-answering', exitCode: EXIT.notReady, problems: [{ name: 'not-answering', message, remedy }] }
}

/** Nothing is restarted: whoever wants another configuration in force says `restart`. */
async function adopt(run: Run, status: FeedStatus): Promise<ModeEnd> {
  if (status.config_fingerprint !== configFingerprint(run.config)) {
    run.warnings.push(
      'The running daemon has another configuration than this command: use start-live-env restart to apply it.',
    )
  }
  run.steps.record('daemon', 'ok', `runs already as process ${status.pid}, nothing restarted`, run.clock.monotonicMs())
  if (run.options.dryRun) return { outcome: 'already-running', exitCode: EXIT.done, status }
  // Waiting mends no disk.
  if (status.journal.state === 'failing') {
    return { outcome: 'degraded', exitCode: EXIT.notReady, status, problems: [journalFailing(status)] }
  }
  const startedMs = run.clock.monotonicMs()
  const outcome: ReadyOutcome = status.ready
    ? { kind: 'ready', status }
    : await awaitReady(run, { daemon: null, startedMs })
  if (outcome.kind === 'ready') {
    const deadlineMs = startedMs + allowedMs(run, outcome.status)
    const health = await proveHealth(run, { deadlineMs, snapshot: false })
    if (health.healthy)
      return { outcome: 'already-running', exitCode: EXIT.done, status: outcome.status, samples: health.samples }
    return { outcome: 'degraded', exitCode: EXIT.notReady, status: outcome.status, problems: health.problems }
  }
  if (outcome.kind === 'interrupted') return interrupted(outcome.status, 'The daemon that was running runs on.')
  const latest = outcome.kind === 'died' ? status : (outcome.status ?? status)
  return { outcome: 'degraded', exitCode: EXIT.notReady, status: latest, problems: [notReady(latest)] }
}

export async function preflight({ options, config, env, clock, steps, warnings }: Run): Promise<void> {
  const problems = await steps.take('preflight', async () => {
    const stateDir = options.dryRun ? 'inspect' : 'prepare'
    const results = await runPreflight(preflightChecks(config, { offline: false, stateDir, env, clock }), clock)
    const failed = results.filter(({ result }) => result === 'failed')
    const doubtful = results.filter(({ result }) => result === 'warning')
    if (failed.length > 0) {
      const value = failed.map(({ name, detail, remedy }) => ({ name, message: detail, remedy: remedy ?? '' }))
      return { outcome: 'failed', detail: `failed: ${failed.map(({ name }) => name).join(', ')}`, value }
    }
    warnings.push(
      ...doubtful.map(({ name, detail, remedy }) => `${name}: ${detail}.${remedy === null ? '' : ` ${remedy}`}`),
    )
    const passed = results.filter(({ result }) => result === 'ok').length
    const detail = `${passed} checks passed${doubtful.length > 0 ? `, ${doubtful.length} with a warning` : ''}`
    return { outcome: doubtful.length > 0 ? 'warning' : 'ok', detail, value: [] }
  })
  if (problems.length > 0) throw new EndRun({ outcome: 'preflight-failed', exitCode: EXIT.configuration, problems })
}

/** A changed configuration is watched for a while; one that does badly, or does not come up, gives way to what worked before. */
async function bringUp(run: Run, before: Before): Promise<ModeEnd> {
  const way = await findWayBack(run, before)
  const isWatched = way.kind !== 'none' && way.isOther && run.config.rollback.watchMs > 0 && !run.options.noPublish
  const end = await launch(run, null, { snapshot: !run.options.noPublish })
  if (end.outcome === 'interrupted' || way.kind === 'none') return end
  if (end.exitCode !== EXIT.done) return goBack(run, { way, before, failed: end }, launch)
  const breach = isWatched ? await watchGuards(run) : null
  if (breach === null) return end
  const fingerprint = configFingerprint(run.config)
  const mine = (await readSnapshots(run.config)).filter((each) => each.config_fingerprint === fingerprint)
  await withdrawSnapshots(run, mine, breach.detail)
  const remedy = 'Find out what of the change did this (start-live-env plan shows it), then try again.'
  const problem = { name: `guard-${breach.kind}`, message: breach.detail, remedy }
  const failed = { outcome: 'guard-breached', exitCode: EXIT.notReady, problems: [problem] }
  return goBack(run, { way, before, failed }, launch)
}

/** Also after an interrupt that came once the predecessor was stopped: a feed that comes up unwatched beats none. */
export async function launch(
  run: Run,
  how: DaemonLaunch | null,
  { snapshot }: { snapshot: boolean },
): Promise<ModeEnd> {
  const startedMs = run.clock.monotonicMs()
  const daemon = await run.supervisor.start(how ?? launchOf(run))
  const outcome = await awaitReady(run, { daemon, startedMs })
  switch (outcome.kind) {
    case 'died':
      return died(daemon, outcome.end)
    case 'interrupted':
      daemon.letGo()
      return interrupted(outcome.status, `The daemon (process ${daemon.pid}) runs on; start-live-env stop ends it.`)
    case 'late':
      return notInTime(run, daemon, outcome.status, [
        outcome.status === null ? noAnswer(daemon) : notReady(outcome.status),
      ])
    case 'short':
      return notInTime(run, daemon, outcome.status, [notReady(outcome.status)])
    case 'ready': {
      const deadlineMs = startedMs + allowedMs(run, outcome.status)
      const health = await proveHealth(run, { deadlineMs, snapshot })
      const status = await run.control.status().catch(() => outcome.status)
      if (!health.healthy) return notInTime(run, daemon, status, health.problems)
      daemon.letGo()
      return { outcome: 'ready', exitCode: EXIT.done, status, samples: health.samples }
    }
  }
}

/** A feed that lacks some contracts beats none, so the daemon stays up unless the operator wants all or nothing. */
async function notInTime(
  run: Run,
  daemon: StartedDaemon,
  status: FeedStatus | null,
  problems: readonly Problem[],
): Promise<ModeEnd> {
  if (run.options.strict) {
    await stopRunning(run)
    return { outcome: 'stopped-not-ready', exitCode: EXIT.notReady, problems }
  }
  daemon.letGo()
  return { outcome: 'degraded', exitCode: EXIT.notReady, status, problems }
}

/** The daemon's own exit codes are those of contract section 2, so they are passed on where they mean something to the operator. */
function died(daemon: StartedDaemon, end: DaemonEnd): ModeEnd {
  const words = daemon.lastWords(LAST_WORDS)
  const how = end.kind === 'exited' ? `exit code ${end.code}` : `signal ${end.signal}`
  const said = words.length === 0 ? 'It wrote nothing.' : `Its last words: ${words.join(' | ')}`
  const message = `the daemon (process ${daemon.pid}) ended with ${how} before it was ready. ${said}`
  const passedOn: readonly number[] = [EXIT.locked, EXIT.refused, EXIT.configuration]
  const exitCode = end.kind === 'exited' && passedOn.includes(end.code) ? end.code : EXIT.fault
  const remedy =
    exitCode === EXIT.fault ? 'Look at the daemon log under the state directory.' : 'Mend what its last words name.'
  return { outcome: 'daemon-died', exitCode, problems: [{ name: 'daemon-died', message, remedy }] }
}

function journalFailing({ journal }: FeedStatus): Problem {
  return {
    name: 'journal-failing',
    message: journal.trouble?.message ?? 'The journal cannot be written.',
    remedy: journal.trouble?.remedy ?? 'Look at the daemon log for the reason.',
  }
}

function notReady(status: FeedStatus): Problem {
  const { ready_state: state, ready_detail: message, ready_remedy: remedy } = status
  if (remedy !== null) return { name: state, message: `not ready: ${message}`, remedy }
  return {
    name: 'not-ready',
    message: `not ready in time: ${status.ready_detail}; ${status.subscribed_total} of ${status.expected_total} contracts subscribed on ${status.serving_line}`,
    remedy: 'See start-live-env status for each line; the daemon keeps trying. A longer --timeout waits longer.',
  }
}

function noAnswer(daemon: StartedDaemon): Problem {
  const words = daemon.lastWords(LAST_WORDS)
  return {
    name: 'not-answering',
    message: `the daemon (process ${daemon.pid}) did not open its control socket in time${words.length > 0 ? `: ${words.join(' | ')}` : ''}`,
    remedy: 'Look at the daemon log under the state directory; start-live-env stop ends the process.',
  }
}

function interrupted(status: FeedStatus | null, left: string): ModeEnd {
  const message = `interrupted while waiting. ${left}`
  const remedy = 'start-live-env status tells how far it is.'
  return {
    outcome: 'interrupted',
    exitCode: EXIT.notReady,
    status,
    problems: [{ name: 'interrupted', message, remedy }],
  }
}
