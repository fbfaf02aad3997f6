// What a supervisor is told of a bridge process, whatever the process writes, however it ends, and whether it could be started at all.
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, describe, expect, test } from 'vitest'
import { type BridgeEnd, BridgeProcess } from '#adapters/feeds/bridge-process.ts'
import { encodeMessage, type Message } from '#adapters/feeds/wire.ts'
import { systemClock } from '#clock.ts'
import { bundle } from '../support/bundle.ts'

const run = promisify(execFile)
const directory = mkdtempSync(join(tmpdir(), 'bridge-process-'))
afterAll(() => rmSync(directory, { recursive: true, force: true }))

const HELLO = encodeMessage('hello', { sequence: 1, wallMs: 0, monotonicMs: 0, code: 1 })

/** A process that writes these bytes as its frames and then does what the shell is told. */
async function play(bytes: Buffer, then = '', act: (bridge: BridgeProcess) => void = () => undefined) {
  const file = join(directory, `frames-${Math.random()}`)
  writeFileSync(file, bytes)
  const messages: Message[] = []
  const end = await new Promise<BridgeEnd>((ended) => {
    const ignored = () => undefined
    const bridge: BridgeProcess = new BridgeProcess(
      { program: '/bin/sh', args: ['-c', `cat '${file}' >&3; ${then}`], env: { PATH: process.env['PATH'] ?? '' } },
      {
        reading: ignored,
        tick: ignored,
        printed: ignored,
        ended,
        message: (message) => {
          messages.push(message)
          act(bridge)
        },
      },
      systemClock,
    )
  })
  return { end, types: messages.map(({ type }) => type) }
}

describe('a bridge process', () => {
  test('that ends between two frames ended', async () => {
    expect(await play(HELLO)).toEqual({ end: { kind: 'exited', code: 0, signal: null }, types: ['hello'] })
  })

  test('that ends in order in the middle of a frame does not speak the protocol', async () => {
    const { end, types } = await play(Buffer.concat([HELLO, HELLO.subarray(0, 31)]))
    expect(end).toEqual({ kind: 'protocol-fault', message: 'its frames end after 31 bytes of one' })
    expect(types).toEqual(['hello'])
  })

  test('that dies in the middle of a frame died, and where is told', async () => {
    const { end } = await play(HELLO.subarray(0, 40), 'kill -ABRT $$')
    expect(end).toEqual({ kind: 'exited', code: null, signal: 'SIGABRT', unfinishedBytes: 40 })
  })

  test('that is told to end may end anywhere', async () => {
    const { end } = await play(Buffer.concat([HELLO, HELLO.subarray(0, 8)]), 'cat >/dev/null', (bridge) => {
      void bridge.retire(5_000)
    })
    expect(end).toEqual({ kind: 'exited', code: 0, signal: null })
  })

  test.each([
    ['a message', 1],
    ['a tick', 2],
  ])('that sets a flag on %s does not speak the protocol', async (_, type) => {
    const flagged = Buffer.from(HELLO)
    flagged.writeUInt16LE(type, 4)
    flagged.writeUInt16LE(0x8000, 6)
    expect((await play(flagged)).end).toEqual({
      kind: 'protocol-fault',
      message: `frame of type ${type} has flags 32768: not version 1`,
    })
  })
})

test('a bridge that can not be started for want of descriptors, or ever, is told as that, and the supervisor lives on', async () => {
  const script = await bundle(new URL('../support/bridge-without-descriptors.ts', import.meta.url))
  try {
    const command = `ulimit -n 128; exec '${process.execPath}' '${script}'`
    const { stdout } = await run('/bin/sh', ['-c', command], { timeout: 30_000 })
    expect(JSON.parse(stdout)).toEqual({
      without: { kind: 'not-started', message: expect.stringContaining('EMFILE'), passes: true },
      withAll: { kind: 'exited', code: 0, signal: null },
      tooLong: { kind: 'not-started', message: expect.stringContaining('E2BIG'), passes: false },
    })
  } finally {
    rmSync(dirname(script), { recursive: true, force: true })
  }
})
