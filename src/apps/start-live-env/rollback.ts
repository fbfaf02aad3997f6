/**
 * `rollback`: back to the configuration that worked last, whatever the present one looks like; it need not even be valid. Shows first what
 * that would change.
 */
import { resolve } from 'node:path'
import { controlClient } from '#adapters/control/control-client.ts'
import { controlSocketPath } from '#adapters/state/state-dir.ts'
import type { ParsedConfig } from '#config/parse-config.ts'
import { type ConfigSnapshot, lastKnownGood } from '#domain/config-snapshot.ts'
import { EXIT } from '../exit-codes.ts'
import { inputsOf, type SnapshotInputs } from './daemon-launch.ts'
import { lookBefore } from './go-back.ts'
import type { RunOptions } from './options.ts'
import { makePlan, showPlan } from './plan.ts'
import { savePlan } from './plan-file.ts'
import type { ModeEnd, Run } from './run.ts'
import { checkLatches } from './safety.ts'
import { readSnapshots, withdrawSnapshots } from './snapshot.ts'
import { launch, planned, preflight, STEPS_UP } from './start.ts'
import { stopRunning } from './stop.ts'

interface Sought {
  options: RunOptions
  present: ParsedConfig
  env: NodeJS.ProcessEnv
  stateDir: string
}

export type FoundSnapshot =
  | { kind: 'found'; snapshot: ConfigSnapshot; inputs: SnapshotInputs }
  | { kind: 'none'; parsed: ParsedConfig }

/** The newest configuration known as good, other than the one that runs. */
export async function snapshotToGoBackTo({ options, present, env, stateDir }: Sought): Promise<FoundSnapshot> {
  const profile = present.ok ? present.config.profile : present.profile
  const control = controlClient({ socketPath: controlSocketPath(stateDir) })
  const status = await control.status().catch(() => null)
  const otherThan = status?.config_fingerprint ?? null
  const snapshot = lastKnownGood(await readSnapshots({ stateDir }), { profile, otherThan })
  if (snapshot === null) {
    const message =
      otherThan === null
        ? `no start of profile ${profile} in ${resolve(stateDir)} has reached a healthy verdict yet`
        : 'no configuration but the running one is known as good'
    const remedy =
      'Correct the configuration itself: start-live-env plan shows what differs, validate-env what is wrong.'
    const problem = { name: 'no-last-known-good', message, remedy }
    const parsed: ParsedConfig = {
      ok: false,
      exitCode: 78,
      profile,
      problems: [problem],
      warnings: [],
      draft: null,
      given: present.given,
    }
    return { kind: 'none', parsed }
  }
  const inputs = await inputsOf(snapshot, { shared: options.shared, stateDir, env, given: present.given })
  return { kind: 'found', snapshot, inputs }
}

/** The run's configuration is the snapshot's already. */
export async function rollback(run: Run): Promise<ModeEnd> {
  const { snapshot, steps, clock, options, config } = run
  if (snapshot === null) throw new Error('a rollback has a snapshot to go back to')
  await checkLatches(run)
  const made = await makePlan(run)
  showPlan(run, made)
  for (const name of snapshot.left_out) {
    const [then, now] = [snapshot.secrets[name]?.fingerprint, made.wanted.secrets[name]?.fingerprint]
    if (then !== now)
      run.warnings.push(`${name} is another one than when the snapshot was made; the present one is used.`)
  }
  const detail = `${made.changes.length} changes, back to ${snapshot.id} (${snapshot.at}, version ${snapshot.version})`
  steps.record('plan', 'ok', detail, clock.monotonicMs())
  const further = { plan: made, snapshot: snapshot.id }
  await preflight(run)
  if (options.dryRun) return { ...planned(run, made.running === null ? STEPS_UP : ['stop', ...STEPS_UP]), further }
  await savePlan(made, null)
  const before = await lookBefore(run)
  const left = before.status?.config_fingerprint
  await stopRunning(run)
  const end = await launch(run, null, { snapshot: true })
  const leftBehind = (await readSnapshots(config)).filter((each) => each.config_fingerprint === left)
  await withdrawSnapshots(run, leftBehind, options.reason ?? 'rolled back by an operator')
  const outcome = end.exitCode === EXIT.done ? 'rolled-back' : end.outcome
  return { ...end, outcome, plan: made.id, further: { ...end.further, ...further } }
}
