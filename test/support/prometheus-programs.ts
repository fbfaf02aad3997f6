/**
 * The programs of Prometheus, as Debian installs them, for tests that want the real ones. Without them tests skip and say so; with
 * FEED_REQUIRE_REAL=1 they fail instead.
 */
import { spawnSync } from 'node:child_process'

const PROGRAMS = ['prometheus', 'promtool', 'prometheus-pushgateway', 'prometheus-alertmanager', 'amtool']
const missing = PROGRAMS.filter((program) => spawnSync(program, ['--version']).status !== 0)

/** For test.skipIf: true when a program is missing and none is demanded. */
export const lacksPrometheus = missing.length > 0 && process.env['FEED_REQUIRE_REAL'] !== '1'
if (missing.length > 0) {
  console.warn(
    `not installed: ${missing.join(', ')}; tests against the real ones are skipped ` +
      '(apt-get install prometheus prometheus-pushgateway prometheus-alertmanager)',
  )
}

/** Runs a checker to its end. `text` is everything it said. */
export function runTool(
  program: string,
  ...args: readonly string[]
): { code: number | null; stdout: string; text: string } {
  const { status, stdout, stderr, error } = spawnSync(program, args, { encoding: 'utf8' })
  return { code: status, stdout: stdout ?? '', text: `${stdout ?? ''}${stderr ?? ''}${error ? String(error) : ''}` }
}
