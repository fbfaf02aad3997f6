/** How fast a pipe's bytes become tick records, in chunks of the size that Node reads. */
import { FrameReader, writeTickHeader } from '#adapters/feeds/wire.ts'
import { TICK_BYTES, tickViews } from '#domain/tick.ts'

const FRAMES = 4_000_000
const CHUNK = 65_536

export function benchFrames(): { perSecond: number } {
  const count = 20_000
  const buffer = new ArrayBuffer(count * TICK_BYTES)
  const views = tickViews(buffer)
  for (let i = 0; i < count; i++) writeTickHeader(views, i * TICK_BYTES, { sequence: i + 1, instrument: i % 500 })
  let seen = 0
  const reader = new FrameReader({ tick: () => seen++, message: () => undefined })
  const started = performance.now()
  while (seen < FRAMES) {
    for (let at = 0; at < views.u8.length; at += CHUNK)
      reader.push(views.u8.subarray(at, Math.min(at + CHUNK, views.u8.length)))
  }
  return { perSecond: (seen * 1_000) / (performance.now() - started) }
}
