import { describe, expect, test } from 'vitest'
import { type ConfigSnapshot, lastKnownGood, snapshotOf, superfluous } from '#domain/config-snapshot.ts'

function snapshot(id: string, fingerprint: string, over: Partial<ConfigSnapshot> = {}): ConfigSnapshot {
  return {
    schema: 'feed-supervisor/snapshot/2',
    id,
    at: id,
    version: '1.0.0',
    image_tag: null,
    profile: 'live',
    cwd: '/',
    config_fingerprint: fingerprint,
    config: {},
    secrets: {},
    catalogue: null,
    settings: {},
    left_out: [],
    health: {},
    withdrawn: null,
    ...over,
  }
}

const WITHDRAWN = { withdrawn: { at: 'then', reason: 'guards' } }
const ALL = [
  snapshot('1', 'a'),
  snapshot('4', 'c', WITHDRAWN),
  snapshot('2', 'b'),
  snapshot('3', 'b'),
  snapshot('5', 'p', { profile: 'paper' }),
]

describe('the last known good configuration', () => {
  test.each([
    ['is the newest that was not withdrawn', null, '3'],
    ['is an older one where that is the one not wanted', 'b', '1'],
  ])('%s', (_, otherThan, id) => {
    expect(lastKnownGood(ALL, { profile: 'live', otherThan })?.id).toBe(id)
  })

  test('is none where no other of the profile is good', () => {
    expect(lastKnownGood(ALL, { profile: 'paper', otherThan: 'p' })).toBeNull()
    expect(lastKnownGood(ALL, { profile: 'staging', otherThan: null })).toBeNull()
  })

  test('what ran is found whether it still counts as good or not', () => {
    expect(snapshotOf(ALL, 'c')?.id).toBe('4')
    expect(snapshotOf(ALL, 'x')).toBeNull()
  })
})

describe('pruning', () => {
  test('keeps the newest, and each profile keeps what it may go back to, however old', () => {
    const bad = ['6', '7', '8'].map((id) => snapshot(id, 'd', WITHDRAWN))
    expect(superfluous([...ALL, ...bad], 2)).toEqual(['6', '4', '2'])
    expect(superfluous(ALL, 10)).toEqual([])
  })
})
