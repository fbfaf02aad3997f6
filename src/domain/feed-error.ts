/**
 * Everything that can go wrong on a feed line, as a closed union made at the border. Vendor ids and texts stop here: decisions (retry.ts,
 * failover.ts) read the kind. The ids come from the vendor notes in docs.
 */
import { assert } from './assert.ts'

export type FeedErrorKind =
  | LoginErrorKind
  | SubscribeErrorKind
  | 'connect-timeout'
  | 'disconnected'
  | 'dropped-while-subscribing'
  | 'login-timeout'
  | 'first-tick-timeout'
  | 'query-not-ready'
  | 'query-timeout'
  | 'query-refused'
  | 'bridge-crashed'
  | 'bridge-hung'
  | 'bridge-unavailable'
  | 'input-unusable'
  | 'host-exhausted'
  | 'flow-directory-busy'
  | 'configuration-refused'
  | 'secret-unavailable'
  | 'protocol-fault'

export type LoginErrorKind =
  | 'credentials-rejected'
  | 'trading-login-required'
  | 'account-locked'
  | 'password-change-required'
  | 'address-not-allowed'
  | 'app-not-authorised'
  | 'wrong-library'
  | 'front-not-ready'
  | 'too-many-sessions'
  | 'login-too-frequent'
  | 'duplicate-login'
  | 'sent-out-of-order'
  | 'unknown-market-data-login-error'
  | 'unknown-trading-login-error'

export type SubscribeErrorKind =
  | 'not-connected'
  | 'subscribe-throttled'
  | 'subscription-limit'
  | 'contract-refused'
  | 'contract-not-ready'

/** Which vendor session answered: an unknown error may be retried on the market-data front, never on the trading front. */
export type VendorSession = 'market-data' | 'trading'

const LOGIN_KIND_BY_ID: ReadonlyMap<number, LoginErrorKind> = new Map<number, LoginErrorKind>([
  ...[3, 48, 4, 9, 11, 12, 13, 56, 57, 58, 59].map((id) => [id, 'credentials-rejected'] as const),
  ...[75, 143, 4060].map((id) => [id, 'account-locked'] as const),
  ...[131, 140, 141].map((id) => [id, 'password-change-required'] as const),
  ...[49, 144, 4042].map((id) => [id, 'address-not-allowed'] as const),
  ...[63, 145, 4043].map((id) => [id, 'app-not-authorised'] as const),
  [4040, 'wrong-library'],
  [7, 'front-not-ready'],
  [8, 'front-not-ready'],
  [60, 'too-many-sessions'],
  [5, 'duplicate-login'],
  [6, 'sent-out-of-order'],
  [64, 'sent-out-of-order'],
])

/** The id of this refusal is in no vendor list, so the text is all there is to go by. */
const LOGIN_FREQUENCY_TEXT = /over\s+limit\s+freq/i

/**
 * What a refused login (or authentication) means. `text` is the decoded vendor message.
 * `id` 0 is success and must not be asked about.
 */
export function kindOfLoginError(session: VendorSession, id: number, text: string): LoginErrorKind {
  assert(id !== 0, 'error id 0 is a success and has no kind')
  if (LOGIN_FREQUENCY_TEXT.test(text)) return 'login-too-frequent'
  // A market-data front that verifies logins answers 3 also when this address has no trading login today.
  if (session === 'market-data' && id === 3) return 'trading-login-required'
  const kind = LOGIN_KIND_BY_ID.get(id)
  if (kind !== undefined) return kind
  return session === 'trading' ? 'unknown-trading-login-error' : 'unknown-market-data-login-error'
}

/** Whether a failure of this kind is the front's own answer to a login, and not something that befell it on its way. */
export function isLoginAnswer(kind: FeedErrorKind): kind is LoginErrorKind {
  return LOGIN_ERROR_KINDS.has(kind)
}

const LOGIN_ERROR_KINDS: ReadonlySet<FeedErrorKind> = new Set<FeedErrorKind>([
  ...LOGIN_KIND_BY_ID.values(),
  ...(['trading-login-required', 'login-too-frequent'] as const),
  ...(['unknown-market-data-login-error', 'unknown-trading-login-error'] as const),
])

/** What a return code other than 0 of the vendor's login function means; `code` -100 is the bridge's own refusal. */
export function kindOfLoginReturnCode(code: number): 'not-connected' | 'login-too-frequent' | 'configuration-refused' {
  assert(code !== 0, 'return code 0 is no error')
  if (code === NOT_HANDED_OVER) return 'configuration-refused'
  return code === -2 || code === -3 ? 'login-too-frequent' : 'not-connected'
}

/** The bridge did not hand a request to the vendor, and says why in a front error of the same request. */
export const NOT_HANDED_OVER = -100

/** What a negative return code of a vendor request function means. */
export function kindOfReturnCode(code: number): 'not-connected' | 'subscribe-throttled' {
  assert(code < 0, `return code ${code} is no error`)
  // -2 too many unanswered, -3 too many this second. Third-party libraries have no further codes; -1 and any other: no session.
  return code === -2 || code === -3 ? 'subscribe-throttled' : 'not-connected'
}

/** What one contract's refusal means. `id` 0 is success and must not be asked about. */
export function kindOfSubscribeError(id: number): SubscribeErrorKind {
  assert(id !== 0, 'error id 0 is a success and has no kind')
  switch (id) {
    case 6000:
      return 'subscription-limit'
    case 6:
      return 'not-connected'
    case 7:
    case 8:
    case 90:
      return 'contract-not-ready'
    default:
      return 'contract-refused'
  }
}

/** For the log, the status and `problems`: what happened, and what the operator should do. */
export const FEED_ERROR_TEXTS: Record<FeedErrorKind, { message: string; remedy: string }> = {
  'credentials-rejected': {
    message: 'the front rejected the credentials',
    remedy: 'Correct user, password and broker, then clear the latch.',
  },
  'trading-login-required': {
    message:
      'the market-data front knows no trading login of this account from this address today, or the password is wrong',
    remedy: 'Check the credentials, let the trading session log in first, then clear the latch.',
  },
  'account-locked': {
    message: 'the broker has locked the account or banned this address after failed logins',
    remedy: 'Ask the broker to unlock it, correct the credentials, then clear the latch.',
  },
  'password-change-required': {
    message: 'the broker demands a new password',
    remedy: 'Change the password by hand in a trading terminal, store it, then clear the latch.',
  },
  'address-not-allowed': {
    message: 'this address may not log in with the account',
    remedy: 'Ask the broker to allow the address of this host, then clear the latch.',
  },
  'app-not-authorised': {
    message: 'the application id or authentication code is not accepted for the account',
    remedy: 'Check APP_ID and AUTH_CODE with the broker, then clear the latch.',
  },
  'wrong-library': {
    message: 'the vendor library does not fit the front',
    remedy: 'Use the library version that the broker names for this front.',
  },
  'front-not-ready': {
    message: 'the front is up but not initialised yet',
    remedy: 'Nothing to do before the session opens; if it stays, ask the broker.',
  },
  'too-many-sessions': {
    message: 'the account has too many sessions open',
    remedy: 'Close other sessions of the account, or wait until the stale one times out.',
  },
  'login-too-frequent': {
    message: 'the front counts too many logins per second',
    remedy: 'Nothing to do: the next login waits longer.',
  },
  'duplicate-login': {
    message: 'two logins of one session raced',
    remedy: 'Nothing to do: the session is dialled again.',
  },
  'sent-out-of-order': {
    message: 'the front received a request before the login it needs',
    remedy: 'Report this fault of the supervisor, with an incident bundle.',
  },
  'unknown-market-data-login-error': {
    message: 'the market-data front refused the login for an unlisted reason',
    remedy: 'Read the vendor text in the log, ask the broker; a third such refusal latches the account.',
  },
  'unknown-trading-login-error': {
    message: 'the trading front refused the login for an unlisted reason',
    remedy: 'Read the vendor text in the log, ask the broker, then clear the latch.',
  },
  'not-connected': { message: 'the request found no session', remedy: 'Nothing to do: the line is dialled again.' },
  'subscribe-throttled': {
    message: 'the vendor library refused a request because of its flow control',
    remedy: 'Lower SUBSCRIBE_BATCH_SIZE or the subscription rate if this goes on.',
  },
  'subscription-limit': {
    message: 'the front accepts no more contracts in this session',
    remedy: 'Narrow the list of this line with INCLUDE and EXCLUDE, or ask the broker for a higher limit.',
  },
  'contract-refused': {
    message: 'the front refuses the contract',
    remedy: 'Remove it from the catalogue if it is no longer listed.',
  },
  'contract-not-ready': {
    message: 'the front cannot answer for the contract yet',
    remedy: 'Nothing to do: it is asked for again.',
  },
  'connect-timeout': {
    message: 'no front accepted the connection in time',
    remedy: 'Check the front addresses, the network and whether the broker is open.',
  },
  disconnected: { message: 'the front closed the connection', remedy: 'Nothing to do: the line is dialled again.' },
  'dropped-while-subscribing': {
    message: 'the front dropped the session while contracts were being subscribed',
    remedy: 'If it goes on, lower the subscription rate or the number of contracts of this line.',
  },
  'login-timeout': {
    message: 'the front did not answer the login in time',
    remedy: 'Check that the library fits the front; a front that stays silent often means it does not.',
  },
  'first-tick-timeout': {
    message: 'the session is subscribed but no tick came',
    remedy: 'Check that the account is entitled to market data.',
  },
  'query-not-ready': {
    message: 'the front asks to repeat the query later',
    remedy: 'Refresh the catalogue again in a minute; the one in use stays.',
  },
  'query-timeout': {
    message: 'the instrument query stopped sending rows',
    remedy: 'Refresh the catalogue again later; the one in use stays.',
  },
  'query-refused': {
    message: 'the trading front refused the instrument query',
    remedy: 'Ask the broker about the vendor text above. The catalogue in use stays, and a file may take its place.',
  },
  'bridge-crashed': {
    message: 'the bridge process ended by itself',
    remedy: "Nothing to do: it is started again; if it goes on, look at the bridge's log.",
  },
  'bridge-hung': {
    message: 'the bridge process went silent',
    remedy: 'Nothing to do: it is killed and started again.',
  },
  'host-exhausted': {
    message: 'the host has no file descriptor, process or memory left for the bridge',
    remedy: 'Raise the limits of the service (LimitNOFILE=, TasksMax=) or free memory; the start is tried again.',
  },
  'flow-directory-busy': {
    message: 'another bridge works in the flow directory of this session',
    remedy: 'Nothing to do where that one ends soon; if it stays, look for a bridge process without its supervisor.',
  },
  'configuration-refused': {
    message: 'a configured value can not be sent to the front',
    remedy: 'Correct the value that the message names, then restart.',
  },
  'secret-unavailable': {
    message: 'a secret that the login needs cannot be read',
    remedy: 'Check the secret reference and its store; the login is tried again.',
  },
  'bridge-unavailable': {
    message: 'the bridge program cannot be started',
    remedy: 'Check the installation; for the real feed, build the bridge against the vendor SDK.',
  },
  'input-unusable': {
    message: 'the recording that the line replays is damaged',
    remedy: 'Copy the recording again, completely, or leave the file out of REPLAY_FILES.',
  },
  'protocol-fault': {
    message: 'the bridge does not speak the protocol of this supervisor',
    remedy: 'Rebuild the bridge from the same version as the supervisor.',
  },
}

export function isFeedErrorKind(kind: string): kind is FeedErrorKind {
  return Object.hasOwn(FEED_ERROR_TEXTS, kind)
}
