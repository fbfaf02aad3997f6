/** `full-feed-subscription probe`: one question to the daemon, one exit code; for container health checks, so it loads next to nothing. */
import { controlClient } from '#adapters/control/control-client.ts'
import { Failure, inSentences } from '#domain/failure.ts'
import { EXIT } from '../exit-codes.ts'
import { isConfigurationFault, quickSettings } from '../quick-settings.ts'
import type { SharedOptions } from '../shared-options.ts'

export async function probe(shared: SharedOptions, env: NodeJS.ProcessEnv, wantsReady: boolean): Promise<number> {
  try {
    const { controlSocket } = await quickSettings(shared, env, process.cwd())
    const status = await controlClient({ socketPath: controlSocket }).status()
    const ok = !wantsReady || status.ready
    tell(shared, {
      outcome: ok ? 'ok' : 'not-ready',
      exit_code: ok ? EXIT.done : EXIT.notReady,
      detail: status.ready_detail,
    })
    return ok ? EXIT.done : EXIT.notReady
  } catch (error) {
    if (!(error instanceof Failure)) throw error
    const exitCode = isConfigurationFault(error) ? EXIT.configuration : EXIT.notReady
    tell(shared, { outcome: error.kind, exit_code: exitCode, detail: inSentences(error) })
    return exitCode
  }
}

function tell(shared: SharedOptions, report: { outcome: string; exit_code: number; detail: string }): void {
  if (shared.json)
    process.stdout.write(`${JSON.stringify({ schema: 'feed-supervisor/probe/1', command: 'probe', ...report })}\n`)
  else if (!shared.quiet) process.stdout.write(`${report.outcome}: ${report.detail}\n`)
}
