/** What every command does after parsing its arguments: shared options and environment to a Config, or to every problem at once. */
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { openSecretStores, resolveSecret } from '#adapters/secrets/resolve-secret.ts'
import { systemClock } from '#clock.ts'
import { loadConfig } from '#config/load-config.ts'
import type { Environment, ParsedConfig } from '#config/parse-config.ts'
import type { SettingName } from '#config/schema.ts'
import type { SharedOptions } from './shared-options.ts'

interface AppConfigOptions {
  /** Other flags, by the name they override. */
  readonly flags?: Readonly<Partial<Record<SettingName, string | undefined>>>
  readonly requireBackup?: boolean
  /** Where relative paths start; by default here. */
  readonly cwd?: string
}

export function loadAppConfig(
  shared: SharedOptions,
  env: Environment,
  options: AppConfigOptions = {},
): Promise<ParsedConfig> {
  return loadConfig({
    profile: shared.profile,
    envFilePath: shared.envFile,
    flags: { FEED_STATE_DIR: shared.stateDir, ...options.flags },
    env,
    cwd: options.cwd ?? process.cwd(),
    packageDir: packageDir(),
    requireBackup: options.requireBackup,
    followReference: async (ref, stores) =>
      (await resolveSecret(ref, openSecretStores(stores, env, systemClock))).text.reveal(),
  })
}

/** Directory of the package: this file runs bundled from dist/ and, in tests, from src/apps/. */
export function packageDir(): string {
  let directory = dirname(fileURLToPath(import.meta.url))
  // bin/ and dist/ hold a package.json of their own.
  while (!existsSync(join(directory, 'bin', 'full-feed-subscription'))) {
    const parent = dirname(directory)
    if (parent === directory) throw new Error('the package has lost its executables')
    directory = parent
  }
  return directory
}
