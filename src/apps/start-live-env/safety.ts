/** What forbids a start: the kill switch, and credential latches that leave no line to log in. One line left is enough to start on. */
import { accountKey, describeLatch, isKilled, latchOf, readLatches } from '#adapters/state/latches.ts'
import { type LineConfig, linesOf } from '#config/config.ts'
import { EXIT } from '../exit-codes.ts'
import { EndRun, type Run } from './run.ts'

/** The account's name in latches: user numbers repeat among brokers. */
export function latchKeyOf({ brokerId, userId }: LineConfig): string {
  return accountKey(`${brokerId}/${userId}`)
}

/** Throws an EndRun with exit code 77. */
export async function checkLatches({ config, steps, warnings }: Run): Promise<void> {
  await steps.take('latches', async () => {
    const latches = await readLatches(config.stateDir)
    if (isKilled(latches)) throw refusedForKill(latches.map(describeLatch).join('; '))
    const lines = linesOf(config).map((line) => ({ line: line.line, latch: latchOf(latches, latchKeyOf(line)) }))
    const latched = lines.flatMap(({ line, latch }) => (latch === null ? [] : [{ line, latch }]))
    if (latched.length === lines.length) {
      throw noLineLeft(latched.map(({ line, latch }) => `${line}: ${describeLatch(latch)}`).join('; '))
    }
    const [only] = latched
    if (only === undefined) return { detail: 'none set', value: undefined }
    const detail = `${only.line} may not log in: ${describeLatch(only.latch)}`
    warnings.push(`${detail}. One line is left; clear the latch with start-live-env status --clear-latch ${only.line}.`)
    return { outcome: 'warning', detail, value: undefined }
  })
}

function refusedForKill(detail: string): EndRun {
  const remedy = 'When the feed may run again: start-live-env status --clear-latch kill --reason TEXT.'
  return refused('killed', detail, remedy)
}

function noLineLeft(detail: string): EndRun {
  const remedy =
    'Prove the credentials elsewhere, then start-live-env status --clear-latch primary|backup --reason TEXT for each line.'
  return refused('no-line-may-log-in', `no line may log in: ${detail}`, remedy)
}

function refused(name: string, message: string, remedy: string): EndRun {
  return new EndRun({ outcome: 'refused', exitCode: EXIT.refused, problems: [{ name, message, remedy }] })
}
