// What consumers are told beside the state: bounds of a gap, lines of a switch.
import { describe, expect, it } from 'vitest'
import { boundsOf } from '#domain/feed-state.ts'
import { at } from '../support/shipped-calendar.ts'

const MINUTE = 60_000
/** Monotonic time began at nine. */
const offsetMs = at('2026-03-10 09:00')
const still = { gap: null, epochBump: false }

describe('a feed state', () => {
  it('GAP says since when ticks are missing, while it lasts', () => {
    const change = { servingLine: 'primary', gapSinceMs: 31 * MINUTE, step: still } as const
    expect(boundsOf(change, offsetMs)).toEqual({ from: '2026-03-10T09:31:00.000+08:00' })
  })

  it.each([true, false])(
    'that ends a gap says from when to when it was, with a switch or without (%s)',
    (epochBump) => {
      const step = { gap: { fromMs: 31 * MINUTE, toMs: 33 * MINUTE }, epochBump }
      expect(boundsOf({ servingLine: 'backup', gapSinceMs: null, step }, offsetMs)).toEqual({
        from: '2026-03-10T09:31:00.000+08:00',
        to: '2026-03-10T09:33:00.000+08:00',
      })
    },
  )

  it('SWITCHED names the lines', () => {
    const change = { servingLine: 'backup', gapSinceMs: null, step: { gap: null, epochBump: true } } as const
    expect(boundsOf(change, offsetMs)).toEqual({ from: 'primary', to: 'backup' })
  })

  it('has no bounds otherwise', () => {
    expect(boundsOf({ servingLine: 'primary', gapSinceMs: null, step: still }, offsetMs)).toEqual({})
  })
})
