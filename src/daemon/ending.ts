/** Why the daemon leaves: told once, the first reason wins. */
import type { DaemonEnd } from './daemon-options.ts'

export class Ending {
  readonly reached: Promise<DaemonEnd>
  readonly signal: AbortSignal
  readonly #own = new AbortController()
  #tell: (end: DaemonEnd) => void = () => undefined

  constructor(stop: AbortSignal) {
    this.signal = AbortSignal.any([stop, this.#own.signal])
    this.reached = new Promise((resolve) => {
      this.#tell = resolve
    })
    const onStop = () => this.leave({ kind: 'stopped', reason: 'a signal' })
    if (stop.aborted) onStop()
    else stop.addEventListener('abort', onStop, { once: true })
  }

  leave(end: DaemonEnd): void {
    this.#tell(end)
    this.#own.abort()
  }
}
