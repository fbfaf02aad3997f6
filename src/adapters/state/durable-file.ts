/** Small files that must survive a crash whole: written beside, synced, renamed into place, the directory synced too. */
import { open, readFile, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'

/** Two writers of one path at once would take each other's draft away, so every draft has a number of its own. */
let drafts = 0

export async function writeDurably(path: string, content: string | Uint8Array): Promise<void> {
  const draft = `${path}.${process.pid}-${++drafts}.new`
  try {
    const file = await open(draft, 'w', 0o600)
    try {
      await file.writeFile(content)
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(draft, path)
  } catch (error) {
    // Half a file on a full disk would keep it full.
    await rm(draft, { force: true }).catch(() => undefined)
    throw error
  }
  await syncDirectory(dirname(path))
}

/** Makes names that came, went or changed in the directory survive a power loss. */
export async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** The file's text, or null when there is no such file. Other errors are thrown. */
export async function readIfPresent(path: string): Promise<string | null> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null
    throw error
  }
}
