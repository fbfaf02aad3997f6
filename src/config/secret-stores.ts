/** The slice for whoever asks secret stores: where they are, how to log in there, and how patient to be. */
import type { SecretRef } from '#domain/secret-ref.ts'
import type { Settings } from './schema.ts'

interface Anchors {
  path: (text: string) => string
  secret: (ref: SecretRef) => SecretRef
}

export function secretStoresOf(settings: Settings, { path, secret }: Anchors) {
  const pathOrNull = (text: string | null) => (text === null ? null : path(text))
  const secretOrNull = (ref: SecretRef | null) => (ref === null ? null : secret(ref))
  const accessKey =
    settings.AWS_ACCESS_KEY_ID === null || settings.AWS_SECRET_ACCESS_KEY === null
      ? null
      : {
          id: settings.AWS_ACCESS_KEY_ID,
          secret: secret(settings.AWS_SECRET_ACCESS_KEY),
          sessionToken: secretOrNull(settings.AWS_SESSION_TOKEN),
        }
  return {
    /** For one secret, retries included. */
    timeoutMs: settings.SECRET_TIMEOUT_SECONDS * 1000,
    vault:
      settings.VAULT_ADDR === null
        ? null
        : {
            address: settings.VAULT_ADDR,
            namespace: settings.VAULT_NAMESPACE,
            caFile: pathOrNull(settings.VAULT_CACERT),
            auth: vaultAuthOf(settings, { path, secret }),
            kvVersion: settings.VAULT_KV_VERSION,
          },
    aws: {
      region: settings.AWS_REGION,
      endpoint: settings.AWS_ENDPOINT_URL_SECRETS_MANAGER,
      caFile: pathOrNull(settings.AWS_CA_BUNDLE),
      /** Null: the role of the container or instance. */
      accessKey,
    },
  }
}

/** Null where something is missing: the rules have told it, if any reference needs it. */
function vaultAuthOf(settings: Settings, { path, secret }: Anchors) {
  const mount = settings.VAULT_AUTH_MOUNT ?? settings.VAULT_AUTH
  switch (settings.VAULT_AUTH) {
    case 'token':
      if (settings.VAULT_TOKEN === null) return null
      return { method: 'token' as const, token: secret(settings.VAULT_TOKEN) }
    case 'approle':
      if (settings.VAULT_ROLE_ID === null || settings.VAULT_SECRET_ID === null) return null
      return {
        method: 'approle' as const,
        mount,
        roleId: settings.VAULT_ROLE_ID,
        secretId: secret(settings.VAULT_SECRET_ID),
      }
    case 'kubernetes':
      if (settings.VAULT_KUBERNETES_ROLE === null) return null
      return {
        method: 'kubernetes' as const,
        mount,
        role: settings.VAULT_KUBERNETES_ROLE,
        tokenFile: path(settings.VAULT_KUBERNETES_TOKEN_FILE),
      }
  }
}
