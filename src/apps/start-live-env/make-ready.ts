/**
 * The state directory before a mode that changes something. Most modes are refused where it can't be written to; those that end, cut or
 * move the feed act first and tell what could not be kept, because a switch that waits for disk space is none.
 */
import { statSync } from 'node:fs'
import { controlClient } from '#adapters/control/control-client.ts'
import { controlSocketPath, prepareStateDir } from '#adapters/state/state-dir.ts'
import type { Config } from '#config/config.ts'
import { Failure, inSentences } from '#domain/failure.ts'
import type { ModeName } from './options.ts'

/** Not restart, drill and restore: what they begin could not be brought to an end. */
const ACTING_FIRST: ReadonlySet<ModeName> = new Set([
  ...(['stop', 'kill', 'failover', 'failback', 'pause', 'resume'] as const),
  ...(['backup', 'bundle'] as const),
])
const OF_THE_DISK: ReadonlySet<string> = new Set(['disk-full', 'state-dir-not-writable', 'state-dir-exposed'])

/** Warnings. @throws Failure as prepareStateDir does, for modes that need a sound directory */
export async function makeReadyStateDir(mode: ModeName, { stateDir }: Pick<Config, 'stateDir'>): Promise<string[]> {
  try {
    await prepareStateDir(stateDir)
    return []
  } catch (error) {
    if (!(error instanceof Failure) || !isBearable(error, stateDir)) throw error
    // A start adopts what runs and writes nothing.
    if (!ACTING_FIRST.has(mode) && !(mode === 'start' && (await isAnswering(stateDir)))) throw error
    return [inSentences(error)]
  }
}

/** A name that stands for no directory is a mistake of the command line; a directory that fails is the day's trouble. */
function isBearable({ kind }: Failure, stateDir: string): boolean {
  if (OF_THE_DISK.has(kind)) return true
  return kind === 'state-dir-unusable' && statSync(stateDir, { throwIfNoEntry: false })?.isDirectory() === true
}

async function isAnswering(stateDir: string): Promise<boolean> {
  return controlClient({ socketPath: controlSocketPath(stateDir) })
    .status()
    .then(
      () => true,
      () => false,
    )
}
