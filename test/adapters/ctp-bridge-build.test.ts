/** Building the bridge, and its insistence on the SDK it was built with. */
import { spawnSync } from 'node:child_process'
import {
  appendFileSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeAll, beforeEach, describe, expect, it, test } from 'vitest'
import { kindOfBridgeExit } from '#adapters/feeds/ctp/bridge-exit.ts'
import { inspectLibrary, parseBuildRecord, readBuildRecord } from '#adapters/feeds/ctp/build-record.ts'
import { ctpFeedAdapter } from '#adapters/feeds/ctp/ctp-feed-adapter.ts'
import { PROTOCOL_VERSION } from '#adapters/feeds/wire.ts'
import { kindOfSubscribeError } from '#domain/feed-error.ts'
import { HiddenText } from '#domain/secret-ref.ts'
import { textOf } from '../support/ctp-bridge-client.ts'
import { bridgeOf, frontOf } from '../support/ctp-scene.ts'
import {
  bridgeSource,
  buildScript,
  builtBridge,
  type Sdk,
  SHAPES,
  standinSdk,
  versionOf,
  whyNoBridge,
} from '../support/ctp-standin.ts'

let home: string
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'ctp-build-'))
})
afterEach(() => {
  rmSync(home, { recursive: true, force: true })
})

function build(args: readonly string[], env: Record<string, string> = {}) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [buildScript, ...args], {
    encoding: 'utf8',
    env: { ...process.env, ...env },
  })
  return { status, stdout, stderr }
}

test('the package holds what a bridge is built from, and how', () => {
  const root = fileURLToPath(new URL('../..', import.meta.url))
  const packing = spawnSync('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], { cwd: root, encoding: 'utf8' })
  const [packed] = JSON.parse(packing.stdout) as [{ files: { path: string }[] }]
  const packedPaths = packed.files.map(({ path }) => path)
  const sources = readdirSync(bridgeSource('.')).map((name) => `native/ctp-bridge/${name}`)
  expect(packedPaths).toEqual(expect.arrayContaining([...sources, 'scripts/build-ctp-bridge.mjs', 'docs/ctp-sdk.md']))
})

describe('building without what it takes', () => {
  it.each([
    ['no SDK directory named', [], 64, '--sdk DIR is missing'],
    ['an unknown option', ['--skd', 'x'], 64, 'skd'],
    ['a directory that is not there', ['--sdk', '/nonexistent'], 78, "can't read /nonexistent"],
  ])('%s', (_, args, status, message) => {
    const result = build(args)
    expect(result.stderr).toContain(message)
    expect(result.status).toBe(status)
  })

  it('names what an SDK directory lacks, and where to get it', () => {
    const result = build(['--sdk', home])
    expect(result.status).toBe(78)
    expect(result.stderr).toContain('holds no ThostFtdcMdApi.h')
    expect(result.stderr).toContain('docs/ctp-sdk.md')
  })

  it('says how to get a compiler on a machine without one', () => {
    for (const name of ['ThostFtdcMdApi.h', 'thostmduserapi_se.so']) writeFileSync(join(home, name), '')
    const result = build(['--sdk', home], { PATH: '/nonexistent', CXX: '' })
    expect(result.status).toBe(69)
    expect(result.stderr).toContain('apt-get install g++')
  })

  it('asking for the bridge there is a clear error with the remedy', async () => {
    const missing = join(home, 'ctp-bridge')
    await expect(inspectLibrary('md', { bridgePath: missing, sdkLibDir: null }, process.env)).rejects.toMatchObject({
      kind: 'bridge-unavailable',
      message: `there is no CTP bridge at ${missing}`,
      remedy: expect.stringContaining('npm run build:ctp-bridge -- --sdk DIR'),
    })
  })

  it.each([
    ['nothing', ''],
    ['another schema', '{"schema": 2, "protocol": 1}'],
    ['another protocol', '{"schema": 1, "protocol": 2}'],
    ['no library', '{"schema": 1, "protocol": 1, "md": null, "trader": null}'],
    ['a list', '[]'],
  ])('a build record that says %s is none', (_, text) => {
    expect(parseBuildRecord(text)).toBe(null)
  })
})

describe('the end of a bridge', () => {
  const codes = readFileSync(bridgeSource('exit-code.hpp'), 'utf8')
  const named = Object.fromEntries(
    [...codes.matchAll(/constexpr int (\w+) = (\d+);/g)].map(([, name, code]) => [name, Number(code)]),
  )

  it.each([
    ['usage', 'protocol-fault'],
    ['library', 'bridge-unavailable'],
    ['vendor', 'bridge-crashed'],
    ['pipe', 'bridge-crashed'],
    ['protocol', 'protocol-fault'],
    ['refused', 'bridge-unavailable'],
    ['system', 'host-exhausted'],
    ['busy', 'flow-directory-busy'],
  ])('with its exit code for "%s" is %s to the supervisor', (name, kind) => {
    expect(kindOfBridgeExit(named[name] ?? -1)).toBe(kind)
    expect(Object.keys(named)).toHaveLength(9)
  })

  it('by a signal is a crash', () => {
    expect(kindOfBridgeExit(null)).toBe('bridge-crashed')
  })
})

describe.skipIf(whyNoBridge !== undefined)('a built bridge', () => {
  let sdk: Sdk
  let bridgePath: string
  beforeAll(async () => {
    sdk = await standinSdk('6.7.7')
    bridgePath = await builtBridge('6.7.7')
  }, 300_000)

  it.each(SHAPES)(
    'knows the libraries of its SDK (%s), by whatever names the archive has them',
    async (shape) => {
      const { mdLibrary, traderLibrary, directory } = await standinSdk(shape)
      const bridge = await builtBridge(shape)
      const record = await readBuildRecord(bridge)
      expect(record.md).toMatchObject({ library: mdLibrary, apiVersion: versionOf(shape) })
      expect(record.trader).toMatchObject({ library: traderLibrary, apiVersion: versionOf(shape) })
      for (const sdkLibDir of [null, directory]) {
        for (const session of ['md', 'td'] as const) {
          expect(await inspectLibrary(session, { bridgePath: bridge, sdkLibDir }, process.env)).toEqual({
            library: session === 'md' ? mdLibrary : traderLibrary,
            apiVersion: versionOf(shape),
          })
        }
      }
    },
    300_000,
  )

  it('refuses another library, before it is loaded, in the check and at the start', async () => {
    const other = join(home, 'thostmduserapi_se.so')
    copyFileSync(sdk.mdLibrary, other)
    appendFileSync(other, 'changed')
    const refusal = {
      kind: 'bridge-unavailable',
      message: expect.stringContaining('is not the library that the bridge was built for'),
    }
    await expect(inspectLibrary('md', { bridgePath, sdkLibDir: home }, process.env)).rejects.toMatchObject(refusal)

    const bridge = bridgeOf(bridgePath)
    bridge.start('tcp://127.0.0.1:9', { library: home })
    const frame = await bridge.message('frontError')
    expect(textOf(frame, 0)).toContain(`${other} is not the library this bridge was built for (${versionOf('6.7.7')})`)
    expect(textOf(frame, 1)).toContain('npm run build:ctp-bridge')
    expect(await bridge.ended).toEqual({ code: 78, signal: null })
  })

  it('takes the same library from another place and under the other name', async () => {
    copyFileSync(sdk.mdLibrary, join(home, 'libthostmduserapi_se.so'))
    const market = await frontOf()
    const bridge = bridgeOf(bridgePath)
    bridge.start(market.address, { library: home })
    await bridge.message('connected')
  })

  it('says what is missing when the library has gone', async () => {
    await expect(inspectLibrary('md', { bridgePath, sdkLibDir: home }, process.env)).rejects.toMatchObject({
      message: `${home} holds no readable [lib]thostmduserapi_se.so`,
      remedy: expect.stringContaining('CTP_SDK_LIB_DIR'),
    })
  })

  it('asks a library with both modes for the one configured, and says so where the SDK has no choice', async () => {
    for (const { shape, productionMode, says } of [
      { shape: '6.7.11', productionMode: true, says: 'production' },
      { shape: '6.7.11', productionMode: false, says: 'evaluation' },
      { shape: '6.7.7', productionMode: false, says: 'production' },
    ] as const) {
      const market = await frontOf()
      const executable = await builtBridge(shape)
      const adapter = ctpFeedAdapter({
        line: 'backup',
        account: { masked: '***der', key: '9999/trader', brokerId: '9999', userId: 'trader' },
        stateDir: home,
        fronts: [market.address],
        bridgePath: executable,
        sdkLibDir: null,
        productionMode,
        environment: process.env,
        password: async () => new HiddenText('secret'),
      })
      const bridge = bridgeOf(adapter.command().program)
      bridge.send('start', adapter.startPairs())
      await bridge.message('connected')
      bridge.send('login', await adapter.loginPairs(new AbortController().signal))
      await bridge.message('loggedIn')
      expect((await market.line('login')).slice(2)).toEqual(['9999', 'trader', 'secret'])
      const [, , version, flow = '', mode] = await market.line('hello')
      expect([version, mode]).toEqual([versionOf(shape), says])
      // A path of its own per account, line and kind of session, without the account in it, and ending in a slash.
      expect(flow.startsWith(`${home}/flow/`) && flow.endsWith('/backup-md/')).toBe(true)
      expect(flow).not.toContain('trader')
      expect(existsSync(join(flow, 'DialogRsp.con'))).toBe(true)
      if (shape === '6.7.7') expect(textOf(await bridge.message('log'), 0)).toContain('production_mode=0 has no effect')
      await bridge.end()
    }
  }, 300_000)

  /** A copy of the SDK with bytes of one of its headers replaced. */
  function damagedSdk(from: Sdk, name: string, before: string, after: string): string {
    cpSync(from.directory, home, { recursive: true })
    const text = readFileSync(join(home, name), 'latin1')
    expect(text).toContain(before)
    writeFileSync(join(home, name), Buffer.from(text.replace(before, after), 'latin1'))
    return home
  }

  const SUBSCRIBE = '  virtual int SubscribeMarketData('

  it.each([
    ['\n', ''],
    ['\r\n', ''],
    ['\n', ' \t'],
  ])(
    'is not built from headers where a comment that ends in a GBK character swallows the next line (%j%j)',
    (end, more) => {
      // 0xA6 0x5C: one character whose second byte is the backslash. What follows it would vanish, and every slot behind it move.
      const comment = `  ///\xba\xcf\xd4\xbc\xa6\x5c${more}${end}`
      const damaged = damagedSdk(sdk, 'ThostFtdcMdApi.h', SUBSCRIBE, `${comment}${SUBSCRIBE}`)
      const result = build(['--sdk', damaged, '--out', join(home, 'out')])
      expect(result.stderr).toMatch(/line \d+ of .*ThostFtdcMdApi\.h is a comment that ends in a backslash/)
      expect(result.stderr).toContain('iconv -f GB18030 -t UTF-8 ThostFtdcMdApi.h')
      expect(result.status).toBe(78)
      expect(existsSync(join(home, 'out', 'ctp-bridge'))).toBe(false)
    },
  )

  it('is not built from headers where a field is missing', () => {
    const damaged = damagedSdk(sdk, 'ThostFtdcUserApiStruct.h', '  TThostFtdcPriceType OpenPrice;', '')
    const result = build(['--sdk', damaged, '--out', join(home, 'out')])
    expect(result.status).toBe(69)
    expect(result.stderr).toContain('static assertion failed')
  }, 120_000)

  it.each([
    [
      'a function of the api',
      'ThostFtdcMdApi.h',
      '  virtual int Slot6() = 0;',
      'SubscribeMarketData at slot 7',
      'have it at 8',
    ],
    ['a callback', 'ThostFtdcMdApi.h', '  virtual void OnSlot5(){};', 'OnRspError at slot 5', 'have it at 6'],
    [
      'a function of the trader',
      'ThostFtdcTraderApi.h',
      '  STANDIN_API_SLOT(48)',
      'ReqQryInstrument at slot 50',
      'have it at 51',
    ],
    [
      'what makes it look like an older one',
      'ThostFtdcTraderApi.h',
      '  virtual void GetFrontInfo(CThostFtdcFrontInfoField *pFrontInfo) = 0;',
      'RegisterFront at slot 4',
      'have it at 5',
    ],
  ])(
    'is not built from headers that lack %s, which would move all behind it',
    (_, name, line, found, expected) => {
      const damaged = damagedSdk(sdk, name, line, '')
      const result = build(['--sdk', damaged, '--out', join(home, 'out')])
      expect(result.stderr).toContain(found)
      expect(result.stderr).toContain(expected)
      expect(result.status).toBe(69)
      expect(existsSync(join(home, 'out', 'ctp-bridge'))).toBe(false)
    },
    120_000,
  )

  it('reads and loads the same file where a library is named without its directory', () => {
    copyFileSync(sdk.mdLibrary, join(home, 'thostmduserapi_se.so'))
    const { status, stdout } = spawnSync(bridgePath, ['--check', 'md', 'thostmduserapi_se.so'], { cwd: home })
    expect(JSON.parse(stdout.toString())).toMatchObject({ library: join(home, 'thostmduserapi_se.so'), message: '' })
    expect(status).toBe(0)
  })

  it('speaks the version of the protocol that supervisor, sources and build record agree on', async () => {
    const declared = /constexpr int protocolVersion = (\d+);/.exec(readFileSync(bridgeSource('wire.hpp'), 'utf8'))?.[1]
    const recorded = JSON.parse(readFileSync(`${bridgePath}.json`, 'utf8')) as { protocol: number }
    const hello = await bridgeOf(bridgePath).message('hello')
    const fixture = JSON.parse(readFileSync(new URL('../fixtures/wire-golden.json', import.meta.url), 'utf8')) as {
      protocol: number
    }
    expect([Number(declared), recorded.protocol, hello.code, fixture.protocol]).toEqual(Array(4).fill(PROTOCOL_VERSION))
    const another = JSON.stringify({ ...recorded, protocol: PROTOCOL_VERSION + 1 })
    expect([parseBuildRecord(JSON.stringify(recorded)) === null, parseBuildRecord(another)]).toEqual([false, null])
  })

  it('refuses a contract whose id is too long for its SDK as a front would', async () => {
    const old = bridgeOf(await builtBridge('6.3.15'))
    const market = await frontOf()
    await old.logIn(market.address)
    const long = `SPD ${'m'.repeat(30)}`
    const request = old.send('subscribe', ['rb2701', long])
    const answers = [await old.message('subscribed', 1), await old.message('subscribed', 2)]
    const number = old.of('instrument').find((message) => textOf(message, 0) === long)?.instrument
    expect(answers).toContainEqual(expect.objectContaining({ code: -100, request, instrument: number }))
    expect(kindOfSubscribeError(-100)).toBe('contract-refused')
    expect(await market.line('subscribe')).toEqual(['subscribe', 'rb2701'])
  }, 300_000)

  it('is not built from headers and libraries of different versions, where their symbols differ', async () => {
    const older = await standinSdk('6.7.7')
    const newer = await standinSdk('6.7.11')
    cpSync(newer.directory, home, { recursive: true, filter: (path) => !path.endsWith('.so') })
    copyFileSync(older.mdLibrary, join(home, basename(older.mdLibrary)))
    const result = build(['--sdk', home, '--out', join(home, 'out')])
    expect(result.status).toBe(69)
    expect(result.stderr).toContain('lacks _ZN15CThostFtdcMdApi15CreateFtdcMdApiEPKcbbb, which its headers declare')
    expect(result.stderr).toContain('take both from one archive')
  }, 120_000)

  it('is built without a trading session from an SDK that lacks it, and says so when asked for one', async () => {
    cpSync(sdk.directory, home, { recursive: true })
    for (const name of ['ThostFtdcTraderApi.h', basename(sdk.traderLibrary)]) rmSync(join(home, name))
    mkdirSync(join(home, 'lib'))
    renameSync(join(home, basename(sdk.mdLibrary)), join(home, 'lib', `lib${basename(sdk.mdLibrary)}`))
    const out = join(home, 'out')
    expect(build(['--sdk', home, '--out', out])).toMatchObject({ status: 0 })
    const installation = { bridgePath: join(out, 'ctp-bridge'), sdkLibDir: null }
    expect((await inspectLibrary('md', installation, process.env)).apiVersion).toBe(versionOf('6.7.7'))
    await expect(inspectLibrary('td', installation, process.env)).rejects.toMatchObject({
      message: 'the CTP bridge was built without the trading session',
    })
    const bridge = bridgeOf(installation.bridgePath)
    bridge.start('tcp://127.0.0.1:9', { session: 'td' })
    expect(textOf(await bridge.message('frontError'), 0)).toContain('without ThostFtdcTraderApi.h')
    expect((await bridge.ended).code).toBe(78)
  }, 120_000)
})
