/**
 * What of its environment a command hands to the daemon that it starts: what the daemon reads and what its host's libraries need, and
 * nothing else. Secrets are parted from the rest: `/proc/<pid>/environ` stays readable for as long as the daemon lives, a pipe does not.
 */
import { ROLE_VARIABLES } from '../secrets/aws/role-keys.ts'

type Environment = Readonly<Record<string, string | undefined>>

const HOST_NAMES: ReadonlySet<string> = new Set([
  ...['PATH', 'HOME', 'USER', 'LOGNAME', 'TZ', 'LANG', 'LANGUAGE', 'TMPDIR', 'LD_LIBRARY_PATH', 'XDG_RUNTIME_DIR'],
  // Node's own, and where certificate authorities are.
  ...['NODE_OPTIONS', 'NODE_EXTRA_CA_CERTS', 'SSL_CERT_FILE', 'SSL_CERT_DIR'],
  // systemd's, and who acted, for the audit log.
  ...['NOTIFY_SOCKET', 'STATE_DIRECTORY', 'CREDENTIALS_DIRECTORY', 'INVOCATION_ID', 'JOURNAL_STREAM'],
  ...['WATCHDOG_USEC', 'WATCHDOG_PID'],
  ...['SUDO_USER', 'SSH_CONNECTION', 'SSH_CLIENT'],
  ...ROLE_VARIABLES,
])
const HOST_SECRETS: ReadonlySet<string> = new Set(['AWS_CONTAINER_AUTHORIZATION_TOKEN'])

export interface Handover {
  env: Record<string, string>
  /** Secrets, by the names under which the daemon looks for them. */
  handed: Record<string, string>
}

interface Passed {
  /** Names that the product reads. */
  settings: readonly string[]
  /** Variables that hold a secret, as `env:NAME` says. */
  referred: readonly string[]
  /** Whether a setting's text is a secret itself, not a reference to one. */
  isSecret: (name: string, text: string) => boolean
}

export function daemonEnvironment(env: Environment, { settings, referred, isSecret }: Passed): Handover {
  const referredNames = new Set(referred)
  const wanted = new Set([...settings, ...referred])
  const isPassed = (name: string) => wanted.has(name) || HOST_NAMES.has(name) || name.startsWith('LC_')
  const handover: Handover = { env: {}, handed: {} }
  for (const [name, text] of Object.entries(env)) {
    if (text === undefined || !isPassed(name)) continue
    const isHidden = referredNames.has(name) || HOST_SECRETS.has(name) || isSecret(name, text)
    handover[isHidden && text !== '' ? 'handed' : 'env'][name] = text
  }
  return handover
}
