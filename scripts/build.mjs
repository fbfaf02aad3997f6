// Bundles every executable into dist/, dependencies included: a timer's command then loads a few files instead of hundreds, and the
// package installs with nothing to download. Chunks are shared, and what a command rarely needs stays behind a dynamic import.
import { createHash } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { readdir, rm, writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

const root = fileURLToPath(new URL('..', import.meta.url))
const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'))

const entries = {
  'start-live-env': 'src/apps/start-live-env.ts',
  'full-feed-subscription': 'src/apps/full-feed-subscription.ts',
  'check-feed-health': 'src/apps/check-feed-health.ts',
  'validate-env': 'src/apps/validate-env.ts',
  'sim-bridge': 'src/apps/sim-bridge.ts',
  'replay-bridge': 'src/apps/replay-bridge.ts',
  bench: 'test/bench/bench.ts',
  'bus-bench': 'test/bench/bus-bench.ts',
}
const present = Object.fromEntries(Object.entries(entries).filter(([, file]) => existsSync(`${root}/${file}`)))

// Entries that are built together share chunks, and every further chunk costs a command's start half a millisecond: what timers and
// probes run is built apart from the rest.
const apart = ['check-feed-health', 'full-feed-subscription', 'bus-bench']
const groups = [...apart.map((name) => [name]), Object.keys(present).filter((name) => !apart.includes(name))]
const settings = {
  metafile: true,
  absWorkingDir: root,
  outdir: 'dist',
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node20.19',
  minifySyntax: true,
  minifyWhitespace: true,
  keepNames: false,
  sourcemap: false,
  legalComments: 'none',
  logLevel: 'warning',
  define: { __VERSION__: JSON.stringify(version) },
  // CommonJS dependencies inside the bundle still call require for Node's own modules.
  banner: {
    js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);",
  },
}
const written = new Set()
for (const names of groups) {
  const entryPoints = Object.fromEntries(names.flatMap((name) => (name in present ? [[name, present[name]]] : [])))
  const { metafile } = await build({ ...settings, entryPoints })
  for (const file of Object.keys(metafile.outputs)) written.add(file.replace(/^dist\//, ''))
}

written.add('status-page.html')
await writeFile(`${root}/dist/status-page.html`, await statusPage())

// Spares every start the search for a package.json further up.
await writeFile(`${root}/dist/package.json`, '{ "type": "module" }\n')

// Only what this build did not write goes, so that a command started meanwhile still finds its chunks.
for (const file of await readdir(`${root}/dist`))
  if (!written.has(file) && file !== 'package.json') await rm(`${root}/dist/${file}`, { recursive: true })

/** One file without anything to fetch; the browser runs and styles nothing but what stands in it. */
async function statusPage() {
  const bundled = {
    bundle: true,
    write: false,
    minify: true,
    target: 'es2022',
    legalComments: 'none',
    logLevel: 'warning',
  }
  const textOf = async (file, more) =>
    (await build({ ...bundled, ...more, entryPoints: [`${root}/src/status-page/${file}`] })).outputFiles[0].text.trim()
  const style = await textOf('page.css', {})
  const script = await textOf('client.ts', { format: 'iife' })
  const hash = (text) => `'sha256-${createHash('sha256').update(text).digest('base64')}'`
  const policy = [
    "default-src 'none'",
    `style-src ${hash(style)}`,
    `script-src ${hash(script)}`,
    "connect-src 'self'",
    'img-src data:',
    "base-uri 'none'",
    "form-action 'none'",
  ].join('; ')
  return readFileSync(`${root}/src/status-page/page.html`, 'utf8')
    .replace(
      '<meta charset="utf-8">',
      () => `<meta charset="utf-8">\n<meta http-equiv="Content-Security-Policy" content="${policy}">`,
    )
    .replace('/*STYLE*/', () => style)
    .replace('/*SCRIPT*/', () => script)
}
