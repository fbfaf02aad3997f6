/** The daemon's end of the pipe through which whoever starts it hands over secrets. */
import { closeSync, fstatSync, readFileSync } from 'node:fs'
import { Failure } from '#domain/failure.ts'

const HANDED_FD = 3

/** Read once; nothing of it is left in the process's environment. @throws Failure<'handed-secrets'> */
export function readHandedSecrets(): Record<string, string> {
  try {
    // Blocks until the other end has written all of it and closed, which it does before anything else.
    fstatSync(HANDED_FD)
    const value: unknown = JSON.parse(readFileSync(HANDED_FD, 'utf8'))
    closeSync(HANDED_FD)
    const entries = Object.entries(typeof value === 'object' && value !== null ? value : {})
    return Object.fromEntries(entries.filter((entry): entry is [string, string] => typeof entry[1] === 'string'))
  } catch (cause) {
    throw new Failure(
      'handed-secrets',
      'the secrets that the starting command hands over could not be read',
      'Leave out --handed-secrets: start-live-env sets it for the daemon that it starts.',
      // The cause of a JSON error would quote what was read.
      cause instanceof SyntaxError ? undefined : cause,
    )
  }
}
