/** The control plane's side of the bus: requests come in, answers go out, over a connection that ticks never use. */
import type { BusFailure } from '#domain/bus-failure.ts'

export interface RequestBus {
  /**
   * Listens until `signal` aborts or the connection ends; then resolves with why, null when told to stop.
   * @throws Failure<BusFailureKind> when it can't begin
   */
  listen(signal: AbortSignal, listener: RequestListener): Promise<BusFailure | null>
}

export interface RequestListener {
  /** Names without any prefix. */
  names: readonly string[]
  /** Now answering, until `listen` returns. */
  listening(): void
  /** Called for each request; the answer is sent at once. `replyBytesMax` is what the server takes. Must not throw. */
  answer(name: string, body: Uint8Array, replyBytesMax: number): Uint8Array
}
