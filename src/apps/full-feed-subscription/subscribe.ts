/** `full-feed-subscription subscribe`: tells the running daemon to ask again, for what is missing or for the contracts of a file. */
import { controlClient } from '#adapters/control/control-client.ts'
import { readCatalogue } from '#config/contract-files.ts'
import { Failure, problemOf } from '#domain/failure.ts'
import { EXIT } from '../exit-codes.ts'
import { isConfigurationFault, quickSettings } from '../quick-settings.ts'
import type { SharedOptions } from '../shared-options.ts'

export async function subscribe(
  shared: SharedOptions,
  env: NodeJS.ProcessEnv,
  file: string | undefined,
): Promise<number> {
  try {
    const symbols = file === undefined ? null : await symbolsOf(file)
    const { controlSocket } = await quickSettings(shared, env, process.cwd())
    const client = controlClient({ socketPath: controlSocket })
    const answer = await client.subscribe(symbols === null ? { only: 'missing' } : { symbols })
    if (answer.kind === 'refused') return report(shared, EXIT.notReady, answer.problem.name, answer.problem)
    const { accepted, rejected } = answer.body
    if (shared.json || !process.stdout.isTTY) {
      const exitCode = EXIT.done
      process.stdout.write(
        `${JSON.stringify({ schema: 'feed-supervisor/subscribe/1', command: 'subscribe', outcome: 'asked', exit_code: exitCode, accepted, rejected })}\n`,
      )
      return exitCode
    }
    process.stdout.write(`asked again for ${accepted} contracts, ${rejected.length} are not on the list\n`)
    for (const { symbol, reason } of rejected.slice(0, 20)) process.stdout.write(`- ${symbol}: ${reason}\n`)
    return EXIT.done
  } catch (error) {
    if (!(error instanceof Failure)) throw error
    const isInput = error.kind.startsWith('contract') || isConfigurationFault(error)
    return report(shared, isInput ? EXIT.configuration : EXIT.notReady, error.kind, problemOf(error))
  }
}

async function symbolsOf(file: string): Promise<string[]> {
  const { contracts } = await readCatalogue(file)
  return contracts.map(({ symbol, exchange }) => `${symbol}.${exchange}`)
}

function report(
  shared: SharedOptions,
  exitCode: number,
  outcome: string,
  problem: { name: string; message: string; remedy: string },
): number {
  process.stderr.write(`${problem.name}: ${problem.message}\n  -> ${problem.remedy}\n`)
  if (shared.json) {
    process.stdout.write(
      `${JSON.stringify({ schema: 'feed-supervisor/subscribe/1', command: 'subscribe', outcome, exit_code: exitCode, problems: [problem] })}\n`,
    )
  }
  return exitCode
}
