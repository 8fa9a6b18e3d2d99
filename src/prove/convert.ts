/** `convert`: a configuration as objects of the Kubernetes Gateway API, with the proof that it does the same. */
import type { MeshConfig } from '../api/index.ts';
import { snapshotFromText } from '../config/memory.ts';
import type { Snapshot } from '../config/snapshot.ts';
import type { WrittenDocument } from '../convert/documents.ts';
import { convert, type Unexpressed } from '../convert/index.ts';
import { printed } from '../convert/printed.ts';
import { type Comparison, compare } from './diff.ts';
import { simulateFiles } from './simulated.ts';

/** A configuration, decoded and as it was written. */
export interface Documents {
  readonly snapshot: Snapshot;
  readonly documents: readonly WrittenDocument[];
}

export interface Converted {
  /** The whole configuration. */
  readonly text: string;
  readonly unexpressed: readonly Unexpressed[];
  /** How many objects were converted, whole or in part. */
  readonly converted: number;
  /** Between input and output; undefined where they are the same. */
  readonly difference: Comparison | undefined;
}

/** Converts a configuration that is valid, and makes every call against both forms. `namespace` is that of objects which name none. */
export function convertDocuments({ snapshot, documents }: Documents, config: MeshConfig, namespace: string): Converted {
  const before = simulateFiles(snapshot, config);
  const { replacements, unexpressed } = convert({ snapshot, registry: before.mesh.registry });
  const text = printed(documents, replacements);
  if (replacements.length === 0) return { text, unexpressed, converted: 0, difference: undefined };
  const after = simulateFiles(snapshotFromText(text, { namespace, file: 'the converted configuration' }), config);
  return { text, unexpressed, converted: replacements.length, difference: compare(before, after, { atGateways: true }) };
}
