/** For tests: a flow, and a proxy that tells of what it is told to. */
import type { Flow, FlowDelivery, FlowSource, ProxyFlow } from './flow.ts';

export function flowOf(fields: Partial<Flow> = {}): Flow {
  return {
    kind: 'end',
    time: '2026-01-02T03:04:05.678Z',
    id: '1',
    proxy: 'default/local',
    role: 'sidecar',
    source: '127.0.0.1:40000',
    destination: '198.51.100.7:443',
    host: 'www.example.com',
    port: 443,
    protocol: 'tls',
    verdict: 'allowed',
    bytesSent: 10,
    bytesReceived: 20,
    duration: 1.5,
    ...fields,
  };
}

export class TestSource implements FlowSource {
  deliver: FlowDelivery | undefined;
  dropped: (count: number) => void = () => undefined;
  /** Whether it was asked to tell, each time that it was asked. */
  readonly asked: boolean[] = [];

  async watchFlows(deliver: FlowDelivery | undefined, dropped: (count: number) => void): Promise<void> {
    this.deliver = deliver;
    this.dropped = dropped;
    this.asked.push(deliver !== undefined);
  }

  /** What it remembers. */
  recent: readonly ProxyFlow[] = [];

  async recentFlows(): Promise<readonly ProxyFlow[]> {
    return this.recent;
  }

  tell(fields: Partial<ProxyFlow> = {}): void {
    const { proxy: _proxy, role: _role, ...flow } = flowOf(fields);
    this.deliver?.(flow);
  }
}
