/** `full-feed-subscription tail`: the daemon's live ticks on stdout, until interrupted or the daemon ends. */

import type { IncomingMessage } from 'node:http'
import { request } from 'node:http'
import { pipeline } from 'node:stream/promises'
import { Failure, problemOf } from '#domain/failure.ts'
import { EXIT } from '../exit-codes.ts'
import { isConfigurationFault, quickSettings } from '../quick-settings.ts'
import type { SharedOptions } from '../shared-options.ts'

const CONNECT_TIMEOUT_MS = 3_000

export async function tail(shared: SharedOptions, env: NodeJS.ProcessEnv, pattern: string): Promise<number> {
  try {
    const { controlSocket } = await quickSettings(shared, env, process.cwd())
    const answer = await openStream(controlSocket, pattern)
    await pipeline(answer, process.stdout, { end: false }).catch((error: unknown) => {
      // The reader of our pipe went away, or the daemon ended: both are an end of the story, not a fault.
      if (!(error instanceof Error && 'code' in error && ENDINGS.has(String(error.code)))) throw error
    })
    return EXIT.done
  } catch (error) {
    if (!(error instanceof Failure)) throw error
    const { name, message, remedy } = problemOf(error)
    process.stderr.write(`${name}: ${message}\n  -> ${remedy}\n`)
    return isConfigurationFault(error) ? EXIT.configuration : EXIT.notReady
  }
}

const ENDINGS: ReadonlySet<string> = new Set(['EPIPE', 'ECONNRESET', 'ERR_STREAM_PREMATURE_CLOSE'])

function openStream(socketPath: string, pattern: string): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const path = `/v1/ticks?pattern=${encodeURIComponent(pattern)}`
    const call = request({ socketPath, path, timeout: CONNECT_TIMEOUT_MS }, (answer) => {
      call.setTimeout(0)
      resolve(answer)
    })
    const fail = (cause: Error) =>
      reject(
        new Failure(
          'not-running',
          `no daemon answers on ${socketPath}`,
          'Start one with start-live-env, or name its state directory with --state-dir.',
          cause,
        ),
      )
    call.on('timeout', () => call.destroy(new Error('timed out')))
    call.on('error', fail)
    call.end()
  })
}
