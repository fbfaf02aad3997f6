/**
 * Finds the env file that the profile calls for, reads it, and parses everything. What a command does first, and the one place where
 * configuration touches the disk.
 */
import { resolve } from 'node:path'
import { Failure, problemOf } from '#domain/failure.ts'
import { describeSecretRef, type SecretRef } from '#domain/secret-ref.ts'
import type { Config } from './config.ts'
import { readEnvFile } from './env-file.ts'
import {
  type ConfigInputs,
  type ParsedConfig,
  parseConfig,
  referencesIn,
  shownValue,
  type ValueBehind,
} from './parse-config.ts'
import { PROFILES } from './profiles.ts'
import type { SettingName } from './schema.ts'

interface LoadInputs extends Omit<ConfigInputs, 'envFile' | 'behind'> {
  /** Follows references in settings that are no secrets; a Failure it throws becomes the setting's problem. Without it none is followed. */
  readonly followReference?: ((ref: SecretRef, stores: Config['secretStores']) => Promise<string>) | undefined
  /** From --env-file; otherwise `.env.<profile>` in `cwd`, which profile sim can do without. */
  readonly envFilePath?: string | undefined
}

/** Never throws for what an operator wrote: a missing file, an unknown profile and a bad value all come back as problems. */
export async function loadConfig(inputs: LoadInputs): Promise<ParsedConfig> {
  const asked = inputs.profile ?? (inputs.env['FEED_PROFILE'] || null)
  const profile = PROFILES.find((name) => name === asked) ?? null
  if (asked !== null && profile === null) return unknownProfile(asked)

  const named = inputs.envFilePath
  const path = resolve(inputs.cwd, named ?? `.env.${profile ?? 'sim'}`)
  try {
    return await parseFollowing({ ...inputs, envFile: await readEnvFile(path) })
  } catch (error) {
    if (!(error instanceof Failure)) throw error
    const needless = named === undefined && (profile ?? 'sim') === 'sim' && error.kind === 'env-file-missing'
    if (needless) return parseFollowing({ ...inputs, envFile: null })
    return {
      ok: false,
      exitCode: 78,
      profile: profile ?? 'sim',
      problems: [problemOf(error)],
      warnings: [],
      draft: null,
      given: new Map(),
    }
  }
}

async function parseFollowing({
  followReference,
  ...inputs
}: ConfigInputs & Pick<LoadInputs, 'followReference'>): Promise<ParsedConfig> {
  if (followReference === undefined) return parseConfig(inputs)
  const { references, stores } = referencesIn(inputs)
  if (references.length === 0) return parseConfig(inputs)
  const behind = await Promise.all(
    references.map(async ({ name, ref }): Promise<[SettingName, ValueBehind]> => {
      try {
        return [name, { text: await followReference(ref, stores) }]
      } catch (error) {
        const { message, remedy } = problemOf(error)
        return [
          name,
          { problem: { name, message: `expected what ${describeSecretRef(ref)} holds: ${message}`, remedy } },
        ]
      }
    }),
  )
  return parseConfig({ ...inputs, behind: new Map(behind) })
}

function unknownProfile(asked: string): ParsedConfig {
  const problem = {
    name: 'FEED_PROFILE',
    message: `expected one of ${PROFILES.join(', ')}, got ${shownValue('FEED_PROFILE', asked)}`,
    remedy: `Use --profile with one of ${PROFILES.join(', ')}.`,
  }
  return { ok: false, exitCode: 78, profile: asked, problems: [problem], warnings: [], draft: null, given: new Map() }
}
