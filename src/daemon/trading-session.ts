/** A line's trading session, from its configuration: what the catalogue refresh and a trading login before the market-data login share. */
import { flowDirectory } from '#adapters/feeds/ctp/flow-directory.ts'
import { vendorEnvironment } from '#adapters/feeds/ctp/start-options.ts'
import type { TradingSessionOptions } from '#adapters/feeds/ctp/trading-session.ts'
import type { Clock } from '#clock.ts'
import type { Config, LineConfig } from '#config/config.ts'
import type { Environment } from '#config/parse-config.ts'
import { Failure, problemOf } from '#domain/failure.ts'
import type { FeedErrorKind } from '#domain/feed-error.ts'
import type { HiddenText } from '#domain/secret-ref.ts'

const HELLO_TIMEOUT_MS = 10_000
/** A whole list takes up to a minute and may pause. Vendor notes: at least 120 s from the last row. */
const ROW_TIMEOUT_MS = 120_000

/** Who shares a login budget and a latch. */
export function accountOf({ brokerId, userId }: Pick<LineConfig, 'brokerId' | 'userId'>): string {
  return `${brokerId}/${userId}`
}

/** The secrets of a trading login, resolved when the login asks for them. @throws Failure when they can't be */
export interface TradingSecrets {
  password(signal: AbortSignal): Promise<HiddenText>
  /** Null where the line has none. */
  authCode(signal: AbortSignal): Promise<HiddenText | null>
}

/** Makes the flow directory. @throws Failure when it can't be made */
export function tradingSessionOf(
  config: Config,
  line: LineConfig,
  around: { env: Environment; secrets: TradingSecrets; clock: Clock; log(text: string): void },
): TradingSessionOptions {
  const { env, secrets, clock, log } = around
  const { stateDir, feed, timeouts } = config
  return {
    command: { program: feed.bridgePath, args: [], env: vendorEnvironment(env) },
    start: {
      fronts: line.tdFronts.map((front) => front.url),
      flowDirectory: flowDirectory({ stateDir, account: accountOf(line), line: line.line, session: 'td' }),
      library: feed.sdkLibDir,
      productionMode: feed.productionMode,
    },
    account: { brokerId: line.brokerId, userId: line.userId },
    appId: line.appId,
    authCode: (signal) => availableText(secrets.authCode(signal), signal),
    password: (signal) => availableText(secrets.password(signal), signal),
    timeouts: {
      helloMs: HELLO_TIMEOUT_MS,
      connectMs: timeouts.connectMs,
      loginMs: timeouts.loginMs,
      rowMs: ROW_TIMEOUT_MS,
    },
    clock,
    log,
  }
}

async function availableText(reading: Promise<HiddenText | null>, signal: AbortSignal): Promise<HiddenText> {
  let text: HiddenText | null
  try {
    text = await reading
  } catch (error) {
    signal.throwIfAborted()
    const { message, remedy } = problemOf(error)
    throw new Failure<FeedErrorKind>('secret-unavailable', message, remedy, error)
  }
  if (text !== null) return text
  const remedy = 'Set AUTH_CODE of this line, as the broker gave it out with APP_ID.'
  throw new Failure<FeedErrorKind>('secret-unavailable', 'APP_ID is set without AUTH_CODE', remedy)
}
