// The bridge protocol byte for byte, against frames that were written down independently of the code, and against broken streams.
import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  encodeMessage,
  FRAME_BYTES_MAX,
  FrameReader,
  FrameType,
  HEADER_BYTES,
  type Message,
  PROTOCOL_VERSION,
  ProtocolFault,
  textPairs,
  vendorText,
  writeTickHeader,
} from '#adapters/feeds/wire.ts'
import { TICK_AT, TICK_BYTES, TICK_DOUBLES, TICK_F64, tickViews } from '#domain/tick.ts'

interface GoldenMessage {
  type: Message['type']
  typeNumber: number
  sequence: number
  instrument: number
  wallMs: number
  monotonicMs: number
  code: number
  request: number
  numbers: (number | string)[]
  textsHex: string[]
  texts: string[]
  hex: string
}
interface GoldenTick extends Omit<GoldenMessage, 'type'> {
  type: 'tick'
  tradingDay: string
  actionDay: string
  updateTime: string
  updateMillisec: number
  volume: number
  doubles: Record<string, number | string>
  bidVolumes: number[]
  askVolumes: number[]
}
interface Golden {
  protocol: number
  frames: (GoldenMessage | GoldenTick)[]
}

const golden: Golden = JSON.parse(readFileSync(new URL('../fixtures/wire-golden.json', import.meta.url), 'utf8'))
const isTick = (frame: GoldenMessage | GoldenTick): frame is GoldenTick => frame.type === 'tick'
const goldenMessages = golden.frames.filter((frame): frame is GoldenMessage => !isTick(frame))
const goldenTicks = golden.frames.filter(isTick)
const everyByte = Buffer.concat(golden.frames.map(({ hex }) => Buffer.from(hex, 'hex')))

/** What a reader makes of chunks: ticks as hex, messages with their texts as hex. */
function readAll(chunks: readonly Uint8Array[]): string[] {
  const seen: string[] = []
  const reader = new FrameReader({
    tick: (views, at) => seen.push(Buffer.from(views.u8.subarray(at, at + TICK_BYTES)).toString('hex')),
    message: (message) => seen.push(describeMessage(message)),
  })
  for (const chunk of chunks) reader.push(chunk)
  expect(reader.held).toBe(0)
  return seen
}

function describeMessage(message: Message): string {
  const { texts, numbers, ...fields } = message
  return JSON.stringify({
    ...fields,
    numbers: numbers.map(String),
    texts: texts.map((text) => Buffer.from(text).toString('hex')),
  })
}

describe('golden frames', () => {
  test('pin every frame type of the protocol', () => {
    expect(golden.protocol).toBe(PROTOCOL_VERSION)
    expect(new Set(golden.frames.map(({ type }) => type))).toEqual(new Set(Object.keys(FrameType)))
    for (const { type, typeNumber } of golden.frames) expect(FrameType[type]).toBe(typeNumber)
  })

  test.each(goldenMessages.map((frame) => [`${frame.type} ${frame.sequence}`, frame] as const))(
    '%s is encoded to its bytes',
    (_name, frame) => {
      const { type, textsHex, numbers, ...fields } = frame
      const encoded = encodeMessage(type, {
        ...fields,
        numbers: numbers.map(Number),
        texts: textsHex.map((text) => Buffer.from(text, 'hex')),
      })
      expect(encoded.toString('hex')).toBe(frame.hex)
    },
  )

  test.each(goldenMessages.map((frame) => [`${frame.type} ${frame.sequence}`, frame] as const))(
    '%s is read back',
    (_name, frame) => {
      const { type, sequence, instrument, wallMs, monotonicMs, code, request, numbers, textsHex } = frame
      const expected = {
        type,
        sequence,
        instrument,
        wallMs,
        monotonicMs,
        code,
        request,
        numbers: numbers.map(String),
        texts: textsHex,
      }
      expect(JSON.parse(readAll([Buffer.from(frame.hex, 'hex')])[0] ?? '')).toEqual(expected)
    },
  )

  test('vendor texts are GBK, and one that was cut in a character is still readable before the cut', () => {
    const texts = new Map(
      goldenMessages.map((frame) => [frame.type, frame.textsHex.map((text) => vendorText(Buffer.from(text, 'hex')))]),
    )
    expect(texts.get('loggedIn')).toEqual(['正确', '20251209'])
    expect(texts.get('catalogueRow')?.[4]).toBe('螺纹2605')
    expect(texts.get('unsubscribed')?.[0]).toMatch(/^CTP:找不到合/)
  })

  test.each(goldenTicks.map((frame) => [frame.updateTime, frame] as const))(
    'a tick of %s lies where the layout says',
    (_name, frame) => {
      const buffer = new ArrayBuffer(TICK_BYTES)
      const views = tickViews(buffer)
      writeTickHeader(views, 0, frame)
      views.f64[TICK_AT.receivedWallMs / 8] = frame.wallMs
      views.f64[TICK_AT.receivedMonotonicMs / 8] = frame.monotonicMs
      const bytes = Buffer.from(buffer)
      bytes.write(frame.tradingDay, TICK_AT.tradingDay, 'latin1')
      bytes.write(frame.actionDay, TICK_AT.actionDay, 'latin1')
      bytes.write(frame.updateTime, TICK_AT.updateTime, 'latin1')
      views.i32[TICK_AT.updateMillisec / 4] = frame.updateMillisec
      views.i32[TICK_AT.volume / 4] = frame.volume
      for (const name of TICK_DOUBLES) views.f64[TICK_F64[name]] = Number(frame.doubles[name])
      views.i32.set(frame.bidVolumes, TICK_AT.bidVolumes / 4)
      views.i32.set(frame.askVolumes, TICK_AT.askVolumes / 4)
      expect(bytes.toString('hex')).toBe(frame.hex)
      expect(readAll([bytes])).toEqual([frame.hex])
    },
  )

  test('pairs of texts are read as name and value', () => {
    const start = goldenMessages.find(({ type }) => type === 'start')
    let pairs = new Map<string, string>()
    const reader = new FrameReader({ tick: () => {}, message: (message) => (pairs = textPairs(message)) })
    reader.push(Buffer.from(start?.hex ?? '', 'hex'))
    expect(Object.fromEntries(pairs)).toEqual({ line: 'primary', fronts: 'tcp://192.0.2.1:41213' })
  })
})

describe('a stream in pieces', () => {
  const whole = readAll([everyByte])

  test('gives the same frames however it is cut', () => {
    const cuts = fc.array(fc.integer({ min: 0, max: everyByte.length }), { maxLength: 60 })
    fc.assert(
      fc.property(cuts, (places) => {
        const sorted = [0, ...places.sort((a, b) => a - b), everyByte.length]
        const chunks = sorted.slice(1).map((end, i) => everyByte.subarray(sorted[i] ?? 0, end))
        expect(readAll(chunks)).toEqual(whole)
      }),
    )
  })

  test('gives the same frames byte by byte', () => {
    expect(readAll(Array.from(everyByte, (byte) => Uint8Array.of(byte)))).toEqual(whole)
  })

  test('gives the same frames in one chunk much larger than the buffer', () => {
    const times = Math.ceil((3 * 4 * FRAME_BYTES_MAX) / everyByte.length)
    const seen = readAll([Buffer.concat(Array.from({ length: times }, () => everyByte))])
    expect(seen.length).toBe(times * whole.length)
    expect(seen.slice(-whole.length)).toEqual(whole)
  })

  test('may hold frames of the greatest length', () => {
    const text = 'x'.repeat(FRAME_BYTES_MAX - 48 - 2)
    const frame = encodeMessage('log', { sequence: 1, wallMs: 0, monotonicMs: 0, texts: [text] })
    expect(frame.length).toBe(FRAME_BYTES_MAX)
    expect(readAll([frame, frame]).length).toBe(2)
    expect(() => encodeMessage('log', { sequence: 1, wallMs: 0, monotonicMs: 0, texts: [`${text}x`] })).toThrow(
      RangeError,
    )
  })
})

describe('a stream that is no stream of frames', () => {
  test('is refused or waits for more, and never loops or reads beyond a frame', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 2000 }),
        fc.integer({ min: 0, max: golden.frames.length }),
        (garbage, after) => {
          const before = golden.frames.slice(0, after)
          let seen = 0
          const reader = new FrameReader({ tick: () => seen++, message: () => seen++ })
          try {
            for (const { hex } of before) reader.push(Buffer.from(hex, 'hex'))
            expect(seen).toBe(before.length)
            reader.push(garbage)
            expect(reader.held).toBeLessThanOrEqual(garbage.length)
          } catch (error) {
            expect(error).toBeInstanceOf(ProtocolFault)
          }
          expect(seen).toBeGreaterThanOrEqual(before.length)
        },
      ),
      { numRuns: 500 },
    )
  })

  test('is refused after any single byte of a message header went wrong, or still has the length it says', () => {
    const frame = Buffer.from(goldenMessages.find(({ type }) => type === 'catalogueRow')?.hex ?? '', 'hex')
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 47 }), fc.integer({ min: 1, max: 255 }), (place, flip) => {
        const broken = Buffer.from(frame)
        broken[place] = (broken[place] ?? 0) ^ flip
        const reader = new FrameReader({ tick: () => {}, message: () => {} })
        try {
          reader.push(broken)
        } catch (error) {
          expect(error).toBeInstanceOf(ProtocolFault)
        }
      }),
      { numRuns: 500 },
    )
  })

  const header = (length: number, type: number, numbers = 0, texts = 0) => {
    const bytes = Buffer.alloc(Math.max(48, Math.min(length, 4096)))
    bytes.writeUInt32LE(length, 0)
    bytes.writeUInt16LE(type, 4)
    bytes.writeUInt16LE(numbers, 40)
    bytes.writeUInt16LE(texts, 42)
    return bytes
  }
  test.each([
    ['an unknown type', header(48, 99), /unknown frame type 99/],
    ['type 0', header(48, 0), /unknown frame type 0/],
    ['a length of 0', header(0, FrameType.connected), /impossible length 0/],
    ['a length that is no multiple of 8', header(49, FrameType.connected), /impossible length 49/],
    ['a length below the header', header(HEADER_BYTES, FrameType.connected), /impossible length 32/],
    ['a length over the limit', header(FRAME_BYTES_MAX + 8, FrameType.log), /impossible length/],
    ['a tick of another length', header(320, FrameType.tick), /tick frame of 320 bytes/],
    ['more numbers than the frame has room for', header(56, FrameType.counters, 2), /too short for 2 numbers/],
    ['more texts than the frame has room for', header(48, FrameType.log, 0, 1), /too short for its text 1/],
  ])('is refused for %s', (_what, bytes, message) => {
    const reader = new FrameReader({ tick: () => {}, message: () => {} })
    expect(() => reader.push(bytes)).toThrow(message)
  })

  test('a reader too small for the longest frame is our own mistake', () => {
    expect(() => new FrameReader({ tick: () => {}, message: () => {} }, FRAME_BYTES_MAX - 8)).toThrow(/longest frame/)
  })
})
