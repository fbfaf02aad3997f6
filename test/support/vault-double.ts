/**
 * Vault's documented HTTP API as far as we use it: mounts, KV 1 and 2, a database role with leases, tokens, AppRole and Kubernetes logins,
 * and the ways in which it says no.
 */
import type { ServerResponse } from 'node:http'
import { type Asked, HttpDouble, json } from './http-double.ts'

export interface VaultState {
  /** By API path. Version 2 keeps what it was given under `data` and tells when. */
  kv1: Record<string, Record<string, unknown>>
  kv2: Record<string, { data: Record<string, unknown> | null; createdTime: string; destroyed?: boolean }>
  /** Valid tokens and what they may: `renewable` and seconds. */
  tokens: Map<string, { ttl: number; renewable: boolean; denied?: boolean }>
  /** An answer instead of the true one, for the first that it takes. */
  instead: ((asked: Asked, response: ServerResponse) => boolean) | null
  roleId: string
  secretId: string
  jwt: string
  /** What logins give. */
  issued: { ttl: number; renewable: boolean }
  leaseSeconds: number
}

export class VaultDouble {
  readonly state: VaultState = {
    kv1: {},
    kv2: {},
    tokens: new Map(),
    instead: null,
    roleId: 'role-1',
    secretId: 'secret-id-1',
    jwt: 'jwt-1',
    issued: { ttl: 3600, renewable: true },
    leaseSeconds: 600,
  }
  #http: HttpDouble | null = null
  #issued = 0
  #leases = 0

  static async start(tls?: { key: string; cert: string }): Promise<VaultDouble> {
    const double = new VaultDouble()
    double.#http = await HttpDouble.start((asked, response) => double.#answer(asked, response), tls)
    return double
  }

  get http(): HttpDouble {
    if (this.#http === null) throw new Error('not started')
    return this.#http
  }

  #answer(asked: Asked, response: ServerResponse): void {
    if (this.state.instead?.(asked, response)) return
    const path = asked.path.replace(/^\/v1\//, '')
    if (/^auth\/[^/]+\/login$/.test(path)) {
      this.#login(asked, response)
      return
    }
    const token = String(asked.headers['x-vault-token'] ?? '')
    const known = this.state.tokens.get(token)
    if (known === undefined) {
      json(response, 403, { errors: ['2 errors occurred:\n\t* permission denied\n\t* invalid token\n\n'] })
    } else if (path === 'auth/token/lookup-self') {
      json(response, 200, { data: { ttl: known.ttl, renewable: known.renewable, id: token } })
    } else if (path === 'auth/token/renew-self') {
      json(response, 200, {
        auth: { client_token: token, lease_duration: known.ttl, renewable: known.renewable },
      })
    } else if (known.denied) {
      json(response, 403, { errors: ['1 error occurred:\n\t* permission denied\n\n'] })
    } else {
      this.#read(asked.method, path, asked.body, response)
    }
  }

  #read(method: string, path: string, body: string, response: ServerResponse): void {
    const envelope = { request_id: 'r', lease_id: '', renewable: false, lease_duration: 0, wrap_info: null, auth: null }
    const mount = /^sys\/internal\/ui\/mounts\/([^/]+)/.exec(path)?.[1]
    if (mount !== undefined) {
      const isVersioned = Object.keys(this.state.kv2).some((key) => key.startsWith(`${mount}/`))
      const type = mount === 'database' ? 'database' : 'kv'
      const options = type === 'kv' ? { version: isVersioned ? '2' : '1' } : null
      json(response, 200, { ...envelope, data: { path: `${mount}/`, type, options } })
      return
    }
    if (method === 'PUT' && path === 'sys/leases/renew') {
      json(response, 200, {
        ...envelope,
        lease_id: JSON.parse(body).lease_id,
        renewable: true,
        lease_duration: this.state.leaseSeconds,
      })
      return
    }
    if (path.startsWith('database/creds/')) {
      this.#leases += 1
      json(response, 200, {
        ...envelope,
        lease_id: `${path}/${this.#leases}`,
        renewable: true,
        lease_duration: this.state.leaseSeconds,
        data: { username: `v-${this.#leases}`, password: `leased-${this.#leases}` },
      })
      return
    }
    const versioned = this.state.kv2[path]
    if (versioned !== undefined) {
      const { data, createdTime, destroyed = false } = versioned
      const metadata = {
        created_time: createdTime,
        custom_metadata: null,
        deletion_time: data === null && !destroyed ? createdTime : '',
        destroyed,
        version: 3,
      }
      json(response, data === null ? 404 : 200, { ...envelope, data: { data, metadata } })
      return
    }
    const plain = this.state.kv1[path]
    if (plain === undefined) json(response, 404, { errors: [] })
    else json(response, 200, { ...envelope, lease_duration: 2_764_800, data: plain })
  }

  #login({ path, body }: Asked, response: ServerResponse): void {
    const given: unknown = JSON.parse(body)
    const right = path.includes('kubernetes')
      ? { role: 'feed', jwt: this.state.jwt }
      : { role_id: this.state.roleId, secret_id: this.state.secretId }
    if (JSON.stringify(given) !== JSON.stringify(right)) {
      json(response, 400, { errors: ['invalid role or secret ID'] })
      return
    }
    this.#issued += 1
    const token = `hvs.issued-${this.#issued}`
    this.state.tokens.set(token, { ...this.state.issued })
    const { ttl, renewable } = this.state.issued
    json(response, 200, { auth: { client_token: token, lease_duration: ttl, renewable, token_type: 'service' } })
  }
}
