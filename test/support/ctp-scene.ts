/** Fronts and bridges of one test, gone when it ends. */
import { afterEach } from 'vitest'
import { BridgeClient } from './ctp-bridge-client.ts'
import { ScriptedFront } from './ctp-front.ts'

const opened: (() => Promise<void>)[] = []

afterEach(async () => {
  for (const close of opened.splice(0).reverse()) await close()
})

export async function frontOf(...args: Parameters<typeof ScriptedFront.open>): Promise<ScriptedFront> {
  const front = await ScriptedFront.open(...args)
  opened.push(() => front.close())
  return front
}

export function bridgeOf(...args: ConstructorParameters<typeof BridgeClient>): BridgeClient {
  const bridge = new BridgeClient(...args)
  opened.push(() => bridge.dispose())
  return bridge
}
