/**
 * The state directory: where everything that must outlive a process is kept. Who may write to it may clear latches and take the feed
 * over, so it must be ours alone; and the control socket's path in it must fit a unix socket's name.
 */
import { constants } from 'node:fs'
import { access, open, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { Failure, type Problem } from '#domain/failure.ts'
import { SOCKET_PATH_BYTES_MAX } from '../control/http-exchange.ts'
import { createPath } from './create-path.ts'

type StateDirFailure =
  | 'state-dir-unusable'
  | 'state-dir-not-writable'
  | 'state-dir-exposed'
  | 'state-dir-path-too-long'
  | 'disk-full'

export function controlSocketPath(stateDir: string): string {
  return join(stateDir, 'control.sock')
}

/**
 * Creates the directory (mode 0700) where it is missing and makes sure that it can be used, by writing to it.
 * @returns warnings that don't stop a start
 * @throws Failure<StateDirFailure>, all of them matters of configuration
 */
export async function prepareStateDir(stateDir: string): Promise<Problem[]> {
  checkSocketPath(stateDir)
  try {
    await createPath(stateDir)
  } catch (error) {
    throw failureOf(stateDir, error)
  }
  const warnings = await checkAccess(stateDir)
  await writeProbe(stateDir)
  return warnings
}

/** The same questions without touching anything: a directory yet to be created is fine where it can be created. */
export async function inspectStateDir(stateDir: string): Promise<Problem[]> {
  checkSocketPath(stateDir)
  let existing = stateDir
  while (!(await exists(existing)) && dirname(existing) !== existing) existing = dirname(existing)
  if (existing === stateDir) return checkAccess(stateDir)
  await checkWritable(existing)
  return []
}

function checkSocketPath(stateDir: string): void {
  const path = controlSocketPath(stateDir)
  const bytes = Buffer.byteLength(path)
  if (bytes <= SOCKET_PATH_BYTES_MAX) return
  throw new Failure<StateDirFailure>(
    'state-dir-path-too-long',
    `the control socket's path ${path} has ${bytes} bytes, a unix socket may have ${SOCKET_PATH_BYTES_MAX}`,
    'Use a state directory with a shorter path, such as /var/lib/feed-supervisor.',
  )
}

async function checkAccess(stateDir: string): Promise<Problem[]> {
  const found = await stat(stateDir).catch((error: unknown) => {
    throw failureOf(stateDir, error)
  })
  if (!found.isDirectory()) {
    throw new Failure<StateDirFailure>(
      'state-dir-unusable',
      `${stateDir} is not a directory`,
      'Name a directory with --state-dir or FEED_STATE_DIR.',
    )
  }
  await checkWritable(stateDir)
  const mode = (found.mode & 0o777).toString(8).padStart(4, '0')
  if ((found.mode & 0o022) !== 0) {
    throw new Failure<StateDirFailure>(
      'state-dir-exposed',
      `other users may write to the state directory ${stateDir} (mode ${mode})`,
      `Run chmod 700 ${stateDir}, or name a directory that is only for the feed.`,
    )
  }
  if ((found.mode & 0o055) === 0) return []
  const message = `other users may look into the state directory ${stateDir} (mode ${mode})`
  return [{ name: 'state-dir', message, remedy: `Run chmod 700 ${stateDir}.` }]
}

async function checkWritable(directory: string): Promise<void> {
  try {
    await access(directory, constants.R_OK | constants.W_OK | constants.X_OK)
  } catch (error) {
    throw failureOf(directory, error)
  }
}

/** Permissions don't tell whether the disk is full or mounted read-only behind a container's back. */
async function writeProbe(stateDir: string): Promise<void> {
  const path = join(stateDir, `.writable-${process.pid}`)
  try {
    const file = await open(path, 'w', 0o600)
    try {
      await file.writeFile(Buffer.alloc(4_096))
    } finally {
      await file.close()
      await rm(path, { force: true })
    }
  } catch (error) {
    throw failureOf(stateDir, error)
  }
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  )
}

function failureOf(path: string, cause: unknown): Failure<StateDirFailure> {
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : String(cause)
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    const remedy = 'Free space, or move the state directory to another disk.'
    return new Failure('disk-full', `the disk of ${path} is full (${code})`, remedy, cause)
  }
  if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS') {
    const remedy = 'Let the user who runs this own the state directory, on a disk that is mounted for writing.'
    return new Failure('state-dir-not-writable', `${path} can't be written to (${code})`, remedy, cause)
  }
  const remedy = 'Name a directory that exists or can be created with --state-dir or FEED_STATE_DIR.'
  return new Failure('state-dir-unusable', `${path} can't be used as a state directory (${code})`, remedy, cause)
}
