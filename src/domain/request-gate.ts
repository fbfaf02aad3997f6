/**
 * How much of this process strangers may use. Requests come from anybody on the bus and are answered on the thread that carries ticks, so
 * answering has a share of time, and what comes too fast is first refused in a word and then not listened to for a while.
 */

export interface GatePolicy {
  /** Time for answering in each second. */
  answerMsPerSecond: number
  /** Beyond either the door is shut: even refusing has its price. */
  requestsPerSecond: number
  bytesPerSecond: number
  shutMs: number
}

export const DEFAULT_GATE_POLICY: GatePolicy = {
  answerMsPerSecond: 100,
  requestsPerSecond: 2_000,
  bytesPerSecond: 8 << 20,
  shutMs: 1_000,
}

export type Admission = 'answer' | 'busy' | 'shut'

const SECOND_MS = 1_000

export class RequestGate {
  readonly #policy: GatePolicy
  #secondMs = Number.NEGATIVE_INFINITY
  #requests = 0
  #bytes = 0
  #spentMs = 0

  constructor(policy: GatePolicy = DEFAULT_GATE_POLICY) {
    this.#policy = policy
  }

  get shutMs(): number {
    return this.#policy.shutMs
  }

  /** @param nowMs monotonic */
  admit(bytes: number, nowMs: number): Admission {
    if (nowMs - this.#secondMs >= SECOND_MS) {
      this.#secondMs = nowMs
      this.#requests = 0
      this.#bytes = 0
      // A long answer is paid off over the seconds after it.
      this.#spentMs = Math.max(0, this.#spentMs - this.#policy.answerMsPerSecond)
    }
    this.#requests++
    this.#bytes += bytes
    const { requestsPerSecond, bytesPerSecond, answerMsPerSecond } = this.#policy
    if (this.#requests > requestsPerSecond || this.#bytes > bytesPerSecond) return 'shut'
    return this.#spentMs < answerMsPerSecond ? 'answer' : 'busy'
  }

  /** An answer took this long to make. */
  spent(ms: number): void {
    this.#spentMs += ms
  }
}
