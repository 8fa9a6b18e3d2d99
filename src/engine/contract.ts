/** What runs a proxy's xDS: the embedded data plane, or a stock Envoy. */
import type { Audit } from '../audit/audit.ts';
import type { FlowHub } from '../flows/hub.ts';
import type { Contained } from '../lib/contained.ts';
import type { Logger } from '../lib/logger.ts';
import type { ProxyIdentity } from '../lib/proxy-identity.ts';
import type { SocketAddress } from '../lib/socket-address.ts';
import type { NodeJson } from '../xds/node.ts';
import type { XdsResources, XdsUpdate } from '../xds/resources.ts';

/** A resource that an engine would not take, or a part of the configuration that it cannot run. */
export interface Refusal {
  /** The xDS resource, e.g. `listener 0.0.0.0_80`. */
  readonly resource: string;
  readonly message: string;
  /** As an encoded set names it; undefined for what is no single resource. */
  readonly key?: string;
  /** Of the error behind it, where it has one, e.g. `port-in-use`. */
  readonly code?: string;
}

export interface Engine {
  readonly name: 'embedded' | 'envoy';
  /** Takes a change over; resolves when it is in force, with what was refused. The last good version of a refused resource stays. */
  apply(resources: XdsResources, update: XdsUpdate): Promise<readonly Refusal[]>;
  /** Opens the files of access logs anew: whoever rotates them has moved the old ones away. */
  reopenLogs(): Promise<void>;
  /** Takes no new work, lets the running requests finish, at most so many milliseconds, and ends. */
  close(graceMs: number): Promise<void>;
  /** Settles when the engine ends without having been told to, with the reason. */
  readonly failed: Promise<Error>;
}

/** The process in which engines run. */
export interface EngineHost {
  readonly log: Logger;
  /** Of the process: its PATH, and what formats of access logs name. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Somebody asked the admin server to end the process. */
  readonly quit: () => void;
  /** Where calls can be watched. */
  readonly flows?: FlowHub | undefined;
  /** Of every call and change; the embedded engine alone has it. */
  readonly audit?: Audit | undefined;
}

export interface EngineRequest {
  readonly identity: ProxyIdentity;
  /** Takes the place of what the identity makes of the xDS node; the embedded engine alone heeds it. */
  readonly node?: Partial<NodeJson>;
  /** Where this proxy's admin server listens; undefined for none. */
  readonly admin: SocketAddress | undefined;
  /** Where the names of the mesh's hosts are answered; the embedded engine alone does that. */
  readonly dns?: SocketAddress;
  /** For a command that is contained; the embedded engine alone does that, with one thread. */
  readonly contained?: Contained;
  /** Whether what is in force is all that the proxy is to run; without it the first change is. The embedded engine's admin server says so. */
  readonly whole?: () => boolean;
  /** The caller has no work of its own once the engine runs; the embedded engine may then run in the caller's thread. */
  readonly alone?: boolean;
}
