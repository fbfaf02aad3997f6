/**
 * Tar archives, gzipped, as operators open them with tools of their own. What is read is bounded and its names are checked before a byte
 * of it is used: an archive may come from another machine, or from somebody else.
 */
import { createReadStream, createWriteStream } from 'node:fs'
import { rename, rm } from 'node:fs/promises'
import { pipeline } from 'node:stream/promises'
import { createGunzip, createGzip } from 'node:zlib'
import { extract, pack } from 'tar-stream'
import { Failure } from '#domain/failure.ts'

export interface ArchiveEntry {
  /** Relative, with forward slashes. */
  name: string
  content: Buffer
}

type ArchiveFailure = 'archive-unreadable' | 'archive-unwritable'

const ENTRIES_MAX = 20_000
const TOTAL_BYTES_MAX = 512 * 1024 * 1024
const SAFE_NAME = /^(?!\/)(?!.*(?:^|\/)\.\.(?:\/|$))[^\0\\]{1,200}$/

/**
 * Writes an archive (mode 0600) beside its place first, so that half a one is never found there. Entries are taken one at a time.
 * @returns the bytes written
 * @throws Failure<'archive-unwritable'>; what was there under this name is then still there.
 */
export async function writeArchive(
  path: string,
  entries: AsyncIterable<ArchiveEntry> | Iterable<ArchiveEntry>,
  atMs: number,
): Promise<number> {
  const draft = `${path}.${process.pid}.new`
  const archive = pack()
  const output = createWriteStream(draft, { flags: 'w', mode: 0o600, flush: true })
  const fill = async () => {
    for await (const { name, content } of entries) {
      await new Promise<void>((resolve, reject) => {
        archive.entry({ name, mode: 0o600, mtime: new Date(atMs) }, content, (error) =>
          error ? reject(error) : resolve(),
        )
      })
    }
    archive.finalize()
  }
  try {
    const written = pipeline(archive, createGzip(), output)
    await Promise.all([written, fill().catch((error: unknown) => void archive.destroy(asError(error)))])
    await rename(draft, path)
    return output.bytesWritten
  } catch (cause) {
    await rm(draft, { force: true }).catch(() => undefined)
    throw new Failure<ArchiveFailure>(
      'archive-unwritable',
      `${path} cannot be written: ${asError(cause).message}`,
      'Name a file in a directory that exists, is writable and has room.',
      cause,
    )
  }
}

function asError(cause: unknown): Error {
  return cause instanceof Error ? cause : new Error(String(cause))
}

/** The whole archive in memory. @throws Failure<'archive-unreadable'> when it is none, is cut, too large, or names what it must not. */
export async function readArchive(path: string): Promise<ArchiveEntry[]> {
  const entries: ArchiveEntry[] = []
  let total = 0
  const reader = extract()
  const reading = (async () => {
    for await (const entry of reader) {
      const { name, type } = entry.header
      if (type !== 'file') throw new Error(`it holds ${JSON.stringify(name)}, which is no plain file`)
      if (!SAFE_NAME.test(name)) throw new Error(`it names ${JSON.stringify(name)}`)
      if (entries.length === ENTRIES_MAX) throw new Error(`it has more than ${ENTRIES_MAX} files`)
      const chunks: Buffer[] = []
      for await (const chunk of entry) {
        const bytes = Buffer.from(chunk as Uint8Array)
        total += bytes.length
        if (total > TOTAL_BYTES_MAX) throw new Error(`it unpacks to more than ${TOTAL_BYTES_MAX / 2 ** 20} MiB`)
        chunks.push(bytes)
      }
      entries.push({ name, content: Buffer.concat(chunks) })
    }
  })()
  try {
    await Promise.all([pipeline(createReadStream(path), createGunzip(), reader), reading])
    return entries
  } catch (cause) {
    throw new Failure<ArchiveFailure>(
      'archive-unreadable',
      `${path} cannot be read: ${asError(cause).message}`,
      'Name a file that start-live-env backup wrote, whole and unchanged.',
      cause,
    )
  }
}
