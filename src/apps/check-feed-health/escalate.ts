/**
 * Calls the operator's own program when remediation did not help. No shell is involved, so nothing in a report can become a command;
 * quotes in the option only group words.
 */
import { spawn } from 'node:child_process'

export interface Escalation {
  words: readonly string[]
  /** Identifies this escalation in the program's message, the log and the report. */
  marker: string
  exitCode: number
  env: NodeJS.ProcessEnv
  timeoutMs: number
}

/** Names whose values the program has no need of. */
const OUR_SECRETS =
  /^(CTP_(PRIMARY|BACKUP)_(PASSWORD|AUTH_CODE)|(NATS|PUSHGATEWAY)_PASSWORD|VAULT_(TOKEN|SECRET_ID)|AWS_(SECRET_ACCESS_KEY|SESSION_TOKEN))$/

/** Null when the program ended with 0, otherwise a sentence on what went wrong. Its output goes to stderr. Never throws. */
export function escalate({ words, marker, exitCode, env, timeoutMs }: Escalation): Promise<string | null> {
  const [program, ...args] = words.map((word) =>
    word.replaceAll('{marker}', marker).replaceAll('{exit_code}', String(exitCode)),
  )
  if (program === undefined) return Promise.resolve('the escalation command is empty')
  const passed = Object.fromEntries(Object.entries(env).filter(([name]) => !OUR_SECRETS.test(name)))
  return new Promise((resolve) => {
    const child = spawn(program, args, { stdio: ['ignore', 2, 2], env: passed })
    // spawn's own timeout option goes on waiting for a program that could not even be started.
    const deadline = setTimeout(() => child.kill('SIGKILL'), timeoutMs)
    const settle = (fault: string | null) => {
      clearTimeout(deadline)
      resolve(fault)
    }
    child.on('error', (error) => settle(`the escalation command could not be started: ${error.message}`))
    child.on('exit', (code, signal) => {
      if (code === 0) settle(null)
      else if (code !== null) settle(`the escalation command ended with exit code ${code}`)
      else settle(`the escalation command was ended by ${signal} (limit ${timeoutMs / 1000} s)`)
    })
  })
}
