/**
 * Real clients in pods that the webhook injected, of both engines: calls of the call table's egress, registry, tls and tcp groups, with what was recorded of Istio.
 * `CALLS=REGEX` makes those of the cases whose `group/name` it matches; `CALLS='^(egress|registry|tls|tcp)/'` is all of them, a quarter of an hour.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type Case, loadCases } from '../calls/cases.ts';
import { compare } from '../calls/compare.ts';
import { Differences } from '../calls/differences.ts';
import { withAliases } from '../calls/observe.ts';
import { CALL_NAMES, CallMesh, type Engine } from './call-mesh.ts';
import { KubeNode, needsNode } from './node.ts';

const skip = needsNode();
/** Some seventy calls. */
const CASES: ReadonlySet<string> = new Set([
  ...['egress-http', 'egress-two-hosts', 'egress-service-entry-private', 'egress-gateway-sidecar-bypass-tls'],
  ...['allow-any', 'registry-only', 'sidecar-registry-only', 'wildcard-dynamic-dns-gateway', 'age-http-older-than-tcp'],
  ...['egress-tls-passthrough', 'gateway-terminate-and-originate', 'tls-origination-gateway', 'mtls-origination-missing'],
  ...['tcp-egress-gateway', 'tcp-vip', 'tcp-server-first'],
]);
const differences = Differences.load();
const chosen = loadCases().filter(({ group, name }) =>
  process.env.CALLS === undefined ? CASES.has(name) : new RegExp(process.env.CALLS).test(`${group}/${name}`),
);

let node: KubeNode;
let mesh: CallMesh;

before(
  async () => {
    if (skip) return;
    node = await KubeNode.start(CALL_NAMES);
    await node.helm(['uninstall', 'sallyport', '--namespace', 'istio-system', '--ignore-not-found', '--wait']);
    // Istio's record was made without its webhook.
    await node.install('validation.enabled=false', 'gateways.secretNamespaces={istio-system,default}');
    mesh = await CallMesh.start(node);
  },
  { timeout: 240_000 },
);
after(
  async () => {
    if (skip) return;
    try {
      await mesh?.stop();
    } finally {
      await node?.stop();
    }
  },
  { timeout: 120_000 },
);

for (const engine of ['envoy', 'embedded'] as const) {
  test(`calls from pods by ${engine} are as recorded`, { skip, timeout: 1_200_000 }, async (t) => {
    await mesh.startPods(engine);
    for (const each of chosen) {
      await t.test(`${each.group}: ${each.name}`, async () => {
        await mesh.apply(each);
        try {
          assert.deepEqual(await differing(mesh, engine, each), []);
        } finally {
          await mesh.remove(each);
        }
      });
    }
  });
}

/** What is not as recorded, nor as listed. */
async function differing(mesh: CallMesh, engine: Engine, found: Case): Promise<string[]> {
  const lines: string[] = [];
  for (const call of found.calls) {
    const got = withAliases(await mesh.perform(call), found.alias ?? {});
    const against = compare(call, got, false);
    if (process.env.CALLS_VERBOSE && against.length > 0) console.error(`${call.name}: ${JSON.stringify(got)}`);
    const reason = differences.reason(`${engine}-pods`, found.name, call.name);
    if (reason === undefined) lines.push(...against.map((line) => `${call.name}: ${line}`));
    else if (against.length === 0 && !differences.mayAgree(`${engine}-pods`, found.name, call.name))
      lines.push(`${call.name}: listed, but agrees: ${reason}`);
  }
  return lines;
}
