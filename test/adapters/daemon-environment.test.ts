import { expect, test } from 'vitest'
import { daemonEnvironment } from '#adapters/supervisors/daemon-environment.ts'

test('the daemon gets its settings, the secrets that they refer to and what its host needs, and nothing else', () => {
  const env = {
    PATH: '/usr/bin',
    LC_ALL: 'C.UTF-8',
    METRICS_PORT: '0',
    MD_PASSWORD: 'referred',
    OTHER_PASSWORD: 'canary',
    GITHUB_TOKEN: 'canary',
    CREDENTIALS_DIRECTORY: '/run/credentials/feed',
    SUDO_USER: undefined,
  }
  const passed = daemonEnvironment(env, { settings: ['METRICS_PORT'], referred: ['MD_PASSWORD'] })
  expect(passed).toEqual({
    PATH: '/usr/bin',
    LC_ALL: 'C.UTF-8',
    METRICS_PORT: '0',
    MD_PASSWORD: 'referred',
    CREDENTIALS_DIRECTORY: '/run/credentials/feed',
  })
})
