/** Makes a program of the test tree runnable by plain node: a process of its own is what some tests are about. */
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

/** Path of the bundled script, in a directory of its own that the caller removes. */
export async function bundle(source: URL): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'bundle-'))
  const outfile = join(directory, basename(source.pathname).replace(/\.ts$/, '.mjs'))
  await build({
    entryPoints: [fileURLToPath(source)],
    outfile,
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'node20.19',
    logLevel: 'error',
  })
  return outfile
}
