/**
 * The last configuration of a control plane that was wholly in force, on disk: what a proxy starts with where the control plane is gone. Secrets are not in it, so that
 * what needs one is closed until the control plane is back.
 */
import { renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { create, type DescMessage, fromBinary, type Message, type MessageShape } from '@bufbuild/protobuf';
import { codeOf, messageOf, SallyportError } from '../lib/errors.ts';
import { openPrivateFolder } from '../lib/private-folder.ts';
import { readRegularText } from '../lib/regular-file.ts';
import type { Publication } from '../xds/cache.ts';
import { contentHash } from '../xds/encode.ts';
import { ClusterSchema } from '../xds/gen/envoy/config/cluster/v3/cluster_pb.js';
import { ClusterLoadAssignmentSchema } from '../xds/gen/envoy/config/endpoint/v3/endpoint_pb.js';
import { ListenerSchema } from '../xds/gen/envoy/config/listener/v3/listener_pb.js';
import { RouteConfigurationSchema } from '../xds/gen/envoy/config/route/v3/route_pb.js';
import { SecretSchema } from '../xds/gen/envoy/extensions/transport_sockets/tls/v3/secret_pb.js';
import { NameTableSchema } from '../xds/gen/istio/nds_pb.js';
import { EncodedList, ResourceTable } from '../xds/resource-table.ts';
import type { EncodedResource, ResourceType } from '../xds/resources.ts';
import { listIn } from '../xds/update.ts';

const FILE = 'configuration.json';
/** Grows when the file means something else. */
const FORM = 1;
const TYPES = ['cluster', 'endpoint', 'route', 'listener', 'nameTable'] as const;

interface Kept {
  readonly form: number;
  /** Of the xDS node: another workload's configuration is none of this one's. */
  readonly node: string;
  /** ms since the epoch */
  readonly at: number;
  /** Names and bytes in base64, by type. */
  readonly resources: Readonly<Record<(typeof TYPES)[number], readonly (readonly [name: string, bytes: string])[]>>;
}

export interface KeptSet {
  readonly publication: Publication;
  /** When it was in force, ms since the epoch. */
  readonly at: number;
}

export class SetKeeper {
  readonly #folder: string;
  readonly #node: string;

  /** Makes the folder, for this user alone. Throws `folder-unusable`. */
  constructor(folder: string, node: string) {
    this.#folder = openPrivateFolder(folder);
    this.#node = node;
  }

  /** Undefined where there is nothing. Throws `kept-unreadable` for what is broken, or another workload's. */
  read(): KeptSet | undefined {
    const path = join(this.#folder, FILE);
    let text: string;
    try {
      text = readRegularText(path);
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return undefined;
      throw unreadable(path, messageOf(error), error);
    }
    try {
      const kept = JSON.parse(text) as Kept;
      if (kept.form !== FORM) throw new Error('another version of Sallyport wrote it');
      if (kept.node !== this.#node) throw new Error(`it is of the node ${kept.node}, not of ${this.#node}`);
      return {
        publication: publicationOf(TYPES.flatMap((type) => kept.resources[type].map((each) => resourceOf(type, each)))),
        at: kept.at,
      };
    } catch (error) {
      throw unreadable(path, messageOf(error), error);
    }
  }

  /**
   * Whole or not at all: where it can't be kept, nothing is, since what was kept before may allow what is no longer allowed.
   * Throws `kept-secret` for private keys within listeners or clusters, and what the file system says. @param at ms since the epoch
   */
  write(publication: Publication, at: number): void {
    const path = join(this.#folder, FILE);
    try {
      this.#write(publication, at, path);
    } catch (error) {
      rmSync(path, { force: true });
      throw error;
    }
  }

  #write({ set }: Publication, at: number, path: string): void {
    const of = (type: ResourceType) =>
      listIn(set, type).all.map(({ name, bytes }) => [name, withoutKeys(type, name, Buffer.from(bytes)).toString('base64')] as const);
    const resources = Object.fromEntries(TYPES.map((type) => [type, of(type)])) as unknown as Kept['resources'];
    const kept: Kept = { form: FORM, node: this.#node, at, resources };
    writeFileSync(`${path}.new`, JSON.stringify(kept), { mode: 0o600 });
    renameSync(`${path}.new`, path);
  }
}

/** Text of PEM stands in messages as it is, and not in two pieces. */
const PRIVATE_KEY = 'PRIVATE KEY-----';

/** Our controllers give keys as secrets of their own; others may write them where they are used. */
function withoutKeys(type: string, name: string, bytes: Buffer): Buffer {
  if (!bytes.includes(PRIVATE_KEY)) return bytes;
  throw new SallyportError('kept-secret', `the ${type} ${name} has a private key in it, which is not written to disk: serve it over SDS`);
}

/** What is there of `newer`, and of `kept` what `newer` has nothing of that name for. */
export function laidOver(kept: Publication, newer: Publication): Publication {
  const all = new Map([...kept.set.resources, ...newer.set.resources]);
  return publicationOf([...all.values()]);
}

/** Versions are those that the client of the control plane gives: what it says again is no change. */
function resourceOf(type: ResourceType, [name, text]: readonly [string, string]): EncodedResource {
  const bytes = new Uint8Array(Buffer.from(text, 'base64'));
  return { type, name, version: contentHash(bytes), bytes };
}

function publicationOf(all: readonly EncodedResource[]): Publication {
  const lists = ([...TYPES, 'secret'] as const).map((type) => {
    const own = all.filter((resource) => resource.type === type).sort((a, b) => (a.name < b.name ? -1 : 1));
    return new EncodedList(type, own);
  });
  const resources = new ResourceTable(lists);
  const messages = <Desc extends DescMessage>(type: ResourceType, schema: Desc) =>
    (lists.find((list) => list.type === type)?.all ?? []).map((resource) => messageIn(schema, resource));
  return {
    set: { version: contentHash([...resources].map(([key, { version }]) => `${key}=${version}\n`).join('')), resources },
    resources: {
      listeners: messages('listener', ListenerSchema),
      routes: messages('route', RouteConfigurationSchema),
      clusters: messages('cluster', ClusterSchema),
      endpoints: messages('endpoint', ClusterLoadAssignmentSchema),
      secrets: messages('secret', SecretSchema),
      nameTable: messages('nameTable', NameTableSchema)[0] ?? create(NameTableSchema),
    },
  };
}

const decoded = new WeakMap<EncodedResource, Message>();

function messageIn<Desc extends DescMessage>(schema: Desc, resource: EncodedResource): MessageShape<Desc> {
  const known = decoded.get(resource) ?? fromBinary(schema, resource.bytes);
  decoded.set(resource, known);
  return known as MessageShape<Desc>;
}

function unreadable(path: string, why: string, cause: unknown): SallyportError {
  return new SallyportError(
    'kept-unreadable',
    `the configuration that was kept in ${path} cannot be used: ${why}; delete the file to start without it`,
    {
      cause,
    },
  );
}
