/**
 * Reads an env file strictly. `util.parseEnv` takes anything and guesses: it cuts an unquoted value at `#`, lets an open quote swallow
 * the lines after it, and skips what it can't read. A password or a `vault:PATH#FIELD` cut short looks like a wrong password to the
 * front and may lock the account, so everything that could be meant in two ways is a problem here, told by line number and never by
 * its text.
 */
import { constants } from 'node:fs'
import { open } from 'node:fs/promises'
import { parseEnv } from 'node:util'
import { Failure, type Problem } from '#domain/failure.ts'

export const ENV_FILE_BYTES_MAX = 65_536

type EnvFileFailure = 'env-file-missing' | 'env-file-unreadable' | 'env-file-damaged'

export interface EnvFile {
  readonly path: string
  readonly values: ReadonlyMap<string, string>
  /** Permission bits, such as 0o600. */
  readonly mode: number
  /** What is ambiguous or broken in it; `values` is then what the sound lines say, good for finding further problems and nothing else. */
  readonly problems: readonly Problem[]
  /** Names whose lines are broken, as far as a broken line tells; `all`: nothing could be read. */
  readonly damaged?: ReadonlySet<string> | 'all'
}

/** @throws Failure<EnvFileFailure> */
export async function readEnvFile(path: string): Promise<EnvFile> {
  const { bytes, mode } = await readBounded(path)
  return { path, mode, ...parseEnvText(path, bytes) }
}

async function readBounded(path: string): Promise<{ bytes: Buffer; mode: number }> {
  try {
    // Without O_NONBLOCK, opening a named pipe would wait for a writer.
    const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK)
    try {
      const stat = await file.stat()
      if (!stat.isFile()) throw notAFile(path)
      const { buffer, bytesRead } = await file.read(Buffer.alloc(ENV_FILE_BYTES_MAX + 1), 0, ENV_FILE_BYTES_MAX + 1, 0)
      return { bytes: buffer.subarray(0, bytesRead), mode: stat.mode & 0o777 }
    } finally {
      await file.close()
    }
  } catch (error) {
    throw error instanceof Failure ? error : unreadable(path, error)
  }
}

function notAFile(path: string): Failure<EnvFileFailure> {
  return new Failure('env-file-unreadable', `${path} is not a regular file`, 'Name a regular file with --env-file.')
}

function unreadable(path: string, cause: unknown): Failure<EnvFileFailure> {
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined
  if (code === 'ENOENT') {
    const remedy = 'Copy .env.example to it and fill it in (mode 0600), or name another file with --env-file.'
    return new Failure('env-file-missing', `there is no env file ${path}`, remedy, cause)
  }
  const remedy = 'Let the user who runs this command own the file, with mode 0600.'
  return new Failure('env-file-unreadable', `env file ${path} can't be read: ${String(code)}`, remedy, cause)
}

type EnvText = Pick<EnvFile, 'values' | 'problems' | 'damaged'>

/** Exported for the fuzz test; `path` is only for the messages. */
export function parseEnvText(path: string, bytes: Uint8Array): EnvText {
  if (bytes.length > ENV_FILE_BYTES_MAX) {
    return damaged(
      path,
      `is over ${ENV_FILE_BYTES_MAX} bytes`,
      'Name the right file: an env file is a few kilobytes of text.',
    )
  }
  const text = decoded(bytes)
  if (text === null) {
    return damaged(path, 'is not text', 'Restore the file from its source: it holds bytes that no text has.')
  }
  const { problems, damaged: names, sound } = lineProblems(path, text)
  const values = Object.entries(parseEnv(sound.join('\n'))).filter(
    (entry): entry is [string, string] => entry[1] !== undefined && !names.has(entry[0]),
  )
  return { values: new Map(values), problems, damaged: names }
}

function damaged(path: string, what: string, remedy: string): EnvText {
  const problems = [{ name: 'env-file-damaged', message: `${path} ${what}`, remedy }]
  return { values: new Map(), problems, damaged: 'all' }
}

function decoded(bytes: Uint8Array): string | null {
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes)
    // biome-ignore lint/suspicious/noControlCharactersInRegex: finding control characters is the point.
    return /[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]/.test(text) ? null : text.replace(/\r\n/g, '\n')
  } catch {
    // The decoder's own message says no more than "not valid".
    return null
  }
}

const PROBLEMS_MAX = 50
const FIRST_WORD = /^\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)/
const ASSIGNMENT = /^\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=[ \t]*(.*)$/

interface LineFindings {
  problems: Problem[]
  damaged: Set<string>
  sound: string[]
}

function lineProblems(path: string, text: string): LineFindings {
  const problems: Problem[] = []
  const damaged = new Set<string>()
  const sound: string[] = []
  const firstLine = new Map<string, number>()
  for (const [index, line] of text.split('\n').entries()) {
    if (problems.length >= PROBLEMS_MAX) break
    if (/^\s*(#.*)?$/.test(line)) continue
    const report = (name: string, message: string, remedy: string) =>
      problems.push({ name, message: `${path} line ${index + 1}: ${message}`, remedy })
    const [, name, value = ''] = ASSIGNMENT.exec(line) ?? []
    const faultsBefore = problems.length
    if (name === undefined) {
      damaged.add(FIRST_WORD.exec(line)?.[1] ?? '')
      report('env-file-damaged', 'expected NAME=value, a comment or nothing', 'Correct the line or begin it with #.')
      continue
    }
    // Of a broken line even the name may be part of a secret, unless it looks like a setting's.
    const shownName = /^[A-Z][A-Z0-9_]*$/.test(name) ? name : 'env-file-damaged'
    const earlier = firstLine.get(name)
    if (earlier === undefined) firstLine.set(name, index + 1)
    else report(shownName, `set already in line ${earlier}`, 'Remove one of the two lines.')
    const fault = valueFault(value)
    if (fault !== null) report(shownName, fault.message, fault.remedy)
    if (problems.length > faultsBefore) damaged.add(name)
    else sound.push(line)
  }
  return { problems, damaged, sound }
}

function valueFault(value: string): Pick<Problem, 'message' | 'remedy'> | null {
  const quote = value[0]
  if (quote === '"' || quote === "'" || quote === '`') {
    const end = value.indexOf(quote, 1)
    if (end < 0) return { message: `${quote} opens a quote that the line does not close`, remedy: 'Close the quote.' }
    if (!/^\s*(#.*)?$/.test(value.slice(end + 1))) {
      return { message: 'text after the closing quote', remedy: 'Use another kind of quote around the whole value.' }
    }
    return null
  }
  return /[^\s]#/.test(value)
    ? { message: '# within a value that has no quotes', remedy: 'Put the value in quotes, else it ends before the #.' }
    : null
}

/**
 * Settings as an env file that is read back as the same.
 * @throws Failure<'env-file-unwritable'> for a text that no line of such a file can hold
 */
export function envFileText(settings: Readonly<Record<string, string>>): string {
  const lines = Object.entries(settings).map(([name, text]) => {
    // Within double quotes \n means a line end, so these come last and only without a backslash.
    const quote = ["'", '`', ...(text.includes('\\') ? [] : ['"'])].find((each) => !text.includes(each))
    // biome-ignore lint/suspicious/noControlCharactersInRegex: finding control characters is the point.
    if (quote === undefined || /[\x00-\x08\x0a-\x1f\x7f\u2028\u2029]/.test(text)) throw unwritable(name)
    return `${name}=${quote}${text}${quote}\n`
  })
  return lines.join('')
}

function unwritable(name: string): Failure {
  const message = `the value of ${name} cannot be written into an env file`
  return new Failure('env-file-unwritable', message, 'Give it without line ends, and with at most two kinds of quotes.')
}
