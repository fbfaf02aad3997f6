import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ENV_FILE_BYTES_MAX, envFileText, parseEnvText, readEnvFile } from '#config/env-file.ts'

let directory = ''
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'env-file-'))
})
afterAll(() => rmSync(directory, { recursive: true, force: true }))

function parse(text: string) {
  return parseEnvText('the file', Buffer.from(text))
}

describe('a value', () => {
  test.each([
    ['A=plain', 'plain'],
    ['A=  spaced out  ', 'spaced out'],
    ['A=plain # with a comment', 'plain'],
    ['export A=plain', 'plain'],
    ['A="in # quotes"', 'in # quotes'],
    ["A='in # quotes' # and a comment", 'in # quotes'],
    ['A="vault:secret/ctp#password"', 'vault:secret/ctp#password'],
    ["A=it's", "it's"],
    ['A=a=b', 'a=b'],
    ['A=', ''],
    ['\r\nA=plain\r\n', 'plain'],
  ])('%j is read as %j', (text, value) => {
    const { values, problems } = parse(text)
    expect(problems).toEqual([])
    expect(values.get('A')).toBe(value)
  })
})

describe('what could be meant in two ways is a problem that names its line and not its text', () => {
  test.each([
    ['an unquoted # in a value', 'A=hunter#2', 'A', 'line 1: # within a value'],
    ['a reference cut by its #', '\nA=vault:secret/ctp#password', 'A', 'line 2: # within a value'],
    ['a quote that stays open', 'A="hunter2\nB=1', 'A', 'line 1: " opens a quote'],
    ['text after the closing quote', 'A="hunter"2', 'A', 'line 1: text after the closing quote'],
    ['a name set twice', 'A=hunter1\nA=hunter2', 'A', 'line 2: set already in line 1'],
    ['a line without =', 'hunter2', 'env-file-damaged', 'line 1: expected NAME=value'],
    ['a name that is none', '1A=hunter2', 'env-file-damaged', 'line 1: expected NAME=value'],
  ])('%s', (_, text, name, message) => {
    const { values, problems } = parse(text)
    expect(values.has(name)).toBe(false)
    expect(problems).toHaveLength(1)
    expect(problems[0]?.name).toBe(name)
    expect(problems[0]?.message).toContain(message)
    expect(problems[0]?.remedy).toMatch(/\.$/)
    expect(JSON.stringify(problems)).not.toContain('hunter')
  })

  test.each([
    ['NUL bytes', Buffer.from('A=1\0B=2')],
    ['bytes that are not UTF-8', Buffer.from([0x41, 0x3d, 0xff, 0xfe])],
    ['control characters', Buffer.from('A=1\x1b[2J')],
    ['more than the limit', Buffer.alloc(ENV_FILE_BYTES_MAX + 1, 'A')],
  ])('%s', (_, bytes) => {
    const { values, problems } = parseEnvText('the file', bytes)
    expect(values.size).toBe(0)
    expect(problems.map(({ name }) => name)).toEqual(['env-file-damaged'])
  })

  test('a file of nothing but rubbish lines is told in a bounded list', () => {
    expect(parse('rubbish\n'.repeat(5_000)).problems.length).toBeLessThanOrEqual(50)
  })
})

describe('reading', () => {
  test('tells the permission bits', async () => {
    const path = join(directory, 'readable')
    writeFileSync(path, 'A=1\n')
    chmodSync(path, 0o644)
    expect(await readEnvFile(path)).toMatchObject({ path, mode: 0o644, problems: [] })
  })

  test('a missing file and a directory are failures with a remedy', async () => {
    mkdirSync(join(directory, 'directory'))
    await expect(readEnvFile(join(directory, 'missing'))).rejects.toMatchObject({ kind: 'env-file-missing' })
    await expect(readEnvFile(join(directory, 'directory'))).rejects.toMatchObject({ kind: 'env-file-unreadable' })
    await expect(readEnvFile('/dev/zero')).rejects.toMatchObject({ kind: 'env-file-unreadable' })
  })
})

describe('settings written as an env file', () => {
  test('are read back as the same', () => {
    const text = fc.string({ unit: 'grapheme' }).filter((value) => writable(value))
    fc.assert(
      fc.property(fc.dictionary(fc.constantFrom('A_B', 'NATS_URL', 'X'), text), (settings) => {
        const read = parseEnvText('x.env', Buffer.from(envFileText(settings)))
        expect(read.problems).toEqual([])
        expect(Object.fromEntries(read.values)).toEqual(settings)
      }),
      { seed: 20261121, numRuns: 2_000 },
    )
  })

  test.each([
    ['a line end', 'a\nb'],
    ['all three kinds of quotes', `'"\``],
    ['two kinds of quotes and a backslash', "'`\\n"],
  ])('a text with %s is refused by name, without the text', (_, value) => {
    expect(() => envFileText({ NATS_URL: value })).toThrow(/^the value of NATS_URL cannot be written/)
  })
})

function writable(value: string): boolean {
  const { isWellFormed = () => true } = String.prototype as { isWellFormed?: () => boolean }
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is left out.
  if (/[\x00-\x1f\x7f\u2028\u2029]/.test(value) || !isWellFormed.call(value)) return false
  return !(value.includes("'") && value.includes('`') && (value.includes('"') || value.includes('\\')))
}
