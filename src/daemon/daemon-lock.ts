/**
 * One daemon per state directory. The lock is the kernel's and leaves with its holder, but it is known only within one network namespace:
 * a daemon in a container of the same directory holds another one. Its control socket is a file and can be asked from anywhere.
 */
import { controlClient, isNotRunning } from '#adapters/control/control-client.ts'
import { takeLock } from '#adapters/state/run-lock.ts'
import { controlSocketPath } from '#adapters/state/state-dir.ts'
import { Failure } from '#domain/failure.ts'
import { isoShanghai } from '#domain/iso-time.ts'
import type { Closers } from './closers.ts'
import type { DaemonOptions } from './daemon-options.ts'

const ANSWER_MS = 1_000

/** @throws Failure `daemon-running`, or `not-permitted` where another user's socket is in the way */
export async function holdDaemonLock(
  { config, clock }: Pick<DaemonOptions, 'config' | 'clock'>,
  closers: Closers,
): Promise<void> {
  const { stateDir } = config
  const attempt = await takeLock(stateDir, 'daemon', {
    pid: process.pid,
    command: 'full-feed-subscription run',
    since: isoShanghai(clock.wallMs()),
  })
  if (attempt.kind === 'taken') throw running(stateDir, attempt.by === null ? '' : ` (pid ${attempt.by.pid})`)
  const { lock } = attempt
  closers.add({ name: 'daemon lock', deadlineMs: 1_000, close: () => lock.release() })
  const where = await listenerOn(stateDir)
  if (where !== null) throw running(stateDir, where)
}

/** Who listens on the control socket, in words; null when nobody does. */
async function listenerOn(stateDir: string): Promise<string | null> {
  const control = controlClient({ socketPath: controlSocketPath(stateDir), timeoutMs: ANSWER_MS })
  return control.status().then(
    ({ host, pid }) => ` (pid ${pid} of ${host}, perhaps in a container)`,
    (error: unknown) => {
      // A path that is too long is told where the socket is made.
      if (isNotRunning(error) || (error instanceof Failure && error.kind === 'socket-path-too-long')) return null
      if (error instanceof Failure && error.kind === 'not-permitted') throw error
      return ', which does not answer on its control socket,'
    },
  )
}

function running(stateDir: string, who: string): Failure<'daemon-running'> {
  return new Failure(
    'daemon-running',
    `another daemon${who} holds ${stateDir}`,
    'Use start-live-env status to look at it, or give this one a state directory of its own.',
  )
}
