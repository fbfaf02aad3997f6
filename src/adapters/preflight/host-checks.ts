/** Checks of this machine: disk space, open files, the metrics port, the state directory and the latches in it. */
import { readFile, stat, statfs } from 'node:fs/promises'
import { createServer } from 'node:net'
import { dirname } from 'node:path'
import { describeLatch, readLatches } from '#adapters/state/latches.ts'
import { lockHolder } from '#adapters/state/run-lock.ts'
import { inspectStateDir, prepareStateDir } from '#adapters/state/state-dir.ts'
import { failed, ok, type PreflightCheck, skipped, warning } from './run-preflight.ts'

/** @param touch `prepare` creates it and writes to it, `inspect` leaves no trace. */
export function stateDirCheck(stateDir: string, touch: 'inspect' | 'prepare'): PreflightCheck {
  return {
    name: 'state-dir',
    async run() {
      const [exposed] = await (touch === 'prepare' ? prepareStateDir(stateDir) : inspectStateDir(stateDir))
      return exposed === undefined
        ? ok(`${stateDir} is private and writable`)
        : warning(exposed.message, exposed.remedy)
    },
  }
}

interface DiskNeeds {
  readonly stateDir: string
  /** The journal's share of a day, as far as it can be estimated. */
  readonly dayBytes: number
  readonly minFreeBytes: number
}

export function diskSpaceCheck({ stateDir, dayBytes, minFreeBytes }: DiskNeeds): PreflightCheck {
  return {
    name: 'disk-space',
    async run() {
      const { bavail, bsize } = await statfs(await nearestExisting(stateDir))
      const free = bavail * bsize
      const detail = `${inGiB(free)} GiB free, a day's journal may take ${inGiB(dayBytes)} GiB`
      const remedy = 'Free space, lower JOURNAL_MAX_BYTES, or move the state directory to another disk.'
      if (free < minFreeBytes)
        return failed(`${detail}, and JOURNAL_MIN_FREE_BYTES is ${inGiB(minFreeBytes)} GiB`, remedy)
      return free < dayBytes + minFreeBytes ? warning(detail, remedy) : ok(detail)
    },
  }
}

const OPEN_FILES_MIN = 4_096

export function openFilesCheck(limitsFile = '/proc/self/limits'): PreflightCheck {
  return {
    name: 'open-files',
    async run() {
      const limits = await readFile(limitsFile, 'utf8').catch(() => '') // Not Linux: nothing to tell.
      const soft = /^Max open files\s+(\d+|unlimited)/m.exec(limits)?.[1]
      if (soft === undefined) return skipped('the limit is not known here')
      if (soft === 'unlimited' || Number(soft) >= OPEN_FILES_MIN) return ok(`limit ${soft}`)
      const remedy = `Raise it: LimitNOFILE=${OPEN_FILES_MIN} in the unit, or ulimit -n ${OPEN_FILES_MIN}.`
      return warning(
        `limit ${soft}, expected at least ${OPEN_FILES_MIN}: vendor libraries die when files run out`,
        remedy,
      )
    },
  }
}

interface MetricsAddress {
  readonly host: string
  /** 0: any free port. */
  readonly port: number
  /** A daemon of this state directory holds the port rightfully. */
  readonly stateDir: string
}

export function metricsPortCheck({ host, port, stateDir }: MetricsAddress): PreflightCheck {
  return {
    name: 'metrics-port',
    async run() {
      if (port === 0) return ok('any free port')
      const why = await listenError(host, port)
      if (why === null) return ok(`${host}:${port} is free`)
      if (why === 'EADDRINUSE' && (await ownDaemonRuns(stateDir)))
        return ok(`${host}:${port} is held by our own daemon`)
      const busy = why === 'EADDRINUSE' ? 'is used by another program' : `can't be used (${why})`
      return failed(
        `${host}:${port} ${busy}`,
        'Set METRICS_PORT (or METRICS_HOST) to a free address; 0 takes any free port.',
      )
    },
  }
}

function listenError(host: string, port: number): Promise<string | null> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message))
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(null)))
  })
}

/** A state directory that does not exist has no daemon. */
async function ownDaemonRuns(stateDir: string): Promise<boolean> {
  return lockHolder(stateDir, 'daemon').then(
    (holder) => holder !== null,
    () => false,
  )
}

/** A warning at most: a latch is a safety measure of its own with its own exit code, not a fault of configuration. */
export function latchesCheck(stateDir: string): PreflightCheck {
  return {
    name: 'latches',
    async run() {
      const latches = await readLatches(stateDir)
      if (latches.length === 0) return ok('none set')
      const remedy =
        'When the cause is dealt with: start-live-env status --clear-latch primary|backup|kill --reason TEXT.'
      return warning(latches.map(describeLatch).join('; '), remedy)
    },
  }
}

async function nearestExisting(path: string): Promise<string> {
  let existing = path
  while (!(await exists(existing)) && dirname(existing) !== existing) existing = dirname(existing)
  return existing
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  )
}

function inGiB(bytes: number): string {
  return (bytes / 1024 ** 3).toFixed(1)
}
