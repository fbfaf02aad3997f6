// Epochs that are durable before anybody sees them, on a disk that fails or does not answer.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { EpochFile, EpochReserve } from '#adapters/state/epoch-file.ts'
import { ManualClock } from '../support/manual-clock.ts'

let clock: ManualClock
let onDisk: number
let disk: 'works' | 'fails' | 'hangs'
const troubles: string[] = []
const file = {
  write: async (epoch: number) => {
    if (disk === 'fails') throw new Error('ENOSPC')
    if (disk === 'hangs') await new Promise(() => undefined)
    onDisk = epoch
  },
}

beforeEach(() => {
  clock = new ManualClock()
  onDisk = 0
  disk = 'works'
  troubles.length = 0
})
afterEach(() => clock.dispose())

const reserve = () => new EpochReserve(file, (message) => troubles.push(message))

describe('an epoch', () => {
  test('is on disk, or one behind it, before its use is allowed, however many follow', async () => {
    const epochs = reserve()
    for (let epoch = 7; epoch < 100; epoch++) {
      await epochs.write(epoch)
      expect(onDisk).toBeGreaterThanOrEqual(epoch)
    }
  })

  test.each(['fails', 'hangs'] as const)(
    'is to be had at once while the disk %s, and never again after a crash',
    async (how) => {
      const epochs = reserve()
      await epochs.write(1)
      disk = how
      for (let epoch = 2; epoch <= 9; epoch++) await epochs.write(epoch)
      expect(onDisk).toBeGreaterThanOrEqual(9)
      await clock.settle()
      expect(troubles.length > 0).toBe(how === 'fails')
    },
  )

  test('that the disk does not take in time is told, and does not keep the next one waiting for ever', async () => {
    disk = 'hangs'
    const epochs = reserve()
    const outcomes: string[] = []
    for (const epoch of [1, 2]) {
      const written = epochs.write(epoch).catch((error: unknown) => outcomes.push(String(error)))
      await clock.pass(2_000)
      await written
    }
    expect(outcomes).toEqual(Array(2).fill(expect.stringContaining('did not answer')))
  })

  test('that was refused can be kept when the disk has room again', async () => {
    disk = 'fails'
    const epochs = reserve()
    await expect(epochs.write(1)).rejects.toThrow('ENOSPC')
    disk = 'works'
    await epochs.write(2)
    expect(onDisk).toBeGreaterThanOrEqual(2)
  })

  test('of the next life is behind all that were reserved', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'epoch-'))
    await new EpochReserve(new EpochFile(directory), () => undefined).write(5)
    const { epoch, damaged } = await new EpochFile(directory).read()
    rmSync(directory, { recursive: true })
    expect(damaged).toBe(false)
    expect(epoch).toBeGreaterThanOrEqual(5)
  })
})
