/**
 * The call table through the simulator: what `explain` says of each call is the way that was recorded, proxy by proxy and cluster by cluster, and
 * where a proxy answered or closed it, so does the simulation.
 */
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { snapshotFromText } from '../../src/config/memory.ts';
import { endingOf } from '../../src/prove/ending.ts';
import { simulateFiles } from '../../src/prove/simulated.ts';
import { parseTarget } from '../../src/simulate/call.ts';
import { explainCall, FIRST } from '../../src/simulate/explain.ts';
import type { SeenResponse } from '../../src/simulate/response.ts';
import type { Trace } from '../../src/simulate/trace.ts';
import { needs } from '../integration/tools.ts';
import { checkUnlessListed, listedName } from '../support/listed.ts';
import { meshConfigOf } from '../support/mesh.ts';
import { type Call, type Json, loadCases } from './cases.ts';
import { Differences } from './differences.ts';
import { madeFixedObjects } from './loopback/fixed-objects.ts';
import { PODS, resolveInPod } from './loopback/topology.ts';

const GROUPS = ['registry', 'egress', 'tls', 'tcp', 'http', 'lb', 'resilience', 'identity', 'policy', 'gwapi'];
const differences = Differences.load();

describe('the call table by simulation', { skip: needs('openssl') }, () => {
  let fixed: string;
  before(async () => {
    fixed = await madeFixedObjects();
  });

  for (const each of loadCases().filter(({ group }) => GROUPS.includes(group))) {
    test(`${each.group}: ${each.name}`, async (t) => {
      const snapshot = snapshotFromText(`${fixed}\n---\n${each.config}`);
      const files = simulateFiles(snapshot, meshConfigOf({ outboundTrafficPolicy: { mode: 'REGISTRY_ONLY' }, ...each.mesh }));
      for (const call of each.calls) {
        const expected = expectationOf(call);
        const from = PODS.find(({ name }) => name === call.from);
        if (!expected || !from || from.kind === 'none') continue;
        const listed = differences.reason('simulate', each.name, call.name);
        const check = () => {
          const trace = explainCall(
            files.simulated,
            files.proxy(`${from.namespace}/${from.name}`),
            concrete(call, from.namespace, from.ip),
            { ...FIRST, now: Date.now() },
          );
          assert.deepEqual(pathOf(trace), expected.path);
          if (trace.outcome.kind === 'reply') assert.equal(trace.outcome.status, expected.status);
          if (trace.outcome.kind === 'closed')
            assert.ok(
              expected.closed || endingOf(targetOf(call).payload, trace)?.status === expected.status,
              `simulated as closed (${trace.outcome.details}), recorded as ${expected.outcome}`,
            );
          if (trace.response && expected.headers) assertHeaders(trace.response, expected.headers);
        };
        await t.test(listedName(call.name, listed), () => checkUnlessListed(listed, check));
      }
    });
  }
});

interface Expectation {
  /** `proxy(direction) cluster` of each hop. */
  readonly path: readonly string[];
  readonly status: Json | undefined;
  readonly closed: boolean;
  readonly outcome: string;
  /** As the application saw them, repeats joined. */
  readonly headers: Readonly<Record<string, string>> | undefined;
}

/** What configuration gives a response or takes from it; the rest is the server's, or what proxies set for themselves. */
function assertHeaders({ headers, removed }: SeenResponse, recorded: Readonly<Record<string, string>>): void {
  const given: Record<string, string> = {};
  for (const { name, value } of headers) given[name] = given[name] === undefined ? value : `${given[name]}, ${value}`;
  for (const [name, value] of Object.entries(given)) assert.equal(recorded[name], value, name);
  for (const name of removed) assert.equal(recorded[name], undefined, name);
}

/** What the record says that simulation can say too; undefined for calls whose way depends on chance, time or retries. */
function expectationOf({ expect, repeat, http }: Call): Expectation | undefined {
  // A target in another form than a path is read by the codec, which simulation has none of.
  if (http?.target !== undefined && !String(http.target).startsWith('/')) return undefined;
  if (!expect || (repeat ?? 1) > 1 || http?.websocket !== undefined || !Array.isArray(expect.hops)) return undefined;
  const hops = expect.hops as readonly { proxy: string; cluster?: string; code?: number }[];
  if (hops.length === 0 || expect.outcome === 'dns_failure') return undefined;
  const path = hops.map(({ proxy, cluster }) => `${proxy.replace(/\(.*\)/, '')} ${cluster ?? ''}`.trim());
  // A proxy that stands twice in the record tried again, which depends on what servers answer.
  if (new Set(hops.map(({ proxy }) => proxy)).size < hops.length) return undefined;
  const outcome = String(expect.outcome);
  const headers = expect.response_headers as Readonly<Record<string, string>> | undefined;
  return { path, status: expect.status, closed: outcome !== 'answered', outcome, headers };
}

function pathOf({ hops }: Trace): string[] {
  return hops.map(({ proxy, cluster }) => `${proxy.slice(proxy.indexOf('/') + 1)} ${cluster}`.trim());
}

function concrete(call: Call, namespace: string, ip: string) {
  const target = targetOf(call);
  const dialled = call.http?.resolve ?? call.tls?.resolve ?? call.tcp?.resolve ?? resolveInPod(target.host, namespace)[0] ?? target.host;
  return { source: { ip, port: 0 }, destination: { ip: dialled, port: target.port }, payload: target.payload };
}

function targetOf({ http, tls, tcp }: Call) {
  if (http) {
    const pairs = Array.isArray(http.headers)
      ? http.headers
      : Object.entries(http.headers ?? {}).flatMap(([name, value]) => [value].flat().map((one) => [name, one] as const));
    const headers = pairs.map(([name, value]) => `${name}: ${value}`);
    const { payload, ...rest } = parseTarget(http.url, {
      method: http.method,
      headers,
      serverName: http.sni,
      httpVersion: String(http.version ?? '1.1') as '1.1',
    });
    return http.target ? { ...rest, payload: { ...payload, http: { ...payload.http!, path: String(http.target) } } } : { ...rest, payload };
  }
  if (tls) return parseTarget(`tls://${tls.host}:${tls.port}`, { serverName: tls.sni });
  return parseTarget(`tcp://${tcp!.host}:${tcp!.port}`);
}
