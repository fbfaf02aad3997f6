/**
 * The forms an environment value can have. Each turns text into a typed value, or adds an issue whose message completes the sentence
 * "expected ...".
 */
import { z } from 'zod'
import { parseGlobs } from '#domain/contract-filter.ts'
import { FRONTS_EXPECTED, parseFronts } from './front-address.ts'
import { looksLikeSecretRef, parseSecretRef, SECRET_EXPECTED } from './secret-ref.ts'

const TEXT_LENGTH_MAX = 4_096

/** @param read gives null for a text that is not of the form. */
function form<Value>(expected: string, read: (text: string) => Value | null) {
  return z.string().transform((text, issues): Value => {
    const value = text.length > TEXT_LENGTH_MAX ? null : read(text)
    if (value !== null) return value
    issues.addIssue({ code: 'custom', message: expected })
    return z.NEVER
  })
}

/** An absent value becomes null, so that slices are complete. */
export function orNull<Schema extends z.ZodType>(schema: Schema) {
  return schema.optional().transform((value): z.output<Schema> | null => value ?? null)
}

export function oneOf<const Names extends readonly string[]>(...names: Names) {
  const expected = `one of ${names.join(', ')}`
  return form(expected, (text): Names[number] | null => names.find((name) => name === text) ?? null)
}

export function flag() {
  return form('true or false', (text) => {
    if (/^(true|1|yes|on)$/i.test(text)) return true
    return /^(false|0|no|off)$/i.test(text) ? false : null
  })
}

export function whole(range: { min: number; max: number }) {
  return form(`a whole number from ${range.min} to ${range.max}`, (text) => {
    const value = /^-?\d{1,15}$/.test(text) ? Number(text) : Number.NaN
    return value >= range.min && value <= range.max ? value : null
  })
}

export function decimal(range: { min: number; max: number }) {
  return form(`a number from ${range.min} to ${range.max}`, (text) => {
    const value = /^-?\d{1,15}(\.\d{1,15})?$/.test(text) ? Number(text) : Number.NaN
    return value >= range.min && value <= range.max ? value : null
  })
}

const BYTE_UNITS = new Map([
  ['', 1],
  ['K', 1024],
  ['M', 1024 ** 2],
  ['G', 1024 ** 3],
  ['T', 1024 ** 4],
])

/** A size such as 67108864, 64M or 64MiB; units are powers of 1024. */
export function bytes(range: { min: string; max: string }) {
  const min = readBytes(range.min) ?? 0
  const max = readBytes(range.max) ?? Number.MAX_SAFE_INTEGER
  return form(`a size from ${range.min} to ${range.max}, such as 67108864 or 64MiB`, (text) => {
    const value = readBytes(text)
    return value !== null && value >= min && value <= max ? value : null
  })
}

function readBytes(text: string): number | null {
  const match = /^(\d{1,15})([KMGT]?)(?:iB|B)?$/.exec(text)
  const unit = match === null ? undefined : BYTE_UNITS.get(match[2] ?? '')
  return match === null || unit === undefined ? null : Number(match[1]) * unit
}

export function plainText(expected: string, pattern = /^[^\p{Cc}]+$/u) {
  return form(expected, (text) => (pattern.test(text) && !looksLikeSecretRef(text) ? text : null))
}

export function filePath(expected = 'the path of a file') {
  return form(expected, (text) => (/^[^\p{Cc}]+$/u.test(text) ? text : null))
}

/** Comma-separated paths, in the order given. */
export function filePaths() {
  return form('paths of files, comma-separated', (text) => {
    const paths = text
      .split(',')
      .map((path) => path.trim())
      .filter((path) => path !== '')
    return paths.length > 0 && paths.every((path) => /^[^\p{Cc}]+$/u.test(path)) ? paths : null
  })
}

export function globs() {
  return form('contract globs such as rb*.SHFE,au????, comma-separated', (text) => {
    const list = parseGlobs(text)
    return list.length <= 1_000 && list.every((glob) => /^[\x20-\x7e]{1,100}$/.test(glob)) ? list : null
  })
}

/** Comma-separated names as NATS takes them for streams and consumers, each once. */
export function streamNames(expected: string) {
  return form(expected, (text) => {
    const names = new Set(text.split(',').map((name) => name.trim()))
    return names.size <= 100 && [...names].every((name) => /^[A-Za-z0-9_-]{1,128}$/.test(name)) ? [...names] : null
  })
}

export function fronts() {
  return form(FRONTS_EXPECTED, parseFronts)
}

export function secret() {
  return form(SECRET_EXPECTED, (text) => (/\p{Cc}/u.test(text) ? null : parseSecretRef(text)))
}

export function url(expected: string, schemes: readonly string[]) {
  return form(expected, (text) => (isUrl(text, schemes) ? text : null))
}

/** Comma-separated URLs, for a cluster's servers. */
export function urls(expected: string, schemes: readonly string[]) {
  return form(expected, (text) => {
    const list = text.split(',').map((part) => part.trim())
    return list.length <= 32 && list.every((part) => isUrl(part, schemes)) ? list : null
  })
}

// A password inside a URL would end up in logs and status output, which show URLs.
function isUrl(text: string, schemes: readonly string[]): boolean {
  if (!URL.canParse(text)) return false
  const { protocol, hostname, username, password } = new URL(text)
  return schemes.includes(protocol.replace(/:$/, '')) && hostname !== '' && username === '' && password === ''
}

type MarketClockSetting =
  | { readonly kind: 'always-open' }
  | { readonly kind: 'real' }
  | { readonly kind: 'from'; readonly startMs: number }

/** Times without an offset are Shanghai's, as everything about the market is. */
export function marketClock() {
  return form('always-open, real, or an ISO start time such as 2026-03-02T20:59:00+08:00', readMarketClock)
}

function readMarketClock(text: string): MarketClockSetting | null {
  if (text === 'always-open' || text === 'real') return { kind: text }
  const match = /^(\d{4}-\d{2}-\d{2})T(\d{2}:\d{2}(?::\d{2}(?:\.\d{1,3})?)?)(Z|[+-]\d{2}:\d{2})?$/.exec(text)
  if (match === null) return null
  const startMs = Date.parse(`${match[1]}T${match[2]}${match[3] ?? '+08:00'}`)
  return Number.isNaN(startMs) || !isDate(match[1] ?? '') ? null : { kind: 'from', startMs }
}

/** `Date.parse` takes the 30th of February for the 2nd of March. */
function isDate(text: string): boolean {
  const midnight = new Date(`${text}T00:00:00Z`)
  return !Number.isNaN(midnight.getTime()) && midnight.toISOString().startsWith(text)
}
