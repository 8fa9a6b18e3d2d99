/** What Istio's own code, built from `go/main.go`, makes of a mesh for its proxies. */
import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { type DescMessage, fromBinary, type MessageShape } from '@bufbuild/protobuf';
import { ISTIO } from '../../../scripts/build-istiod.ts';
import { ClusterSchema } from '../../../src/xds/gen/envoy/config/cluster/v3/cluster_pb.js';
import { ClusterLoadAssignmentSchema } from '../../../src/xds/gen/envoy/config/endpoint/v3/endpoint_pb.js';
import { ListenerSchema } from '../../../src/xds/gen/envoy/config/listener/v3/listener_pb.js';
import { RouteConfigurationSchema } from '../../../src/xds/gen/envoy/config/route/v3/route_pb.js';
import type { XdsResources } from '../../../src/xds/resources.ts';
import type { Pod } from '../../calls/loopback/topology.ts';
import { builtGoProgram } from '../../support/go-program.ts';

/** Path of its binary: a minute or two beside a built control plane, with which it shares most. Throws with Go's own words. */
export function builtOracle(): string {
  const source = readFileSync(join(import.meta.dirname, 'go/main.go'), 'utf8');
  return builtGoProgram('istio-oracle', source, ISTIO);
}

export interface Question {
  /** YAML, laid over Istio's defaults. */
  readonly mesh: string;
  /** Objects of Istio's API. */
  readonly config: readonly object[];
  /** YAML: objects of Kubernetes' own. */
  readonly kubernetes: string;
  readonly proxies: readonly Pick<Pod, 'name' | 'namespace' | 'kind' | 'ip' | 'serviceAccount' | 'labels'>[];
}

interface Answer {
  readonly Proxies: readonly Readonly<Record<'Listeners' | 'Routes' | 'Clusters' | 'Endpoints', readonly string[]>>[];
  readonly Refused: Readonly<Record<string, string>>;
  readonly Failed?: string;
}

export interface Told {
  /** In the order of the question. */
  readonly proxies: readonly Made[];
  /** Why validation refuses objects, by their place; those have no effect. */
  readonly refused: ReadonlyMap<number, string>;
}

export type Made = Omit<XdsResources, 'secrets' | 'nameTable'>;

export class Oracle {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  constructor() {
    this.#child = spawn(builtOracle(), { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#lines = createInterface({ input: this.#child.stdout! })[Symbol.asyncIterator]();
  }

  /** One question at a time. What each proxy gets, or why Istio's code fails on it. */
  async ask({ config, ...rest }: Question): Promise<Told | string> {
    this.#child.stdin!.write(`${JSON.stringify({ ...rest, config: config.map((object) => JSON.stringify(object)) })}\n`);
    const { value, done } = await this.#lines.next();
    if (done) throw new Error('the oracle has ended');
    const { Proxies, Refused, Failed }: Answer = JSON.parse(value);
    if (Failed !== undefined) return Failed;
    const refused = new Map(Object.entries(Refused ?? {}).map(([place, why]) => [Number(place), why]));
    const proxies = Proxies.map(({ Listeners, Routes, Clusters, Endpoints }) => ({
      listeners: decoded(ListenerSchema, Listeners),
      routes: decoded(RouteConfigurationSchema, Routes),
      clusters: decoded(ClusterSchema, Clusters),
      endpoints: decoded(ClusterLoadAssignmentSchema, Endpoints),
    }));
    return { proxies, refused };
  }

  end(): void {
    this.#child.stdin!.end();
  }
}

function decoded<Desc extends DescMessage>(schema: Desc, messages: readonly string[] | null): MessageShape<Desc>[] {
  return (messages ?? []).map((text) => fromBinary(schema, Buffer.from(text, 'base64')));
}

if (import.meta.main) console.log(builtOracle());
