// Builds the CTP bridge against the vendor SDK that the user downloaded: npm run build:ctp-bridge -- --sdk DIR. See `usage`.
// The headers say everything about the SDK's shape; what is written down here is which two libraries the bridge belongs to, so that
// it can refuse any other at start.
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

const root = fileURLToPath(new URL('..', import.meta.url))
const sources = join(root, 'native/ctp-bridge')
const units = [
  'front-address.cpp',
  'main.cpp',
  'md-session.cpp',
  'outbox.cpp',
  'sha256.cpp',
  'trader-session.cpp',
  'vendor-library.cpp',
  'wire.cpp',
]
/** The archives put headers and libraries side by side, repackaged SDKs a few folders apart. */
const SEARCH_DEPTH = 4

const usage = `usage: npm run build:ctp-bridge -- --sdk DIR [--out DIR] [--sanitize] [--strict]

  --sdk DIR    unpacked CTP API archive: ThostFtdc*.h, [lib]thostmduserapi_se.so and, for the trading session,
               [lib]thosttraderapi_se.so
  --out DIR    where ctp-bridge and ctp-bridge.json go (default: build/)
  --sanitize   with AddressSanitizer and UndefinedBehaviorSanitizer, for tests
  --strict     a compiler's warning is an error, for tests
`

/** Ends the build with a message; thrown, so that what was begun is cleaned up. */
class Stop extends Error {
  constructor(exitCode, message, remedy) {
    super(message)
    this.exitCode = exitCode
    this.remedy = remedy
  }
}

function stop(exitCode, message, remedy) {
  throw new Stop(exitCode, message, remedy)
}

function options() {
  try {
    return parseArgs({
      options: {
        sdk: { type: 'string' },
        out: { type: 'string', default: join(root, 'build') },
        sanitize: { type: 'boolean', default: false },
        strict: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    }).values
  } catch (error) {
    return stop(64, error.message, usage)
  }
}

function filesBelow(directory, depth) {
  return readdirSync(directory, { withFileTypes: true }).flatMap((entry) => {
    const path = join(directory, entry.name)
    if (entry.isDirectory()) return depth > 0 ? filesBelow(path, depth - 1) : []
    return [path]
  })
}

/** The one file below the SDK directory with one of these names; undefined when there is none. */
function find(files, names) {
  const found = [
    ...new Set(
      files.filter((file) => names.some((name) => file.endsWith(`/${name}`))).map((file) => realpathSync(file)),
    ),
  ]
  if (found.length > 1)
    stop(
      78,
      `several files could be meant:\n  ${found.join('\n  ')}`,
      'Give --sdk the directory of one version for one system.',
    )
  return found[0]
}

function locate(sdk) {
  let files
  try {
    files = filesBelow(sdk, SEARCH_DEPTH)
  } catch (error) {
    return stop(
      78,
      `can't read ${sdk}: ${error.message}`,
      'Give --sdk the directory into which the CTP API archive was unpacked.',
    )
  }
  const mdHeader = find(files, ['ThostFtdcMdApi.h'])
  const mdLibrary = find(files, ['thostmduserapi_se.so', 'libthostmduserapi_se.so'])
  if (!mdHeader || !mdLibrary) {
    stop(
      78,
      `${sdk} holds no ${mdHeader ? '[lib]thostmduserapi_se.so' : 'ThostFtdcMdApi.h'}`,
      'Download the Linux 64-bit archive of the CTP API (docs/ctp-sdk.md says where) and unpack it there.',
    )
  }
  const traderHeader = find(files, ['ThostFtdcTraderApi.h'])
  const traderLibrary = find(files, ['thosttraderapi_se.so', 'libthosttraderapi_se.so'])
  if (!traderHeader !== !traderLibrary) {
    process.stderr.write(
      `build-ctp-bridge: ${traderHeader ? 'no trader library' : 'no trader header'}: built without the trading session\n`,
    )
  }
  const headers = [...new Set([mdHeader, traderHeader].filter(Boolean).map(dirname))]
  return { headers, mdLibrary, traderLibrary: traderHeader ? traderLibrary : undefined }
}

/**
 * A GBK character that ends in byte 0x5C, the backslash, at the end of a `//` comment makes the compiler take the next line for a part of
 * the comment. When that is a virtual function, all behind it move by a slot, and nothing else tells.
 */
function refuseSwallowedLines(directory) {
  for (const name of readdirSync(directory)) {
    if (!name.endsWith('.h')) continue
    const lines = readFileSync(join(directory, name))
      .toString('latin1')
      .split(/\r\n|\n|\r/)
    const at = lines.findIndex((line) => /\/\/.*\\[ \t\f\v]*$/.test(line))
    if (at < 0) continue
    stop(
      78,
      `line ${at + 1} of ${join(directory, name)} is a comment that ends in a backslash and swallows the next line`,
      `Convert the headers to UTF-8, where no character ends so: iconv -f GB18030 -t UTF-8 ${name}; or remove that comment.`,
    )
  }
}

/** As the bridge's own sources have it. */
function protocolVersion() {
  const declared = /protocolVersion = (\d+);/.exec(readFileSync(join(sources, 'wire.hpp'), 'utf8'))
  return Number(declared?.[1])
}

function compiler() {
  for (const name of [process.env.CXX, 'c++', 'g++', 'clang++']) {
    if (name && spawnSync(name, ['--version'], { stdio: 'ignore' }).status === 0) return name
  }
  return stop(69, 'no C++ compiler found', 'Install one with C++17 (Debian: apt-get install g++), or name it in CXX.')
}

function run(program, args, { onFailure }) {
  const result = spawnSync(program, args, { encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 })
  if (result.status === 0) return result.stdout
  process.stderr.write(`${result.stderr ?? ''}`)
  const end = result.signal ?? result.error?.message ?? `exit code ${result.status}`
  return stop(69, `${onFailure.message} (${end})`, onFailure.remedy)
}

function main() {
  const { sdk, out, sanitize, strict, help } = options()
  if (help) return process.stdout.write(usage)
  if (!sdk) stop(64, '--sdk DIR is missing', usage)
  const { headers, mdLibrary, traderLibrary } = locate(resolve(sdk))
  for (const header of headers) refuseSwallowedLines(header)
  const cxx = compiler()
  mkdirSync(out, { recursive: true })
  const work = mkdtempSync(join(out, '.build-'))
  try {
    const record = buildRecord({ cxx, work, headers, mdLibrary, traderLibrary, sanitize })
    writeFileSync(join(work, 'build-record.hpp'), recordHeader(record))
    const flags = [
      '-std=c++17',
      sanitize ? '-O1' : '-O2',
      '-g',
      '-pthread',
      '-Wall',
      '-Wextra',
      // A user's newer compiler may warn of what ours does not; that is no reason to be without a bridge.
      ...(strict ? ['-Werror'] : []),
      ...(sanitize
        ? // vptr would ask the vendor's classes for type information that their library may not have
          ['-fsanitize=address,undefined', '-fno-sanitize=vptr', '-fno-sanitize-recover=all', '-fno-omit-frame-pointer']
        : []),
    ]
    run(
      cxx,
      [
        ...flags,
        ...headers.flatMap((directory) => ['-isystem', directory]),
        ...['-I', sources, '-I', work],
        ...units.map((unit) => join(sources, unit)),
        ...['-ldl', '-o', join(work, 'ctp-bridge')],
      ],
      {
        onFailure: {
          message: 'the bridge does not compile with the headers of this SDK',
          remedy:
            'A failed static assertion means an SDK of an unknown shape, or headers damaged in unpacking. Report the lines above.',
        },
      },
    )
    for (const session of record.trader ? ['md', 'td'] : ['md']) checkLoads(join(work, 'ctp-bridge'), session)
    writeFileSync(join(work, 'ctp-bridge.json'), `${JSON.stringify(record, null, 2)}\n`)
    // Renamed, not written over: a bridge that is running keeps its old file.
    for (const name of ['ctp-bridge', 'ctp-bridge.json']) renameSync(join(work, name), join(out, name))
    process.stdout.write(`${JSON.stringify({ bridge: join(resolve(out), 'ctp-bridge'), ...record }, null, 2)}\n`)
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}

function buildRecord({ cxx, work, headers, mdLibrary, traderLibrary, sanitize }) {
  const probe = join(work, 'api-version')
  run(cxx, ['-std=c++17', '-Wall', '-Wextra', join(sources, 'api-version.cpp'), '-ldl', '-o', probe], {
    onFailure: { message: 'the compiler does not work', remedy: 'Install a C++17 compiler with its standard library.' },
  })
  const library = (path, symbol) => ({
    library: path,
    sha256: createHash('sha256').update(readFileSync(path)).digest('hex'),
    bytes: statSync(path).size,
    api_version: apiVersion(probe, path, symbol),
  })
  return {
    schema: 1,
    protocol: protocolVersion(),
    headers,
    md: library(mdLibrary, '_ZN15CThostFtdcMdApi13GetApiVersionEv'),
    trader: traderLibrary ? library(traderLibrary, '_ZN19CThostFtdcTraderApi13GetApiVersionEv') : null,
    sanitized: sanitize,
  }
}

function apiVersion(probe, path, symbol) {
  const printed = run(probe, [path, symbol], {
    onFailure: {
      message: `${path} can't be loaded on this machine`,
      remedy: 'Use the 64-bit Linux library, and install what the message above names as missing.',
    },
  })
  return (/^API-VERSION (.*)$/m.exec(printed)?.[1] ?? '').replace(/[^ -~]/g, '')
}

/** Headers of one version beside the library of another show here at the latest, as far as they show at all. */
function checkLoads(bridge, session) {
  const { status, stdout } = spawnSync(bridge, ['--check', session], { encoding: 'utf8' })
  if (status === 0) return
  const line = stdout?.split('\n').find((text) => text.startsWith('{"session"'))
  const { message, remedy } = line ? JSON.parse(line) : {}
  stop(
    69,
    message ?? `the built bridge can't load the ${session} library`,
    remedy ?? 'Use the SDK made for this system.',
  )
}

function recordHeader({ md, trader }) {
  const entry = (name, library) => {
    const texts = [library?.library, library?.sha256, library?.api_version].map((text) => JSON.stringify(text ?? ''))
    return `constexpr LibraryRecord ${name}{${texts.join(', ')}};`
  }
  return [
    '#pragma once',
    '#include "vendor-library.hpp"',
    'namespace buildRecord {',
    entry('md', md),
    entry('trader', trader),
    '}',
    '',
  ].join('\n')
}

try {
  main()
} catch (error) {
  if (!(error instanceof Stop)) throw error
  process.stderr.write(`build-ctp-bridge: ${error.message}\n${error.remedy}\n`)
  process.exitCode = error.exitCode
}
