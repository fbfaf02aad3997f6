/**
 * What a configuration comes to on this host, in a form that may be shown, kept and compared: masked settings, fingerprints of secrets and
 * of the contract list. The daemon tells it of itself; commands make it of what they would start.
 */
import { SecretFingerprints } from '#adapters/secrets/fingerprint.ts'
import { resolveSecret, type SecretStores } from '#adapters/secrets/resolve-secret.ts'
import type { Config } from '#config/config.ts'
import { readCatalogue } from '#config/contract-files.ts'
import { configFingerprint, listFingerprint } from '#config/fingerprint.ts'
import { hiddenIn, maskedBehaviour } from '#config/masked-config.ts'
import type { ConfigFacts, SecretMark } from '#domain/config-change.ts'
import { describeSecretRef, type HiddenText, type SecretRef } from '#domain/secret-ref.ts'

/** Below the time that a question over the control socket may take. */
const SECRET_DEADLINE_MS = 2_000

interface FactsOf {
  version: string
  stores: SecretStores
  catalogue: string | null
  /** The text in use under this name, where somebody holds one; else it is read at its source. */
  held?: (name: string) => HiddenText | null
}

/** A secret that can't be read has no fingerprint. @throws Failure<'fingerprint-key'> */
export async function configFacts(config: Config, { version, stores, catalogue, held }: FactsOf): Promise<ConfigFacts> {
  const prints = await SecretFingerprints.open(config.stateDir)
  const textOf = (name: string, ref: SecretRef) => held?.(name) ?? textBehind(ref, stores)
  const marks = await Promise.all(
    hiddenIn(config).map(async ({ name, ref }): Promise<[string, SecretMark]> => {
      const text = await textOf(name, ref)
      return [name, { source: describeSecretRef(ref), fingerprint: text === null ? null : prints.of(name, text) }]
    }),
  )
  return {
    version,
    config_fingerprint: configFingerprint(config),
    config: maskedBehaviour(config),
    secrets: Object.fromEntries(marks),
    catalogue,
  }
}

async function textBehind(ref: SecretRef, stores: SecretStores): Promise<HiddenText | null> {
  return resolveSecret(ref, stores, AbortSignal.timeout(SECRET_DEADLINE_MS)).then(
    ({ text }) => text,
    // Whoever needs the secret tells what is wrong with it.
    () => null,
  )
}

/** Null where the feed lists its contracts itself, and where the list can't be read: a start tells why. */
export async function catalogueFingerprint({ catalogue }: Config): Promise<string | null> {
  if (catalogue.file === null) return null
  return readCatalogue(catalogue.file).then(
    ({ contracts }) => listFingerprint(contracts),
    () => null,
  )
}
