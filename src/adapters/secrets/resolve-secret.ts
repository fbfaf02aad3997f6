/** From a reference to the secret, just before it is used. */
import { unreachable } from '#domain/assert.ts'
import { Failure } from '#domain/failure.ts'
import { describeSecretRef, type SecretRef } from '#domain/secret-ref.ts'
import { envSecrets } from './env-secret.ts'
import { fileSecrets } from './file-secret.ts'
import type { ResolvedSecret, SecretFailure } from './secret-source.ts'

export interface SecretStores {
  /** The process environment, for `env:NAME`. */
  readonly env: Readonly<Record<string, string | undefined>>
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
    case 'aws-sm':
      throw new Failure<SecretFailure>(
        'secret-source-not-supported',
        `${describeSecretRef(ref)}: this version does not read ${ref.source === 'vault' ? 'Vault' : 'AWS'} itself`,
        'Let an agent of the store write the secret to a file and refer to it as file:PATH.',
      )
    default:
      return unreachable(ref)
  }
}
