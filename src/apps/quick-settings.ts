/**
 * The few settings that a command on a minute timer needs, read without the schema: loading that costs more than the whole check.
 * Same names, same precedence; a value that the schema would refuse is refused by the daemon's start long before.
 */
import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { type EnvFile, readEnvFile } from '#config/env-file.ts'
import { Failure } from '#domain/failure.ts'
import type { SharedOptions } from './shared-options.ts'

export interface QuickSettings {
  profile: string
  stateDir: string
  controlSocket: string
  pushgatewayUrl: string | null
  pushgatewayTimeoutMs: number
}

const PUSH_TIMEOUT_MS = 3_000

/** Throws a Failure when the env file that the profile needs is missing or damaged. */
export async function quickSettings(
  shared: SharedOptions,
  env: NodeJS.ProcessEnv,
  cwd: string,
): Promise<QuickSettings> {
  const asked = shared.profile ?? (env['FEED_PROFILE'] || null)
  const file = await envFileOf(asked ?? 'sim', shared, cwd)
  const profile = asked ?? file?.values.get('FEED_PROFILE') ?? 'sim'
  const setting = (name: string) => env[name] || file?.values.get(name) || null
  const [systemdDirectory] = (env['STATE_DIRECTORY'] ?? '').split(':')
  const stateDir = resolve(cwd, shared.stateDir ?? setting('FEED_STATE_DIR') ?? (systemdDirectory || './var'))
  const pushSeconds = Number(setting('PUSHGATEWAY_TIMEOUT_SECONDS') ?? Number.NaN)
  return {
    profile,
    stateDir,
    controlSocket: resolve(stateDir, 'control.sock'),
    pushgatewayUrl: setting('PUSHGATEWAY_URL'),
    pushgatewayTimeoutMs: pushSeconds > 0 ? pushSeconds * 1000 : PUSH_TIMEOUT_MS,
  }
}

/** Profile `sim` can do without a file, and usually does: then nothing is loaded to read one. */
async function envFileOf(profile: string, shared: SharedOptions, cwd: string): Promise<EnvFile | null> {
  const path = resolve(cwd, shared.envFile ?? `.env.${profile}`)
  if (shared.envFile === undefined && profile === 'sim' && !existsSync(path)) return null
  const file = await readEnvFile(path)
  const [problem] = file.problems
  if (problem !== undefined) throw new Failure('env-file-damaged', problem.message, problem.remedy)
  return file
}
