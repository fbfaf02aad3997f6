/**
 * The configuration that reached a healthy verdict, kept beside the state: what ran last time and worked. Secrets appear as references or
 * not at all, accounts by their last three characters.
 */
import { mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { TransmittedHealth } from '#adapters/control/parse-answers.ts'
import type { Config } from '#config/config.ts'
import { configFingerprint } from '#config/fingerprint.ts'
import { isoShanghai } from '#domain/iso-time.ts'
import { maskAccount } from '#domain/secret-ref.ts'
import { VERSION } from '../version.ts'
import type { Run } from './run.ts'

const SNAPSHOTS_KEPT = 30
const SNAPSHOT_NAME = /^\d{8}T\d{9}-[0-9a-f]{12}\.json$/
const ACCOUNT_FIELDS: ReadonlySet<string> = new Set(['userId', 'account', 'user'])

/** Path of the snapshot. Rejects when the disk does not take it. */
export async function keepSnapshot({ config, clock }: Run, health: TransmittedHealth): Promise<string> {
  const at = isoShanghai(clock.wallMs())
  const fingerprint = configFingerprint(config)
  const directory = join(config.stateDir, 'snapshots')
  const name = `${at.slice(0, 23).replaceAll(/[-:.]/g, '')}-${fingerprint.slice(0, 12)}.json`
  const path = join(directory, name)
  const document = {
    schema: 'feed-supervisor/snapshot/1',
    at,
    version: VERSION,
    profile: config.profile,
    config_fingerprint: fingerprint,
    config: maskedConfig(config),
    health: {
      verdict: health.verdict,
      coverage_ratio: health.coverage_ratio,
      expected_total: health.expected_total,
      subscribed_total: health.subscribed_total,
      serving_line: health.serving_line,
    },
  }
  await mkdir(directory, { recursive: true, mode: 0o700 })
  await writeFile(`${path}.tmp`, `${JSON.stringify(document, null, 2)}\n`, { mode: 0o600 })
  await rename(`${path}.tmp`, path)
  const kept = (await readdir(directory)).filter((file) => SNAPSHOT_NAME.test(file)).sort()
  for (const file of kept.slice(0, -SNAPSHOTS_KEPT)) await rm(join(directory, file), { force: true })
  return path
}

/** The configuration as it may be kept and shown. */
export function maskedConfig(config: Config): unknown {
  return JSON.parse(JSON.stringify(config, masked))
}

function masked(name: string, value: unknown): unknown {
  return ACCOUNT_FIELDS.has(name) && typeof value === 'string' ? maskAccount(value) : value
}
