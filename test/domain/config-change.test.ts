import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { basisChanges, type ConfigFacts, configChanges, type PlanBasis } from '#domain/config-change.ts'

function facts(over: Partial<ConfigFacts> = {}): ConfigFacts {
  return {
    version: '1.0.0',
    config_fingerprint: 'aaaa',
    config: {
      bus: null,
      feed: { adapter: 'sim', primary: { userId: '***789', mdFronts: ['a', 'b'] } },
      sim: { seed: 1 },
    },
    secrets: { CTP_PRIMARY_PASSWORD: { source: 'file:/a', fingerprint: '11' } },
    catalogue: 'c0ffee',
    ...over,
  }
}

const BUS = { bus: { servers: ['nats://a'], user: null }, feed: { adapter: 'sim' }, sim: { seed: 2 } }

describe('what would change', () => {
  test('nothing between two that are equal, in whatever order their fields stand', () => {
    expect(configChanges(facts(), facts())).toEqual([])
    fc.assert(
      fc.property(
        fc.dictionary(fc.string({ unit: 'grapheme-ascii' }), fc.jsonValue(), { noNullPrototype: true }),
        (config) => {
          const turned = Object.fromEntries(Object.entries(config).reverse())
          expect(configChanges(facts({ config }), facts({ config: turned }))).toEqual([])
        },
      ),
      { seed: 20261121 },
    )
  })

  test('settings are told by their path, a list as one value, a slice that comes or goes by what is in it', () => {
    const changes = configChanges(facts(), facts({ config: BUS }))
    expect(changes).toEqual([
      { kind: 'setting', path: 'bus.servers', from: null, to: ['nats://a'] },
      { kind: 'setting', path: 'feed.primary', from: { userId: '***789', mdFronts: ['a', 'b'] }, to: null },
      { kind: 'setting', path: 'sim.seed', from: 1, to: 2 },
    ])
  })

  test('a slice of nothing but empty fields that comes is told all the same', () => {
    const changes = configChanges(facts({ config: { bus: null } }), facts({ config: { bus: { user: null } } }))
    expect(changes.map(({ path }) => path)).toEqual(['bus'])
  })

  test.each([
    ['another text', { source: 'file:/a', fingerprint: '22' }, ['CTP_PRIMARY_PASSWORD']],
    ['the same text at another place', { source: 'env:P', fingerprint: '11' }, []],
    ['a text that cannot be read', { source: 'file:/a', fingerprint: null }, []],
  ])('of a secret, %s', (_, mark, paths) => {
    const changes = configChanges(facts(), facts({ secrets: { CTP_PRIMARY_PASSWORD: mark } }))
    expect(changes.map(({ path }) => path)).toEqual(paths)
    expect(changes.every(({ kind }) => kind === 'secret')).toBe(true)
  })

  test('secrets that come and go, another contract list and another version are changes', () => {
    const to = facts({
      secrets: { NATS_PASSWORD: { source: '[set]', fingerprint: '33' } },
      catalogue: null,
      version: '2.0.0',
    })
    expect(configChanges(facts(), to)).toEqual([
      { kind: 'secret', path: 'CTP_PRIMARY_PASSWORD', from: 'file:/a (11)', to: null },
      { kind: 'secret', path: 'NATS_PASSWORD', from: null, to: '[set] (33)' },
      { kind: 'catalogue', path: 'catalogue', from: 'c0ffee', to: null },
      { kind: 'version', path: 'version', from: '1.0.0', to: '2.0.0' },
    ])
  })

  test('where nothing runs everything is a change', () => {
    const paths = configChanges(null, facts()).map(({ path }) => path)
    expect(paths).toEqual([
      ...['feed.adapter', 'feed.primary.mdFronts', 'feed.primary.userId', 'sim.seed'],
      ...['CTP_PRIMARY_PASSWORD', 'catalogue', 'version'],
    ])
  })
})

describe('a reviewed plan', () => {
  const basis = (over: Partial<PlanBasis> = {}): PlanBasis => ({
    profile: 'live',
    state_dir: '/var/lib/feed',
    running: facts(),
    wanted: facts({ config_fingerprint: 'bbbb' }),
    ...over,
  })

  test('holds while nothing that it was made from has changed', () => {
    expect(basisChanges(basis(), basis())).toEqual([])
    expect(basisChanges(basis({ running: null }), basis({ running: null }))).toEqual([])
  })

  test.each<[string, Partial<PlanBasis>, RegExp]>([
    ['the profile', { profile: 'paper' }, /profile is paper/],
    ['the state directory', { state_dir: '/srv' }, /state directory is \/srv/],
    ['what runs', { running: facts({ config_fingerprint: 'cccc' }) }, /^what runs: the configuration/],
    ['that something runs', { running: null }, /a daemon ran then, none does now/],
    ['what is wanted', { wanted: facts({ config_fingerprint: 'cccc' }) }, /^what is wanted: the configuration/],
    ['the contract list', { wanted: facts({ config_fingerprint: 'bbbb', catalogue: 'new' }) }, /contract list/],
    [
      'the version',
      { wanted: facts({ config_fingerprint: 'bbbb', version: '1.0.1' }) },
      /version 1.0.1 instead of 1.0.0/,
    ],
    [
      'a secret',
      { running: facts({ secrets: { CTP_PRIMARY_PASSWORD: { source: 'file:/a', fingerprint: '22' } } }) },
      /^what runs: CTP_PRIMARY_PASSWORD changed/,
    ],
    [
      'the place of a secret',
      { running: facts({ secrets: { CTP_PRIMARY_PASSWORD: { source: 'file:/b', fingerprint: '11' } } }) },
      /^what runs: CTP_PRIMARY_PASSWORD changed/,
    ],
  ])('falls with %s', (_, over, sentence) => {
    const said = basisChanges(basis(), basis(over))
    expect(said).toHaveLength(1)
    expect(said[0]).toMatch(sentence)
  })
})
