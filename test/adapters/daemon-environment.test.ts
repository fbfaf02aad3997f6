import { expect, test } from 'vitest'
import { daemonEnvironment } from '#adapters/supervisors/daemon-environment.ts'

test('the daemon gets its settings, what its host needs and, apart from its environment, secrets, and nothing else', () => {
  const env = {
    PATH: '/usr/bin',
    LC_ALL: 'C.UTF-8',
    METRICS_PORT: '0',
    MD_PASSWORD: 'referred',
    NATS_PASSWORD: 'as text',
    AWS_CONTAINER_AUTHORIZATION_TOKEN: 'role',
    OTHER_PASSWORD: 'canary',
    GITHUB_TOKEN: 'canary',
    CREDENTIALS_DIRECTORY: '/run/credentials/feed',
    SUDO_USER: undefined,
  }
  const isSecret = (name: string, text: string) => name === 'NATS_PASSWORD' && !text.startsWith('file:')
  const settings = ['METRICS_PORT', 'NATS_PASSWORD', 'NATS_TOKEN']
  const passed = daemonEnvironment(env, { settings, referred: ['MD_PASSWORD'], isSecret })
  expect(passed.handed).toEqual({
    MD_PASSWORD: 'referred',
    NATS_PASSWORD: 'as text',
    AWS_CONTAINER_AUTHORIZATION_TOKEN: 'role',
  })
  expect(passed.env).toEqual({
    PATH: '/usr/bin',
    LC_ALL: 'C.UTF-8',
    METRICS_PORT: '0',
    CREDENTIALS_DIRECTORY: '/run/credentials/feed',
  })
})
