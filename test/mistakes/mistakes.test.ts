/** No mistake is silent: each that changes a call of a configuration that is right, by simulation, is found by `analyze`. */

import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parseAllDocuments, stringify } from 'yaml';
import { withDefaultGateways } from '../../src/analysis/default-gateways.ts';
import { analyze } from '../../src/analysis/index.ts';
import { snapshotFromText } from '../../src/config/memory.ts';
import { loadMeshConfig } from '../../src/config/mesh-config.ts';
import { originText } from '../../src/lib/origin.ts';
import { compare } from '../../src/prove/diff.ts';
import { simulateFiles } from '../../src/prove/simulated.ts';
import { buildRegistry } from '../../src/registry/index.ts';
import { type Document, mistakesIn } from './mistakes.ts';

const EXAMPLES = fileURLToPath(new URL('../../examples', import.meta.url));

/** Changes of calls that no file can tell from what was meant. */
const AS_GOOD: readonly RegExp[] = [
  // Plain HTTP, or TLS, to a server of which the files do not say what it speaks.
  /^DestinationRule (?:removed|spec\.trafficPolicy deleted)$/,
  // Another name or CA of a server of whose certificate the files hold nothing.
  /^DestinationRule spec\.trafficPolicy\.portLevelSettings\[\]\.tls\.(?:sni|subjectAltNames\[\]|credentialName) /,
  // Another server, address or port of one.
  /^ServiceEntry spec\.endpoints\[\]\.(?:address|ports)/,
  /^ServiceEntry spec\.(?:addresses|hosts)/,
  // Another path, or a rule that refuses some taken out.
  /^HTTPRoute spec\.rules\[\](?:\.matches\[\]\.path\.value | deleted)/,
  // An installation in another namespace.
  /^Gateway spec\.addresses\[\]\.value istio-egressgateway\.istio-system\S* -> istio-egressgateway\.istiosystem/,
  // A class of somebody else's.
  /^Gateway spec\.gatewayClassName istio -> (?!is|\w?stio)/,
];

interface Read {
  readonly files: ReturnType<typeof simulateFiles>;
  /** Warnings and errors, by code and object. */
  readonly found: ReadonlySet<string>;
}

function read(documents: readonly Document[]): Read {
  const snapshot = snapshotFromText(documents.map((document) => stringify(document)).join('---\n'));
  const { config: mesh, findings } = loadMeshConfig(snapshot);
  const withDefaults = withDefaultGateways(snapshot, mesh.rootNamespace);
  const { registry, findings: conflicts } = buildRegistry(withDefaults, mesh);
  const all = analyze({ snapshot: withDefaults, registry, mesh, now: 0 }, { also: [...findings, ...conflicts] });
  const found = all.filter(({ level }) => level !== 'Info').map(({ code, origin }) => `${code} ${originText(origin)}`);
  return { files: simulateFiles(snapshot, mesh), found: new Set(found) };
}

function documentsOf(folder: string): Document[] {
  const texts = globSync('*.yaml', { cwd: folder }).map((file) => readFileSync(`${folder}/${file}`, 'utf8'));
  return texts.flatMap((text) => parseAllDocuments(text).map((document) => document.toJS() as Document));
}

describe('a mistake that changes calls is found', () => {
  for (const folder of globSync('*egress*/', { cwd: EXAMPLES }).map((name) => `${EXAMPLES}/${name}`)) {
    test(basename(folder), () => {
      const documents = documentsOf(folder);
      const right = read(documents);
      assert.deepEqual([...right.found], [], 'the example itself is right');
      const silent: string[] = [];
      let changed = 0;
      for (const { documents: mistaken, what } of mistakesIn(documents)) {
        const wrong = read(mistaken);
        if (compare(right.files, wrong.files).changes.length === 0) continue;
        changed++;
        if (wrong.found.size === 0 && !AS_GOOD.some((pattern) => pattern.test(what))) silent.push(what);
      }
      assert.ok(changed > 50, `only ${changed} mistakes changed a call`);
      assert.deepEqual(silent, []);
    });
  }
});
