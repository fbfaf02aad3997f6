/**
 * How the daemon is started: with what this command was given, with what a snapshot holds, or as the one that runs was. Secrets that are
 * texts are never kept anywhere, so they always come from the present environment.
 */
import { resolve } from 'node:path'
import { SecretFingerprints } from '#adapters/secrets/fingerprint.ts'
import { daemonEnvironment } from '#adapters/supervisors/daemon-environment.ts'
import type { DaemonLaunch, RunningLaunch } from '#adapters/supervisors/supervisor.ts'
import type { GivenSettings, ParsedConfig } from '#config/parse-config.ts'
import { ACCOUNT_SETTINGS, isSettingName, SETTING_NAMES } from '#config/schema.ts'
import type { ConfigSnapshot } from '#domain/config-snapshot.ts'
import { HiddenText } from '#domain/secret-ref.ts'
import { EXIT } from '../exit-codes.ts'
import { loadAppConfig } from '../load-app-config.ts'
import type { SharedOptions } from '../shared-options.ts'
import { EndRun, type Run } from './run.ts'
import { isSecretText, writeSnapshotEnv } from './snapshot.ts'

/** The daemon reads the same env file and the same settings as this command; flags of this command go as what they override. */
export function launchOf({ options, config, env, cwd }: Run): DaemonLaunch {
  const args = ['run', '--profile', config.profile, '--state-dir', config.stateDir, '--quiet']
  if (options.shared.envFile !== undefined && config.envFile !== null) args.push('--env-file', config.envFile)
  if (options.cold) args.push('--cold')
  if (options.noPublish) args.push('--no-publish')
  const overrides = {
    ...(options.window !== null && { FEED_WINDOW: options.window }),
    ...(options.config !== null && { CTP_ROUTE_SELECTOR: options.config }),
  }
  const passed = handover(env, config.referredVariables)
  return { args, env: { ...passed.env, ...overrides }, handed: passed.handed, cwd }
}

function handover(env: NodeJS.ProcessEnv, referred: readonly string[]) {
  return daemonEnvironment(env, { settings: SETTING_NAMES, referred, isSecret: isSecretText })
}

/** The daemon that ran, again. `missing`: secrets that it had been handed and that this command's environment does not have. */
export function relaunchOf({ env }: Run, { args, env: itsEnv, handedNames, cwd }: RunningLaunch) {
  const found = handedNames.flatMap((name): [string, string][] => {
    const text = env[name]
    return text === undefined || text === '' ? [] : [[name, text]]
  })
  const handed = Object.fromEntries(found)
  const launch: DaemonLaunch = { args, env: itsEnv, handed, cwd }
  return { launch, missing: handedNames.filter((name) => !(name in handed)) }
}

/** What a snapshot needs besides itself. */
interface Present {
  shared: SharedOptions
  stateDir: string
  env: NodeJS.ProcessEnv
  given: GivenSettings
}

export interface SnapshotInputs {
  parsed: ParsedConfig
  env: NodeJS.ProcessEnv
  envFile: string
}

/** The snapshot's settings instead of the present ones, with the present secrets where it had to leave them out. */
export async function inputsOf(snapshot: ConfigSnapshot, present: Present): Promise<SnapshotInputs> {
  const envFile = await writeSnapshotEnv(present, snapshot)
  const others = Object.entries(present.env).filter(([name]) => !isSettingName(name))
  const secrets = snapshot.left_out.flatMap((name): [string, string][] => {
    const text = isSettingName(name) ? present.given.get(name) : undefined
    return text === undefined ? [] : [[name, text]]
  })
  const env = Object.fromEntries([...others, ...secrets])
  const shared = { ...present.shared, profile: snapshot.profile, envFile, stateDir: present.stateDir }
  const parsed = await loadAppConfig(shared, env, { cwd: snapshot.cwd })
  const problems = await otherAccounts(snapshot, present)
  return {
    parsed:
      problems.length > 0 ? { ...NOTHING_PARSED, ...parsed, ok: false, profile: snapshot.profile, problems } : parsed,
    env,
    envFile,
  }
}

const NOTHING_PARSED = { exitCode: 78, draft: null } as const

/** Another password is what a rotation leaves; another account with the fronts of then is no configuration that ever worked. */
async function otherAccounts({ id, left_out: leftOut, secrets }: ConfigSnapshot, { stateDir, given }: Present) {
  const prints = await SecretFingerprints.open(stateDir)
  return leftOut.flatMap((name) => {
    const then = secrets[name]?.fingerprint ?? null
    const text = isSettingName(name) ? given.get(name) : undefined
    if (!ACCOUNT_SETTINGS.has(name) || then === null) return []
    if (text !== undefined && prints.of(name, new HiddenText(text)) === then) return []
    const message = `is not the account of the snapshot ${id}, and snapshots keep none`
    return [{ name, message, remedy: `Set ${name} as it was then, then repeat the command.` }]
  })
}

/** This run with the snapshot's configuration. @throws EndRun when that is not valid any more: a secret is missing, a rule is new */
export async function runOfSnapshot(run: Run, snapshot: ConfigSnapshot): Promise<Run> {
  const { options, config, env, given } = run
  const inputs = await inputsOf(snapshot, { shared: options.shared, stateDir: resolve(config.stateDir), env, given })
  const { parsed } = inputs
  if (!parsed.ok) {
    throw new EndRun({ outcome: 'snapshot-unusable', exitCode: EXIT.configuration, problems: parsed.problems })
  }
  return {
    ...run,
    config: parsed.config,
    given: parsed.given,
    env: inputs.env,
    cwd: snapshot.cwd,
    options: {
      ...options,
      ...{ window: null, config: null, noPublish: false, cold: false },
      shared: { ...options.shared, envFile: inputs.envFile },
    },
  }
}
