/** What runs a proxy's xDS: the embedded data plane, or a stock Envoy. */
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
  /** Takes no new work, lets the running requests finish, at most so many milliseconds, and ends. */
  close(graceMs: number): Promise<void>;
  /** Settles when the engine ends without having been told to, with the reason. */
  readonly failed: Promise<Error>;
}
