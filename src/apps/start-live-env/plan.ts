/**
 * `plan`: what `start` or `restart` would change against what runs now, which is also the check for drift. A plan that was reviewed is
 * applied by `start --plan FILE`, as long as everything that it was made from is still so.
 */
import { resolve } from 'node:path'
import { sample } from '#adapters/metrics/pushed-metrics.ts'
import { shownValue } from '#config/parse-config.ts'
import { basisChanges, type ConfigChange, configChanges, type PlanBasis } from '#domain/config-change.ts'
import { Failure, type Problem, problemOf } from '#domain/failure.ts'
import { isoShanghai } from '#domain/iso-time.ts'
import { EXIT } from '../exit-codes.ts'
import { type Plan, readPlan, savePlan } from './plan-file.ts'
import { EndRun, type ModeEnd, type Run } from './run.ts'
import { wantedFacts } from './wanted-facts.ts'

/** Drift where nothing runs to have drifted. */
const NOTHING_RUNS = -1

export async function plan(run: Run): Promise<ModeEnd> {
  try {
    const made = await makePlan(run)
    const out = run.options.out === null ? null : resolve(run.options.out)
    const file = await savePlan(made, out)
    showPlan(run, made)
    const hasChanges = made.changes.length > 0
    const detail = hasChanges ? `${made.changes.length} changes, in ${file}` : 'nothing would change'
    run.steps.record('plan', 'ok', detail, run.clock.monotonicMs())
    return {
      outcome: hasChanges ? 'changes' : 'no-change',
      exitCode: hasChanges ? EXIT.changes : EXIT.done,
      plan: made.id,
      samples: [sample('md_config_drift', made.running === null ? NOTHING_RUNS : hasChanges ? 1 : 0)],
      further: { plan: { ...made, file } },
    }
  } catch (error) {
    // Of the codes that plan has, 1 is the one for "could not be told".
    if (error instanceof Failure) return { outcome: 'failed', exitCode: EXIT.fault, problems: [problemOf(error)] }
    throw error
  }
}

export async function makePlan(run: Run): Promise<Plan> {
  const basis = await basisOf(run)
  const at = isoShanghai(run.clock.wallMs())
  const changes = configChanges(basis.running, basis.wanted)
  return {
    schema: 'feed-supervisor/plan/1',
    id: `${at.slice(0, 23).replaceAll(/[-:.]/g, '')}-${basis.wanted.config_fingerprint.slice(0, 8)}`,
    at,
    action: basis.running === null ? 'start' : changes.length > 0 ? 'restart' : 'none',
    changes,
    ...basis,
  }
}

/** @throws Failure `not-answering` for a daemon that runs and can't be asked */
async function basisOf(run: Run): Promise<PlanBasis> {
  const { config, control, supervisor } = run
  const running = await control.config().catch(async (error: unknown) => {
    const pid = await supervisor.find()
    if (pid === null) return null
    const why = error instanceof Error ? error.message : String(error)
    const remedy =
      'See start-live-env status; start-live-env restart replaces one that hangs or is of an older version.'
    throw new Failure(
      'not-answering',
      `the daemon (process ${pid}) does not tell its configuration: ${why}`,
      remedy,
      error,
    )
  })
  const wanted = await wantedFacts(run)
  return { profile: config.profile, state_dir: config.stateDir, running, wanted }
}

/**
 * Whether this start may go on: the plan that it names, still true; null without one, where none is needed.
 * @throws EndRun (78) for a plan that the world has left behind, and for none where the environment wants one
 */
export async function reviewedPlan(run: Run): Promise<Plan | null> {
  const { options, config, steps } = run
  const path = options.plan
  if (path === null) {
    if (!config.planRequired || options.dryRun) return null
    const message = 'REQUIRE_PLAN is set: this environment is started and restarted by a reviewed plan only'
    const remedy = 'Run start-live-env plan --out FILE, review FILE, then start-live-env start --plan FILE.'
    throw refused([{ name: 'plan-required', message, remedy }])
  }
  return steps.take('plan', async () => {
    const reviewed = await readPlan(path).catch((error: unknown) => {
      throw refused([problemOf(error)])
    })
    const changed = basisChanges(reviewed, await basisOf(run))
    if (changed.length > 0) {
      const remedy = 'Make and review a new one: start-live-env plan --out FILE.'
      throw refused(changed.map((message) => ({ name: 'plan-outdated', message, remedy })))
    }
    return { detail: `${reviewed.id} holds: ${reviewed.changes.length} changes`, value: reviewed }
  })
}

function refused(problems: readonly Problem[]): EndRun {
  return new EndRun({ outcome: 'plan-refused', exitCode: EXIT.configuration, problems })
}

export function showPlan({ terminal, given }: Run, { running, changes }: Plan): void {
  if (running === null) {
    terminal.say('Nothing runs; a start would begin with these settings, and defaults for the rest:')
    const rows = [...given].map(([name, text]) => [name, shownValue(name, text)])
    terminal.table([{ title: 'setting' }, { title: 'value' }], rows)
    return
  }
  if (changes.length === 0) {
    terminal.say('What runs is what is wanted: nothing would change.')
    return
  }
  const rows = changes.map(({ path, from, to }) => [path, shown(from), shown(to)])
  terminal.table([{ title: 'what' }, { title: 'runs' }, { title: 'wanted' }], rows)
}

const SHOWN_MAX = 60

function shown(value: ConfigChange['from']): string {
  if (value === null) return '-'
  const text = typeof value === 'string' ? value : JSON.stringify(value)
  return text.length > SHOWN_MAX ? `${text.slice(0, SHOWN_MAX)}...` : text
}
