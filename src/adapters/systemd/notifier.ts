/**
 * Tells systemd about readiness and life. Node can't send datagrams on unix sockets, so the `systemd-notify` program does it; units
 * therefore need `NotifyAccess=all`. Without NOTIFY_SOCKET nothing is sent.
 */
import { spawn } from 'node:child_process'

export interface Notifier {
  /** Half of WATCHDOG_USEC: how often `alive` should be called, null when systemd does not watch. */
  readonly watchdogIntervalMs: number | null
  ready(status: string): void
  status(status: string): void
  alive(): void
  reloading(monotonicUs: bigint): void
  stopping(): void
}

const PROGRAM_DEADLINE_MS = 5_000

export function createNotifier(env: NodeJS.ProcessEnv, onTrouble: (message: string) => void): Notifier {
  const watchdogUs = Number(env['WATCHDOG_USEC'] ?? 0)
  const watchdogIntervalMs = watchdogUs > 0 ? Math.max(100, watchdogUs / 2_000) : null
  const socket = env['NOTIFY_SOCKET']
  const send = (...fields: string[]) => {
    if (socket === undefined || socket === '') return
    const child = spawn('systemd-notify', ['--no-block', `--pid=${process.pid}`, ...fields], {
      stdio: 'ignore',
      env: { PATH: env['PATH'] ?? '/usr/bin:/bin', NOTIFY_SOCKET: socket },
      timeout: PROGRAM_DEADLINE_MS,
    })
    child.on('error', (error) => onTrouble(`systemd-notify could not be run: ${error.message}`))
    child.on('exit', (code) => {
      if (code !== 0) onTrouble(`systemd-notify ended with ${code}`)
    })
    child.unref()
  }
  return {
    watchdogIntervalMs: socket === undefined ? null : watchdogIntervalMs,
    ready: (status) => send('READY=1', `STATUS=${oneLine(status)}`),
    status: (status) => send(`STATUS=${oneLine(status)}`),
    alive: () => send('WATCHDOG=1'),
    reloading: (monotonicUs) => send('RELOADING=1', `MONOTONIC_USEC=${monotonicUs}`),
    stopping: () => send('STOPPING=1'),
  }
}

function oneLine(text: string): string {
  return text.replace(/\s+/g, ' ').slice(0, 200)
}
