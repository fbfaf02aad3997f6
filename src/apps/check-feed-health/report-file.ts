/** Keeps a report on disk under a name that sorts by time, and the directory from growing for ever. */
import { readdir, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { TransmittedHealth } from '#adapters/control/parse-answers.ts'
import { createPath } from '#adapters/state/create-path.ts'
import { Failure } from '#domain/failure.ts'
import { csvOf } from './report.ts'

export type ReportForm = 'json' | 'csv'

/** A check every minute fills this in a day. */
const REPORTS_KEPT = 1_440
const REPORT_NAME = /^health-\d{8}T\d{9}\.(json|csv)$/

/** Path of the file written. Throws a Failure when the directory does not take it. */
export async function writeReport(directory: string, form: ReportForm, report: TransmittedHealth): Promise<string> {
  const stamp = report.generated_at.slice(0, 23).replaceAll(/[-:.]/g, '')
  const path = join(directory, `health-${stamp}.${form}`)
  const text = form === 'csv' ? csvOf(report) : `${JSON.stringify(report, null, 2)}\n`
  try {
    await createPath(directory)
    await writeFile(`${path}.${process.pid}.tmp`, text, { mode: 0o600 })
    await rename(`${path}.${process.pid}.tmp`, path)
    await prune(directory)
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : String(cause)
    throw new Failure(
      'report-write',
      `the report cannot be written to ${directory} (${code})`,
      'Make the directory writable, or name another one with --out-dir.',
      cause,
    )
  }
  return path
}

async function prune(directory: string): Promise<void> {
  const reports = (await readdir(directory)).filter((name) => REPORT_NAME.test(name)).sort()
  for (const name of reports.slice(0, -REPORTS_KEPT)) await rm(join(directory, name), { force: true })
}
