/** The configuration as it may be kept and shown: secrets by their references, accounts by their last three characters. */
import { HiddenText, maskAccount, type SecretRef } from '#domain/secret-ref.ts'
import { type Config, linesOf } from './config.ts'
import { behaviourOf } from './fingerprint.ts'

const ACCOUNT_FIELDS: ReadonlySet<string> = new Set(['userId', 'account', 'user'])

export function maskedConfig(config: Config): unknown {
  return JSON.parse(JSON.stringify(config, masked))
}

/** Only what makes the daemon behave as it does. */
export function maskedBehaviour(config: Config): unknown {
  return JSON.parse(JSON.stringify(behaviourOf(config), masked))
}

function masked(name: string, value: unknown): unknown {
  return ACCOUNT_FIELDS.has(name) && typeof value === 'string' ? maskAccount(value) : value
}

/** What a masked configuration does not tell apart, and fingerprints must: every secret, and every account. */
export function hiddenIn(config: Config): { name: string; ref: SecretRef }[] {
  const hidden: { name: string; ref: SecretRef | null | undefined }[] = []
  for (const { line, userId, password, authCode } of linesOf(config)) {
    const prefix = line === 'primary' ? 'CTP_PRIMARY' : 'CTP_BACKUP'
    hidden.push({ name: `${prefix}_USER_ID`, ref: literal(userId) })
    hidden.push({ name: `${prefix}_PASSWORD`, ref: password }, { name: `${prefix}_AUTH_CODE`, ref: authCode })
  }
  const { bus, monitoring, secretStores } = config
  const { vault, aws } = secretStores
  hidden.push({ name: bus?.user === null ? 'NATS_TOKEN' : 'NATS_PASSWORD', ref: bus?.password })
  hidden.push({ name: 'PUSHGATEWAY_PASSWORD', ref: monitoring.pushgateway?.password })
  if (vault?.auth?.method === 'token') hidden.push({ name: 'VAULT_TOKEN', ref: vault.auth.token })
  if (vault?.auth?.method === 'approle') hidden.push({ name: 'VAULT_SECRET_ID', ref: vault.auth.secretId })
  hidden.push({ name: 'AWS_SECRET_ACCESS_KEY', ref: aws.accessKey?.secret })
  return hidden.flatMap(({ name, ref }) => (ref ? [{ name, ref }] : []))
}

function literal(text: string): SecretRef {
  return { source: 'literal', value: new HiddenText(text) }
}
