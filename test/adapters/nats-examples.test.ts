import { spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { bundleBusProgram } from '../support/bus-program.ts'
import { BusRig, busOptions, natsBus, until } from '../support/bus-rig.ts'
import { lacksNats, NatsServer } from '../support/nats-server.ts'
import { readAll } from './journal-rig.ts'

/** FEED_PYTHON names an interpreter that has nats-py. */
const python = process.env['FEED_PYTHON'] ?? 'python3'
const lacksPython = spawnSync(python, ['-c', 'import nats']).status !== 0 && process.env['FEED_REQUIRE_REAL'] !== '1'
if (lacksPython) console.warn('nats-py is not installed: the Python example is not tested (pip install nats-py)')

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))
const example = (path: string) => new URL(`../../examples/${path}`, import.meta.url)

describe.skipIf(lacksNats)('an example consumer sees every tick once and in order over a failover and restarts', () => {
  let directory: string
  let typescript: string
  let server: NatsServer
  let rig: BusRig
  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), 'bus-examples-'))
    typescript = await bundleBusProgram(example('consumer-ts/consume.ts'), directory)
  })
  afterAll(() => rmSync(directory, { recursive: true, force: true }))
  beforeEach(async () => {
    server = await NatsServer.start()
    rig = new BusRig()
    await rig.openJournal()
  })
  afterEach(async () => {
    await rig.remove()
    await server.remove()
  })

  test('in TypeScript', () => follow(process.execPath, typescript), 90_000)
  test.skipIf(lacksPython)(
    'in Python',
    () => follow(python, fileURLToPath(example('consumer-python/consume.py'))),
    90_000,
  )

  async function follow(program: string, script: string): Promise<void> {
    const seen: number[] = []
    let notes = ''
    const start = () => {
      const consumer = spawn(program, [script], {
        env: { PATH: process.env['PATH'], NATS_URL: server.url, POSITION_FILE: join(rig.stateDir, 'position.json') },
      })
      let rest = ''
      consumer.stdout.on('data', (text: Buffer) => {
        const lines = (rest + text.toString()).split('\n')
        rest = lines.pop() ?? ''
        for (const line of lines) seen.push(JSON.parse(line).seq)
      })
      consumer.stderr.on('data', (text: Buffer) => {
        notes += text.toString()
      })
      const gone = new Promise((resolve) => consumer.on('close', resolve))
      const end = async () => {
        consumer.kill('SIGTERM')
        await gone
      }
      return { end }
    }

    const publisher = await rig.publish(natsBus(busOptions([server.url])))
    await until('a link', () => publisher.connected)
    let epoch = 1
    const load = setInterval(() => rig.append(20, { epoch, offSessionEach: 9 }), 5)
    let consumer = start()
    await until('first ticks', () => seen.length > 500)
    epoch = 2
    await consumer.end()
    await pause(300)
    consumer = start()
    const resumedAt = seen.length
    await until('more ticks', () => seen.length > resumedAt + 500)
    await server.end('SIGKILL')
    await pause(300)
    await server.start()
    const restartedAt = seen.length
    await until('ticks after the outage', () => seen.length > restartedAt + 500, 30_000)
    clearInterval(load)
    await until('the last tick', () => publisher.publishedSequence === rig.writer?.lastSequence)
    const { ticks } = await readAll(rig.journalDirectory)
    const live = ticks.filter((tick) => tick.off_session !== true).map((tick) => tick.seq)
    await until('the last tick in the consumer', () => seen.length >= live.length, 30_000)
    await consumer.end()
    expect(seen).toEqual(live)
    expect(notes).toContain('epoch 2: ')
    expect(notes).not.toContain('LOST')
  }
})
