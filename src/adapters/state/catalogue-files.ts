/**
 * The contract lists that refreshes brought: the current one, which the daemon reads, and one of each trading day for comparison. Old ones
 * go, so that the directory does not grow.
 */
import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { Failure } from '#domain/failure.ts'
import { createPath } from './create-path.ts'
import { writeDurably } from './durable-file.ts'

export interface DatedCatalogue {
  /** yyyymmdd */
  tradingDay: string
  path: string
}

const DATED = /^(\d{8})\.json$/
/** Two working weeks; a whole market's list has about 4 MB. */
const KEPT_MAX = 10

export function currentCataloguePath(stateDir: string): string {
  return join(stateDir, 'catalogue.json')
}

export function datedCataloguePath(stateDir: string, tradingDay: string): string {
  return join(directoryOf(stateDir), `${tradingDay}.json`)
}

/** Where a list goes that was fetched and not taken, to be looked at. */
export function refusedCataloguePath(stateDir: string): string {
  return join(directoryOf(stateDir), 'refused.json')
}

/** Newest trading day first; none without the directory. */
export async function datedCatalogues(stateDir: string): Promise<DatedCatalogue[]> {
  const files = await readdir(directoryOf(stateDir)).catch((error: unknown) => {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return []
    throw error
  })
  return files
    .flatMap((file) => {
      const tradingDay = DATED.exec(file)?.[1]
      return tradingDay === undefined ? [] : [{ tradingDay, path: join(directoryOf(stateDir), file) }]
    })
    .sort((a, b) => Number(b.tradingDay) - Number(a.tradingDay))
}

/** The list of the day, and the one that the daemon reads from now on. @throws Failure<'catalogue-not-written'> */
export async function keepCatalogue(stateDir: string, tradingDay: string, text: string): Promise<void> {
  await write(datedCataloguePath(stateDir, tradingDay), stateDir, text)
  await write(currentCataloguePath(stateDir), stateDir, text)
  await rm(refusedCataloguePath(stateDir), { force: true })
  for (const { path } of (await datedCatalogues(stateDir)).slice(KEPT_MAX)) await rm(path, { force: true })
}

/** @throws Failure<'catalogue-not-written'> */
export async function keepRefusedCatalogue(stateDir: string, text: string): Promise<void> {
  await write(refusedCataloguePath(stateDir), stateDir, text)
}

async function write(path: string, stateDir: string, text: string): Promise<void> {
  try {
    await createPath(directoryOf(stateDir))
    await writeDurably(path, text)
  } catch (error) {
    const remedy = 'Free disk space or mend the permissions of the state directory, then refresh again.'
    throw new Failure('catalogue-not-written', `the contract list ${path} can't be written`, remedy, error)
  }
}

function directoryOf(stateDir: string): string {
  return join(stateDir, 'catalogue')
}
