/**
 * Configurations that reached a healthy verdict, kept under <state-dir>/snapshots: what was asked for, to ask for it again, and what came
 * of it. Secrets and accounts are in them as references, or not at all.
 */
import { mkdir, readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { TransmittedHealth } from '#adapters/control/parse-answers.ts'
import { writeDurably } from '#adapters/state/durable-file.ts'
import { envFileText } from '#config/env-file.ts'
import { ACCOUNT_SETTINGS, SECRET_SETTINGS } from '#config/schema.ts'
import { looksLikeSecretRef } from '#config/secret-ref.ts'
import { type ConfigSnapshot, superfluous } from '#domain/config-snapshot.ts'
import { isoShanghai } from '#domain/iso-time.ts'
import type { Run } from './run.ts'
import { wantedFacts } from './wanted-facts.ts'

const SCHEMA = 'feed-supervisor/snapshot/2'
const SNAPSHOTS_KEPT = 30
const SNAPSHOT_NAME = /^\d{8}T\d{9}-[0-9a-f]{12}\.json$/

/** Said by the command line or by the snapshot itself. */
const NO_SETTINGS_OF_IT: ReadonlySet<string> = new Set(['FEED_PROFILE', 'FEED_STATE_DIR'])

/** Rejects when the disk does not take it. */
export async function keepSnapshot(run: Run, health: TransmittedHealth): Promise<ConfigSnapshot> {
  const { config, clock, env, cwd } = run
  const at = isoShanghai(clock.wallMs())
  const facts = await wantedFacts(run)
  const { settings, leftOut } = settingsOf(run)
  const snapshot: ConfigSnapshot = {
    schema: SCHEMA,
    id: `${at.slice(0, 23).replaceAll(/[-:.]/g, '')}-${facts.config_fingerprint.slice(0, 12)}`,
    at,
    profile: config.profile,
    image_tag: env['FEED_IMAGE_TAG'] || null,
    ...facts,
    cwd,
    settings,
    left_out: leftOut,
    health: {
      verdict: health.verdict,
      coverage_ratio: health.coverage_ratio,
      expected_total: health.expected_total,
      subscribed_total: health.subscribed_total,
      serving_line: health.serving_line,
    },
    withdrawn: null,
  }
  await mkdir(directoryIn(config), { recursive: true, mode: 0o700 })
  await write(config, snapshot)
  for (const id of superfluous(await readSnapshots(config), SNAPSHOTS_KEPT)) {
    for (const file of [`${id}.json`, `${id}.env`]) await rm(join(directoryIn(config), file), { force: true })
  }
  return snapshot
}

type InStateDir = Pick<Run['config'], 'stateDir'>

export function snapshotPath({ stateDir }: InStateDir, { id }: ConfigSnapshot): string {
  return join(stateDir, 'snapshots', `${id}.json`)
}

/** A start for one window is no wish for every start, so `--window` is left out. */
function settingsOf({ given, options }: Run): { settings: Record<string, string>; leftOut: string[] } {
  const settings: Record<string, string> = {}
  const leftOut: string[] = []
  for (const [name, text] of given) {
    if (NO_SETTINGS_OF_IT.has(name) || (name === 'FEED_WINDOW' && options.window !== null)) continue
    const isHidden = isSecretText(name, text) || (ACCOUNT_SETTINGS.has(name) && !looksLikeSecretRef(text))
    if (isHidden) leftOut.push(name)
    else settings[name] = text
  }
  return { settings, leftOut }
}

/** A secret itself, not a reference to one. */
export function isSecretText(name: string, text: string): boolean {
  return SECRET_SETTINGS.has(name) && !looksLikeSecretRef(text)
}

/** Oldest first; what is damaged or of another version is left out. */
export async function readSnapshots(config: InStateDir): Promise<ConfigSnapshot[]> {
  const directory = directoryIn(config)
  const names = await readdir(directory).catch(() => [])
  const kept = names.filter((name) => SNAPSHOT_NAME.test(name)).sort()
  const read = await Promise.all(kept.map(async (name) => parseSnapshot(await readFile(join(directory, name), 'utf8'))))
  return read.filter((snapshot) => snapshot !== null)
}

function parseSnapshot(text: string): ConfigSnapshot | null {
  try {
    const value: unknown = JSON.parse(text)
    const isOurs = typeof value === 'object' && value !== null && Reflect.get(value, 'schema') === SCHEMA
    return isOurs ? (value as ConfigSnapshot) : null
  } catch {
    return null // Cut short by a crash or edited by hand: it proves nothing, and an older one does.
  }
}

/** It did badly after all: nobody goes back to it. */
export async function withdrawSnapshots(
  { config, clock }: Run,
  snapshots: readonly ConfigSnapshot[],
  reason: string,
): Promise<void> {
  const at = isoShanghai(clock.wallMs())
  for (const snapshot of snapshots) {
    if (snapshot.withdrawn === null) await write(config, { ...snapshot, withdrawn: { at, reason } })
  }
}

async function write(config: InStateDir, snapshot: ConfigSnapshot): Promise<void> {
  await writeDurably(snapshotPath(config, snapshot), `${JSON.stringify(snapshot, null, 2)}\n`)
}

/** Its settings as an env file (mode 0600) for the daemon that is started with them. @returns the path */
export async function writeSnapshotEnv(config: InStateDir, { id, settings, at }: ConfigSnapshot): Promise<string> {
  const path = join(directoryIn(config), `${id}.env`)
  await writeDurably(
    path,
    `# Settings of the snapshot ${id}, which worked on ${at}. Written anew when it is gone back to.\n${envFileText(settings)}`,
  )
  return path
}

function directoryIn({ stateDir }: InStateDir): string {
  return join(stateDir, 'snapshots')
}
