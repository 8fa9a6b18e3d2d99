/** What is to be made of a host, whether a short list or EgressPolicies allow it. */
import type { BindMode } from '../api/bind.ts';
import type { Resource } from '../api/resource.ts';
import { nodeCrypto } from '../lib/node-crypto.ts';

export type Protocol = 'HTTP' | 'TLS' | 'TCP';

export interface AllowedPort {
  readonly port: number;
  readonly protocol: Protocol;
  /** Of plain HTTP: the requests that are allowed. Without: all. */
  readonly only?: readonly Requests[];
  /** The port that TLS is originated to. */
  readonly originate?: number;
  /** The client speaks TLS, which ends at the proxy. */
  readonly intercept?: boolean;
  /** A file with the CAs that the server of originated TLS is verified by; without: the system's. */
  readonly ca?: string;
  /** What is shown to the server of originated TLS where it asks. */
  readonly certificate?: ClientCertificate;
}

/** Files. */
export interface ClientCertificate {
  readonly chain: string;
  readonly key: string;
}

/** Of a Secret, `NAMESPACE/NAME`. */
export interface SecretCertificate {
  readonly secret: string;
}

/** Requests by method and path; an empty list means any. A path that ends with `*` stands for whatever follows. */
export interface Requests {
  readonly methods: readonly string[];
  readonly paths: readonly string[];
}

/** Workloads of a namespace. */
export interface Caller {
  readonly namespace: string;
  /** Judged by the workload's own sidecar. */
  readonly labels: Readonly<Record<string, string>>;
  /** Judged at the gateway; empty: any. */
  readonly serviceAccounts: readonly string[];
}

/** Who may send which requests. */
export interface Rule {
  /** Any of them. Without: whoever sees the host. */
  readonly callers?: readonly Caller[];
  /** Without: all requests. */
  readonly only?: readonly Requests[];
  /** The policy that says so. */
  readonly origin?: Resource;
}

export interface PortPlan {
  readonly port: number;
  readonly protocol: Protocol;
  /** From the sidecar. */
  readonly through: 'direct' | 'gateway';
  /** The port that TLS is originated to. */
  readonly originate?: number | undefined;
  readonly intercept?: boolean | undefined;
  readonly ca?: string | undefined;
  readonly certificate?: ClientCertificate | SecretCertificate | undefined;
  /** What the gateway puts into its requests, as the annotation has it. */
  readonly credentials?: readonly object[];
  /** Without any, every call is refused. */
  readonly rules: readonly Rule[];
  /** That what allowed it has ended, as a sentence; where no rule is left. */
  readonly ended?: string | undefined;
}

export interface HostPlan {
  /** A name, `*.suffix`, or an address; in lower case. */
  readonly host: string;
  /** Of the objects that are made. */
  readonly name: string;
  readonly namespace: string;
  /**
   * An address of the host's own, if it needs one: for a wildcard, as whoever asks for a name below it gets its address, and the proxy reads the name;
   * for TCP, of which nothing else tells the host.
   */
  readonly address: string;
  /** The namespaces that see it; undefined: all. */
  readonly exportTo?: readonly string[];
  readonly reason: string | undefined;
  readonly owner: string | undefined;
  readonly bind: BindMode | undefined;
  /** The forward proxy by which it is reached, `host:port`, or `direct`; without: the mesh's, if it has one. */
  readonly proxy?: string | undefined;
  /** Ranges in which its name may lead to addresses that are not public; without: none. */
  readonly within?: readonly string[] | undefined;
  /** What is put into its requests, as the annotation has it. */
  readonly credentials?: readonly object[];
  readonly ports: readonly PortPlan[];
}

/** An object that is made of a plan. */
export interface Made {
  readonly kind: 'ServiceEntry' | 'VirtualService' | 'DestinationRule' | 'Gateway' | 'Service' | 'AuthorizationPolicy';
  readonly name: string;
  readonly namespace: string;
  readonly spec: object;
  readonly annotations?: Readonly<Record<string, string>>;
  /** Of each rule of `http`: the policy that it comes of, where one does. */
  readonly ruleOrigins?: readonly (Resource | undefined)[];
}

/** Kubernetes' names have dots and no colons. No label begins with a hyphen, so that no name is taken for a wildcard. */
export function resourceName(prefix: string, host: string): string {
  return `${prefix}-${host.replace('*', '-any').replace(/::$/, '::0').replaceAll(':', '-')}`;
}

/** The same where a name has to be one label, as those of Gateways and subsets have to be: of each name another, with a hash in the place of what a label cannot say. */
export function labelName(name: string): string {
  const hash = nodeCrypto().createHash('sha256').update(name).digest('hex').slice(0, HASH_LENGTH);
  return `${name.replaceAll(/[^a-z0-9-]/g, '-').slice(0, LONGEST_LABEL - HASH_LENGTH - 1)}-${hash}`;
}

/** RFC 1123 */
const LONGEST_LABEL = 63;
const HASH_LENGTH = 16;
