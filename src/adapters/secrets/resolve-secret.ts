/** From a reference to the secret, just before it is used. */
import type { Clock } from '#clock.ts'
import { unreachable } from '#domain/assert.ts'
import { Failure } from '#domain/failure.ts'
import { describeSecretRef, type HiddenText, type SecretRef } from '#domain/secret-ref.ts'
import { type AwsOptions, AwsSecrets } from './aws/aws-secrets.ts'
import { envSecrets } from './env-secret.ts'
import { fileSecrets } from './file-secret.ts'
import type { ResolvedSecret, SecretFailure, SecretSource } from './secret-source.ts'
import { VaultSecrets } from './vault/vault-secrets.ts'
import type { VaultOptions } from './vault/vault-session.ts'

export interface SecretStores {
  /** The process environment, for `env:NAME`. */
  readonly env: Readonly<Record<string, string | undefined>>
  readonly vault?: SecretSource<'vault'> | null
  readonly aws?: SecretSource<'aws-sm'> | null
}

export interface StoreOptions {
  /** For one secret, retries included. */
  readonly timeoutMs: number
  readonly vault: VaultOptions | null
  readonly aws: AwsOptions
}

/** One for a whole process, so that there is one login at Vault. Asks nobody anything yet. */
export function openSecretStores(options: StoreOptions, env: SecretStores['env'], clock: Clock): SecretStores {
  const { vault, aws, timeoutMs: budgetMs } = options
  const readLocal = async (ref: SecretRef): Promise<HiddenText> => (await resolveSecret(ref, { env })).text
  return {
    env,
    vault: vault === null ? null : new VaultSecrets({ ...vault, budgetMs }, { readLocal, clock }),
    aws: new AwsSecrets({ ...aws, budgetMs }, { env, readLocal, clock }),
  }
}

/** @throws Failure<SecretFailure>, which names the place and never the text; when `signal` aborts, its reason */
export async function resolveSecret(
  ref: SecretRef,
  stores: SecretStores,
  signal?: AbortSignal,
): Promise<ResolvedSecret> {
  signal?.throwIfAborted()
  switch (ref.source) {
    case 'literal':
      return { text: ref.value, changedAtMs: null, warning: null }
    case 'file':
      return fileSecrets.read(ref, signal)
    case 'env':
      return envSecrets(stores.env).read(ref, signal)
    case 'vault':
      return (stores.vault ?? unconfigured(ref, 'VAULT_ADDR')).read(ref, signal)
    case 'aws-sm':
      return (stores.aws ?? unconfigured(ref, 'AWS_REGION')).read(ref, signal)
    default:
      return unreachable(ref)
  }
}

function unconfigured(ref: SecretRef, setting: string): never {
  const message = `${describeSecretRef(ref)}: its store is not configured`
  const remedy = `Set ${setting} and what belongs to it, or let an agent of the store write a file and refer to file:PATH.`
  throw new Failure<SecretFailure>('secret-store-unconfigured', message, remedy)
}
