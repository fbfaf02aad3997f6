import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { SecretFingerprints } from '#adapters/secrets/fingerprint.ts'
import { HiddenText } from '#domain/secret-ref.ts'

const directories: string[] = []
afterAll(() => {
  for (const directory of directories) rmSync(directory, { recursive: true, force: true })
})

function stateDir(): string {
  const directory = mkdtempSync(join(tmpdir(), 'fingerprint-'))
  directories.push(directory)
  return directory
}

const secret = new HiddenText('hunter2')

test('the same secret has the same fingerprint in every process of one state directory, and in no other', async () => {
  const here = stateDir()
  const openings = await Promise.all(Array.from({ length: 8 }, () => SecretFingerprints.open(here)))
  const shown = new Set(openings.map((fingerprints) => fingerprints.of('A', secret)))
  expect(shown.size).toBe(1)
  expect([...shown][0]).toMatch(/^[0-9a-f]{16}$/)
  expect([...shown]).not.toContain((await SecretFingerprints.open(stateDir())).of('A', secret))
})

test('another secret, or the same one under another name, has another fingerprint', async () => {
  const fingerprints = await SecretFingerprints.open(stateDir())
  const shown = [
    fingerprints.of('A', secret),
    fingerprints.of('B', secret),
    fingerprints.of('A', new HiddenText('hunter3')),
    fingerprints.of('A\0h', new HiddenText('unter2')),
  ]
  expect(new Set(shown).size).toBe(4)
})

test('the key is private, nothing else is left behind, and a damaged one is told', async () => {
  const here = stateDir()
  await SecretFingerprints.open(here)
  expect(readdirSync(here)).toEqual(['secret-fingerprint.key'])
  const path = join(here, 'secret-fingerprint.key')
  expect(statSync(path).mode & 0o777).toBe(0o600)
  expect(readFileSync(path)).toHaveLength(32)
  writeFileSync(path, 'short')
  await expect(SecretFingerprints.open(here)).rejects.toMatchObject({ kind: 'fingerprint-key' })
  await expect(SecretFingerprints.open(join(here, 'none'))).rejects.toMatchObject({ kind: 'fingerprint-key' })
})
