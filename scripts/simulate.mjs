// Random schedules of faults against the decision core, on virtual time. Bundles the simulator into build/ and runs it; options are the
// simulator's own (`npm run simulate -- --help`).
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

const root = fileURLToPath(new URL('..', import.meta.url))
const outfile = `${root}build/simulate/simulate.mjs`
await build({
  absWorkingDir: root,
  entryPoints: ['test/simulation/simulate-main.ts'],
  outfile,
  bundle: true,
  format: 'esm',
  platform: 'node',
  target: 'node20.19',
  logLevel: 'warning',
  // The calendar is looked for beside the sources.
  define: { 'import.meta.url': '__moduleUrl' },
  banner: { js: "const __moduleUrl = new URL('../../test/support/simulate.mjs', import.meta.url).href" },
})
const child = spawn(process.execPath, [outfile, ...process.argv.slice(2)], { stdio: 'inherit' })
child.on('exit', (code) => {
  process.exitCode = code ?? 1
})
