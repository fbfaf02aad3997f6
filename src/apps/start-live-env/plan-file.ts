/** Plans on disk: for review, and to be applied as they were reviewed. */
import { mkdir, readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { writeDurably } from '#adapters/state/durable-file.ts'
import type { ConfigChange, PlanBasis } from '#domain/config-change.ts'
import { Failure } from '#domain/failure.ts'

export interface Plan extends PlanBasis {
  schema: 'feed-supervisor/plan/1'
  id: string
  at: string
  /** What applying it comes to. */
  action: 'none' | 'start' | 'restart'
  changes: readonly ConfigChange[]
}

const SCHEMA = 'feed-supervisor/plan/1'
const PLANS_KEPT = 200
const PLAN_NAME = /^\d{8}T\d{9}-[0-9a-f]{8}\.json$/

/** @param out null: among the plans of the state directory, of which the oldest go @returns the path */
export async function savePlan(plan: Plan, out: string | null): Promise<string> {
  const directory = join(plan.state_dir, 'plans')
  const path = out ?? join(directory, `${plan.id}.json`)
  try {
    if (out === null) await mkdir(directory, { recursive: true, mode: 0o700 })
    await writeDurably(path, `${JSON.stringify(plan, null, 2)}\n`)
    if (out === null) await prune(directory)
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause)
    throw new Failure('plan-unwritable', `${path} cannot be written: ${why}`, 'Name another file with --out.', cause)
  }
  return path
}

async function prune(directory: string): Promise<void> {
  const plans = (await readdir(directory)).filter((name) => PLAN_NAME.test(name)).sort()
  for (const name of plans.slice(0, -PLANS_KEPT)) await rm(join(directory, name), { force: true })
}

/** @throws Failure<'plan-unreadable'> */
export async function readPlan(path: string): Promise<Plan> {
  let value: unknown
  try {
    value = JSON.parse(await readFile(path, 'utf8'))
  } catch (cause) {
    throw unreadable(`the plan ${path} cannot be read`, cause)
  }
  if (!isPlan(value)) throw unreadable(`${path} is no plan of this version`, undefined)
  return value
}

function isPlan(value: unknown): value is Plan {
  if (typeof value !== 'object' || value === null || Reflect.get(value, 'schema') !== SCHEMA) return false
  const isText = (name: string) => typeof Reflect.get(value, name) === 'string'
  const isSide = (side: unknown) =>
    typeof side === 'object' && side !== null && 'config_fingerprint' in side && 'secrets' in side
  const running: unknown = Reflect.get(value, 'running')
  return (
    ['id', 'profile', 'state_dir'].every(isText) &&
    isSide(Reflect.get(value, 'wanted')) &&
    (running === null || isSide(running))
  )
}

function unreadable(message: string, cause: unknown): Failure {
  return new Failure('plan-unreadable', message, 'Make one with start-live-env plan --out FILE.', cause)
}
