/** Small recordings for tests, and the place of the large real ones that are not part of the repository. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gunzipSync, gzipSync } from 'node:zlib'

const RECORDED_DATA = fileURLToPath(new URL('../../../shared/data', import.meta.url))

export function hasRecordedData(): boolean {
  if (existsSync(RECORDED_DATA)) return true
  console.warn(`\nSKIPPED: no recorded data at ${RECORDED_DATA}; what real recordings would show is not shown here.\n`)
  return false
}

/** Every recorded tick file, absolute. */
export function recordedTickFiles(): string[] {
  const root = join(RECORDED_DATA, 'ticks')
  return readdirSync(root, { recursive: true })
    .map(String)
    .filter((name) => name.endsWith('.csv.gz'))
    .sort()
    .map((name) => join(root, name))
}

/** A recorder's log, by name without its ending; ASCII is all that is looked for in it. */
export function recordedLog(name: string): string {
  return gunzipSync(readFileSync(join(RECORDED_DATA, 'logs', 'wtpy_dev_datakit_fut', `${name}.log.gz`))).toString(
    'latin1',
  )
}

export interface Row {
  InstrumentID?: string
  TradingDay?: string
  ActionDay?: string
  UpdateTime?: string
  UpdateMillisec?: number | string
  Volume?: number | string
  LastPrice?: number | string
  ExchangeID?: string
  [more: string]: number | string | undefined
}

const USUAL: Row = {
  TradingDay: '20260304',
  InstrumentID: 'rb2605',
  UpdateTime: '09:30:00',
  UpdateMillisec: 0,
  Volume: 0,
  LastPrice: 3127,
}

/** CSV text of the rows; columns are those of the first row and the usual ones. */
export function csvOf(rows: readonly Row[], { quoted = false, newline = '\n' } = {}): string {
  const columns = Object.keys({ ...USUAL, ...rows[0] })
  const line = (fields: readonly (string | number | undefined)[]) =>
    fields.map((field) => (quoted ? `"${field ?? ''}"` : String(field ?? ''))).join(',')
  return [line(columns), ...rows.map((row) => line(columns.map((name) => ({ ...USUAL, ...row })[name])))]
    .map((text) => text + newline)
    .join('')
}

/** A directory of files that goes with `dispose`. */
export class TemporaryFiles {
  readonly directory = mkdtempSync(join(tmpdir(), 'recordings-'))

  write(name: string, content: string | Buffer): string {
    const path = join(this.directory, name)
    writeFileSync(path, name.endsWith('.gz') && typeof content === 'string' ? gzipSync(content) : content)
    return path
  }

  dispose(): void {
    rmSync(this.directory, { recursive: true, force: true })
  }
}
