/**
 * Secrets in AWS Secrets Manager: `aws-sm:ID#FIELD`, ID a name or an ARN; without a field the secret is the whole text. One call,
 * GetSecretValue, signed by us: the official client is several megabytes for it.
 */
import { readFile } from 'node:fs/promises'
import type { Clock } from '#clock.ts'
import { Failure } from '#domain/failure.ts'
import { HiddenText, type SecretRef } from '#domain/secret-ref.ts'
import { type JsonObject, numberOf, objectOf, parseObject, textOf } from '../json-answer.ts'
import {
  checkSecretText,
  fieldText,
  type ResolvedSecret,
  type SecretFailure,
  type SecretSource,
} from '../secret-source.ts'
import { askStore } from '../store-request.ts'
import { askWithinBudget, type StoreAttempt } from '../store-retry.ts'
import { RoleKeys } from './role-keys.ts'
import { type AwsKeys, signedHeaders } from './signature-v4.ts'

export interface AwsOptions {
  /** Null: every reference is an ARN, which names its region. */
  readonly region: string | null
  readonly endpoint: string | null
  readonly caFile: string | null
  readonly accessKey: {
    readonly id: string
    readonly secret: SecretRef
    readonly sessionToken: SecretRef | null
  } | null
}

export interface AwsSurroundings {
  readonly env: Readonly<Record<string, string | undefined>>
  readonly readLocal: (ref: SecretRef) => Promise<HiddenText>
  readonly clock: Pick<Clock, 'wallMs'>
}

const STORE = 'AWS Secrets Manager'
const SERVICE = 'secretsmanager'

export class AwsSecrets implements SecretSource<'aws-sm'> {
  readonly #options: AwsOptions & { readonly budgetMs: number }
  readonly #around: AwsSurroundings
  readonly #role: RoleKeys

  /** @param options `budgetMs` is for one secret, retries included */
  constructor(options: AwsOptions & { readonly budgetMs: number }, around: AwsSurroundings) {
    this.#options = options
    this.#around = around
    this.#role = new RoleKeys(around.env)
  }

  async read(
    { id, field }: { id: string; field: string | null },
    signal: AbortSignal = new AbortController().signal,
  ): Promise<ResolvedSecret> {
    const { budgetMs } = this.#options
    const answer = await askWithinBudget((attempt) => this.#value(id, attempt), { budgetMs, signal })
    const text = textOf(answer['SecretString'])
    const place = `aws-sm:${id}`
    if (text === undefined) {
      const remedy = 'Store it as text (SecretString).'
      throw new Failure<SecretFailure>('secret-malformed', `${place} holds no text`, remedy)
    }
    const createdSeconds = numberOf(answer['CreatedDate'])
    return {
      text: new HiddenText(field === null ? checkSecretText(text, place) : ofField(text, field, place)),
      // When this version was made, not the secret as such.
      changedAtMs: createdSeconds === undefined ? null : createdSeconds * 1_000,
      warning: null,
    }
  }

  async #value(id: string, attempt: StoreAttempt): Promise<JsonObject> {
    try {
      return await this.#getSecretValue(id, attempt)
    } catch (error) {
      if (error instanceof Failure && error.kind === 'secret-store-refused') this.#role.forget()
      throw error
    }
  }

  async #getSecretValue(id: string, attempt: StoreAttempt): Promise<JsonObject> {
    const { clock } = this.#around
    const { caFile, endpoint } = this.#options
    const region = regionOfArn(id) ?? this.#options.region
    if (region === null) {
      const remedy = 'Set AWS_REGION, or refer to the secret by its whole ARN.'
      throw new Failure<SecretFailure>(
        'secret-store-unconfigured',
        `nothing says in which region aws-sm:${id} is`,
        remedy,
      )
    }
    const url = new URL(endpoint ?? endpointOf(region))
    const body = JSON.stringify({ SecretId: id })
    const headers = signedHeaders({
      method: 'POST',
      url,
      headers: { 'content-type': 'application/x-amz-json-1.1', 'x-amz-target': `${SERVICE}.GetSecretValue` },
      body,
      region,
      service: SERVICE,
      keys: await this.#keys(attempt),
      nowMs: clock.wallMs(),
    })
    const ca = caFile === null ? null : await authorityOf(caFile)
    const request = { url, method: 'POST' as const, headers, body, ca, timeoutMs: attempt.timeoutMs }
    const { status, text, headers: answered } = await askStore(STORE, request, attempt.signal)
    if (status === 200) return parseObject(text, STORE)
    throw refusalOf(status, errorType(text, answered['x-amzn-errortype']), `aws-sm:${id}`)
  }

  async #keys(attempt: StoreAttempt): Promise<AwsKeys> {
    const { accessKey } = this.#options
    const { readLocal, clock } = this.#around
    if (accessKey === null) return this.#role.keys(clock.wallMs(), attempt)
    const { id, secret, sessionToken } = accessKey
    return {
      id,
      secret: (await readLocal(secret)).reveal(),
      sessionToken: sessionToken === null ? null : (await readLocal(sessionToken)).reveal(),
    }
  }
}

function ofField(text: string, field: string, place: string): string {
  const named = `${place}#${field}`
  let fields: JsonObject | undefined
  try {
    fields = objectOf(JSON.parse(text))
  } catch {
    fields = undefined // The parser's message would quote the secret.
  }
  if (fields !== undefined) return fieldText(fields, field, named)
  const remedy = 'Store it as JSON with such a field, or leave the # and the field out of the reference.'
  throw new Failure<SecretFailure>(
    'secret-malformed',
    `${place} is no JSON object, so it has no field ${field}`,
    remedy,
  )
}

function regionOfArn(id: string): string | null {
  return /^arn:[^:]*:secretsmanager:([a-z0-9-]+):/.exec(id)?.[1] ?? null
}

function endpointOf(region: string): string {
  return `https://${SERVICE}.${region}.amazonaws.com${region.startsWith('cn-') ? '.cn' : ''}/`
}

async function authorityOf(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    const remedy = 'Correct AWS_CA_BUNDLE, or let the user who runs this read the file.'
    throw new Failure<SecretFailure>(
      'secret-store-unconfigured',
      `the certificate authority ${file} can't be read`,
      remedy,
      error,
    )
  }
}

/** The error's name, from the body or the header, without the namespace before it or the address after it. */
function errorType(text: string, header: string | string[] | undefined): string {
  let named: string | undefined
  try {
    named = textOf(objectOf(JSON.parse(text))?.['__type'])
  } catch {
    named = undefined // A gateway's page instead of JSON: the status has to do.
  }
  const name = named ?? (typeof header === 'string' ? header : '')
  return /([A-Za-z]{1,80})(?::.*)?$/.exec(name.split('#').at(-1) ?? '')?.[1] ?? ''
}

function refusalOf(status: number, type: string, what: string): Failure<SecretFailure> {
  const told = type === '' ? `status ${status}` : type
  const fail = (kind: SecretFailure, message: string, remedy: string) => new Failure(kind, message, remedy)
  switch (type) {
    case 'ResourceNotFoundException':
      return fail(
        'secret-missing',
        `${STORE} has nothing at ${what}`,
        'Check name, region and account, or create the secret.',
      )
    case 'InvalidRequestException':
    case 'InvalidParameterException':
      return fail(
        'secret-missing',
        `${STORE} does not give out ${what} (${told})`,
        'Check the name; a secret that is marked for deletion can be restored.',
      )
    case 'DecryptionFailure':
    case 'AccessDeniedException':
      return fail(
        'secret-store-refused',
        `${STORE} refuses ${what} (${told})`,
        "Allow secretsmanager:GetSecretValue on it, and kms:Decrypt with a key of one's own.",
      )
    case 'InvalidSignatureException':
    case 'RequestExpired':
    case 'SignatureDoesNotMatch':
    case 'RequestTimeTooSkewed':
      return fail(
        'secret-store-refused',
        `${STORE} does not take our signature (${told})`,
        "Check AWS_SECRET_ACCESS_KEY and this machine's clock.",
      )
    case 'UnrecognizedClientException':
    case 'InvalidClientTokenId':
    case 'ExpiredTokenException':
    case 'ExpiredToken':
    case 'MissingAuthenticationTokenException':
    case 'IncompleteSignature':
      return fail(
        'secret-store-refused',
        `${STORE} does not take our keys (${told})`,
        'Give it current keys or a role: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN.',
      )
    case 'ThrottlingException':
    case 'Throttling':
    case 'TooManyRequestsException':
    case 'LimitExceededException':
    case 'InternalServiceError':
    case 'InternalFailure':
    case 'ServiceUnavailable':
    case 'ServiceUnavailableException':
      return fail(
        'secret-store-unavailable',
        `${STORE} can't answer ${what} just now (${told})`,
        'Try again in a minute.',
      )
    default:
      break
  }
  if (status === 429 || status >= 500)
    return fail(
      'secret-store-unavailable',
      `${STORE} can't answer ${what} just now (${told})`,
      'Try again in a minute.',
    )
  if (status === 401 || status === 403)
    return fail(
      'secret-store-refused',
      `${STORE} refuses ${what} (${told})`,
      'Allow secretsmanager:GetSecretValue on it.',
    )
  return fail(
    'secret-store-garbled',
    `${STORE} answers ${what} with ${told}, which it does not document`,
    'Check AWS_ENDPOINT_URL_SECRETS_MANAGER and AWS_REGION.',
  )
}
