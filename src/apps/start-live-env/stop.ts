/** `stop`: ends the environment, gently first, and leaves no process behind. Also the first half of `restart`. */
import type { StopReport } from '#adapters/supervisors/supervisor.ts'
import { EXIT } from '../exit-codes.ts'
import type { ModeEnd, Run } from './run.ts'

/** After the drain: how long SIGTERM may take, and SIGKILL. */
const SIGNAL_MS = 5_000

export async function stop(run: Run): Promise<ModeEnd> {
  if (run.options.dryRun) {
    const pid = await run.supervisor.find()
    const detail = pid === null ? 'nothing runs' : `would stop process ${pid}`
    run.steps.record('stop', 'planned', detail, run.clock.monotonicMs())
    return { outcome: 'planned', exitCode: EXIT.done }
  }
  const report = await stopRunning(run)
  return {
    outcome: report.outcome === 'not-running' ? 'not-running' : 'stopped',
    exitCode: EXIT.done,
    further: { stop: report },
  }
}

/** Throws the supervisor's Failure when a process survives even SIGKILL. */
export async function stopRunning({
  options,
  config,
  supervisor,
  steps,
  terminal,
  warnings,
  interrupted,
}: Run): Promise<StopReport> {
  return steps.take('stop', async () => {
    terminal.progress('draining: the journal is synced and every line closed', [])
    const drainMs = options.mode === 'stop' && options.timeoutMs !== null ? options.timeoutMs : config.timeouts.stopMs
    const reason = options.reason ?? `start-live-env ${options.mode}`
    // An interrupt that came before is not meant for this step, which must end what was begun.
    const hurry = interrupted.aborted ? undefined : interrupted
    const report = await supervisor.stop({ reason, drainMs, signalMs: SIGNAL_MS }, hurry)
    for (const { pid, command } of report.orphans) {
      warnings.push(`Process ${pid} (${command}) outlived the daemon and was ended.`)
    }
    return {
      outcome: report.orphans.length > 0 ? 'warning' : 'ok',
      detail: SENTENCES[report.outcome](report.pid),
      value: report,
    }
  })
}

const SENTENCES: Record<StopReport['outcome'], (pid: number | null) => string> = {
  'not-running': () => 'nothing was running',
  drained: (pid) => `process ${pid} drained and ended`,
  terminated: (pid) => `process ${pid} did not drain in time and ended on SIGTERM`,
  killed: (pid) => `process ${pid} answered neither request nor SIGTERM and was killed`,
}
