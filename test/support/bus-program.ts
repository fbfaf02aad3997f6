/** Bundles a program of the bus's tests, so that it can run, and be killed, as a process of its own on any supported Node. */
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

export async function bundleBusProgram(source: URL, directory: string): Promise<string> {
  const entry = fileURLToPath(source)
  const outfile = join(directory, `${basename(entry)}.mjs`)
  // The NATS library still calls require.
  const js = "import { createRequire as __make } from 'node:module'; const require = __make(import.meta.url);"
  await build({
    entryPoints: [entry],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'esm',
    logLevel: 'error',
    banner: { js },
  })
  return outfile
}
