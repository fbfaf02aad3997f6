/**
 * Keys of the role that this container (ECS, EKS pod identity) or instance (EC2) was given, asked of the agent beside it, which the
 * environment or a fixed address names. Temporary: kept until shortly before their end.
 */
import { readFile } from 'node:fs/promises'
import { Failure } from '#domain/failure.ts'
import { type JsonObject, parseObject, textOf } from '../json-answer.ts'
import type { SecretFailure } from '../secret-source.ts'
import { askStore, type StoreAnswer } from '../store-request.ts'
import type { StoreAttempt } from '../store-retry.ts'
import type { AwsKeys } from './signature-v4.ts'

type Env = Readonly<Record<string, string | undefined>>

const CONTAINER_AGENT = 'http://169.254.170.2'
const INSTANCE_AGENT = 'http://169.254.169.254'
const INSTANCE_SESSION_SECONDS = 300
/** The agents renew five minutes before the end at the latest. */
const MARGIN_MS = 5 * 60_000

/** Names that a daemon must be passed for this. */
export const ROLE_VARIABLES = [
  'AWS_CONTAINER_CREDENTIALS_RELATIVE_URI',
  'AWS_CONTAINER_CREDENTIALS_FULL_URI',
  'AWS_CONTAINER_AUTHORIZATION_TOKEN',
  'AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE',
  'AWS_EC2_METADATA_DISABLED',
  'AWS_EC2_METADATA_SERVICE_ENDPOINT',
] as const

export class RoleKeys {
  readonly #env: Env
  #kept: { keys: AwsKeys; goodUntilMs: number } | null = null

  constructor(env: Env) {
    this.#env = env
  }

  /** @param nowMs wall clock, as the end of the keys is given in @throws Failure<SecretFailure> */
  async keys(nowMs: number, attempt: StoreAttempt): Promise<AwsKeys> {
    if (this.#kept !== null && nowMs < this.#kept.goodUntilMs) return this.#kept.keys
    const answer = await this.#ask(attempt)
    const [id, secret] = [textOf(answer['AccessKeyId']), textOf(answer['SecretAccessKey'])]
    if (id === undefined || secret === undefined) throw noRole('the agent gave no keys')
    const keys = { id, secret, sessionToken: textOf(answer['Token']) ?? null }
    const endMs = Date.parse(textOf(answer['Expiration']) ?? '')
    this.#kept = Number.isNaN(endMs) ? null : { keys, goodUntilMs: endMs - MARGIN_MS }
    return keys
  }

  /** Refused by AWS: whatever is kept is no good. */
  forget(): void {
    this.#kept = null
  }

  async #ask(attempt: StoreAttempt): Promise<JsonObject> {
    const relative = this.#env['AWS_CONTAINER_CREDENTIALS_RELATIVE_URI']
    const full = this.#env['AWS_CONTAINER_CREDENTIALS_FULL_URI']
    if (relative) return this.#fromContainer(new URL(relative, CONTAINER_AGENT), attempt)
    if (full && URL.canParse(full)) return this.#fromContainer(new URL(full), attempt)
    if (/^true$/i.test(this.#env['AWS_EC2_METADATA_DISABLED'] ?? '')) throw noRole('the environment names no role')
    return this.#fromInstance(attempt)
  }

  async #fromContainer(url: URL, attempt: StoreAttempt): Promise<JsonObject> {
    const file = this.#env['AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE']
    const token = file ? (await readFile(file, 'utf8')).trim() : this.#env['AWS_CONTAINER_AUTHORIZATION_TOKEN']
    const headers: Record<string, string> = token ? { authorization: token } : {}
    return body(await agent({ url, method: 'GET', headers }, attempt))
  }

  /** Version 2 of the instance's service: a session token first. */
  async #fromInstance(attempt: StoreAttempt): Promise<JsonObject> {
    const base = this.#env['AWS_EC2_METADATA_SERVICE_ENDPOINT'] || INSTANCE_AGENT
    const at = (path: string) => new URL(path, base)
    const opened = await agent(
      {
        url: at('/latest/api/token'),
        method: 'PUT',
        headers: { 'x-aws-ec2-metadata-token-ttl-seconds': String(INSTANCE_SESSION_SECONDS) },
      },
      attempt,
    )
    const headers = { 'x-aws-ec2-metadata-token': opened.text.trim() }
    const list = await agent(
      { url: at('/latest/meta-data/iam/security-credentials/'), method: 'GET', headers },
      attempt,
    )
    const role = list.text.split('\n')[0]?.trim() ?? ''
    if (role === '') throw noRole('this instance has no role')
    const path = `/latest/meta-data/iam/security-credentials/${encodeURIComponent(role)}`
    return body(await agent({ url: at(path), method: 'GET', headers }, attempt))
  }
}

async function agent(
  request: { url: URL; method: 'GET' | 'PUT'; headers: Readonly<Record<string, string>> },
  { signal, timeoutMs }: StoreAttempt,
): Promise<StoreAnswer> {
  try {
    const answer = await askStore("AWS's credentials agent", { ...request, ca: null, timeoutMs }, signal)
    if (answer.status === 200) return answer
    throw noRole(`the credentials agent answers ${answer.status}`)
  } catch (error) {
    signal.throwIfAborted()
    throw error instanceof Failure && error.kind === 'secret-store-unreachable' ? noRole(error.message) : error
  }
}

function body(answer: StoreAnswer): JsonObject {
  return parseObject(answer.text, "AWS's credentials agent")
}

function noRole(why: string): Failure<SecretFailure> {
  const remedy =
    'Give this instance or container a role that may read the secret, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.'
  return new Failure('secret-store-unconfigured', `there are no AWS keys and no role: ${why}`, remedy)
}
