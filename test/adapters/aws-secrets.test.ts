// Secrets from AWS Secrets Manager: our signature against AWS's own published examples, the call as documented, and its errors.
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type AwsOptions, AwsSecrets } from '#adapters/secrets/aws/aws-secrets.ts'
import { signedHeaders } from '#adapters/secrets/aws/signature-v4.ts'
import { Failure } from '#domain/failure.ts'
import { HiddenText, type SecretRef } from '#domain/secret-ref.ts'
import { HttpDouble, json } from '../support/http-double.ts'

const EXAMPLE_KEYS = { id: 'AKIDEXAMPLE', secret: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY', sessionToken: null }

test.each([
  ['GET', '5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31'],
  ['POST', '5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b'],
])("the signature of the plain %s of AWS's test suite", (method, signature) => {
  const headers = signedHeaders({
    method,
    url: new URL('https://example.amazonaws.com/'),
    headers: {},
    body: '',
    region: 'us-east-1',
    service: 'service',
    keys: EXAMPLE_KEYS,
    nowMs: Date.UTC(2015, 7, 30, 12, 36),
  })
  expect(headers['authorization']).toBe(
    `AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders=host;x-amz-date, Signature=${signature}`,
  )
})

let answer: { status: number; body: unknown } = { status: 200, body: {} }
let aws: HttpDouble
beforeEach(async () => {
  answer = {
    status: 200,
    body: {
      ARN: 'arn:aws-cn:secretsmanager:cn-north-1:123456789012:secret:prod/ctp-AbCdEf',
      Name: 'prod/ctp',
      VersionId: 'EXAMPLE1-90ab-cdef-fedc-ba987EXAMPLE',
      VersionStages: ['AWSCURRENT'],
      CreatedDate: 1_793_491_200.25,
      SecretString: '{"password":"hunter2-canary","port":41213}',
    },
  }
  aws = await HttpDouble.start(({ path }, response) => {
    if (path === '/latest/api/token') response.end('session-token')
    else if (path === '/latest/meta-data/iam/security-credentials/') response.end('feed-role\n')
    else if (path.startsWith('/latest/meta-data/') || path === '/container') {
      json(response, 200, {
        AccessKeyId: 'ASIAROLE',
        SecretAccessKey: 'role-canary',
        Token: 'role-session',
        Expiration: new Date(NOW_MS + 3_600_000).toISOString(),
      })
    } else json(response, answer.status, answer.body)
  })
})
afterEach(() => aws.stop())

const NOW_MS = Date.UTC(2026, 10, 21, 6)
const literal = (value: string): SecretRef => ({ source: 'literal', value: new HiddenText(value) })
const KEYS: AwsOptions['accessKey'] = { id: 'AKIDEXAMPLE', secret: literal('canary-key'), sessionToken: null }

function secrets(options: Partial<AwsOptions & { budgetMs: number }> = {}, env: Record<string, string> = {}) {
  return new AwsSecrets(
    { region: 'cn-north-1', endpoint: aws.url, caFile: null, accessKey: KEYS, budgetMs: 5_000, ...options },
    {
      env,
      readLocal: async (ref) => (ref.source === 'literal' ? ref.value : new HiddenText('none')),
      clock: { wallMs: () => NOW_MS },
    },
  )
}

async function failureOf(reading: Promise<unknown>): Promise<Failure> {
  const error = await reading.then(
    () => new Error('it was read'),
    (reason: unknown) => reason,
  )
  if (!(error instanceof Failure)) throw error
  expect(error.remedy).not.toBe('')
  expect(`${error.message} ${error.remedy} ${String(error.cause)}`).not.toContain('canary')
  return error
}

describe('a secret', () => {
  test('is one field of the JSON kept under its name, with the date of its version', async () => {
    const found = await secrets().read({ id: 'prod/ctp', field: 'password' })
    expect(found.text.reveal()).toBe('hunter2-canary')
    expect(found.changedAtMs).toBe(1_793_491_200_250)
    expect(aws.asked[0]).toMatchObject({
      method: 'POST',
      path: '/',
      body: '{"SecretId":"prod/ctp"}',
      headers: {
        'x-amz-target': 'secretsmanager.GetSecretValue',
        'content-type': 'application/x-amz-json-1.1',
        'x-amz-date': '20261121T060000Z',
        authorization: expect.stringMatching(
          /^AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE\/20261121\/cn-north-1\/secretsmanager\/aws4_request, SignedHeaders=content-type;host;x-amz-date;x-amz-target, Signature=[0-9a-f]{64}$/,
        ),
      },
    })
  })

  test('without a field is the whole text', async () => {
    answer.body = { SecretString: 'hunter3' }
    expect((await secrets().read({ id: 'prod/ctp', field: null })).text.reveal()).toBe('hunter3')
  })

  test('of an ARN is signed for the region in it', async () => {
    const id = 'arn:aws:secretsmanager:eu-west-1:123456789012:secret:ctp-AbCdEf'
    await secrets({ region: null }).read({ id, field: 'password' })
    expect(aws.asked[0]?.headers.authorization).toContain('/eu-west-1/secretsmanager/')
  })

  test.each([
    ['{"password":', 'secret-malformed'],
    ['"canary"', 'secret-malformed'],
    ['{"other":"canary"}', 'secret-missing'],
    ['{"password":""}', 'secret-empty'],
    [undefined, 'secret-malformed'],
  ])('kept as %j has no such field, and its text is not told', async (SecretString, kind) => {
    answer.body = { SecretString }
    expect(await failureOf(secrets().read({ id: 'prod/ctp', field: 'password' }))).toMatchObject({ kind })
  })
})

describe('keys', () => {
  test('of the instance are asked of the service beside it, once, and their session goes along', async () => {
    const kept = secrets({ accessKey: null }, { AWS_EC2_METADATA_SERVICE_ENDPOINT: aws.url })
    await kept.read({ id: 'prod/ctp', field: 'password' })
    await kept.read({ id: 'prod/ctp', field: 'password' })
    expect(aws.paths()).toEqual([
      'PUT /latest/api/token',
      'GET /latest/meta-data/iam/security-credentials/',
      'GET /latest/meta-data/iam/security-credentials/feed-role',
      'POST /',
      'POST /',
    ])
    expect(aws.asked.at(-1)?.headers['x-amz-security-token']).toBe('role-session')
  })

  test('of the container are asked where the environment says', async () => {
    const env = {
      AWS_CONTAINER_CREDENTIALS_FULL_URI: `${aws.url}/container`,
      AWS_CONTAINER_AUTHORIZATION_TOKEN: 'pod-token',
    }
    await secrets({ accessKey: null }, env).read({ id: 'prod/ctp', field: 'password' })
    expect(aws.asked[0]).toMatchObject({ path: '/container', headers: { authorization: 'pod-token' } })
  })

  test('that are nowhere are told with what to do', async () => {
    const reading = secrets({ accessKey: null }, { AWS_EC2_METADATA_DISABLED: 'true' }).read({ id: 'a', field: null })
    expect(await failureOf(reading)).toMatchObject({
      kind: 'secret-store-unconfigured',
      remedy: expect.stringContaining('role'),
    })
  })
})

test.each([
  ['ResourceNotFoundException', 400, 'secret-missing', 'nothing at'],
  ['InvalidRequestException', 400, 'secret-missing', 'marked for deletion'],
  ['AccessDeniedException', 400, 'secret-store-refused', 'GetSecretValue'],
  ['DecryptionFailure', 400, 'secret-store-refused', 'kms:Decrypt'],
  ['UnrecognizedClientException', 400, 'secret-store-refused', 'current keys'],
  ['com.amazon.coral.service#ExpiredTokenException', 400, 'secret-store-refused', 'current keys'],
  ['InvalidSignatureException', 400, 'secret-store-refused', 'clock'],
  ['ThrottlingException', 400, 'secret-store-unavailable', 'again'],
  ['InternalServiceError', 500, 'secret-store-unavailable', 'again'],
  ['', 502, 'secret-store-unavailable', 'again'],
  ['SomethingNew', 400, 'secret-store-garbled', 'AWS_REGION'],
])('%s is told as %s %s', async (type, status, kind, words) => {
  answer = { status, body: type === '' ? 'a page' : { __type: type, Message: 'whatever canary' } }
  const failure = await failureOf(secrets({ budgetMs: 300 }).read({ id: 'prod/ctp', field: 'password' }))
  expect(failure.kind).toBe(kind)
  expect(`${failure.message} ${failure.remedy}`).toContain(words)
})
