/** Where secrets in network stores are: the one question for which the whole configuration is read. */
import { openSecretStores, type SecretStores } from '#adapters/secrets/resolve-secret.ts'
import { systemClock } from '#clock.ts'
import { loadAppConfig } from '../load-app-config.ts'
import type { SharedOptions } from '../shared-options.ts'

/** A configuration that is not valid leaves no stores, and the push tells that. */
export async function configuredStores(shared: SharedOptions, env: NodeJS.ProcessEnv): Promise<SecretStores> {
  const parsed = await loadAppConfig(shared, env)
  const config = parsed.ok ? parsed.config : (parsed.draft?.config ?? null)
  return config === null ? { env } : openSecretStores(config.secretStores, env, systemClock)
}
