// The import rule, executable: which layer may know which, told by the offending line. Also what each layer may not do by itself.
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const SRC = fileURLToPath(new URL('../src', import.meta.url))
const LAYERS = ['domain', 'config', 'adapters', 'daemon', 'apps', 'status-page'] as const
type Layer = (typeof LAYERS)[number] | 'clock'

/** By layer: what its files may import, beside their own layer and packages. */
const MAY_IMPORT: Readonly<Record<Layer, readonly Layer[]>> = {
  domain: [],
  clock: [],
  config: ['domain', 'clock'],
  adapters: ['domain', 'clock'],
  daemon: ['domain', 'clock', 'adapters', 'config'],
  apps: ['domain', 'clock', 'adapters', 'config', 'daemon'],
  // Runs in a browser: it knows the shapes of what it is told, and nothing else of ours.
  'status-page': ['domain'],
}

interface Line {
  file: string
  layer: Layer
  number: number
  text: string
}

function linesOfSource(): Line[] {
  return readdirSync(SRC, { recursive: true })
    .map(String)
    .filter((name) => name.endsWith('.ts'))
    .sort()
    .flatMap((name) =>
      readFileSync(join(SRC, name), 'utf8')
        .split('\n')
        .map((text, i) => ({ file: name, layer: layerOf(name), number: i + 1, text })),
    )
}

function layerOf(path: string): Layer {
  if (path === 'clock.ts') return 'clock'
  const layer = LAYERS.find((each) => path.startsWith(`${each}/`))
  if (layer === undefined) throw new Error(`src/${path} belongs to no layer`)
  return layer
}

const lines = linesOfSource()
const code = lines.filter(({ text }) => !/^\s*(\*|\/\*|\/\/)/.test(text))
const where = ({ file, number, text }: Line) => `src/${file}:${number}: ${text.trim()}`

interface Import {
  line: Line
  specifier: string
  isTypeOnly: boolean
}

/** Static imports, re-exports and dynamic imports; a statement over several lines ends in the line with its specifier. */
const imports: Import[] = code.flatMap((line) =>
  [...line.text.matchAll(/(?:\bfrom\s+|\bimport\s*\(\s*|^\s*import\s+)'([^']+)'/g)].map((match) => ({
    line,
    specifier: match[1] ?? '',
    isTypeOnly: isTypeImport(line),
  })),
)

function isTypeImport({ file, number }: Line): boolean {
  for (let i = number; i > 0; i--) {
    const text = lines.find((each) => each.file === file && each.number === i)?.text ?? ''
    if (/^\s*(import|export)\b/.test(text)) return /^\s*(import|export) type\b/.test(text)
  }
  return false
}

/** The layer that an import leads to; undefined for a package or Node itself. */
function targetOf({ line, specifier }: Import): Layer | undefined {
  if (specifier === '#clock.ts') return 'clock'
  const alias = /^#(\w+)\//.exec(specifier)?.[1]
  if (alias !== undefined) return layerOf(`${alias}/`)
  if (!specifier.startsWith('.')) return undefined
  return layerOf(relative(SRC, join(SRC, dirname(line.file), specifier)))
}

const offenders = (wrong: (each: Import) => boolean) => imports.filter(wrong).map(({ line }) => where(line))

test('there is something to look at', () => {
  expect(imports.length).toBeGreaterThan(300)
  expect(new Set(lines.map(({ layer }) => layer)).size).toBe(LAYERS.length + 1)
})

test('every import leads to a layer that may be known', () => {
  expect(
    offenders((each) => {
      const target = targetOf(each)
      return target !== undefined && target !== each.line.layer && !MAY_IMPORT[each.line.layer].includes(target)
    }),
  ).toEqual([])
})

test('an import says its layer: relative ones stay within, named ones leave the folder, and all carry their extension', () => {
  expect(
    offenders((each) => {
      const target = targetOf(each)
      if (target === undefined) return false
      if (!each.specifier.endsWith('.ts')) return true
      if (each.specifier.startsWith('.')) return target !== each.line.layer
      return each.specifier.startsWith(`#${dirname(each.line.file)}/`)
    }),
  ).toEqual([])
})

test('the domain imports the domain only: no Node, no packages', () => {
  expect(offenders((each) => each.line.layer === 'domain' && targetOf(each) !== 'domain')).toEqual([])
})

test('the domain neither waits nor looks at a clock, a process or the dice', () => {
  const forbidden =
    /\b(await|async|Promise|setTimeout|setInterval|setImmediate|Date\.now|new Date\(\)|performance|process|console|Math\.random|Buffer|fetch)\b/
  const offending = code.filter(({ layer, text }) => layer === 'domain' && forbidden.test(withoutTexts(text)))
  expect(offending.map(where)).toEqual([])
})

test('the environment is read and the process ended in the entries only', () => {
  const entries = /^apps\//
  const offending = code.filter(
    ({ file, text }) => !entries.test(file) && /\bprocess\.(env|exit|exitCode)\b/.test(withoutTexts(text)),
  )
  expect(offending.map(where)).toEqual([])
})

test('config takes from other layers what types can say and what the domain decides', () => {
  expect(
    offenders((each) => each.line.layer === 'config' && targetOf(each) === 'adapters' && !each.isTypeOnly),
  ).toEqual([])
})

test('no file is a drawer: utils, helpers, common, misc, manager, index', () => {
  const drawers = [...new Set(lines.map(({ file }) => file))].filter((file) =>
    /(^|[/-])(utils?|helpers?|common|misc|manager|index)(\.|-|\/)/.test(file),
  )
  expect(drawers).toEqual([])
})

test('every file opens with what it answers', () => {
  const opening = lines.filter(({ number, text }) => number === 1 && !text.startsWith('/**'))
  expect(opening.map(where)).toEqual([])
})

/** What stands in quotes is text for people. */
function withoutTexts(text: string): string {
  return text.replaceAll(/'[^']*'|`[^`]*`/g, "''").replace(/\/\/.*$/, '')
}
