/** Secrets in variables of the process environment, as CI systems and container runtimes hand them over. */
import { Failure } from '#domain/failure.ts'
import { HiddenText } from '#domain/secret-ref.ts'
import { checkSecretText, type SecretFailure, type SecretSource } from './secret-source.ts'

export function envSecrets(env: Readonly<Record<string, string | undefined>>): SecretSource<'env'> {
  return {
    async read({ name }) {
      const text = env[name]
      if (text === undefined) {
        const remedy = `Set ${name} in the environment of this process, or refer to another place.`
        throw new Failure<SecretFailure>('secret-missing', `env:${name} is not set`, remedy)
      }
      // A reference that leads to a reference would be sent to the front as a password.
      if (/^(file|env|vault|aws-sm):/.test(text)) {
        const remedy = 'Refer to the last place of the chain directly.'
        throw new Failure<SecretFailure>('secret-malformed', `env:${name} holds a reference, not a secret`, remedy)
      }
      return { text: new HiddenText(checkSecretText(text, `env:${name}`)), changedAtMs: null, warning: null }
    },
  }
}
