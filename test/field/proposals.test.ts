/**
 * What `explain` proposes for a refused call, applied as it is printed, on generated configurations: the call is allowed, by the egress gateway where one
 * is in use; no other call of a small space reaches a server that it did not reach before, or another; `verify` says nothing worse; no new error comes.
 */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { parseAllDocuments, stringify } from 'yaml';
import { analysisErrors } from '../../src/inputs/analysis-errors.ts';
import { declaredHost } from '../../src/learn/hosts.ts';
import { originText } from '../../src/lib/origin.ts';
import { egressInUse } from '../../src/prove/candidates.ts';
import { explain } from '../../src/prove/explain.ts';
import { parseTarget } from '../../src/simulate/call.ts';
import { configurations } from '../property/configurations.ts';
import { explained, findingsIn, type Read, read, verified } from './questions.ts';

const RUNS = Number(process.env.RUNS ?? 25);
const SEED = Number(process.env.SEED ?? 1);

type Documents = readonly { kind: string; metadata: { name: string; namespace?: string }; spec?: { ports: object[] } }[];

const pod = (name: string, namespace: string, ip: string, labels: object) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, namespace, labels },
  spec: { containers: [...(name === 'egress' ? [] : [{ name: 'app' }]), { name: 'istio-proxy' }] },
  status: { podIP: ip, phase: 'Running', conditions: [{ type: 'Ready', status: 'True' }] },
});
const CALLERS = [pod('one', 'default', '10.0.0.1', { app: 'one' }), pod('two', 'other', '10.0.0.2', { app: 'two' })];
const EGRESS = [
  pod('egress', 'istio-system', '10.0.1.1', { istio: 'egressgateway' }),
  {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'istio-egressgateway', namespace: 'istio-system' },
    spec: {
      clusterIP: '10.96.0.1',
      selector: { istio: 'egressgateway' },
      ports: [
        { name: 'http', port: 80, targetPort: 8080 },
        { name: 'tls', port: 443, targetPort: 8443 },
      ],
    },
  },
  {
    apiVersion: 'networking.istio.io/v1',
    kind: 'Gateway',
    metadata: { name: 'out', namespace: 'istio-system' },
    spec: {
      selector: { istio: 'egressgateway' },
      servers: [
        { port: { number: 80, name: 'http', protocol: 'HTTP' }, hosts: ['way.example.org'] },
        { port: { number: 443, name: 'tls', protocol: 'TLS' }, hosts: ['*'], tls: { mode: 'PASSTHROUGH' } },
      ],
    },
  },
];

const WILDCARD = {
  apiVersion: 'networking.istio.io/v1',
  kind: 'ServiceEntry',
  metadata: { name: 'wild', namespace: 'default' },
  spec: {
    hosts: ['*.wild.example.com'],
    location: 'MESH_EXTERNAL',
    resolution: 'NONE',
    ports: [{ number: 9443, name: 'tls', protocol: 'TLS' }],
  },
};
const meshOf = (config: object) => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name: 'istio', namespace: 'istio-system' },
  data: { mesh: stringify(config) },
});

/** Asked about, and by which others the answer is held. */
const CALLS = [
  'http://www.example.com/',
  'http://api.example.com:8080/a',
  'http://new.example.com/',
  'http://198.51.100.10/',
  'http://[2001:db8::7]/',
  'tls://www.example.com:443',
  'https://new.example.net/',
  'tcp://redis.example.com:6379',
  'tcp://203.0.113.6:5432',
];
const OTHERS = [...CALLS, 'http://else.example.com/', 'tls://else.example.net:443', 'tls://www.example.com:8443', 'tcp://203.0.113.7:6379'];
const FROM = ['default/one', 'other/two'];

function textOf(documents: readonly object[]): string {
  return documents.map((document) => stringify(document, { aliasDuplicateObjects: false })).join('---\n');
}

/** The configuration after somebody did what is printed. */
function applied(documents: readonly object[], allow: string): string {
  const changed = structuredClone(documents) as Documents;
  for (const [, name, port] of allow.matchAll(/^# To spec\.ports of ServiceEntry (\S+)[^\n]*:\n# {3}- (\{.*\})$/gm)) {
    const entry = changed.find(
      ({ kind, metadata }) => kind === 'ServiceEntry' && `${metadata.namespace ?? 'default'}/${metadata.name}` === name,
    );
    entry!.spec!.ports.push(parseAllDocuments(port!)[0]!.toJS());
  }
  return `${textOf(changed)}---\n${allow}`;
}

interface Seen {
  readonly call: string;
  readonly from: string;
  readonly way: string;
}

function waysIn(files: Read): Seen[] {
  return FROM.flatMap((from) => OTHERS.map((call) => ({ call, from, way: explained(files, `${call} --from ${from}`) })));
}

const errorsIn = (files: Read) =>
  findingsIn(files).flatMap(({ level, code, origin }) => (level === 'Error' ? [`${code} ${originText(origin)}`] : []));
const reaches = (way: string) => / > (?:in a copy )?reaches /.test(` > ${way}`);
const RANK: Record<string, number> = { refuted: 0, undecided: 1, proved: 2 };

/** Throws where a proposal is false; returns how many there were. */
function checkProposals(documents: readonly object[], calls: readonly string[]): number {
  const before = read(textOf(documents));
  let proposed = 0;
  const old = waysIn(before);
  for (const call of calls) {
    const { advice } = explain(before.files, parseTarget(call), { from: 'default/one' }, analysisErrors(0));
    if (!advice) continue;
    assert.ok(advice.allow !== undefined || advice.whyNot.length > 0, `${call}: neither a proposal nor a reason`);
    if (advice.allow === undefined) continue;
    proposed++;
    const said = `${call}\n${advice.allow}\n---\n${textOf(documents)}`;
    const after = read(applied(documents, advice.allow));
    const { host, port } = parseTarget(call);
    // Bytes name no host: what is led to the asked one by its port ends there, and nowhere else.
    const own = [`outbound|${port}||${host}`, `outbound|${port}||${declaredHost(host)}`];
    for (const [i, { call: other, from, way }] of waysIn(after).entries()) {
      const was = old[i]!.way;
      const said = `${other} from ${from}: ${was} => ${way}, for ${call}\n${advice.allow}\n---\n${textOf(documents)}`;
      if (other === call && from === 'default/one') {
        assert.ok(reaches(way) && !way.includes('fails'), said);
        if (egressInUse(before.files)) assert.match(way, / > istio-system\/(?:istio-)?egress(?:gateway)? outbound/, said);
      } else if (reaches(way) || reaches(was))
        assert.ok(way === was || (!reaches(was) && own.some((cluster) => way.includes(`${cluster} > reaches`))), said);
    }
    if (egressInUse(before.files)) assert.ok(RANK[verified(after).result]! >= RANK[verified(before).result]!, said);
    const known = new Set(errorsIn(before));
    assert.deepEqual(
      errorsIn(after).filter((error) => !known.has(error)),
      [],
      said,
    );
  }
  return proposed;
}

describe('what explain proposes', () => {
  test(`${RUNS} generated configurations: it allows the call, and opens nothing else`, () => {
    let proposed = 0;
    fc.assert(
      fc.property(
        configurations,
        fc.boolean(),
        fc.shuffledSubarray(CALLS, { minLength: 3, maxLength: 3 }),
        (configuration, egress, calls) => {
          const documents = [...CALLERS, ...(egress ? EGRESS : []), ...configuration.documents, meshOf(configuration.mesh)];
          proposed += checkProposals(documents, calls);
        },
      ),
      { numRuns: RUNS, seed: SEED, endOnFailure: true },
    );
    assert.ok(proposed > RUNS / 4, `only ${proposed} proposals were held`);
  });

  /** Beside hosts that nothing declares: names under a wildcard that is declared at another port. */
  const KINDS = [...CALLS, 'http://x.wild.example.com/', 'tls://x.wild.example.com:443', 'https://x.wild.example.com:8443/'];
  for (const egress of [false, true]) {
    test(`every kind of call ${egress ? 'through the egress gateway' : 'straight'}: HTTP, TLS and bytes, by name, address and under a wildcard`, () => {
      const documents = [...CALLERS, ...(egress ? EGRESS : []), WILDCARD, meshOf({ outboundTrafficPolicy: { mode: 'REGISTRY_ONLY' } })];
      const { files } = read(textOf(documents));
      for (const call of KINDS) {
        const { advice } = explain(files, parseTarget(call), { from: 'default/one' }, analysisErrors(0));
        const way = explained(read(applied(documents, advice?.allow ?? '')), `${call} --from default/one`);
        assert.ok(reaches(way) && !way.includes('fails'), `${call}: ${way}\n${advice?.allow ?? advice?.whyNot}`);
        assert.equal(/ > istio-system\/(?:istio-)?egress/.test(way), egress, way);
      }
    });
  }

  const FIELD: readonly (readonly [string, string, RegExp])[] = [
    ['01-static-ip-404', 'http://192.0.2.61/', /kind: Gateway/],
    ['07-wildcard-none', 'tls://www.shop.com:443', /kind: Gateway/],
    ['09-wildcard-virtual-service', 'tls://other.apis.example.com:443', /kind: VirtualService/],
    ['29-ipv6-address', 'http://[2001:db8:204c::132]/', /2001:db8:204c::132/],
  ];
  for (const [file, call, printed] of FIELD) {
    const path = fileURLToPath(new URL(`../../../shared/field/${file}.yaml`, import.meta.url));
    test(`${file}: ${call}`, { skip: existsSync(path) ? false : 'the reports in ../shared are not here' }, () => {
      const text = readFileSync(path, 'utf8');
      const { advice } = explain(read(text).files, parseTarget(call), {}, analysisErrors(0));
      assert.match(advice?.allow ?? '', printed);
      assert.match(explained(read(`${text}\n---\n${advice!.allow}`), call), /reaches [^>]*$/);
    });
  }
});
