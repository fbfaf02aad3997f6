/**
 * The few settings that a command on a minute timer needs, read without the schema: loading that costs more than the whole check.
 * Same names, same precedence; a value that the schema would refuse is refused by the daemon's start long before.
 */
import { existsSync } from 'node:fs'
import { isAbsolute, resolve } from 'node:path'
import { type EnvFile, readEnvFile } from '#config/env-file.ts'
import { PROFILES } from '#config/profiles.ts'
import { parseSecretRef } from '#config/secret-ref.ts'
import { Failure } from '#domain/failure.ts'
import type { SecretRef } from '#domain/secret-ref.ts'
import type { Pushgateway } from './push-run.ts'
import type { SharedOptions } from './shared-options.ts'

export interface QuickSettings {
  profile: string
  stateDir: string
  controlSocket: string
  market: MarketSettings
  /** Null where the configuration leaves it to the default. */
  coverageThreshold: number | null
  /** Its URL may still come from the command line. */
  pushgateway: Omit<Pushgateway, 'url'> & { url: string | null }
}

/** Whose hours the feed keeps. */
export interface MarketSettings {
  adapter: string
  /** As it is written: `always-open`, `real` or a start time. */
  simClock: string
  /** Null for the calendar that comes with the package. */
  calendarDir: string | null
}

const PUSH_TIMEOUT_MS = 3_000

/** Throws a Failure for an unknown profile, and when the env file that the profile needs is missing or damaged. */
export async function quickSettings(
  shared: SharedOptions,
  env: NodeJS.ProcessEnv,
  cwd: string,
): Promise<QuickSettings> {
  const asked = shared.profile ?? (env['FEED_PROFILE'] || null)
  refuseUnknown(asked)
  const file = await envFileOf(asked ?? 'sim', shared, cwd)
  const profile = asked ?? file?.values.get('FEED_PROFILE') ?? 'sim'
  refuseUnknown(profile)
  const setting = (name: string) => env[name] || file?.values.get(name) || null
  const [systemdDirectory] = (env['STATE_DIRECTORY'] ?? '').split(':')
  const stateDir = resolve(cwd, shared.stateDir ?? setting('FEED_STATE_DIR') ?? (systemdDirectory || './var'))
  const path = (name: string) => {
    const text = setting(name)
    return text === null ? null : resolve(cwd, text)
  }
  const threshold = Number(setting('COVERAGE_THRESHOLD') ?? Number.NaN)
  const pushSeconds = Number(setting('PUSHGATEWAY_TIMEOUT_SECONDS') ?? Number.NaN)
  return {
    profile,
    stateDir,
    controlSocket: resolve(stateDir, 'control.sock'),
    market: {
      adapter: setting('FEED_ADAPTER') ?? (profile === 'sim' ? 'sim' : 'ctp'),
      simClock: setting('SIM_MARKET_CLOCK') ?? 'always-open',
      calendarDir: path('CALENDAR_DIR'),
    },
    coverageThreshold: threshold > 0 && threshold <= 1 ? threshold : null,
    pushgateway: {
      url: setting('PUSHGATEWAY_URL'),
      timeoutMs: pushSeconds > 0 ? pushSeconds * 1000 : PUSH_TIMEOUT_MS,
      user: setting('PUSHGATEWAY_USER'),
      password: secretOf(setting('PUSHGATEWAY_PASSWORD'), env['CREDENTIALS_DIRECTORY'] || cwd),
      tls: {
        caFile: path('PUSHGATEWAY_TLS_CA'),
        certFile: path('PUSHGATEWAY_TLS_CERT'),
        keyFile: path('PUSHGATEWAY_TLS_KEY'),
      },
    },
  }
}

/** Whether a Failure of `quickSettings` is about what an operator wrote. */
export function isConfigurationFault({ kind }: Failure): boolean {
  return kind === 'FEED_PROFILE' || kind.startsWith('env-file')
}

function refuseUnknown(profile: string | null): void {
  if (profile === null || PROFILES.some((known) => known === profile)) return
  const names = PROFILES.join(', ')
  throw new Failure(
    'FEED_PROFILE',
    `there is no profile ${JSON.stringify(profile.slice(0, 40))}, only ${names}`,
    `Use --profile with one of ${names}.`,
  )
}

function secretOf(text: string | null, directory: string): SecretRef | null {
  const ref = text === null ? null : parseSecretRef(text)
  if (ref?.source !== 'file' || isAbsolute(ref.path)) return ref
  return { source: 'file', path: resolve(directory, ref.path) }
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
