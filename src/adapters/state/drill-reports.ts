/**
 * The record of drills under <state-dir>/drills/: `<date>-<n>.json` for programs and `.md` for people. A number is taken before a drill
 * begins, so one that was cut short leaves a file that says so.
 */
import { readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { DrillReport } from '#domain/drill.ts'
import { createPath } from './create-path.ts'
import { writeDurably } from './durable-file.ts'

const NAME = /^(\d{8})-(\d+)\.json$/
const KEPT = 500
const ATTEMPTS = 20

/** Takes the next number of the date (yyyymmdd). Rejects when the disk does not take it. */
export async function reserveDrill(stateDir: string, date: string, note: object): Promise<string> {
  const directory = drillDirectory(stateDir)
  await createPath(directory)
  const taken = (await drillIds(directory)).filter((id) => id.startsWith(`${date}-`))
  let number = taken.reduce((most, id) => Math.max(most, Number(id.slice(date.length + 1))), 0)
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const id = `${date}-${++number}`
    try {
      const text = `${JSON.stringify({ schema: 'feed-supervisor/drill/1', id, outcome: 'unfinished', ...note })}\n`
      await writeFile(join(directory, `${id}.json`), text, { flag: 'wx', mode: 0o600 })
      return id
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error
    }
  }
  throw new Error(`no free number for a drill on ${date}`)
}

/** Paths of the two files. Rejects when the disk does not take them. */
export async function writeDrillReport(
  stateDir: string,
  report: DrillReport,
  markdown: string,
): Promise<{ json: string; markdown: string }> {
  const directory = drillDirectory(stateDir)
  const path = join(directory, report.id)
  await writeDurably(`${path}.json`, `${JSON.stringify(report, null, 2)}\n`)
  await writeDurably(`${path}.md`, markdown)
  for (const id of (await drillIds(directory)).slice(0, -KEPT)) {
    for (const ending of ['json', 'md']) await rm(join(directory, `${id}.${ending}`), { force: true })
  }
  return { json: `${path}.json`, markdown: `${path}.md` }
}

/** The last finished drills, oldest first. Files that are damaged or unfinished are left out. */
export async function readDrills(stateDir: string, limit: number): Promise<DrillReport[]> {
  const directory = drillDirectory(stateDir)
  const ids = (await drillIds(directory)).slice(-limit)
  const reports = await Promise.all(ids.map((id) => readFile(join(directory, `${id}.json`), 'utf8').catch(() => '')))
  return reports.map(parseDrill).filter((report) => report !== null)
}

/** Oldest first: by date, then by number. */
async function drillIds(directory: string): Promise<string[]> {
  const files = await readdir(directory).catch(() => [])
  return files
    .map((file) => NAME.exec(file))
    .filter((match) => match !== null)
    .map(([, date = '', number = '']) => ({ date, number: Number(number) }))
    .sort((a, b) => (a.date === b.date ? a.number - b.number : a.date < b.date ? -1 : 1))
    .map(({ date, number }) => `${date}-${number}`)
}

function drillDirectory(stateDir: string): string {
  return join(stateDir, 'drills')
}

function parseDrill(text: string): DrillReport | null {
  try {
    const report: Partial<DrillReport> = JSON.parse(text)
    const isFinished = report.outcome === 'passed' || report.outcome === 'failed'
    return report.schema === 'feed-supervisor/drill/1' && isFinished ? (report as DrillReport) : null
  } catch {
    return null
  }
}
