// The record's time of day, and the date that brings it closest to the moment of receipt.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { eventTimeMs, TICK_AT, TICK_BYTES, TICK_DOUBLES, TICK_F64, updateSecondOfDay } from '#domain/tick.ts'
import { at } from '../support/shipped-calendar.ts'
import { tickRecord, writeTick } from '../support/tick-builder.ts'

const secondOf = (time: string) => updateSecondOfDay(tickRecord({ eventMs: 0, time }).u8, 0)

describe('the time of day of a record', () => {
  test.each([
    ['00:00:00', 0],
    ['09:30:01', 34_201],
    ['23:59:59', 86_399],
  ])('%s is second %d', (time, second) => expect(secondOf(time)).toBe(second))

  test.each([
    '',
    '24:00:00',
    '25:00:00',
    '99:99:99',
    '09:60:00',
    '09:30:60',
    '9:30:00',
    '09-30-00',
    '09:30:0x',
    '\0\0\0\0\0\0\0\0',
    '0930:000',
    '-1:00:00',
    ' 9:30:00',
  ])('%j is none', (time) => expect(secondOf(time)).toBe(-1))

  test('is read at any record of a buffer', () => {
    const buffer = new ArrayBuffer(3 * TICK_BYTES)
    const views = { u8: new Uint8Array(buffer), i32: new Int32Array(buffer), f64: new Float64Array(buffer) }
    for (const [i, time] of ['01:02:03', '21:00:00', '14:59:59'].entries()) {
      writeTick(views, i * TICK_BYTES, { eventMs: 0, time })
    }
    expect([0, 1, 2].map((i) => updateSecondOfDay(views.u8, i * TICK_BYTES))).toEqual([3_723, 75_600, 53_999])
  })

  test('every second of the day is read back', () => {
    for (let second = 0; second < 86_400; second += 7) {
      const time = new Date(second * 1000).toISOString().slice(11, 19)
      expect(secondOf(time)).toBe(second)
    }
  })
})

describe('the moment of a tick', () => {
  const eventOf = (time: string, received: string) => {
    const [hour = 0, minute = 0, second = 0] = time.split(':').map(Number)
    const whole = Math.floor(second)
    const millisecond = Math.round((second - whole) * 1000)
    return eventTimeMs(hour * 3600 + minute * 60 + whole, millisecond, at(received))
  }

  test.each([
    [
      'in the day session is on the date of receipt',
      '09:30:00.5',
      '2026-11-19 09:30:00.541',
      '2026-11-19 09:30:00.500',
    ],
    ['at night is on the date of receipt', '21:00:00', '2026-11-20 21:00:00.020', '2026-11-20 21:00:00'],
    [
      'just before midnight that comes after it is on the day before',
      '23:59:59.5',
      '2026-11-20 00:00:00.010',
      '2026-11-19 23:59:59.500',
    ],
    [
      'just after midnight that comes before it is on the next day',
      '00:00:00',
      '2026-11-19 23:59:59.990',
      '2026-11-20 00:00:00',
    ],
    ['in the small hours of Saturday is on Saturday', '02:29:59.5', '2026-11-21 02:30:00.1', '2026-11-21 02:29:59.500'],
    [
      'of last night that comes in the morning is on the day before',
      '23:00:00',
      '2026-11-20 08:45:00',
      '2026-11-19 23:00:00',
    ],
    ['over New Year is in the old year', '23:59:59', '2027-01-01 00:00:01', '2026-12-31 23:59:59'],
  ])('%s', (_title, time, received, expected) => expect(eventOf(time, received)).toBe(at(expected)))

  test('has the time of day of the record and lies within half a day of receipt, whatever the vendor dates say', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 86_399 }),
        fc.integer({ min: 0, max: 999 }),
        fc.double({ min: at('2018-01-01 00:00'), max: at('2030-01-01 00:00'), noNaN: true }),
        (second, millisecond, receivedMs) => {
          const eventMs = eventTimeMs(second, millisecond, receivedMs)
          const ofDay = (eventMs + 8 * 3_600_000) % 86_400_000
          expect(ofDay).toBe(second * 1000 + millisecond)
          expect(Math.abs(eventMs - receivedMs)).toBeLessThanOrEqual(43_200_000)
        },
      ),
    )
  })
})

test('the doubles of a record lie one after the other between volume and book volumes', () => {
  expect(Object.values(TICK_F64)).toEqual(TICK_DOUBLES.map((_, i) => 8 + i))
  expect(TICK_AT.doubles + TICK_DOUBLES.length * 8).toBe(TICK_AT.bidVolumes)
  expect(TICK_AT.askVolumes + 20).toBe(TICK_BYTES)
})
