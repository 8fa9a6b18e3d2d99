/** What converting to the Kubernetes Gateway API works with. */
import type { PathStep, Resource } from '../api/resource.ts';
import type { Snapshot } from '../config/snapshot.ts';
import type { Registry } from '../registry/model.ts';

export interface ConvertInput {
  readonly snapshot: Snapshot;
  /** Services beside the files' own too: those that an installation has. */
  readonly registry: Registry;
}

/** Something that the Gateway API has no words for. */
export interface Unexpressed {
  readonly resource: Resource;
  readonly path: readonly PathStep[];
  readonly reason: string;
}

/** Collects the reasons why a part of an object can't be expressed; without any, the part is converted. */
export class Problems {
  readonly list: Unexpressed[] = [];
  readonly #resource: Resource;

  constructor(resource: Resource) {
    this.#resource = resource;
  }

  add(path: readonly PathStep[], reason: string): void {
    this.list.push({ resource: this.#resource, path, reason });
  }

  get none(): boolean {
    return this.list.length === 0;
  }
}

/** An object of the Gateway API, as a document has it. */
export interface Made {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace: string };
  readonly spec: object;
}

export type MadeKind = 'Gateway' | 'HTTPRoute' | 'TLSRoute' | 'TCPRoute' | 'BackendTLSPolicy';

/** The version of each kind that clusters serve most widely. */
const VERSIONS: Readonly<Record<MadeKind, string>> = {
  Gateway: 'v1',
  HTTPRoute: 'v1',
  TLSRoute: 'v1',
  TCPRoute: 'v1',
  BackendTLSPolicy: 'v1',
};

/** Makes objects with names that nothing else has. */
export class Maker {
  readonly #taken: Set<string>;

  constructor(snapshot: Snapshot) {
    const kindOf = (kind: string) => (kind === 'KubernetesGateway' ? 'Gateway' : kind === 'Gateway' ? 'Istio Gateway' : kind);
    this.#taken = new Set(snapshot.all().map(({ kind, metadata }) => `${kindOf(kind)} ${metadata.namespace}/${metadata.name}`));
  }

  make(kind: MadeKind, namespace: string, wanted: string, spec: object): Made {
    let name = wanted;
    for (let count = 2; this.#taken.has(`${kind} ${namespace}/${name}`); count++) name = `${wanted}-${count}`;
    this.#taken.add(`${kind} ${namespace}/${name}`);
    return { apiVersion: `gateway.networking.k8s.io/${VERSIONS[kind]}`, kind, metadata: { name, namespace }, spec };
  }
}

/** A label of a DNS name made of any text. */
export function label(text: string): string {
  const plain = text
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-+|-+$/g, '');
  return plain.slice(0, 63).replace(/-+$/, '') || 'x';
}

const HOSTNAME = /^(\*\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;

/** Whether the Gateway API takes it for a hostname: a name or `*.suffix`, no address. */
export function isHostname(host: string): boolean {
  return HOSTNAME.test(host) && host.length <= 253 && !/^[\d.]+$/.test(host);
}
