/** Makes a true tick into one that no exchange would send. What a supervisor must not believe is listed by the scenario's garbage kinds. */
import { unreachable } from '#domain/assert.ts'
import { TICK_AT, TICK_F64, type TickViews } from '#domain/tick.ts'
import type { GarbageKind } from './scenario.ts'

const PRICES = [TICK_F64.LastPrice, TICK_F64.BidPrice1, TICK_F64.AskPrice1, TICK_F64.OpenPrice]

export function corruptTick(
  { views, at }: { readonly views: TickViews; readonly at: number },
  kind: GarbageKind,
): void {
  const { f64, i32, u8 } = views
  switch (kind) {
    case 'dbl-max':
      for (const price of PRICES) f64[(at >> 3) + price] = Number.MAX_VALUE
      return
    case 'nan':
      for (const price of PRICES) f64[(at >> 3) + price] = Number.NaN
      return
    case 'negative-volume':
      i32[(at + TICK_AT.volume) >> 2] = -1
      return
    case 'absurd-volume':
      i32[(at + TICK_AT.volume) >> 2] = 2_147_483_647
      return
    case 'malformed-time':
      writeText(u8, at + TICK_AT.updateTime, '9:30:0x')
      return
    case 'far-future-time':
      shiftHours(u8, at + TICK_AT.updateTime, 6)
      return
    default:
      unreachable(kind)
  }
}

function shiftHours(u8: Uint8Array, at: number, hours: number): void {
  const hour = (((u8[at] ?? 48) - 48) * 10 + ((u8[at + 1] ?? 48) - 48) + hours) % 24
  u8[at] = 48 + Math.floor(hour / 10)
  u8[at + 1] = 48 + (hour % 10)
}

function writeText(u8: Uint8Array, at: number, text: string): void {
  for (let i = 0; i < 8; i++) u8[at + i] = i < text.length ? text.charCodeAt(i) : 0
}
