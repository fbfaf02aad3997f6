/** Runs one of the real executables as an operator or a timer would. Needs `npm run build`, which `npm test` does first. */
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

export interface CommandEnd {
  code: number | null
  stdout: string
  stderr: string
}

export interface CommandOptions {
  cwd: string
  env?: Readonly<Record<string, string>>
  /** Called with the process once it is started. */
  onStarted?: (pid: number) => void
}

export type CommandName = 'start-live-env' | 'check-feed-health' | 'full-feed-subscription' | 'validate-env'

export function runCommand(name: CommandName, args: readonly string[], options: CommandOptions): Promise<CommandEnd> {
  const dist = fileURLToPath(new URL(`../../dist/${name}.js`, import.meta.url))
  if (!existsSync(dist)) throw new Error(`${dist} is missing: run npm run build first`)
  return new Promise((resolve, reject) => {
    const child = spawn(fileURLToPath(new URL(`../../bin/${name}`, import.meta.url)), args, {
      cwd: options.cwd,
      // Nothing of the tester's own environment may leak in; any free port keeps parallel tests apart, and nobody watches a change.
      env: { PATH: process.env['PATH'], METRICS_PORT: '0', ROLLBACK_WATCH_SECONDS: '0', ...options.env },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let [stdout, stderr] = ['', '']
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text
    })
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text
    })
    child.on('error', reject)
    child.on('spawn', () => options.onStarted?.(child.pid ?? 0))
    child.on('close', (code) => resolve({ code, stdout, stderr }))
  })
}
