import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Flow } from '../../flows/flow.ts';
import { askedIn, type FlowsAsked, MOST_TOLD, toldBytes } from '../../flows/remote/messages.ts';
import { flowOf } from '../../flows/testing.ts';
import type { Call, CallListener } from '../../lib/grpc/server.ts';
import type { ProxyIdentity } from '../../lib/proxy-identity.ts';
import { FlowService } from './flow-service.ts';

const CART: ProxyIdentity = {
  type: 'sidecar',
  name: 'cart',
  namespace: 'shop',
  labels: {},
  serviceAccount: 'cart',
  addresses: ['10.0.0.1'],
  locality: '',
};
const SPIFFE_ID = 'spiffe://cluster.local/ns/shop/sa/cart';

class TestCall implements Call {
  readonly peer;
  readonly asked: FlowsAsked[] = [];
  ended: string | undefined;
  listener: CallListener | undefined;

  constructor(address: string) {
    this.peer = { address, certificate: undefined, authorization: undefined };
  }

  begin(): void {}

  write(message: Uint8Array): void {
    this.asked.push(askedIn(message));
  }

  end(_status: number, details = ''): void {
    this.ended = details;
    this.listener?.closed();
  }

  tell(flows: readonly Partial<Flow>[], dropped = 0, recent = false): void {
    this.listener!.message(
      Buffer.from(
        toldBytes(
          flows.map((flow) => JSON.stringify(flowOf(flow))),
          dropped,
          recent,
        ),
      ),
    );
  }
}

function serving() {
  const connected = new Map<string, ProxyIdentity>();
  let changes = 0;
  const service = new FlowService({
    identify: async () => SPIFFE_ID,
    proxyAt: (peer, proven) => (proven === SPIFFE_ID ? connected.get(peer) : undefined),
    gatewayAt: (ip) => (ip === '10.0.0.9' ? 'istio-system/egress' : undefined),
    changed: () => void changes++,
  });
  const call = async (address: string) => {
    const made = new TestCall(address);
    made.listener = await service.serve(made);
    return made;
  };
  return { service, connected, call, changes: () => changes };
}

async function watched(service: FlowService, last = 0) {
  const flows: Flow[] = [];
  const dropped: string[] = [];
  const end = await service.hub.watch(
    {
      filter: () => true,
      take: (flow) => void flows.push(flow),
      dropped: (count, proxy) => void dropped.push(`${count} of ${proxy}`),
      ended: () => {},
    },
    last,
  );
  return { flows, dropped, end };
}

test('a proxy tells over the connection of its configuration alone, once, and for as long as it has that', async () => {
  const { service, connected, call, changes } = serving();
  assert.match((await call('10.0.0.1:1')).ended ?? '', /over the connection on which it has its configuration/);
  connected.set('10.0.0.1:1', CART);
  const first = await call('10.0.0.1:1');
  assert.equal(first.ended, undefined);
  assert.notEqual((await call('10.0.0.1:1')).ended, undefined);
  assert.deepEqual([[...service.telling], changes()], [['shop/cart'], 1]);
  connected.delete('10.0.0.1:1');
  first.tell([]);
  assert.match(first.ended ?? '', /has ended/);
  assert.deepEqual([[...service.telling], changes()], [[], 2]);
});

test('who tells is the proxy that is connected, whatever it says that it is', async () => {
  const { service, connected, call } = serving();
  connected.set('a', CART);
  const cart = await call('a');
  const { flows, dropped, end } = await watched(service);
  assert.deepEqual(cart.asked, [{ watch: 200 }]);
  cart.tell(
    [
      {
        proxy: 'payments/ledger',
        workload: 'payments/ledger',
        upstream: '10.0.0.9:8080',
        role: 'router',
        gateway: 'payments/way',
        process: { pid: 1, name: 'x' },
        verdict: 'refused',
      },
    ],
    3,
  );
  const [{ proxy, role, workload, gateway, process } = assert.fail()] = flows;
  assert.deepEqual(
    [proxy, role, workload, gateway, process, dropped],
    ['shop/cart', 'sidecar', 'shop/cart', 'istio-system/egress', undefined, ['3 of shop/cart']],
  );
  end();
  assert.deepEqual(cart.asked.at(-1), { watch: 0 });
  cart.tell([{}]);
  assert.equal(flows.length, 1);
});

test('whoever tells far more than was asked for, or what is no flow, is ended', async () => {
  const { service, connected, call } = serving();
  connected.set('a', CART);
  await watched(service);
  const many = await call('a');
  for (let i = 0; i < 3; i++) if (many.ended === undefined) many.tell(Array(MOST_TOLD).fill({}));
  assert.match(many.ended ?? '', /far more than was asked for/);
  const garbled = await call('a');
  garbled.listener!.message(Buffer.from('nonsense'));
  assert.notEqual(garbled.ended, undefined);
  const long = await call('a');
  long.listener!.message(Buffer.alloc(2 * 1024 * 1024, ' '));
  assert.match(long.ended ?? '', /longer than/);
});

test('calls from before are asked for once, and a proxy that does not answer, or goes, holds nobody up', { timeout: 10_000 }, async () => {
  const { service, connected, call } = serving();
  connected.set('a', CART).set('b', { ...CART, name: 'other' });
  const [cart, other] = [await call('a'), await call('b')];
  const watching = watched(service, 10);
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(cart.asked, [{ watch: 200 }, { recent: 256 }]);
  cart.tell(
    [
      { id: 'x', verdict: 'refused' },
      { id: 'y', kind: 'begin' },
    ],
    0,
    true,
  );
  other.listener!.closed();
  const { flows } = await watching;
  assert.deepEqual(
    flows.map(({ kind, id }) => `${kind} ${id}`),
    ['end 1-x'],
  );
  // What nobody asked for is nothing.
  cart.tell([{ id: 'z' }], 0, true);
  assert.equal(flows.length, 1);
});

test('many proxies share what a console can show', async () => {
  const { service, connected, call } = serving();
  const { end } = await watched(service);
  const calls: TestCall[] = [];
  for (let i = 0; i < 100; i++) {
    connected.set(String(i), { ...CART, name: `cart${i}` });
    calls.push(await call(String(i)));
  }
  const shares = calls.map(({ asked }) => asked.at(-1)!.watch!);
  assert.ok(shares.reduce((sum, share) => sum + share, 0) <= 4_000, String(shares));
  assert.ok(calls[0]!.asked.length < 6, 'few are told of each that comes');
  end();
});
