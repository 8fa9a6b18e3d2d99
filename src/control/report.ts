/** What the control plane says of itself. */
import type { Refusal } from '../engine/contract.ts';
import type { Finding } from '../lib/finding.ts';
import type { ProxyIdentity } from '../lib/proxy-identity.ts';
import type { Mesh } from '../translate/model.ts';
import type { XdsResources } from '../xds/resources.ts';

export interface ProxyState {
  readonly identity: ProxyIdentity;
  /** Hash of the xDS in force. */
  readonly version: string;
  readonly refusals: readonly Refusal[];
  readonly resources: XdsResources;
}

/** What is in force: of a mesh, the newest state that every proxy has taken over. */
export interface Report {
  /** The snapshot's number. */
  readonly snapshot: number;
  /** Of reading, registry, translation, what proxies refused and, where it has caught up, analysis. */
  readonly findings: readonly Finding[];
  readonly proxies: readonly ProxyState[];
  /** What was translated. */
  readonly mesh: Mesh;
}

/** What those who run a control plane are told. */
export type ControlEvent =
  /** Findings that were not there before, and those that no longer are. */
  | { readonly kind: 'findings'; readonly fresh: readonly Finding[]; readonly mended: readonly Finding[] }
  /** A proxy is connected that did not prove who it is: these secrets of its own, which have private keys, it does not get. */
  | { readonly kind: 'withheld'; readonly proxy: ProxyIdentity; readonly secrets: readonly string[] }
  /** A client at an address was refused: it did not prove who it is. */
  | { readonly kind: 'unauthenticated'; readonly address: string; readonly reason: string }
  /** The webhook refused an object. */
  | { readonly kind: 'not-admitted'; readonly object: string; readonly reason: string }
  /** What was read after the first time is in force with so many proxies; errors are those that stand. */
  | { readonly kind: 'in-force'; readonly proxies: number; readonly errors: number }
  /** A change could not be read or brought into force. What was in force before is. */
  | { readonly kind: 'failed'; readonly error: unknown }
  /** What the controller keeps in its cluster (its CA, what others know it by) could not be read or written; it is tried again. */
  | { readonly kind: 'not-kept'; readonly error: unknown }
  /** A proxy ended by itself. */
  | { readonly kind: 'ended'; readonly proxy: ProxyIdentity; readonly error: Error };
