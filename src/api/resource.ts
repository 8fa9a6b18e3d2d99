import { formatPosition, type Position } from '../lib/finding.ts';
import { type Origin, originText } from '../lib/origin.ts';

export interface Metadata {
  readonly name: string;
  /** Empty for cluster-scoped kinds. */
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  /** RFC 3339, as the API server writes it. */
  readonly creationTimestamp?: string;
  /** Of an object of a cluster: how often its spec has changed. */
  readonly generation?: number;
}

/** One step into a document: a field's name or an index of a list. */
export type PathStep = string | number;

/** What a source finds its places in, as plain data: for another thread. */
export interface SourceParts {
  readonly file: string;
  /** Of the whole file. */
  readonly text: string;
  /** Where the document begins and ends in it. */
  readonly start: number;
  readonly end: number;
  /** As `DocumentSource` takes it. */
  readonly simple: boolean;
  /** Where in the document the object is. */
  readonly base: readonly PathStep[];
}

/** Where a resource was read from. */
export interface Source {
  /** Empty for what was not read from a file. */
  readonly file: string;
  /**
   * The position of the value at `path` (from the document's root), or of its nearest ancestor that the document has. `within` is a place
   * in the text of the value, for values that hold a document of their own.
   */
  position(path?: readonly PathStep[], within?: { readonly line: number; readonly column: number }): Position;
  /** Whether the text has a scalar at `path` that stands without quotes, or names the field by such a key. */
  isPlain?(path: readonly PathStep[], at?: 'value' | 'key'): boolean;
  /** As `position`, but of the key that names the field. */
  keyPosition(path: readonly PathStep[]): Position;
  /** Undefined (or absent) where places are not found in the text of a document. */
  parts?(): SourceParts | undefined;
}

/**
 * A decoded object. `spec` has the JSON shape and field names of the API, with three changes: durations are numbers of milliseconds,
 * defaults that the API documents are filled in, and the deprecated spellings of a field are replaced by the present one.
 * Kinds whose API has no `spec` (Secret, ConfigMap, Endpoints, EndpointSlice, ServiceAccount) have their top-level fields in it.
 */
export interface Resource<Kind extends string = string, Spec = unknown> {
  readonly apiVersion: string;
  readonly kind: Kind;
  readonly metadata: Metadata;
  readonly spec: Spec;
  readonly status?: unknown;
  /** Age: the smaller is the older, and the older wins a conflict. By creationTimestamp, then by the order of files and documents. */
  readonly order: number;
  /** Deprecated fields that the document uses, as paths from its root; `spec` holds their present spelling. Absent if there are none. */
  readonly deprecated?: readonly (readonly PathStep[])[];
  /** False if a finding of level Error concerns its schema or its validation. Only analysis reads such an object. */
  readonly valid: boolean;
  readonly source: Source;
  /** Set on objects that users did not write: the object (of the Kubernetes Gateway API, or an EgressPolicy) from which this one was made. `source` points into it. */
  readonly derivedFrom?: Resource;
}

/** Whether an object was made of one of the Kubernetes Gateway API, and so follows its rules where Istio's differ. */
export function isOfGatewayApi({ derivedFrom }: Pick<Resource, 'derivedFrom'>): boolean {
  return derivedFrom !== undefined && derivedFrom.kind !== 'EgressPolicy';
}

/** The object as findings, logs and xDS metadata know it; of a derived one what a user wrote. */
export function originOf(resource: Pick<Resource, 'kind' | 'metadata' | 'derivedFrom'>): Origin {
  const { kind, metadata } = resource.derivedFrom ?? resource;
  return { kind, namespace: metadata.namespace, name: metadata.name };
}

/** `Kind namespace/name`, for messages. */
export function resourceText(resource: Pick<Resource, 'kind' | 'metadata' | 'derivedFrom'>): string {
  return originText(originOf(resource));
}

/** The same with where it is written: `Kind namespace/name (file:line:column)`. */
export function placeText(resource: Pick<Resource, 'kind' | 'metadata' | 'derivedFrom' | 'source'>): string {
  return `${resourceText(resource)} (${formatPosition(resource.source.position())})`;
}
