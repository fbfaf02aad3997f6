/** The health reports that commands kept under <state-dir>/reports/, for whoever shows how the last checks ended. */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Verdict } from '#domain/health.ts'
import type { OverviewReport } from '#domain/overview.ts'

const NAME = /^health-\d{8}T\d{9}\.json$/
const VERDICTS: ReadonlySet<string> = new Set<Verdict>(['OK', 'WARNING', 'CRITICAL', 'UNKNOWN'])

/** The last ones, newest first. What is damaged is left out. Rejects when the directory is there and can't be read. */
export async function readHealthReports(stateDir: string, limit: number): Promise<OverviewReport[]> {
  const directory = join(stateDir, 'reports')
  const names = await readdir(directory).catch((error: unknown) => {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return []
    throw error
  })
  const newest = names
    .filter((name) => NAME.test(name))
    .sort()
    .slice(-limit)
    .reverse()
  const texts = await Promise.all(newest.map((name) => readFile(join(directory, name), 'utf8').catch(() => '')))
  return texts.map(parseReport).filter((report) => report !== null)
}

function parseReport(text: string): OverviewReport | null {
  try {
    const { generated_at, verdict, coverage_ratio }: Record<string, unknown> = JSON.parse(text)
    if (typeof generated_at !== 'string' || !isVerdict(verdict)) return null
    return { generated_at, verdict, coverage_ratio: typeof coverage_ratio === 'number' ? coverage_ratio : null }
  } catch {
    return null
  }
}

function isVerdict(value: unknown): value is Verdict {
  return typeof value === 'string' && VERDICTS.has(value)
}
