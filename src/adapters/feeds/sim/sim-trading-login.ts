/** A trading login at the simulator, in a process of its own: an empty market behind the same front, with the scenario's faults. */
import { type Clock, sleep } from '#clock.ts'
import { type FeedErrorKind, kindOfLoginError } from '#domain/feed-error.ts'
import { BridgeProcess } from '../bridge-process.ts'
import type { TradingLogin } from '../feed-adapter.ts'
import { type Message, vendorText } from '../wire.ts'
import { type SimOptions, simFeedAdapter } from './sim-feed-adapter.ts'

interface TrialOptions {
  sim: SimOptions
  clock: Clock
  timeouts: { connectMs: number; loginMs: number }
}

const RETIRE_GRACE_MS = 300

/** Rejects with the signal's reason when aborted; the process is gone in every case. */
export async function simTradingLogin(
  { sim, clock, timeouts }: TrialOptions,
  signal: AbortSignal,
): Promise<TradingLogin> {
  signal.throwIfAborted()
  const adapter = simFeedAdapter({ ...sim, instruments: 1, ticksPerSecond: 0 })
  const pairs = await adapter.loginPairs(signal)
  let told: (login: TradingLogin) => void = () => undefined
  const answered = new Promise<TradingLogin>((resolve) => {
    told = resolve
  })
  const failed = (kind: FeedErrorKind, message: string) => told({ ok: false, kind, message })
  const bridge: BridgeProcess = new BridgeProcess(
    adapter.command(),
    {
      reading: () => undefined,
      tick: () => undefined,
      printed: () => undefined,
      message: (message) => {
        if (message.type === 'hello') bridge.send('start', { texts: adapter.startPairs() })
        else if (message.type === 'connected') bridge.send('login', { texts: pairs })
        else if (message.type === 'loggedIn') told(loginOf(message))
      },
      ended: () => failed('bridge-crashed', 'the bridge process ended before the login'),
    },
    clock,
  )
  const over = new AbortController()
  try {
    const late = sleep(timeouts.connectMs + timeouts.loginMs, AbortSignal.any([signal, over.signal])).then(
      (): TradingLogin => ({ ok: false, kind: 'connect-timeout', message: 'the trading front did not answer' }),
    )
    return await Promise.race([answered, late])
  } finally {
    over.abort()
    await bridge.retire(RETIRE_GRACE_MS)
  }
}

function loginOf({ code, texts }: Message): TradingLogin {
  if (code === 0) return { ok: true }
  const text = vendorText(texts[0])
  const message = `the trading front refused the login: error ${code} ${text}`.trimEnd()
  return { ok: false, kind: kindOfLoginError('trading', code, text), message }
}
