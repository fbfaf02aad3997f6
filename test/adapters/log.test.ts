import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { openLog } from '#adapters/log/logger.ts'
import { redactLine, redactText } from '#adapters/log/redaction.ts'
import { openRotatingFile } from '#adapters/log/rotating-file.ts'

const DAY_MS = 86_400_000
const START_MS = Date.parse('2026-03-03T20:55:00+08:00')

let directory = ''
let wallMs = START_MS
const clock = { wallMs: () => wallMs, monotonicMs: () => wallMs }
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'log-'))
  wallMs = START_MS
})
afterEach(() => rmSync(directory, { recursive: true, force: true }))

describe('a rotating file', () => {
  function open(limits: Partial<{ partBytesMax: number; totalBytesMax: number; retentionDays: number }> = {}) {
    const { partBytesMax = 100, totalBytesMax = 1_000, retentionDays = 3 } = limits
    return openRotatingFile({ directory, name: 'feed', partBytesMax, totalBytesMax, retentionDays, clock })
  }
  const line = `${'x'.repeat(49)}\n`
  const parts = () => readdirSync(directory).sort()

  test('begins a part at the size limit and another at Shanghai midnight', () => {
    const log = open()
    for (let i = 0; i < 3; i++) log.write(line)
    wallMs = Date.parse('2026-03-04T00:00:00+08:00')
    log.write(line)
    log.close()
    expect(parts()).toEqual(['feed-20260303.0.log', 'feed-20260303.1.log', 'feed-20260304.0.log'])
  })

  test('goes on in the part of an earlier run', () => {
    for (let i = 0; i < 2; i++) {
      const log = open()
      log.write(line)
      log.close()
    }
    expect(parts()).toEqual(['feed-20260303.0.log'])
    expect(readFileSync(join(directory, 'feed-20260303.0.log'), 'utf8')).toBe(line + line)
  })

  test('never takes more than its total, nor keeps parts beyond their days, nor touches other files', () => {
    mkdirSync(join(directory, 'feed-notes'))
    const log = open({ totalBytesMax: 300 })
    for (let i = 0; i < 50; i++) log.write(line)
    const logs = parts().filter((name) => name.endsWith('.log'))
    expect(logs.reduce((sum, name) => sum + statSync(join(directory, name)).size, 0)).toBeLessThanOrEqual(400)
    wallMs += 10 * DAY_MS
    log.write(line)
    log.close()
    expect(parts()).toEqual(['feed-20260313.0.log', 'feed-notes'])
  })

  test('counts what the disk refuses, and goes on when it takes again', () => {
    // A file where the directory should be is refused for every user, root included.
    const blocked = join(directory, 'logs')
    writeFileSync(blocked, '')
    const limits = { partBytesMax: 100, totalBytesMax: 1_000, retentionDays: 3 }
    const log = openRotatingFile({ directory: blocked, name: 'feed', ...limits, clock })
    log.write(line)
    expect(log.refused).toBe(1)
    rmSync(blocked)
    log.write(line)
    expect(log.refused).toBe(2)
    wallMs += 1_000
    log.write(line)
    expect(log.refused).toBe(2)
    expect(readFileSync(join(blocked, 'feed-20260303.0.log'), 'utf8')).toBe(line)
    log.close()
  })
})

describe('redaction', () => {
  test.each([
    ['CTP_PRIMARY_PASSWORD=hunter2', 'CTP_PRIMARY_PASSWORD=[redacted]'],
    ['auth_code: "a b \\" c", next', 'auth_code: [redacted], next'],
    ['nats://user:hunter2@host:4222', 'nats://user:[redacted]@host:4222'],
    ['{"token": "hunter2", "more": 1}', '{"token": [redacted], "more": 1}'],
    ['the password was wrong', 'the password was wrong'],
    ['subscribed 500 of 500', 'subscribed 500 of 500'],
  ])('%s', (text, redacted) => {
    expect(redactText(text)).toBe(redacted)
  })

  test('leaves every logged object valid JSON', () => {
    fc.assert(
      fc.property(fc.json(), fc.string(), (json, text) => {
        const line = JSON.stringify({ msg: text, password: text, inner: json, note: `secret=${text}` })
        expect(JSON.parse(redactLine(line))).toMatchObject({ password: '[redacted]' })
      }),
    )
  })

  test('of a log line takes secrets by field name at any depth and in free text', () => {
    const log = openLog({
      name: 'feed',
      stateDir: directory,
      fileLevel: 'info',
      stderrLevel: 'error',
      totalBytesMax: 1_000_000,
      retentionDays: 1,
      clock,
    })
    log.logger.info(
      { password: 'canary', a: { authCode: 'canary', b: [{ c: { token: 'canary' } }] } },
      'PASSWORD=canary',
    )
    log.close()
    const text = readFileSync(join(directory, 'logs', 'feed-20260303.0.log'), 'utf8')
    expect(text).not.toContain('canary')
    expect(JSON.parse(text)).toMatchObject({ level: 'info', time: '2026-03-03T20:55:00.000+08:00', name: 'feed' })
  })
})
