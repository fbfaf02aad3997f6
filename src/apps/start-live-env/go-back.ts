/**
 * The way back from a configuration that does badly: to what ran before it, else to the last known good one. What consumers missed
 * meanwhile is read from the journal and told.
 */
import { restartGaps } from '#adapters/journal/restart-gaps.ts'
import type { DaemonLaunch, RunningLaunch } from '#adapters/supervisors/supervisor.ts'
import { configFingerprint } from '#config/fingerprint.ts'
import { type ConfigSnapshot, lastKnownGood, snapshotOf } from '#domain/config-snapshot.ts'
import { problemOf } from '#domain/failure.ts'
import { isoShanghai } from '#domain/iso-time.ts'
import type { FeedStatus } from '#domain/status.ts'
import { EXIT } from '../exit-codes.ts'
import { relaunchOf, runOfSnapshot } from './daemon-launch.ts'
import { endOf, type ModeEnd, type Run } from './run.ts'
import { readSnapshots } from './snapshot.ts'
import { stopRunning } from './stop.ts'

/** What was there before anything was touched. */
export interface Before {
  /** Null when nothing ran, or it can't be told how. */
  launch: RunningLaunch | null
  /** Null when nothing answered. */
  status: FeedStatus | null
}

export async function lookBefore({ control, supervisor }: Run): Promise<Before> {
  const [status, launch] = await Promise.all([control.status().catch(() => null), supervisor.launchOfRunning()])
  return { status, launch }
}

export const NOTHING_BEFORE: Before = { launch: null, status: null }

export type WayBack =
  | { kind: 'snapshot'; snapshot: ConfigSnapshot; isOther: boolean }
  /** Exactly what ran, of which there is no snapshot. */
  | { kind: 'running'; launch: RunningLaunch; isOther: boolean }
  | { kind: 'none' }

/** To what ran before; else to the last known good, if that is another configuration and may publish where this one may. */
export async function findWayBack({ config, options }: Run, before: Before): Promise<WayBack> {
  const wanted = configFingerprint(config)
  const snapshots = await readSnapshots(config)
  if (before.launch !== null) {
    const fingerprint = before.status?.config_fingerprint ?? null
    const isOther = fingerprint !== wanted
    const snapshot = fingerprint === null ? null : snapshotOf(snapshots, fingerprint)
    // The env file that it was started with may hold the new configuration by now; its snapshot does not.
    if (snapshot !== null && snapshot.profile === config.profile && isOther)
      return { kind: 'snapshot', snapshot, isOther }
    return { kind: 'running', launch: before.launch, isOther }
  }
  if (options.noPublish || options.strict) return { kind: 'none' }
  const snapshot = lastKnownGood(snapshots, { profile: config.profile, otherThan: null })
  if (snapshot === null || snapshot.config_fingerprint === wanted) return { kind: 'none' }
  return { kind: 'snapshot', snapshot, isOther: true }
}

export type Launch = (run: Run, how: DaemonLaunch | null, keeps: { snapshot: boolean }) => Promise<ModeEnd>

/** Stops what runs and goes the way back. Exit code 69, also when it succeeds: what was asked for is not what runs. */
export async function goBack(
  run: Run,
  { way, before, failed }: { way: Exclude<WayBack, { kind: 'none' }>; before: Before; failed: ModeEnd },
  launch: Launch,
): Promise<ModeEnd> {
  const { problems = [] } = failed
  const startedMs = run.clock.monotonicMs()
  const prepared = await prepare(run, way, before)
  if (prepared === null) return failed
  const { what, again } = prepared
  run.warnings.push(`It goes back to ${what}.`)
  const seen = before.status ?? (await run.control.status().catch(() => null))
  await stopRunning(run)
  const back = await again(launch)
  const isBack = back.exitCode === EXIT.done
  const detail = isBack ? `${what} is back` : `${what} does not come up`
  run.steps.record('rollback', isBack ? 'ok' : 'failed', detail, startedMs)
  if (!isBack) return { ...back, problems: [...problems, ...(back.problems ?? [])] }
  const rollback = {
    to: prepared.snapshot?.id ?? null,
    reason: problems[0]?.message ?? failed.outcome,
    ...(await lossesOf(run, seen, back.status ?? null)),
  }
  return {
    ...back,
    outcome: way.isOther ? 'rolled-back' : 'put-back',
    exitCode: EXIT.notReady,
    problems,
    further: { ...back.further, rollback },
  }
}

interface Prepared {
  what: string
  snapshot: ConfigSnapshot | null
  again(launch: Launch): Promise<ModeEnd>
}

/** Everything that can be refused is refused before anything is stopped. Null: there is no way back after all, and warnings say why. */
async function prepare(run: Run, way: Exclude<WayBack, { kind: 'none' }>, before: Before): Promise<Prepared | null> {
  if (way.kind === 'snapshot') {
    const { snapshot } = way
    try {
      const good = await runOfSnapshot(run, snapshot)
      return {
        what: `the snapshot ${snapshot.id}`,
        snapshot,
        again: (launch) => launch(good, null, { snapshot: true }),
      }
    } catch (error) {
      const { problems = [] } = endOf(error)
      const why = problems.map(({ name, message }) => `${name}: ${message}`).join('; ')
      run.warnings.push(`The snapshot ${snapshot.id} can't be gone back to: ${why}`)
    }
  }
  const running = way.kind === 'running' ? way.launch : before.launch
  if (running === null) return null
  const { launch: how, missing } = relaunchOf(run, running)
  if (missing.length > 0) {
    run.warnings.push(`Secrets that it was started with are not in this environment: ${missing.join(', ')}.`)
  }
  const again = (launch: Launch) => launch(run, how, { snapshot: false })
  return { what: 'the environment that ran before', snapshot: null, again }
}

/** What no daemon was there to take, and what waits for the bus. */
async function lossesOf({ config, warnings }: Run, seen: FeedStatus | null, after: FeedStatus | null) {
  if (seen === null) return { gaps: [] }
  const from = seen.journal.last_sequence
  const gaps = await restartGaps(config.stateDir, from).catch((error: unknown) => {
    warnings.push(`What was missed could not be read from the journal: ${problemOf(error).message}`)
    return []
  })
  const told = gaps.map(({ fromMs, toMs, epochBefore, epochAfter }) => ({
    from: isoShanghai(fromMs),
    to: isoShanghai(toMs),
    duration_ms: Math.round(toMs - fromMs),
    epoch_before: epochBefore,
    epoch_after: epochAfter,
    // Nobody received them, so nobody can count them: at the rate of the feed before.
    ticks_missed: Math.round((seen.throughput_mps * (toMs - fromMs)) / 1000),
  }))
  for (const gap of told) {
    warnings.push(
      `GAP from ${gap.from} to ${gap.to} (epoch ${gap.epoch_before} to ${gap.epoch_after}): about ${gap.ticks_missed} ticks.`,
    )
  }
  return { gaps: told, bus_backlog: after?.bus.backlog ?? null }
}
