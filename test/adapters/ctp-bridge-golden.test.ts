/**
 * Bytes made by the C++ side and read by ours, and the other way round: neither can drift from the layout without the other noticing.
 * And whatever else arrives on a bridge's stdin is named as a fault, never a crash or a hang.
 */
import { execFile, spawn, spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { promisify } from 'node:util'
import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import {
  encodeMessage,
  FRAME_BYTES_MAX,
  FrameReader,
  FrameType,
  type Message,
  vendorText,
} from '#adapters/feeds/wire.ts'
import { parseFronts } from '#config/front-address.ts'
import { TICK_AT, TICK_DOUBLES, TICK_F64, updateSecondOfDay } from '#domain/tick.ts'
import {
  BUILDS,
  bridgeSource,
  builtBridge,
  builtProgram,
  nativeTestSource,
  whyNoBridge,
} from '../support/ctp-standin.ts'
import { MALFORMED, WELL_FORMED } from '../support/front-addresses.ts'

const run = promisify(execFile)

describe.skipIf(whyNoBridge !== undefined)('golden bytes', () => {
  let program: string
  beforeAll(async () => {
    program = await builtProgram('wire-golden', [nativeTestSource('wire-golden.cpp'), bridgeSource('wire.cpp')])
  }, 120_000)

  it('from C++ are read here value by value', async () => {
    const { stdout } = await run(program, ['write'], { encoding: 'buffer', maxBuffer: 1 << 20 })
    const messages: Message[] = []
    let ticks = 0
    const reader = new FrameReader({
      message: (message) => messages.push(message),
      tick({ u8, i32, f64 }, at) {
        ticks++
        expect([i32[(at + 8) >> 2], i32[(at + TICK_AT.instrument) >> 2]]).toEqual([9, 70_000])
        expect([f64[(at + TICK_AT.receivedWallMs) >> 3], f64[(at + TICK_AT.receivedMonotonicMs) >> 3]]).toEqual([
          WALL_MS,
          4567.5,
        ])
        expect(Buffer.from(u8.slice(at + TICK_AT.tradingDay, at + TICK_AT.tradingDay + 16)).toString('latin1')).toBe(
          `20261123${'\0'.repeat(8)}`,
        )
        expect(updateSecondOfDay(u8, at)).toBe(21 * 3600 + 30 * 60 + 5)
        expect([i32[(at + TICK_AT.updateMillisec) >> 2], i32[(at + TICK_AT.volume) >> 2]]).toEqual([500, -1])
        TICK_DOUBLES.forEach((name, index) => {
          const value = f64[(at >> 3) + TICK_F64[name]]
          if (name === 'ClosePrice') expect(value).toBeNaN()
          else expect([name, value]).toEqual([name, 0.5 + index])
        })
        const volumes = (from: number) => [0, 1, 2, 3, 4].map((level) => i32[(at + from + 4 * level) >> 2])
        expect(volumes(TICK_AT.bidVolumes)).toEqual([100, 101, 102, 103, 104])
        expect(volumes(TICK_AT.askVolumes)).toEqual([200, 201, 202, 203, 204])
      },
    })
    for (const byte of stdout) reader.push(Uint8Array.of(byte))
    expect([ticks, reader.held]).toEqual([1, 0])

    const [loggedIn, connected, log] = messages
    expect(loggedIn).toMatchObject({
      type: 'loggedIn',
      sequence: 0xfffffffe,
      instrument: 42,
      wallMs: WALL_MS,
      monotonicMs: 4567.5,
      code: -3,
      request: 77,
      numbers: [1.5, -0, 1e300],
    })
    expect(loggedIn?.texts.map((text) => Buffer.from(text).toString('latin1'))).toEqual([
      'CTP:\xb2\xbb\xba',
      '',
      '20261123',
    ])
    expect(connected).toMatchObject({ type: 'connected', sequence: 0, code: 0, request: 0, numbers: [], texts: [] })
    // A text that does not fit a frame is cut, and the frame stays whole.
    expect(log?.texts.map((text) => text.length)).toEqual([FRAME_BYTES_MAX - 48 - 4, 0])
  })

  it('from here are read by C++, wherever they are cut', () => {
    const frames = [
      encodeMessage('start', {
        sequence: 1,
        wallMs: 0,
        monotonicMs: 0,
        texts: ['session', 'md', 'fronts', 'tcp://a:1\ntcp://b:2'],
      }),
      encodeMessage('subscribe', { sequence: 2, wallMs: 1.5, monotonicMs: 2, texts: ['SPC a2701&m2701', '', '合约'] }),
      encodeMessage('advance', {
        sequence: 0xffffffff,
        wallMs: 0,
        monotonicMs: 0,
        numbers: [0.1, Number.POSITIVE_INFINITY],
      }),
      encodeMessage('login', { sequence: 4, wallMs: 0, monotonicMs: 0 }),
    ]
    const { stdout } = spawnSync(program, ['read'], {
      input: Buffer.concat([...frames, Buffer.alloc(5)]),
      encoding: 'utf8',
    })
    expect(stdout.trimEnd().split('\n')).toEqual([
      "101 1 'session' 'md' 'fronts' 'tcp://a:1%0atcp://b:2'",
      "103 2 'SPC%20a2701&m2701' '' '%e5%90%88%e7%ba%a6'",
      '105 4294967295 0.10000000000000001 inf',
      '102 4',
      'unfinished 5',
    ])
  })

  const golden = JSON.parse(readFileSync(new URL('../fixtures/wire-golden.json', import.meta.url), 'utf8')) as {
    frames: GoldenFrame[]
  }

  it.each(golden.frames.map((frame, index) => ({ frame, name: `${index + 1} (${frame.type})` })))(
    'frame $name of the shared fixture is made by C++ byte for byte',
    ({ frame }) => {
      const input = frame.type === 'tick' ? tickWords(frame) : messageWords(frame)
      const { stdout } = spawnSync(program, ['encode'], { input })
      expect(stdout.toString('hex')).toBe(frame.hex)
    },
  )

  it('the commands of the shared fixture are read by C++', () => {
    const commands = golden.frames.filter(({ typeNumber }) => typeNumber > 100)
    const input = Buffer.concat(commands.map(({ hex }) => Buffer.from(hex, 'hex')))
    const { stdout } = spawnSync(program, ['read'], { input, encoding: 'utf8' })
    const read = stdout.trimEnd().split('\n')
    expect(read.at(-1)).toBe('unfinished 0')
    expect(read.slice(0, -1).map((line) => line.split(' ').slice(0, 2).map(Number))).toEqual(
      commands.map(({ typeNumber, sequence }) => [typeNumber, sequence]),
    )
    expect(commands.length).toBeGreaterThan(3)
  })
})

describe.skipIf(whyNoBridge !== undefined)('front addresses', () => {
  let program: string
  beforeAll(async () => {
    program = await builtProgram('front-address-lines', [
      nativeTestSource('front-address-lines.cpp'),
      bridgeSource('front-address.cpp'),
    ])
  }, 120_000)

  const verdicts = (addresses: readonly string[]) =>
    spawnSync(program, { input: addresses.map((address) => `${address}\n`).join(''), encoding: 'utf8' })
      .stdout.trimEnd()
      .split('\n')

  it('of the documented forms pass the bridge, all others do not', () => {
    const taken = (addresses: readonly string[]) => {
      const answers = verdicts(addresses)
      return addresses.filter((_, i) => answers[i] === 'yes')
    }
    expect(taken(WELL_FORMED)).toEqual(WELL_FORMED)
    expect(taken(MALFORMED)).toEqual([])
  })

  it('are taken by the bridge and by the configuration, or by neither', () => {
    const part = fc.constantFrom(
      'a',
      'Z',
      '9',
      '0',
      '.',
      '-',
      '_',
      ':',
      '::',
      '[',
      ']',
      '127.0.0.1',
      '2001:db8::1',
      'front',
      '256',
    )
    const address = fc
      .tuple(
        fc.constantFrom('tcp', 'ssl', 'tcp6', 'udp'),
        fc.array(part, { minLength: 1, maxLength: 6 }).map((parts) => parts.join('')),
        fc.integer({ min: 0, max: 70_000 }),
        fc.constantFrom('', ' socks5://proxy:1080', ' socks4a://10.0.0.1:1'),
      )
      .map(([scheme, host, port, proxy]) => `${scheme}://${host}:${port}${proxy}`)
    const addresses = fc.sample(address, { numRuns: 20_000, seed: 4 })
    const answers = verdicts(addresses)
    const disputed = addresses.filter((text, i) => (parseFronts(text) !== null) !== (answers[i] === 'yes'))
    expect(disputed).toEqual([])
    // Enough of either sort for the agreement to mean something.
    const taken = answers.filter((answer) => answer === 'yes').length
    expect(taken).toBeGreaterThan(1_000)
    expect(addresses.length - taken).toBeGreaterThan(1_000)
  })
})

describe.skipIf(whyNoBridge !== undefined).each(BUILDS)('stdin of a bridge (%s build)', (build) => {
  let executable: string
  beforeAll(async () => {
    executable = await builtBridge('6.7.7', build)
  }, 300_000)

  it.each([
    ['a frame of the other direction', frame({ type: FrameType.tick }), 'unknown command type 2'],
    ['an unknown type', frame({ type: 999 }), 'unknown command type 999'],
    ['another protocol version', frame({ flags: 1 }), 'has flags 1: not protocol version 1'],
    ['a length below the header', frame({ length: 40 }), 'impossible length 40'],
    ['a length above the maximum', frame({ length: 65_544 }), 'impossible length 65544'],
    ['an odd length', frame({ length: 49 }), 'impossible length 49'],
    ['more numbers than it holds', frame({ numbers: 1 }), 'too short for 1 numbers'],
    ['more texts than it holds', frame({ texts: 9 }), 'too short for its text 1'],
    ['half a frame', frame({}).subarray(0, 31), 'it ends after 31 bytes of a command'],
  ])('names the fault in %s', async (_, bytes, fault) => {
    const { code, faults } = await feed(executable, bytes)
    expect(code).toBe(76)
    expect(faults.join()).toContain(fault)
  })

  it('survives any bytes: a clean end or a named fault, within seconds', { timeout: 240_000 }, async () => {
    const command = fc
      .record({
        type: fc.constantFrom(
          'login',
          'subscribe',
          'unsubscribe',
          'authenticate',
          'queryInstruments',
          'advance',
          'start' as const,
        ),
        texts: fc.array(
          fc.oneof(fc.constantFrom('session', 'md', 'td', 'fronts', 'flow_dir', '/tmp', 'x'), fc.string()),
          { maxLength: 8 },
        ),
        numbers: fc.array(fc.double(), { maxLength: 3 }),
      })
      .map(({ type, texts, numbers }) =>
        encodeMessage(type, { sequence: 1, wallMs: 0, monotonicMs: 0, texts, numbers }),
      )
    const mutated = fc
      .tuple(
        fc.array(command, { minLength: 1, maxLength: 4 }),
        fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { maxLength: 4 }),
        fc.nat(),
      )
      .map(([frames, changes, cut]) => {
        const bytes = Buffer.concat(frames)
        for (const [at, value] of changes) bytes[at % bytes.length] = value
        return cut % 3 === 0 ? bytes.subarray(0, cut % (bytes.length + 1)) : bytes
      })
    const noise = fc.uint8Array({ minLength: 0, maxLength: 4096 }).map((bytes) => Buffer.from(bytes))
    const input = fc.oneof({ weight: 4, arbitrary: mutated }, { weight: 1, arbitrary: noise })
    await fc.assert(
      fc.asyncProperty(input, async (bytes) => {
        const { code, signal, faults } = await feed(executable, bytes)
        expect([0, 69, 76, 78]).toContain(code)
        expect(signal).toBe(null)
        if (code !== 0) expect(faults.length).toBeGreaterThan(0)
      }),
      { numRuns: 150 },
    )
  })
})

interface GoldenFrame {
  type: string
  typeNumber: number
  sequence: number
  instrument: number
  wallMs: GoldenNumber
  monotonicMs: GoldenNumber
  code: number
  request: number
  numbers: GoldenNumber[]
  textsHex: string[]
  tradingDay: string
  actionDay: string
  updateTime: string
  updateMillisec: number
  volume: number
  doubles: Record<string, GoldenNumber>
  bidVolumes: number[]
  askVolumes: number[]
  hex: string
}

/** NaN and Infinity are no JSON numbers. */
type GoldenNumber = number | 'NaN' | 'Infinity' | '-Infinity'

function bits(value: GoldenNumber | undefined): string {
  const bytes = Buffer.alloc(8)
  bytes.writeDoubleBE(Number(value))
  return bytes.toString('hex')
}

function textHex(text: string): string {
  return text === '' ? '-' : Buffer.from(text, 'latin1').toString('hex')
}

function tickWords(frame: GoldenFrame): string {
  return [
    ...['tick', frame.sequence, frame.instrument, bits(frame.wallMs), bits(frame.monotonicMs)],
    ...[frame.tradingDay, frame.actionDay, frame.updateTime].map(textHex),
    ...[frame.updateMillisec, frame.volume],
    ...TICK_DOUBLES.map((name) => bits(frame.doubles[name])),
    ...[...frame.bidVolumes, ...frame.askVolumes],
  ].join(' ')
}

function messageWords(frame: GoldenFrame): string {
  return [
    ...['message', frame.typeNumber, frame.sequence, frame.instrument, bits(frame.wallMs), bits(frame.monotonicMs)],
    ...[frame.code, frame.request, frame.numbers.length, ...frame.numbers.map(bits)],
    ...[frame.textsHex.length, ...frame.textsHex.map((hex) => (hex === '' ? '-' : hex))],
  ].join(' ')
}

const WALL_MS = 1_763_712_000_123.25

/** A 48-byte login frame with the fields given changed. */
function frame({ type = FrameType.login as number, length = 48, flags = 0, numbers = 0, texts = 0 }): Buffer {
  const bytes = Buffer.alloc(48)
  bytes.writeUInt32LE(length, 0)
  bytes.writeUInt16LE(type, 4)
  bytes.writeUInt16LE(flags, 6)
  bytes.writeUInt16LE(numbers, 40)
  bytes.writeUInt16LE(texts, 42)
  return bytes
}

/** Gives a bridge these bytes and the end of its stdin. `faults` are the texts of its error frames. */
async function feed(executable: string, bytes: Buffer) {
  const child = spawn(executable, [], { stdio: ['pipe', 'ignore', 'pipe', 'pipe'] })
  const faults: string[] = []
  const reader = new FrameReader({
    tick: () => undefined,
    message(message) {
      if (message.type === 'frontError') faults.push(vendorText(message.texts[0]))
    },
  })
  child.stdio[3]?.on('data', (chunk: Buffer) => reader.push(chunk))
  let log = ''
  child.stderr?.on('data', (text) => {
    log += text
  })
  child.stdin?.on('error', () => undefined)
  child.stdin?.end(bytes)
  const kill = setTimeout(() => child.kill('SIGKILL'), 20_000)
  const { code, signal } = await new Promise<{ code: number | null; signal: NodeJS.Signals | null }>((resolve) => {
    child.on('close', (exitCode, killedBy) => resolve({ code: exitCode, signal: killedBy }))
  })
  clearTimeout(kill)
  return { code, signal, faults, log }
}
