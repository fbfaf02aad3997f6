/**
 * What of its environment a command hands to the daemon that it starts: what the daemon reads and what its host's libraries need, and
 * nothing else. Whatever a child was not given can't leak from it: `/proc/<pid>/environ` stays readable for as long as it lives.
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

/** @param settings names that the product reads @param referred variables that hold a secret, as `env:NAME` says */
export function daemonEnvironment(
  env: Environment,
  { settings, referred }: { settings: readonly string[]; referred: readonly string[] },
): Record<string, string> {
  const wanted = new Set([...settings, ...referred])
  const isPassed = (name: string) => wanted.has(name) || HOST_NAMES.has(name) || name.startsWith('LC_')
  return Object.fromEntries(
    Object.entries(env).filter((entry): entry is [string, string] => entry[1] !== undefined && isPassed(entry[0])),
  )
}
