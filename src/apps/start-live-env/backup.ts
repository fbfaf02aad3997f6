/** `backup FILE` and `restore FILE`: what the state directory must not lose, out of it and back into one. */
import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { lockHolder } from '#adapters/state/run-lock.ts'
import { type Restored, readBackup, restoreBackup, writeBackup } from '#adapters/state/state-backup.ts'
import { readCatalogue } from '#config/contract-files.ts'
import { problemOf } from '#domain/failure.ts'
import { EXIT } from '../exit-codes.ts'
import { packageDir } from '../load-app-config.ts'
import { VERSION } from '../version.ts'
import type { ModeEnd, Run } from './run.ts'

export async function backup(run: Run): Promise<ModeEnd> {
  const { config, clock, steps } = run
  const path = fileOf(run)
  const written = await steps.take('backup', async () => {
    const { stateDir, profile } = config
    const value = await writeBackup(path, { stateDir, calendarDir: calendarDir(run), profile, version: VERSION, clock })
    return { detail: `${value.files} files, ${(value.bytes / 1024).toFixed(0)} KiB in ${path}`, value }
  })
  const { at, files, bytes, epoch, nextSequence } = written
  const further = { backup: { file: path, at, files, bytes, epoch, next_sequence: nextSequence } }
  return { outcome: 'backed-up', exitCode: EXIT.done, further }
}

export async function restore(run: Run): Promise<ModeEnd> {
  const { config, steps, clock, options, warnings } = run
  const path = fileOf(run)
  // A dry run makes no directory; where there is none, nobody uses it.
  const running = existsSync(config.stateDir) ? await lockHolder(config.stateDir, 'daemon') : null
  if (running !== null) return inUse(config.stateDir)
  const found = await steps.take('check', async () => {
    const value = await readBackup(path)
    const { at, profile, files } = value.summary
    return { detail: `${files} files of ${at}, profile ${profile}, whole and unchanged`, value }
  })
  if (found.summary.profile !== config.profile) {
    warnings.push(`The backup is of profile ${found.summary.profile}, this environment is ${config.profile}.`)
  }
  if (options.dryRun) {
    steps.record('restore', 'planned', `would be put into ${config.stateDir}`, clock.monotonicMs())
    return { outcome: 'planned', exitCode: EXIT.done }
  }
  const restored = await steps.take('restore', async () => {
    const value = await restoreBackup(found, { stateDir: config.stateDir, calendarDir: calendarDir(run) })
    return { detail: `${value.written.length} files written, ${value.kept.length} were there and stay`, value }
  })
  await steps.take('prove', async () => ({ detail: await proven(run, restored), value: undefined }))
  const { written, kept, epoch, nextSequence, latches } = restored
  const further = { restore: { file: path, written, kept, epoch, next_sequence: nextSequence, latches } }
  return { outcome: 'restored', exitCode: EXIT.done, further }
}

/** Reads as the daemon will. What it can't use is a warning: a contract list can be fetched again, a latch holds all the same. */
async function proven({ config, warnings }: Run, { written, epoch, nextSequence, latches }: Restored): Promise<string> {
  const said = [`epoch ${epoch}`, `numbers go on at ${nextSequence}`, `${latches} latches set`]
  if (written.includes('catalogue.json')) {
    try {
      const { contracts } = await readCatalogue(join(config.stateDir, 'catalogue.json'))
      said.push(`${contracts.length} contracts`)
    } catch (error) {
      const { message, remedy } = problemOf(error)
      warnings.push(`${message}. ${remedy}`)
    }
  }
  return said.join(', ')
}

function inUse(stateDir: string): ModeEnd {
  const message = `a daemon uses ${stateDir}`
  const remedy = 'Stop it first (start-live-env stop), or restore into another state directory.'
  return { outcome: 'locked', exitCode: EXIT.locked, problems: [{ name: 'daemon-running', message, remedy }] }
}

/** Null for the calendar of the package, which comes with it. */
function calendarDir({ config }: Run): string | null {
  return config.calendar.dir === join(packageDir(), 'calendar') ? null : config.calendar.dir
}

function fileOf({ options }: Run): string {
  return resolve(options.operand ?? '')
}
