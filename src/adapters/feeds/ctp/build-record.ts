/**
 * Which SDK a built bridge belongs to, and whether that SDK is still the one installed. Headers of one version with the library of
 * another call the wrong virtual functions, so this is asked before a start; the bridge itself asks once more.
 */
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { access, constants, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { Failure } from '#domain/failure.ts'
import { PROTOCOL_VERSION } from '../wire.ts'
import { vendorEnvironment } from './start-options.ts'

interface LibraryRecord {
  /** Where the library was when the bridge was built. */
  library: string
  sha256: string
  apiVersion: string
}

export interface BuildRecord {
  md: LibraryRecord
  /** Null: built from an SDK without the trader library, so there is no trading session. */
  trader: LibraryRecord | null
  sanitized: boolean
}

export interface CtpInstallation {
  /** The bridge's executable; its record lies beside it. */
  bridgePath: string
  /** Where the libraries are now; null for where they were at the build. */
  sdkLibDir: string | null
}

export interface InspectedLibrary {
  library: string
  apiVersion: string
}

const BUILD_REMEDY =
  'Build the bridge: npm run build:ctp-bridge -- --sdk DIR (docs/ctp-sdk.md says where the SDK comes from).'

/** @throws Failure<'bridge-unavailable'> */
export async function readBuildRecord(bridgePath: string): Promise<BuildRecord> {
  await access(bridgePath, constants.X_OK).catch((error: unknown) => {
    throw unavailable(`there is no CTP bridge at ${bridgePath}`, BUILD_REMEDY, error)
  })
  if (!(await stat(bridgePath)).isFile()) throw unavailable(`${bridgePath} is not a file`, BUILD_REMEDY)
  const path = `${bridgePath}.json`
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    throw unavailable(`the build record ${path} can't be read`, BUILD_REMEDY, error)
  })
  const record = parseBuildRecord(text)
  if (record === null) throw unavailable(`${path} is no build record of this version`, BUILD_REMEDY)
  return record
}

/** Null for anything that the build script of this version would not have written. */
export function parseBuildRecord(text: string): BuildRecord | null {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return null // Told by the caller, who knows the path.
  }
  if (!isObject(value) || value['schema'] !== 1 || value['protocol'] !== PROTOCOL_VERSION) return null
  const md = parseLibrary(value['md'])
  const trader = value['trader'] === null ? null : parseLibrary(value['trader'])
  if (md === undefined || trader === undefined) return null
  return { md, trader, sanitized: value['sanitized'] === true }
}

function parseLibrary(value: unknown): LibraryRecord | undefined {
  if (!isObject(value)) return undefined
  const { library, sha256, api_version: apiVersion } = value
  if (typeof library !== 'string' || typeof sha256 !== 'string' || typeof apiVersion !== 'string') return undefined
  return { library, sha256, apiVersion }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/**
 * Finds the library of a session, compares it with the record, and lets the bridge load it.
 * @throws Failure<'bridge-unavailable'>; rejects with the signal's reason when aborted
 */
export async function inspectLibrary(
  session: 'md' | 'td',
  { bridgePath, sdkLibDir }: CtpInstallation,
  environment: Readonly<Record<string, string | undefined>>,
  signal?: AbortSignal,
): Promise<InspectedLibrary> {
  const record = await readBuildRecord(bridgePath)
  const recorded = session === 'md' ? record.md : record.trader
  if (recorded === null) {
    const remedy = 'Build it from an SDK with the trader headers and library, or use a catalogue file.'
    throw unavailable('the CTP bridge was built without the trading session', remedy)
  }
  const library = sdkLibDir === null ? recorded.library : await libraryIn(sdkLibDir, session)
  const sha256 = await sha256Of(library, signal)
  if (sha256 !== recorded.sha256) {
    throw unavailable(
      `${library} is not the library that the bridge was built for (${recorded.apiVersion}): SHA-256 ${sha256} instead of ${recorded.sha256}`,
      'Build the bridge again from the SDK that this library came in, or set CTP_SDK_LIB_DIR to the one it was built for.',
    )
  }
  return loadOnce(session, bridgePath, library, environment, signal)
}

const LIBRARY_NAMES = { md: 'thostmduserapi_se.so', td: 'thosttraderapi_se.so' } as const

/** Archives of the vendor and repackaged ones name the same file with and without `lib`. */
async function libraryIn(directory: string, session: 'md' | 'td'): Promise<string> {
  const name = LIBRARY_NAMES[session]
  for (const candidate of [name, `lib${name}`]) {
    const path = join(directory, candidate)
    const isThere = await access(path, constants.R_OK).then(
      () => true,
      () => false,
    )
    if (isThere) return path
  }
  throw unavailable(
    `${directory} holds no readable [lib]${name}`,
    'Set CTP_SDK_LIB_DIR to the directory that the library is in.',
  )
}

async function sha256Of(path: string, signal?: AbortSignal): Promise<string> {
  const hash = createHash('sha256')
  try {
    await pipeline(createReadStream(path), hash, ...(signal === undefined ? [] : [{ signal }]))
  } catch (error) {
    signal?.throwIfAborted()
    throw unavailable(
      `the vendor library ${path} can't be read`,
      'Set CTP_SDK_LIB_DIR to the directory it is in.',
      error,
    )
  }
  return hash.digest('hex')
}

/** A library that crashes while it is loaded takes only the bridge's check with it. */
async function loadOnce(
  session: 'md' | 'td',
  bridgePath: string,
  library: string,
  environment: Readonly<Record<string, string | undefined>>,
  signal?: AbortSignal,
): Promise<InspectedLibrary> {
  const options = { env: vendorEnvironment(environment), ...(signal === undefined ? {} : { signal }) }
  const { printed, ended } = await new Promise<{ printed: string; ended: Error | null }>((resolve) => {
    execFile(bridgePath, ['--check', session, library], options, (error, stdout) =>
      resolve({ printed: stdout, ended: error }),
    )
  })
  signal?.throwIfAborted()
  const answer = lastJson(printed)
  if (ended !== null) {
    const message =
      typeof answer['message'] === 'string' ? answer['message'] : `loading ${library} ended with ${ended.message}`
    const remedy = typeof answer['remedy'] === 'string' ? answer['remedy'] : 'Use the SDK made for this system.'
    throw unavailable(message, remedy, ended)
  }
  return { library, apiVersion: typeof answer['api_version'] === 'string' ? answer['api_version'] : '' }
}

/** The library may print lines of its own around the bridge's one. */
function lastJson(printed: string): Record<string, unknown> {
  for (const line of printed.split('\n').reverse()) {
    if (!line.startsWith('{"session"')) continue
    try {
      const value: unknown = JSON.parse(line)
      if (isObject(value)) return value
    } catch {
      // Not the bridge's line after all.
    }
  }
  return {}
}

function unavailable(message: string, remedy: string, cause?: unknown): Failure<'bridge-unavailable'> {
  return new Failure('bridge-unavailable', message, remedy, cause)
}
