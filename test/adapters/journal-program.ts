/** Bundles a program of the journal's tests, so that it can run, and be killed, as a process of its own on any supported Node. */
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

export async function bundleJournalProgram(name: string, directory: string): Promise<string> {
  const outfile = join(directory, `${name}.mjs`)
  const entry = fileURLToPath(new URL(name, import.meta.url))
  await build({ entryPoints: [entry], outfile, bundle: true, platform: 'node', format: 'esm', logLevel: 'error' })
  return outfile
}
