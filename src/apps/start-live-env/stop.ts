/** `stop`: ends the environment, gently first, and leaves no process behind. Also the first half of `restart`. */
import { join } from 'node:path'
import { systemFiles } from '#adapters/journal/file-operations.ts'
import { readReservation } from '#adapters/journal/sequence-file.ts'
import type { StopReport } from '#adapters/supervisors/supervisor.ts'
import { inSentences, type Problem } from '#domain/failure.ts'
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
  const { lost, ...report } = await endDaemon(run)
  const end = {
    outcome: report.outcome === 'not-running' ? 'not-running' : 'stopped',
    further: { stop: { ...report, lost: lost?.ticks ?? 0 } },
  }
  if (lost === null) return { ...end, exitCode: EXIT.done }
  return { ...end, outcome: 'ticks-lost', exitCode: EXIT.fault, problems: [lost.problem] }
}

/** Before a start: what was lost is told, and keeps nothing from coming up. */
export async function stopRunning(run: Run): Promise<StopReport> {
  const { lost, ...report } = await endDaemon(run)
  if (lost !== null) run.warnings.push(inSentences(lost.problem))
  return report
}

interface EndedDaemon extends StopReport {
  /** Null when everything it had taken is on disk. */
  lost: Loss | null
}

interface Loss {
  /** Null when nobody counted. */
  ticks: number | null
  problem: Problem
}

/** Throws the supervisor's Failure when a process survives even SIGKILL. */
async function endDaemon({
  options,
  config,
  supervisor,
  steps,
  terminal,
  warnings,
  interrupted,
}: Run): Promise<EndedDaemon> {
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
    const lost = report.outcome === 'not-running' ? null : await lossAtEnd(config.stateDir, report)
    const detail = SENTENCES[report.outcome](report.pid)
    return {
      outcome: lost !== null ? 'failed' : report.orphans.length > 0 ? 'warning' : 'ok',
      detail: lost === null ? detail : `${detail}; ${lost.ticks ?? 'an unknown number of'} ticks are lost`,
      value: { ...report, lost },
    }
  })
}

/** By the note that the journal leaves when it is closed, because a daemon whose disk is full can tell nobody else. */
async function lossAtEnd(stateDir: string, { outcome }: StopReport): Promise<Loss | null> {
  const reading = await readReservation(systemFiles, join(stateDir, 'journal')).catch(() => null)
  if (reading?.kind !== 'good') return null // It ended before it had a journal, or the next start tells of the damage.
  const { clean, lost = 0 } = reading.reservation
  if (clean && lost === 0) return null
  // A daemon that had to be killed closed nothing; its step says so, and the next start how far the journal goes.
  if (!clean && outcome !== 'drained') return null
  return {
    ticks: clean ? lost : null,
    problem: {
      name: 'ticks-lost',
      message: clean
        ? `${lost} ticks that the daemon held in memory are lost: the disk did not take them`
        : 'the journal could not be closed: ticks that the daemon held in memory are lost',
      remedy:
        'Free disk space or mend the disk before the next start, and fetch these ticks from elsewhere if they matter.',
    },
  }
}

const SENTENCES: Record<StopReport['outcome'], (pid: number | null) => string> = {
  'not-running': () => 'nothing was running',
  drained: (pid) => `process ${pid} drained and ended`,
  terminated: (pid) => `process ${pid} did not drain in time and ended on SIGTERM`,
  killed: (pid) => `process ${pid} answered neither request nor SIGTERM and was killed`,
}
