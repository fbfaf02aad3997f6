/**
 * Makes a directory and whatever is missing above it. Not by `recursive: true`: where a parent can't be created and says ENOENT, as in
 * /proc, Node 20 then tries for ever.
 */
import { existsSync, mkdirSync } from 'node:fs'
import { mkdir, stat } from 'node:fs/promises'
import { dirname } from 'node:path'

const PRIVATE = 0o700

/** @throws Node's error */
export async function createPath(directory: string, mode = PRIVATE): Promise<void> {
  const missing: string[] = []
  for (let path = directory; !(await exists(path)); path = dirname(path)) missing.unshift(path)
  for (const path of missing) {
    await mkdir(path, { mode }).catch((error: unknown) => {
      if (!isThere(error)) throw error
    })
  }
}

/** @throws Node's error */
export function createPathSync(directory: string, mode = PRIVATE): void {
  const missing: string[] = []
  for (let path = directory; !existsSync(path); path = dirname(path)) missing.unshift(path)
  for (const path of missing) {
    try {
      mkdirSync(path, { mode })
    } catch (error) {
      if (!isThere(error)) throw error
    }
  }
}

/** Two processes at once may both find it missing. */
function isThere(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'EEXIST'
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  )
}
