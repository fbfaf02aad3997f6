/** What systemd would hear of a daemon: a NOTIFY_SOCKET whose datagrams are kept. Node can't receive them, so Python does. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'

const RECEIVER = `
import json, socket, sys
receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
receiver.bind(sys.argv[1])
print(json.dumps("listening"), flush=True)
while True:
    print(json.dumps(receiver.recv(65536).decode()), flush=True)
`

/** Why it can't be had here. */
export const whyNoNotifySocket = ((): string | undefined => {
  for (const program of ['python3', 'systemd-notify']) {
    try {
      execFileSync(program, ['--version'], { stdio: 'ignore' })
    } catch {
      return `${program} is not installed`
    }
  }
  return undefined
})()

export class NotifySocket {
  /** In the order of their arrival, each with its fields by name. */
  readonly messages: ReadonlyMap<string, string>[] = []
  readonly path: string
  readonly #receiver: ChildProcess

  private constructor(path: string, receiver: ChildProcess) {
    this.path = path
    this.#receiver = receiver
  }

  static async open(path: string): Promise<NotifySocket> {
    const receiver = spawn('python3', ['-c', RECEIVER, path], { stdio: ['ignore', 'pipe', 'inherit'] })
    const socket = new NotifySocket(path, receiver)
    const lines = createInterface({ input: receiver.stdout })
    await new Promise<void>((resolve) => lines.once('line', () => resolve()))
    lines.on('line', (line) => socket.messages.push(fieldsOf(String(JSON.parse(line)))))
    return socket
  }

  /** Messages that hold the field. */
  with(field: string): ReadonlyMap<string, string>[] {
    return this.messages.filter((message) => message.has(field))
  }

  async close(): Promise<void> {
    const ended = new Promise((resolve) => this.#receiver.once('exit', resolve))
    this.#receiver.kill()
    await ended
  }
}

function fieldsOf(message: string): ReadonlyMap<string, string> {
  return new Map(
    message
      .split('\n')
      .filter((line) => line.includes('='))
      .map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)] as const),
  )
}
