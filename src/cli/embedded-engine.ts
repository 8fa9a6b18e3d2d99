/** The embedded data plane as an engine, with its admin server. */
import { messageOf } from '../lib/errors.ts';
import { createDataPlane } from '../proxy/dataplane.ts';
import type { Proxy as ProxyIdentity } from '../translate/model.ts';
import type { XdsResources, XdsUpdate } from '../xds/resources.ts';
import type { Engine, Refusal } from './engine.ts';
import { nodeJson } from './node.ts';
import type { SocketOption } from './options.ts';
import { say } from './session.ts';

export interface EmbeddedOptions {
  readonly identity: ProxyIdentity;
  readonly admin: SocketOption | undefined;
  readonly dns: SocketOption | undefined;
  readonly concurrency: number;
}

export async function startEmbedded({ identity, dns }: EmbeddedOptions): Promise<Engine> {
  const plane = await createDataPlane({
    log: (level, message) => {
      if (level === 'warn' || level === 'error') say(message);
    },
    environment: process.env,
    nodeMetadata: nodeJson(identity).metadata,
    dns: dns && { ip: dns.address, port: dns.port },
  });
  return {
    name: 'embedded',
    failed: new Promise(() => {}),
    async apply(_resources: XdsResources, update: XdsUpdate): Promise<readonly Refusal[]> {
      try {
        const { rejected } = await plane.apply(update);
        return rejected.map(({ type, name, message }) => ({ resource: `${type} ${name}`, message }));
      } catch (error) {
        return [{ resource: 'update', message: messageOf(error) }];
      }
    },
    async close(graceMs: number): Promise<void> {
      await plane.drain(graceMs);
      plane.close();
    },
  };
}
