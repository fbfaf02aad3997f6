import { execFile, spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { bundleBusProgram } from '../support/bus-program.ts'
import { lacksNats } from '../support/nats-server.ts'

/** Namespaces need root; elsewhere the tests of nats-faults.test.ts have to do. */
const lacksNamespaces =
  spawnSync('unshare', ['-n', '-m', 'ip', 'link', 'set', 'lo', 'up']).status !== 0 &&
  process.env['FEED_REQUIRE_REAL'] !== '1'
if (lacksNamespaces) console.warn('no namespaces here: a cut network and a full disk of the bus are not tested')

describe.skipIf(lacksNats || lacksNamespaces)('the host of the bus', () => {
  let directory: string
  let program: string
  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), 'bus-host-'))
    mkdirSync(join(directory, 'disk'))
    program = await bundleBusProgram(new URL('./nats-host-daemon.ts', import.meta.url), directory)
  })
  afterAll(() => rmSync(directory, { recursive: true, force: true }))

  const run = async (fault: string) => {
    const disk = join(directory, 'disk')
    const script = `ip link set lo up && mount -t tmpfs -o size=64m tmpfs ${disk} && exec "$@"`
    // With a process namespace of its own nothing survives it.
    const command = [
      '-n',
      '-m',
      '-p',
      '-f',
      '--kill-child',
      'sh',
      '-c',
      script,
      'sh',
      process.execPath,
      program,
      fault,
      disk,
    ]
    const { stdout } = await promisify(execFile)('unshare', command, { timeout: 110_000 })
    return JSON.parse(stdout.trim().split('\n').at(-1) ?? '')
  }

  test('cut off from the publisher without a word holds every tick once when it is back', async () => {
    const result = await run('cut')
    console.info(`acknowledged again ${result.rounds.join(', ')} ms after the network was back`)
    expect(result).toMatchObject({ isWhole: true })
    expect(result.kinds).toContain('bus-not-answering')
  }, 120_000)

  test('with its disk full refuses ticks, which wait and go in when there is room', async () => {
    const result = await run('disk')
    expect(result).toMatchObject({ isWhole: true })
    expect(result.rssMb).toBeLessThan(300)
    console.info(`a full disk shows as ${result.kinds.join(', ')}`)
  }, 120_000)
})
