// Writes grafana/dashboards/*.json from grafana/src; files of dashboards that are no more go.
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { build } from 'esbuild'

const root = fileURLToPath(new URL('..', import.meta.url))
const target = join(root, 'grafana/dashboards')
// Inside node_modules, so that the bundle finds the SDK.
const workplace = await mkdtemp(join(root, 'node_modules/.dashboards-'))
try {
  const outfile = join(workplace, 'dashboards.mjs')
  await build({
    entryPoints: [join(root, 'grafana/src/dashboards.ts')],
    outfile,
    bundle: true,
    format: 'esm',
    platform: 'node',
    packages: 'external',
  })
  const { dashboardFiles } = await import(pathToFileURL(outfile).href)
  const files = dashboardFiles()
  for (const name of await readdir(target)) if (!files.has(name)) await rm(join(target, name))
  for (const [name, text] of files) await writeFile(join(target, name), text)
  console.log(`wrote ${files.size} dashboards to grafana/dashboards`)
} finally {
  await rm(workplace, { recursive: true })
}
