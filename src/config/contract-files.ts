/**
 * Lists of contracts from files: the catalogue (what should be subscribed) and the active file (what a collector says it has). An
 * empty or half-read list would make any coverage look fine, so a file is taken whole or refused with the place of its first faults.
 */
import { constants } from 'node:fs'
import { open } from 'node:fs/promises'
import { Failure } from '#domain/failure.ts'
import { formatVtSymbol, isInstrumentId, parseVtSymbol } from '#domain/instrument.ts'
import { dayOfText, type ListingPeriod } from '#domain/listing-period.ts'

export const CONTRACT_FILE_BYTES_MAX = 64 * 1024 * 1024
export const CONTRACT_ROWS_MAX = 200_000

type ContractFileFailure =
  | 'contract-file-missing'
  | 'contract-file-unreadable'
  | 'contract-file-too-large'
  | 'contract-file-malformed'
  | 'contract-file-empty'

export interface Contract {
  readonly symbol: string
  readonly exchange: string
}

export interface CatalogueContract extends Contract, Readonly<ListingPeriod> {}

interface Catalogue {
  readonly contracts: readonly CatalogueContract[]
  /** vt symbols listed more than once; each is in `contracts` once. */
  readonly duplicates: readonly string[]
}

export interface ActiveContract extends Contract {
  /** Null for a contract without evidence of ticks. */
  readonly lastTickMs: number | null
}

interface ActiveFile {
  readonly subscriptions: readonly ActiveContract[]
  readonly duplicates: readonly string[]
  readonly generatedAtMs: number | null
}

/** @throws Failure<ContractFileFailure> */
export async function readCatalogue(path: string): Promise<Catalogue & { modifiedMs: number }> {
  const { text, modifiedMs } = await readBounded(path)
  return { ...parseCatalogue(text, path), modifiedMs }
}

/** @throws Failure<ContractFileFailure> */
export async function readActiveFile(path: string): Promise<ActiveFile> {
  return parseActiveFile((await readBounded(path)).text, path)
}

/** JSON `{"symbols": [...]}` or CSV with a header; `path` is for messages. @throws Failure<ContractFileFailure> */
export function parseCatalogue(text: string, path: string): Catalogue {
  const body = text.replace(/^\uFEFF/, '')
  const rows = /^\s*[[{]/.test(body) ? jsonRows(body, path, 'symbols').rows : csvRows(body, path)
  const { list, duplicates } = collect(rows, path, catalogueContractOf)
  return { contracts: list, duplicates }
}

/** JSON `{"subscriptions": [...], "generated_at"}`. @throws Failure<ContractFileFailure> */
export function parseActiveFile(text: string, path: string): ActiveFile {
  const { rows, document } = jsonRows(text.replace(/^\uFEFF/, ''), path, 'subscriptions')
  const { list, duplicates } = collect(rows, path, activeContractOf)
  const generatedAtMs = timeOf(document['generated_at'])
  if (generatedAtMs === undefined) throw malformed(path, 'generated_at is no ISO 8601 time')
  return { subscriptions: list, duplicates, generatedAtMs }
}

async function readBounded(path: string): Promise<{ text: string; modifiedMs: number }> {
  try {
    // Without O_NONBLOCK, opening a named pipe would wait for a writer.
    const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK)
    try {
      const stat = await file.stat()
      if (!stat.isFile()) throw unreadable(path, 'it is not a regular file')
      if (stat.size > CONTRACT_FILE_BYTES_MAX) throw tooLarge(path, `${stat.size} bytes`)
      const bytes = await file.readFile()
      return { text: new TextDecoder('utf-8', { fatal: true }).decode(bytes), modifiedMs: stat.mtimeMs }
    } finally {
      await file.close()
    }
  } catch (error) {
    if (error instanceof Failure) throw error
    if (error instanceof TypeError) throw malformed(path, 'it is not UTF-8 text')
    const code = error instanceof Error && 'code' in error ? String(error.code) : String(error)
    throw code === 'ENOENT' ? missing(path, error) : unreadable(path, code, error)
  }
}

interface Row {
  /** Where it stands, for messages. */
  readonly place: string
  readonly value: unknown
}

function jsonRows(text: string, path: string, key: string): { rows: Row[]; document: Record<string, unknown> } {
  if (text.trim() === '') throw empty(path)
  let parsed: unknown
  try {
    parsed = JSON.parse(text)
  } catch (error) {
    throw malformed(path, `it is no JSON: ${error instanceof Error ? error.message.slice(0, 120) : ''}`, error)
  }
  if (!isRecord(parsed)) throw malformed(path, `expected an object with "${key}"`)
  const list = parsed[key]
  if (!Array.isArray(list)) throw malformed(path, `expected an array under "${key}"`)
  return { rows: list.map((value, index) => ({ place: `${key}[${index}]`, value })), document: parsed }
}

function csvRows(text: string, path: string): Row[] {
  const lines = text.split('\n', CONTRACT_ROWS_MAX + 2)
  const header = csvCells(lines[0] ?? '').map((cell) => cell.toLowerCase())
  const symbolAt = header.indexOf('symbol')
  const exchangeAt = header.indexOf('exchange')
  if (text.trim() === '') throw empty(path)
  if (symbolAt < 0 || exchangeAt < 0)
    throw malformed(path, 'expected a CSV header with the columns symbol and exchange')
  const rows: Row[] = []
  for (const [index, line] of lines.entries()) {
    if (index === 0 || line.trim() === '') continue
    const cells = csvCells(line)
    rows.push({ place: `line ${index + 1}`, value: { symbol: cells[symbolAt], exchange: cells[exchangeAt] } })
  }
  return rows
}

/** Quotes matter only around a cell: no symbol holds a comma, but a contract's name may. */
function csvCells(line: string): string[] {
  const cells = line.match(/("([^"]|"")*"|[^,]*)(,|$)/g) ?? []
  return cells.map((cell) =>
    cell
      .replace(/,$/, '')
      .trim()
      .replace(/^"(.*)"$/, '$1')
      .replace(/""/g, '"'),
  )
}

const FAULTS_TOLD_MAX = 5

function collect<Item extends Contract>(
  rows: readonly Row[],
  path: string,
  read: (value: unknown) => Item | null,
): { list: Item[]; duplicates: string[] } {
  if (rows.length === 0) throw empty(path)
  if (rows.length > CONTRACT_ROWS_MAX) throw tooLarge(path, `more than ${CONTRACT_ROWS_MAX} rows`)
  const byName = new Map<string, Item>()
  const duplicates = new Set<string>()
  const faults: string[] = []
  for (const { place, value } of rows) {
    const item = read(value)
    if (item === null) {
      faults.push(place)
      continue
    }
    const name = formatVtSymbol(item.symbol, item.exchange)
    if (byName.has(name)) duplicates.add(name)
    else byName.set(name, item)
  }
  if (faults.length > 0) {
    const more = faults.length > FAULTS_TOLD_MAX ? ` and ${faults.length - FAULTS_TOLD_MAX} more` : ''
    throw malformed(path, `no contract of a known exchange at ${faults.slice(0, FAULTS_TOLD_MAX).join(', ')}${more}`)
  }
  return { list: [...byName.values()], duplicates: [...duplicates] }
}

function contractOf(value: unknown): Contract | null {
  if (typeof value === 'string') {
    const parsed = parseVtSymbol(value.trim())
    return parsed === undefined || !isInstrumentId(parsed.instrument)
      ? null
      : { symbol: parsed.instrument, exchange: parsed.exchange }
  }
  if (!isRecord(value)) return null
  const { symbol, exchange } = value
  return typeof symbol === 'string' && typeof exchange === 'string' ? contractOf(`${symbol}.${exchange}`) : null
}

/** A day in another form than ours is taken for unknown: the contract is asked for then, which harms nobody. */
function catalogueContractOf(value: unknown): CatalogueContract | null {
  const contract = contractOf(value)
  if (contract === null) return null
  const day = (name: string) => {
    const text = isRecord(value) ? value[name] : undefined
    return typeof text === 'string' ? dayOfText(text) : null
  }
  return { ...contract, openDay: day('open_date'), expiryDay: day('expiry') }
}

function activeContractOf(value: unknown): ActiveContract | null {
  const contract = contractOf(value)
  if (contract === null) return null
  const lastTickMs = isRecord(value) ? timeOf(value['last_tick_at']) : null
  return lastTickMs === undefined ? null : { ...contract, lastTickMs }
}

/** Null where absent, undefined where it is no time. Times without an offset are Shanghai's. */
function timeOf(value: unknown): number | null | undefined {
  if (value === undefined || value === null || value === '') return null
  if (typeof value !== 'string' || !/^\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}/.test(value)) return undefined
  const ms = Date.parse(/(Z|[+-]\d{2}:?\d{2})$/.test(value) ? value : `${value}+08:00`)
  return Number.isNaN(ms) ? undefined : ms
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function missing(path: string, cause: unknown): Failure<ContractFileFailure> {
  return new Failure(
    'contract-file-missing',
    `there is no file ${path}`,
    'Correct the path, or create the file.',
    cause,
  )
}

function unreadable(path: string, why: string, cause?: unknown): Failure<ContractFileFailure> {
  const remedy = 'Name a regular file that the user who runs this may read.'
  return new Failure('contract-file-unreadable', `${path} can't be read: ${why}`, remedy, cause)
}

function tooLarge(path: string, what: string): Failure<ContractFileFailure> {
  const remedy = `Check that this is the right file: a file has at most ${CONTRACT_FILE_BYTES_MAX / 1024 / 1024} MiB and ${CONTRACT_ROWS_MAX} rows.`
  return new Failure('contract-file-too-large', `${path} is too large: ${what}`, remedy)
}

function empty(path: string): Failure<ContractFileFailure> {
  const remedy = 'Refresh the file from its source; an empty list is never taken for "nothing to subscribe".'
  return new Failure('contract-file-empty', `${path} lists no contract`, remedy)
}

function malformed(path: string, what: string, cause?: unknown): Failure<ContractFileFailure> {
  const remedy =
    'Write it as {"symbols": ["rb2605.SHFE", ...]} or as CSV with the header symbol,exchange; an active file as {"subscriptions": ["rb2605.SHFE", ...]}.'
  return new Failure('contract-file-malformed', `${path}: ${what}`, remedy, cause)
}
