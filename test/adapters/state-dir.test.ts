import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { controlSocketPath, inspectStateDir, prepareStateDir } from '#adapters/state/state-dir.ts'

let base = ''
beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), 'state-'))
})
afterEach(() => rmSync(base, { recursive: true, force: true }))

describe('preparing', () => {
  test('creates the directory and its parents for this user alone, and leaves nothing in it', async () => {
    const path = join(base, 'a', 'b')
    expect(await prepareStateDir(path)).toEqual([])
    expect(statSync(path).mode & 0o777).toBe(0o700)
    expect(readdirSync(path)).toEqual([])
  })

  test('takes a directory that is there, also through a link', async () => {
    mkdirSync(join(base, 'real'), { mode: 0o700 })
    symlinkSync(join(base, 'real'), join(base, 'link'))
    expect(await prepareStateDir(join(base, 'link'))).toEqual([])
  })

  test.each([
    [0o755, 'state-dir'],
    [0o750, 'state-dir'],
  ])('warns about mode %o', async (mode, name) => {
    chmodSync(base, mode)
    expect(await prepareStateDir(base)).toEqual([expect.objectContaining({ name })])
  })

  test.each([0o777, 0o775, 0o1777])('refuses mode %o: others could clear latches', async (mode) => {
    chmodSync(base, mode)
    await expect(prepareStateDir(base)).rejects.toMatchObject({ kind: 'state-dir-exposed' })
  })

  test('refuses a file', async () => {
    writeFileSync(join(base, 'file'), '')
    await expect(prepareStateDir(join(base, 'file'))).rejects.toMatchObject({ kind: 'state-dir-unusable' })
    await expect(prepareStateDir(join(base, 'file', 'below'))).rejects.toMatchObject({ kind: 'state-dir-unusable' })
  })

  test('refuses what no one can write to, such as /proc', async () => {
    await expect(prepareStateDir('/proc/feed')).rejects.toMatchObject({ remedy: expect.stringMatching(/\.$/) })
  })

  test('the control socket fits up to the last byte', async () => {
    const overhead = controlSocketPath('').length + 1
    const longest = join(base, 'x'.repeat(107 - overhead - base.length - 1))
    expect(Buffer.byteLength(controlSocketPath(longest))).toBe(107)
    expect(await prepareStateDir(longest)).toEqual([])
    await expect(prepareStateDir(`${longest}x`)).rejects.toMatchObject({ kind: 'state-dir-path-too-long' })
    expect(existsSync(`${longest}x`)).toBe(false)
  })

  test('its length is counted in bytes', async () => {
    const path = join(base, '行情'.repeat(13))
    await expect(prepareStateDir(path)).rejects.toMatchObject({ kind: 'state-dir-path-too-long' })
  })
})

describe('inspecting', () => {
  test('creates nothing', async () => {
    const path = join(base, 'a', 'b')
    expect(await inspectStateDir(path)).toEqual([])
    expect(existsSync(join(base, 'a'))).toBe(false)
  })

  test('finds what preparing would find', async () => {
    chmodSync(base, 0o777)
    await expect(inspectStateDir(base)).rejects.toMatchObject({ kind: 'state-dir-exposed' })
    writeFileSync(join(base, 'file'), '')
    await expect(inspectStateDir(join(base, 'file'))).rejects.toMatchObject({ kind: 'state-dir-unusable' })
  })

  test.skipIf(process.getuid?.() === 0)('a directory that belongs to others is not writable', async () => {
    await expect(inspectStateDir('/usr')).rejects.toMatchObject({ kind: 'state-dir-not-writable' })
  })
})
