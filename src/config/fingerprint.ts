/**
 * One short text for "the same configuration": two daemons with equal fingerprints behave alike, whichever way their settings came in.
 * Secrets count by reference, never by text, so a fingerprint may be logged.
 */
import { createHash } from 'node:crypto'
import type { Config } from './config.ts'
import type { CatalogueContract } from './contract-files.ts'

/** sha256 in hex. */
export function configFingerprint(config: Config): string {
  return createHash('sha256')
    .update(canonicalJson(behaviourOf(config)))
    .digest('hex')
}

/** Left out is what only the command that was typed cares for, not the daemon. */
export function behaviourOf(config: Config) {
  const { envFile, supervisor, window, logs, ntpServer, planRequired, rollback, ...behaviour } = config
  return behaviour
}

/** The order of a contract list does not count, nor when or in which form it was written. */
export function listFingerprint(contracts: readonly CatalogueContract[]): string {
  const rows = contracts.map((contract) => canonicalJson(contract)).sort()
  return createHash('sha256').update(rows.join('\n')).digest('hex')
}

/** JSON with sorted keys, so that the order in which slices are written down does not count. */
function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_, inner: unknown) => {
    if (typeof inner !== 'object' || inner === null || Array.isArray(inner)) return inner
    return Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
  })
}
