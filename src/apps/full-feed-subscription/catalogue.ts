/** `full-feed-subscription catalogue show|diff`: the contract list of the running daemon, and how a file differs from it. */
import { controlClient } from '#adapters/control/control-client.ts'
import { readCatalogue } from '#config/contract-files.ts'
import { Failure, problemOf } from '#domain/failure.ts'
import { EXIT } from '../exit-codes.ts'
import { quickSettings } from '../quick-settings.ts'
import type { SharedOptions } from '../shared-options.ts'

export async function catalogue(
  shared: SharedOptions,
  env: NodeJS.ProcessEnv,
  { action, file }: { action: string; file: string | undefined },
): Promise<number> {
  try {
    if (action === 'diff' && file === undefined) {
      throw new Failure(
        'contract-file-missing',
        'catalogue diff needs a file to compare with',
        'Name a contract list (JSON or CSV).',
      )
    }
    const { controlSocket } = await quickSettings(shared, env, process.cwd())
    const { subscriptions } = await controlClient({ socketPath: controlSocket }).subscriptions()
    const inUse = subscriptions.map(({ symbol, exchange }) => `${symbol}.${exchange}`).sort()
    if (file === undefined) {
      print(shared, { action, total: inUse.length, contracts: inUse }, inUse)
      return EXIT.done
    }
    const { contracts } = await readCatalogue(file)
    const listed = new Set(inUse)
    const wanted = new Set(contracts.map(({ symbol, exchange }) => `${symbol}.${exchange}`))
    const added = [...wanted].filter((symbol) => !listed.has(symbol)).sort()
    const removed = inUse.filter((symbol) => !wanted.has(symbol))
    print(shared, { action, added, removed }, [
      ...added.map((each) => `+ ${each}`),
      ...removed.map((each) => `- ${each}`),
    ])
    return EXIT.done
  } catch (error) {
    if (!(error instanceof Failure)) throw error
    const { name, message, remedy } = problemOf(error)
    process.stderr.write(`${name}: ${message}\n  -> ${remedy}\n`)
    return name.startsWith('contract') ? EXIT.configuration : EXIT.notReady
  }
}

function print(shared: SharedOptions, report: object, lines: readonly string[]): void {
  if (shared.json) {
    process.stdout.write(
      `${JSON.stringify({ schema: 'feed-supervisor/catalogue/1', command: 'catalogue', exit_code: 0, ...report })}\n`,
    )
    return
  }
  process.stdout.write(lines.map((line) => `${line}\n`).join(''))
}
