/** What this command would start, in the form in which it is compared, kept and shown. */
import { openSecretStores } from '#adapters/secrets/resolve-secret.ts'
import { catalogueFingerprint, configFacts } from '#daemon/config-facts.ts'
import type { ConfigFacts } from '#domain/config-change.ts'
import { VERSION } from '../version.ts'
import type { Run } from './run.ts'

/** @throws Failure<'fingerprint-key'> */
export async function wantedFacts({ config, env, clock }: Pick<Run, 'config' | 'env' | 'clock'>): Promise<ConfigFacts> {
  const stores = openSecretStores(config.secretStores, env, clock)
  return configFacts(config, { version: VERSION, stores, catalogue: await catalogueFingerprint(config) })
}
