/** Bundles a program of the journal's tests, so that it can run, and be killed, as a process of its own on any supported Node. */
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

export async function bundleJournalProgram(source: URL, directory: string): Promise<string> {
  const entry = fileURLToPath(source)
  const outfile = join(directory, `${basename(entry)}.mjs`)
  await build({ entryPoints: [entry], outfile, bundle: true, platform: 'node', format: 'esm', logLevel: 'error' })
  return outfile
}
