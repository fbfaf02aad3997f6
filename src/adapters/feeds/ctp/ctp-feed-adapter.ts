/** The real feed: one CTP front group, held by a bridge process around the vendor's library. Contracts come from a catalogue file. */
import type { Line } from '#domain/line.ts'
import type { HiddenText } from '#domain/secret-ref.ts'
import type { FeedAdapter } from '../feed-adapter.ts'
import { flowDirectory } from './flow-directory.ts'
import { ctpStartPairs, vendorEnvironment } from './start-options.ts'

export interface CtpFeedOptions {
  line: Line
  /** `key` is shared by all who log in with the same account. */
  account: { masked: string; key: string; brokerId: string; userId: string }
  stateDir: string
  fronts: readonly string[]
  bridgePath: string
  sdkLibDir: string | null
  productionMode: boolean
  environment: Readonly<Record<string, string | undefined>>
  /** Resolves the password just before a login. @throws Failure when it can't be resolved */
  password(signal: AbortSignal): Promise<HiddenText>
  /** Reads what a trading login needs besides, so that a store that is down shows before a login is counted. */
  authCode?(signal: AbortSignal): Promise<HiddenText | null>
  /** Absent where market data asks for no trading login first. */
  tradingLogin?: FeedAdapter['tradingLogin']
}

export function ctpFeedAdapter(options: CtpFeedOptions): FeedAdapter {
  const { account, line } = options
  return {
    kind: 'ctp',
    account: account.masked,
    accountKey: account.key,
    front: options.fronts.join(' '),
    listing: 'file',
    command: () => ({ program: options.bridgePath, args: [], env: vendorEnvironment(options.environment) }),
    startPairs: () =>
      ctpStartPairs({
        session: 'md',
        fronts: options.fronts,
        flowDirectory: flowDirectory({ stateDir: options.stateDir, account: account.key, line, session: 'md' }),
        library: options.sdkLibDir,
        productionMode: options.productionMode,
      }),
    tradingLogin: options.tradingLogin ?? null,
    async loginPairs(signal) {
      if (options.tradingLogin) await options.authCode?.(signal)
      const password = await options.password(signal)
      return [...['broker', account.brokerId], ...['user', account.userId], ...['password', password.reveal()]]
    },
  }
}
