/**
 * The directory where a vendor object keeps its sequence numbers. Two objects that share one overwrite each other's, and a missing one
 * makes the genuine library abort, so each line and kind of session has its own, made before the library sees it.
 */
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { Failure } from '#domain/failure.ts'
import type { Line } from '#domain/line.ts'
import { createPathSync } from '../../state/create-path.ts'

export interface FlowOwner {
  stateDir: string
  /** Tells accounts apart; only a hash of it is written to disk, because paths end up in logs. */
  account: string
  /** Both lines may use one account on two fronts. */
  line: Line
  session: 'md' | 'td'
}

/** Makes the directory (mode 0700) and returns its path. @throws Failure<'flow-directory-unusable'> */
export function flowDirectory({ stateDir, account, line, session }: FlowOwner): string {
  const accountName = createHash('sha256').update(account).digest('hex').slice(0, 24)
  const path = join(stateDir, 'flow', accountName, `${line}-${session}`)
  try {
    createPathSync(path)
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : String(error)
    const remedy = 'Free space, or let the user who runs this own the state directory.'
    throw new Failure('flow-directory-unusable', `the flow directory ${path} can't be made (${code})`, remedy, error)
  }
  return path
}
