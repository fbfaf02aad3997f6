/** Secrets in files: mounted by a container runtime, handed over by systemd as credentials, kept up to date by a Vault agent. */
import { constants } from 'node:fs'
import { open } from 'node:fs/promises'
import { Failure } from '#domain/failure.ts'
import { HiddenText } from '#domain/secret-ref.ts'
import { checkSecretText, type ResolvedSecret, type SecretFailure, type SecretSource } from './secret-source.ts'

const FILE_BYTES_MAX = 16_384

export const fileSecrets: SecretSource<'file'> = {
  async read({ path }) {
    try {
      // Without O_NONBLOCK, opening a named pipe would wait for a writer.
      const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK)
      try {
        return await readOpen(file, path)
      } finally {
        await file.close()
      }
    } catch (error) {
      throw error instanceof Failure ? error : unreadable(path, error)
    }
  },
}

async function readOpen(file: Awaited<ReturnType<typeof open>>, path: string): Promise<ResolvedSecret> {
  const stat = await file.stat()
  if (!stat.isFile()) {
    const message = `file:${path} is not a regular file`
    throw new Failure<SecretFailure>('secret-unreadable', message, 'Name a regular file.')
  }
  const { buffer, bytesRead } = await file.read(Buffer.alloc(FILE_BYTES_MAX), 0, FILE_BYTES_MAX, 0)
  // Editors and `echo` end the line; no password does.
  const text = checkSecretText(buffer.toString('utf8', 0, bytesRead).replace(/\r?\n$/, ''), `file:${path}`)
  const exposed = (stat.mode & 0o007) !== 0
  return {
    text: new HiddenText(text),
    changedAtMs: stat.mtimeMs,
    warning: exposed ? `everyone on this machine can get at file:${path}; run chmod 600 on it` : null,
  }
}

function unreadable(path: string, cause: unknown): Failure<SecretFailure> {
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : String(cause)
  if (code === 'ENOENT') {
    const remedy = 'Put the secret into that file (mode 0600), or correct the path.'
    return new Failure('secret-missing', `there is no file:${path}`, remedy, cause)
  }
  const remedy = 'Let the user who runs this own the file, with mode 0600.'
  return new Failure('secret-unreadable', `file:${path} can't be read (${code})`, remedy, cause)
}
