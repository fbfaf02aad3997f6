/**
 * The few things the journal asks of the file system, so that a test can make any one of them fail. Errors are Node's own, with
 * `code`; the journal turns them into Failures where it knows what they mean.
 */
import { open, readdir, rename, statfs, unlink } from 'node:fs/promises'
import { createPath } from '../state/create-path.ts'

export interface OpenFile {
  /** Writes all of `bytes` at `position`. After an error the file may hold a part of them. */
  write(bytes: Uint8Array, position: number): Promise<void>
  /** Fills `into` from `position` as far as the file goes; returns the bytes read. */
  read(into: Uint8Array, position: number): Promise<number>
  /** Resolves when everything written so far would survive a power loss. */
  datasync(): Promise<void>
  truncate(bytes: number): Promise<void>
  stat(): Promise<{ bytes: number; modifiedMs: number }>
  close(): Promise<void>
}

export interface FileOperations {
  /** `create` refuses a file that exists; `replace` empties it. */
  open(path: string, mode: 'read' | 'update' | 'create' | 'replace'): Promise<OpenFile>
  list(directory: string): Promise<string[]>
  remove(path: string): Promise<void>
  rename(from: string, to: string): Promise<void>
  makeDirectory(path: string): Promise<void>
  /** Makes created, renamed and removed names of the directory survive a power loss. */
  syncDirectory(path: string): Promise<void>
  /** Bytes that this user may still write on the file system of `path`. */
  freeBytes(path: string): Promise<number>
}

const OPEN_FLAGS = { read: 'r', update: 'r+', create: 'wx', replace: 'w' } as const

export const systemFiles: FileOperations = {
  async open(path, mode) {
    const handle = await open(path, OPEN_FLAGS[mode], 0o640)
    return {
      async write(bytes, position) {
        // A disk that fills up takes a part first and says ENOSPC only when asked to take the rest.
        for (let done = 0; done < bytes.length; ) {
          done += (await handle.write(bytes, done, bytes.length - done, position + done)).bytesWritten
        }
      },
      async read(into, position) {
        for (let done = 0; ; ) {
          const { bytesRead } = await handle.read(into, done, into.length - done, position + done)
          done += bytesRead
          if (bytesRead === 0 || done === into.length) return done
        }
      },
      datasync: () => handle.datasync(),
      truncate: (bytes) => handle.truncate(bytes),
      async stat() {
        const { size, mtimeMs } = await handle.stat()
        return { bytes: size, modifiedMs: mtimeMs }
      },
      close: () => handle.close(),
    }
  },
  list: (directory) => readdir(directory),
  remove: (path) => unlink(path),
  rename: (from, to) => rename(from, to),
  makeDirectory: (path) => createPath(path, 0o750),
  async syncDirectory(path) {
    const handle = await open(path, 'r')
    try {
      await handle.sync()
    } finally {
      await handle.close()
    }
  },
  async freeBytes(path) {
    const { bavail, bsize } = await statfs(path)
    return bavail * bsize
  },
}

/** The operating system's error code, such as `ENOSPC`, or an empty string. */
export function errorCode(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : ''
}
