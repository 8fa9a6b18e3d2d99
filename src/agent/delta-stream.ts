/**
 * One stream of an Envoy, incremental and aggregated, between it and its control plane. Everything passes as it is but for secrets, the workload's own
 * (`OWN_SECRETS`) being given here and never asked of the control plane, so that its key is nowhere else; for the names of the mesh, which are asked for here,
 * as DNS is answered beside Envoy; and for listeners, which are to tell of their calls. Knows nothing of gRPC.
 */
import { create, fromBinary, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import { type ToldUnwatched, tellingListener, tellsOfCalls } from '../engine/envoy/flows/listeners.ts';
import { messageOf } from '../lib/errors.ts';
import type { Node } from '../xds/gen/envoy/config/core/v3/base_pb.js';
import { SecretSchema } from '../xds/gen/envoy/extensions/transport_sockets/tls/v3/secret_pb.js';
import {
  type DeltaDiscoveryRequest,
  DeltaDiscoveryRequestSchema,
  DeltaDiscoveryResponseSchema,
  ResourceSchema,
} from '../xds/gen/envoy/service/discovery/v3/discovery_pb.js';
import { ROOT_SECRET } from '../xds/names.ts';
import { TYPE_URL } from '../xds/resources.ts';
import { lastValue } from '../xds/wire.ts';
import { OWN_SECRETS, type Secrets, textIn } from './secrets.ts';

export interface DeltaStreamOptions {
  readonly secrets: Secrets;
  readonly toEnvoy: (response: Uint8Array) => void;
  readonly toControlPlane: (request: Uint8Array) => void;
  /** The control plane says whom the mesh trusts (PEM); undefined: nobody asks it. */
  readonly rootsCame?: ((roots: string) => void) | undefined;
  /** Of which calls listeners tell while nobody watches, where Envoy can. */
  readonly told: ToldUnwatched;
  /** The control plane says which names there are; undefined: nobody asks it. Throws for what is no table of names. */
  readonly namesCame?: ((table: Uint8Array | undefined) => void) | undefined;
  /** Envoy did not take a secret that it was given here. */
  readonly refused: (reason: string) => void;
}

/** Of nonces that are given here: the control plane must not see them. */
const NONCE = 'agent-';
/** Fields' numbers (discovery.proto). */
const REQUEST_TYPE_URL = 2;
const RESPONSE_TYPE_URL = 4;

export class DeltaStream {
  readonly #options: DeltaStreamOptions;
  readonly #unfollow: () => void;
  /** The version that Envoy has of each own secret that it wants; empty for none. */
  readonly #wanted = new Map<string, string>();
  #node: Node | undefined;
  #begun = false;
  #count = 0;

  constructor(options: DeltaStreamOptions) {
    this.#options = options;
    this.#unfollow = options.secrets.onChange(() => this.#give());
  }

  close(): void {
    this.#unfollow();
  }

  /** Throws for what is no request. */
  fromEnvoy(bytes: Uint8Array): void {
    if (this.#begun && !isOf(SECRETS, bytes, REQUEST_TYPE_URL)) {
      this.#options.toControlPlane(bytes);
      return;
    }
    const request = fromBinary(DeltaDiscoveryRequestSchema, bytes);
    this.#node ??= request.node;
    if (request.typeUrl === TYPE_URL.secret && !this.#leavesMore(request)) this.#give();
    else {
      this.#forward(request);
      if (request.typeUrl === TYPE_URL.secret) this.#give();
    }
  }

  /** Throws for what is no response. */
  fromControlPlane(bytes: Uint8Array): void {
    if (this.tells && isOf(LISTENERS, bytes, RESPONSE_TYPE_URL)) {
      this.#options.toEnvoy(telling(bytes, this.#options.told));
      return;
    }
    if (isOf(NAMES, bytes, RESPONSE_TYPE_URL)) {
      this.#names(bytes);
      return;
    }
    if (!isOf(SECRETS, bytes, RESPONSE_TYPE_URL)) {
      this.#options.toEnvoy(bytes);
      return;
    }
    const response = fromBinary(DeltaDiscoveryResponseSchema, bytes);
    const root = response.resources.find(({ name }) => name === ROOT_SECRET);
    const count = response.resources.length + response.removedResources.length;
    response.resources = response.resources.filter(({ name }) => !OWN_SECRETS.includes(name));
    response.removedResources = response.removedResources.filter((name) => !OWN_SECRETS.includes(name));
    const left = response.resources.length + response.removedResources.length;
    if (left === count) this.#options.toEnvoy(bytes);
    else if (left > 0) this.#options.toEnvoy(toBinary(DeltaDiscoveryResponseSchema, response));
    // Envoy does not hear of it: the answer is ours.
    else this.#request('secret', { responseNonce: response.nonce });
    if (root?.resource) {
      const { type } = fromBinary(SecretSchema, root.resource.value);
      const roots = type.case === 'validationContext' ? textIn(type.value.trustedCa) : undefined;
      if (roots) this.#options.rootsCame?.(roots);
    }
  }

  /** Whether Envoy tells of its calls: not known before its first request. */
  get tells(): boolean {
    return this.#node !== undefined && tellsOfCalls(this.#node);
  }

  /** Takes out of a request for secrets what is answered here. Returns whether something is left for the control plane. */
  #leavesMore(request: DeltaDiscoveryRequest): boolean {
    for (const name of request.resourceNamesSubscribe.filter((each) => OWN_SECRETS.includes(each)))
      this.#wanted.set(name, request.initialResourceVersions[name] ?? '');
    for (const name of request.resourceNamesUnsubscribe) this.#wanted.delete(name);
    const others = (names: readonly string[]) => names.filter((name) => !OWN_SECRETS.includes(name));
    request.resourceNamesSubscribe = others(request.resourceNamesSubscribe);
    request.resourceNamesUnsubscribe = others(request.resourceNamesUnsubscribe);
    for (const name of OWN_SECRETS) delete request.initialResourceVersions[name];
    if (request.responseNonce.startsWith(NONCE)) {
      if (request.errorDetail) this.#options.refused(request.errorDetail.message);
      request.responseNonce = '';
      delete request.errorDetail;
    }
    return request.resourceNamesSubscribe.length + request.resourceNamesUnsubscribe.length > 0 || request.responseNonce !== '';
  }

  #forward(request: DeltaDiscoveryRequest): void {
    if (!this.#begun && this.#node) request.node = this.#node;
    this.#options.toControlPlane(toBinary(DeltaDiscoveryRequestSchema, request));
    if (this.#begun) return;
    this.#begun = true;
    if (this.#options.rootsCame) this.#request('secret', { resourceNamesSubscribe: [ROOT_SECRET] });
    if (this.#options.namesCame) this.#request('nameTable', {});
  }

  /** Envoy does not hear of them. */
  #names(bytes: Uint8Array): void {
    const { nonce: responseNonce, resources, removedResources } = fromBinary(DeltaDiscoveryResponseSchema, bytes);
    const table = resources.at(-1)?.resource?.value;
    try {
      if (table || removedResources.length > 0) this.#options.namesCame?.(table);
      this.#request('nameTable', { responseNonce });
    } catch (error) {
      this.#request('nameTable', { responseNonce, errorDetail: { code: INVALID_ARGUMENT, message: messageOf(error) } });
    }
  }

  #request(type: 'secret' | 'nameTable', about: MessageInitShape<typeof DeltaDiscoveryRequestSchema>): void {
    const request = create(DeltaDiscoveryRequestSchema, { ...about, typeUrl: TYPE_URL[type] });
    this.#options.toControlPlane(toBinary(DeltaDiscoveryRequestSchema, request));
  }

  /** Own secrets that Envoy wants and has not in the version that there is. */
  #give(): void {
    const resources = [...this.#wanted].flatMap(([name, has]) => {
      const held = this.#options.secrets.get(name);
      if (!held || held.version === has) return [];
      this.#wanted.set(name, held.version);
      const { version, bytes: value } = held;
      return [create(ResourceSchema, { name, version, resource: { typeUrl: TYPE_URL.secret, value } })];
    });
    if (resources.length === 0) return;
    this.#count += 1;
    const nonce = `${NONCE}${this.#count}`;
    const response = create(DeltaDiscoveryResponseSchema, { typeUrl: TYPE_URL.secret, nonce, resources });
    this.#options.toEnvoy(toBinary(DeltaDiscoveryResponseSchema, response));
  }
}

const SECRETS = Buffer.from(TYPE_URL.secret);
const LISTENERS = Buffer.from(TYPE_URL.listener);
const NAMES = Buffer.from(TYPE_URL.nameTable);
/** google.rpc.Code */
const INVALID_ARGUMENT = 3;

function isOf(type: Buffer, bytes: Uint8Array, field: number): boolean {
  const typeUrl = lastValue(bytes, field);
  return typeUrl !== undefined && type.equals(typeUrl);
}

/** A response with listeners that tell of their calls. */
function telling(bytes: Uint8Array, told: ToldUnwatched): Uint8Array {
  const response = fromBinary(DeltaDiscoveryResponseSchema, bytes);
  for (const { resource } of response.resources) {
    try {
      if (resource) resource.value = tellingListener(resource.value, told);
    } catch {
      // What is wrong with it Envoy says.
    }
  }
  return toBinary(DeltaDiscoveryResponseSchema, response);
}
