/**
 * A daemon as a supervisor sees one: a process with a lock, a control socket, and children that it may leave behind. Its manners come by
 * environment: FAKE_MANNERS is a comma-separated list of `deaf` (no control socket), `stubborn` (ignores shutdown and SIGTERM),
 * `orphans` (starts a child that does not end with it), `exit-78` (ends at once with a last word).
 */
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { serveControl } from '#adapters/control/control-server.ts'
import { takeLock } from '#adapters/state/run-lock.ts'
import { statusOf } from './fake-daemon.ts'

const stateDir = process.argv.at(-1) ?? ''
const manners = new Set((process.env['FAKE_MANNERS'] ?? '').split(','))

if (manners.has('exit-78')) {
  console.error('FEED_PROFILE: expected something else')
  process.exit(78)
}
await takeLock(stateDir, 'daemon', { pid: process.pid, command: 'run', since: '2026-03-03T08:55:00.000+08:00' })
if (manners.has('orphans')) spawn('sleep', ['600'], { stdio: 'ignore' })

const end = () => {
  if (!manners.has('stubborn')) process.exit(0)
}
process.on('SIGTERM', end)
setInterval(() => undefined, 1_000)
if (!manners.has('deaf')) {
  const answer = (body: unknown) => ({ kind: 'json' as const, status: 200, body })
  await serveControl(
    join(stateDir, 'control.sock'),
    new Map([
      ['GET /v1/status', async () => answer(statusOf({ pid: process.pid }))],
      [
        'POST /v1/shutdown',
        async () => {
          setTimeout(end, 20)
          return answer({ stopping: true })
        },
      ],
    ]),
    () => undefined,
  )
}
console.log('up')
