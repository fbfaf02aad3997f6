/**
 * Builds the SDK stand-in in the shapes of four vendor versions, and the bridge against each of them with the project's own build
 * script. What is built is kept under build/ by a hash of its sources, so that a run of the tests compiles only what changed.
 */
import { execFile, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const run = promisify(execFile)
const root = fileURLToPath(new URL('../..', import.meta.url))
const standinSources = join(root, 'test/native/ctp-standin')
const bridgeSources = join(root, 'native/ctp-bridge')
export const buildScript = join(root, 'scripts/build-ctp-bridge.mjs')

/** How archives of the vendor have been seen to differ, spread over the shapes. */
interface Dress {
  number: number
  version: string
  prefix: '' | 'lib'
  encoding: 'gbk' | 'utf8' | 'utf8-bom'
  lineEnd: '\n' | '\r\n'
}

const DRESS = {
  '6.3.15': { number: 60315, version: 'v6.3.15_20190220 13:37:15', prefix: '', encoding: 'gbk', lineEnd: '\r\n' },
  '6.6.7': {
    number: 60607,
    version: 'v6.6.7_20220613 14:52:04.1708',
    prefix: 'lib',
    encoding: 'utf8-bom',
    lineEnd: '\n',
  },
  '6.7.7': { number: 60707, version: 'v6.7.7_20240607 15:51:36.7347', prefix: '', encoding: 'utf8', lineEnd: '\n' },
  '6.7.11': { number: 60711, version: 'V6_7_11 20250617', prefix: 'lib', encoding: 'gbk', lineEnd: '\r\n' },
} as const satisfies Record<string, Dress>
export type Shape = keyof typeof DRESS
export const SHAPES: readonly Shape[] = ['6.3.15', '6.6.7', '6.7.7', '6.7.11']

export function versionOf(shape: Shape): string {
  return DRESS[shape].version
}

const CXX = [process.env['CXX'], 'c++', 'g++', 'clang++'].find(
  (name) => name !== undefined && name !== '' && spawnSync(name, ['--version'], { stdio: 'ignore' }).status === 0,
)

/** Why the tests of the bridge can't run here, or undefined. With FEED_REQUIRE_REAL=1 that is a failure instead of a skip. */
export const whyNoBridge: string | undefined =
  CXX === undefined
    ? 'no C++ compiler found'
    : process.platform === 'linux'
      ? undefined
      : `not Linux but ${process.platform}`

if (whyNoBridge !== undefined) {
  if (process.env['FEED_REQUIRE_REAL'] === '1') throw new Error(`FEED_REQUIRE_REAL=1, but ${whyNoBridge}`)
  console.warn(`SKIPPED: the tests of the CTP bridge: ${whyNoBridge}`)
}

export interface Sdk {
  shape: Shape
  directory: string
  mdLibrary: string
  traderLibrary: string
}

/** The stand-in as an SDK directory, as a user would have unpacked it. */
export async function standinSdk(shape: Shape): Promise<Sdk> {
  const dress = DRESS[shape]
  const directory = await built(`sdk-${shape}`, [standinSources], async (into) => {
    for (const name of readdirSync(standinSources)) writeFileSync(join(into, name), dressed(name, dress))
    writeFileSync(
      join(into, 'standin-version.hpp'),
      `#pragma once\n#define STANDIN_VERSION ${JSON.stringify(dress.version)}\n`,
    )
    const compile = (unit: string, library: string) =>
      run(compiler(), [
        ...FLAGS,
        '-shared',
        '-fPIC',
        '-I',
        into,
        join(into, unit),
        join(into, 'front-link.cpp'),
        '-o',
        join(into, library),
      ])
    await compile('md-api.cpp', `${dress.prefix}thostmduserapi_se.so`)
    await compile('trader-api.cpp', `${dress.prefix}thosttraderapi_se.so`)
    await run(compiler(), [
      ...FLAGS,
      '-I',
      into,
      join(into, 'naive-client.cpp'),
      '-ldl',
      '-o',
      join(into, 'naive-client'),
    ])
  })
  return {
    shape,
    directory,
    mdLibrary: join(directory, `${dress.prefix}thostmduserapi_se.so`),
    traderLibrary: join(directory, `${dress.prefix}thosttraderapi_se.so`),
  }
}

export const BUILDS = ['plain', 'sanitized'] as const
export type Build = (typeof BUILDS)[number]

/** The bridge for one shape: the path of its executable, built as a user builds it. */
export async function builtBridge(shape: Shape, build: Build = 'plain'): Promise<string> {
  const sanitize = build === 'sanitized'
  const sdk = await standinSdk(shape)
  const inputs = [standinSources, bridgeSources, buildScript]
  const directory = await built(`bridge-${shape}${sanitize ? '-sanitized' : ''}`, inputs, async (into) => {
    await run(process.execPath, [
      buildScript,
      '--sdk',
      sdk.directory,
      '--out',
      into,
      '--strict',
      ...(sanitize ? ['--sanitize'] : []),
    ])
  })
  return join(directory, 'ctp-bridge')
}

/** A small program of the tests, compiled with the bridge's own sources. */
export async function builtProgram(name: string, units: readonly string[]): Promise<string> {
  const directory = await built(`program-${name}`, [bridgeSources, ...units], async (into) => {
    await run(compiler(), [...FLAGS, '-I', bridgeSources, ...units, '-o', join(into, name)])
  })
  return join(directory, name)
}

/** For LD_PRELOAD: the program sees the wall clock WALL_SHIFT_SECONDS away. */
export async function shiftedWallClock(): Promise<string> {
  const source = nativeTestSource('shifted-wall-clock.cpp')
  const directory = await built('shifted-wall-clock', [source], async (into) => {
    await run(compiler(), [...FLAGS, '-shared', '-fPIC', source, '-ldl', '-o', join(into, 'shifted-wall-clock.so')])
  })
  return join(directory, 'shifted-wall-clock.so')
}

export const bridgeSource = (name: string): string => join(bridgeSources, name)
export const nativeTestSource = (name: string): string => join(root, 'test/native', name)

const FLAGS = ['-std=c++17', '-O2', '-g', '-pthread', '-Wall', '-Wextra', '-Werror', '-Wno-unused-parameter']

function compiler(): string {
  if (CXX === undefined) throw new Error('no C++ compiler')
  return CXX
}

/** Headers in the dress of the shape; `合约` in GBK ends a comment line as in the vendor's own. */
function dressed(name: string, dress: Dress): Buffer {
  const source = readFileSync(join(standinSources, name), 'utf8')
  if (!name.endsWith('.h')) return Buffer.from(source)
  const text = `#define STANDIN_SHAPE ${dress.number}\n///\u0000\n${source}`.replaceAll('\n', dress.lineEnd)
  const guard = name === 'ThostFtdcUserApiDataType.h' ? text : text.replace(/#define STANDIN_SHAPE \d+\r?\n/, '')
  const chinese = dress.encoding === 'gbk' ? Buffer.from([0xba, 0xcf, 0xd4, 0xbc]) : Buffer.from('合约')
  const [before = '', after = ''] = guard.split('\u0000')
  const bom = dress.encoding === 'utf8-bom' ? Buffer.from([0xef, 0xbb, 0xbf]) : Buffer.alloc(0)
  return Buffer.concat([bom, Buffer.from(before), chinese, Buffer.from(after)])
}

/** Runs `make` into a fresh directory unless what it would make from these inputs is there already. */
async function built(name: string, inputs: readonly string[], make: (into: string) => Promise<void>): Promise<string> {
  const hash = createHash('sha256').update(compiler())
  for (const input of inputs) {
    const isDirectory = statSync(input).isDirectory()
    const files = isDirectory
      ? readdirSync(input)
          .toSorted()
          .map((file) => join(input, file))
      : [input]
    for (const file of files) hash.update(file).update(readFileSync(file))
  }
  const home = join(root, 'build/ctp-standin')
  const directory = join(home, `${name}-${hash.digest('hex').slice(0, 16)}`)
  if (existsSync(directory)) return directory
  mkdirSync(home, { recursive: true })
  const work = mkdtempSync(join(home, '.work-'))
  try {
    await make(work)
    // Several test files may build the same thing at once; the first one to finish wins, and the others are equal.
    if (!existsSync(directory)) renameSync(work, directory)
  } catch (error) {
    if (!existsSync(directory)) throw error
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
  return directory
}
