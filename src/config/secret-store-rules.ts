/** Whether the secret stores that references name can be asked at all. A store that nobody refers to needs nothing. */
import { describeSecretRef, type SecretRef } from '#domain/secret-ref.ts'
import { type Finding, problem, warning } from './finding.ts'
import type { SettingName, Settings } from './schema.ts'

export interface Reference {
  readonly name: SettingName
  readonly ref: SecretRef
}

interface StoreInput {
  readonly settings: Settings
  readonly references: readonly Reference[]
}

export function storesAreComplete(input: StoreInput): Finding[] {
  const vault = input.references.find(({ ref }) => ref.source === 'vault')
  const aws = input.references.filter(({ ref }) => ref.source === 'aws-sm')
  return [
    ...storeSecretsAreAtHand(input),
    ...(vault === undefined ? [] : vaultIsComplete(input.settings, vault)),
    ...(aws.length === 0 ? [] : awsIsComplete(input.settings, aws)),
  ]
}

const STORE_SECRETS = ['VAULT_TOKEN', 'VAULT_SECRET_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_SESSION_TOKEN'] as const

/** What opens a store can't lie in a store. */
function storeSecretsAreAtHand({ settings }: StoreInput): Finding[] {
  return STORE_SECRETS.filter((name) => isInStore(settings[name])).map((name) =>
    problem(
      [name],
      'expected the text itself, file:PATH or env:NAME, got a reference to a secret store',
      'Let the platform hand it over as a file or a variable: it is what opens the store.',
    ),
  )
}

function isInStore(ref: SecretRef | null): boolean {
  return ref?.source === 'vault' || ref?.source === 'aws-sm'
}

const VAULT_NEEDS = {
  token: ['VAULT_TOKEN'],
  approle: ['VAULT_ROLE_ID', 'VAULT_SECRET_ID'],
  kubernetes: ['VAULT_KUBERNETES_ROLE'],
} as const satisfies Record<Settings['VAULT_AUTH'], readonly SettingName[]>

function vaultIsComplete(settings: Settings, { name, ref }: Reference): Finding[] {
  const because = `since ${name} refers to ${describeSecretRef(ref)}`
  if (settings.VAULT_ADDR === null) {
    const remedy = `Set VAULT_ADDR and how to log in (VAULT_AUTH), or refer to another place in ${name}.`
    return [problem(['VAULT_ADDR'], `expected Vault's address, ${because}, got [missing]`, remedy)]
  }
  const findings = VAULT_NEEDS[settings.VAULT_AUTH]
    .filter((needed) => settings[needed] === null)
    .map((needed) => {
      const message = `expected it for VAULT_AUTH=${settings.VAULT_AUTH}, ${because}, got [missing]`
      return problem(
        [needed, 'VAULT_AUTH'],
        message,
        'Set it, or choose another VAULT_AUTH: token, approle, kubernetes.',
      )
    })
  const { protocol, hostname } = new URL(settings.VAULT_ADDR)
  const isOpen = protocol === 'http:' && !/^(localhost|127\.|\[::1\])/.test(hostname)
  if (isOpen) {
    const message = 'plain http to another machine: whoever is on the way reads the secrets'
    const speak = settings.FEED_PROFILE === 'live' ? problem : warning
    findings.push(
      speak(['VAULT_ADDR'], message, 'Use https, with VAULT_CACERT for a certificate authority of your own.'),
    )
  }
  return findings
}

function awsIsComplete(settings: Settings, references: readonly Reference[]): Finding[] {
  const findings: Finding[] = []
  const regionless = references.find(
    ({ ref }) => ref.source === 'aws-sm' && !/^arn:[^:]*:secretsmanager:[^:]+:/.test(ref.id),
  )
  if (settings.AWS_REGION === null && regionless !== undefined) {
    const message = `expected a region, since ${regionless.name} refers to ${describeSecretRef(regionless.ref)}, got [missing]`
    findings.push(problem(['AWS_REGION'], message, 'Set AWS_REGION, or refer to the secret by its whole ARN.'))
  }
  if ((settings.AWS_ACCESS_KEY_ID === null) !== (settings.AWS_SECRET_ACCESS_KEY === null)) {
    const missing = settings.AWS_ACCESS_KEY_ID === null ? 'AWS_ACCESS_KEY_ID' : 'AWS_SECRET_ACCESS_KEY'
    const message = 'expected AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY together, got [missing]'
    const remedy = 'Set both, or neither to use the role of the instance or container.'
    findings.push(problem(['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY'], message, remedy, missing))
  }
  return findings
}
