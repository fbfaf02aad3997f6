/** `full-feed-subscription export` and `verify`: the journal on stdout, and whether it is intact. Both work beside a running daemon. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { exportJournal } from '#adapters/journal/export-journal.ts'
import type { JournalProblem } from '#adapters/journal/journal-problem.ts'
import { verifyJournal } from '#adapters/journal/verify-journal.ts'
import { Failure, problemOf } from '#domain/failure.ts'
import { EXIT } from '../exit-codes.ts'
import { quickSettings } from '../quick-settings.ts'
import type { SharedOptions } from '../shared-options.ts'

export async function exportTicks(
  shared: SharedOptions,
  env: NodeJS.ProcessEnv,
  options: { format: 'ndjson' | 'csv'; offSession: boolean },
): Promise<number> {
  return withJournal(shared, env, async (directory) => {
    let damaged = false
    const onProblem = (problem: JournalProblem) => {
      damaged = true
      process.stderr.write(`${problem.message}\n  -> ${problem.remedy}\n`)
    }
    try {
      await pipeline(Readable.from(exportJournal({ directory, ...options, onProblem })), process.stdout, { end: false })
    } catch (error) {
      // The reader of a pipe (head, less) went away: it has what it wanted.
      if (!isClosedPipe(error)) throw error
    }
    return damaged ? EXIT.fault : EXIT.done
  })
}

export async function verify(shared: SharedOptions, env: NodeJS.ProcessEnv): Promise<number> {
  return withJournal(shared, env, async (directory) => {
    const verdict = await verifyJournal(directory)
    const exitCode = verdict.intact ? EXIT.done : EXIT.fault
    const { segments, records, firstSequence, lastSequence, problems, problemCount } = verdict
    if (shared.json || !process.stdout.isTTY) {
      const report = { records, segments, first_sequence: firstSequence, last_sequence: lastSequence }
      const outcome = verdict.intact ? 'intact' : 'damaged'
      process.stdout.write(
        `${JSON.stringify({ schema: 'feed-supervisor/verify/1', command: 'verify', outcome, exit_code: exitCode, ...report, problem_count: problemCount, problems })}\n`,
      )
      return exitCode
    }
    const range = records === 0 ? '' : `, sequence ${firstSequence} to ${lastSequence}`
    process.stdout.write(
      `${verdict.intact ? 'intact' : 'DAMAGED'}: ${records} ticks in ${segments} segment${segments === 1 ? '' : 's'}${range}\n`,
    )
    for (const { message, remedy } of problems) process.stdout.write(`- ${message}\n  -> ${remedy}\n`)
    return exitCode
  })
}

async function withJournal(
  shared: SharedOptions,
  env: NodeJS.ProcessEnv,
  act: (directory: string) => Promise<number>,
): Promise<number> {
  try {
    const { stateDir } = await quickSettings(shared, env, process.cwd())
    const directory = join(stateDir, 'journal')
    if (!existsSync(directory)) {
      throw new Failure(
        'no-journal',
        `there is no journal in ${stateDir}`,
        'Give the state directory of a daemon that has run.',
      )
    }
    return await act(directory)
  } catch (error) {
    if (!(error instanceof Failure) && !isFileError(error)) throw error
    const { name, message, remedy } = problemOf(error, 'journal-unreadable')
    process.stderr.write(`${name}: ${message}\n  -> ${remedy}\n`)
    return EXIT.configuration
  }
}

function isClosedPipe(error: unknown): boolean {
  return isFileError(error) && (error.code === 'EPIPE' || error.code === 'ERR_STREAM_PREMATURE_CLOSE')
}

function isFileError(error: unknown): error is Error & { code: unknown } {
  return error instanceof Error && 'code' in error
}
