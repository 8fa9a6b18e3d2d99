/** What our control plane writes into xDS metadata. */

import type { PlacedOrigin } from '../../lib/origin.ts';
import type { Metadata } from '../gen/envoy/config/core/v3/base_pb.js';
import { SALLYPORT_METADATA } from '../names.ts';

/** An object's metadata says the same at each of many simulated calls: read once, and one list for all of them. */
const known = new WeakMap<Metadata, readonly PlacedOrigin[]>();

/** The resources that an xDS object came from; empty for objects of other control planes. */
export function originsOf(metadata: Metadata | undefined): readonly PlacedOrigin[] {
  if (!metadata) return NONE;
  let origins = known.get(metadata);
  if (!origins) {
    origins = readOrigins(metadata);
    known.set(metadata, origins);
  }
  return origins;
}

const NONE: readonly PlacedOrigin[] = [];

function readOrigins(metadata: Metadata): readonly PlacedOrigin[] {
  const list = metadata.filterMetadata[SALLYPORT_METADATA]?.origins;
  if (!Array.isArray(list)) return NONE;
  return list.flatMap((entry): PlacedOrigin[] => {
    if (typeof entry !== 'object' || entry === null || Array.isArray(entry)) return [];
    const { kind, namespace, name, file, line } = entry;
    if (typeof kind !== 'string' || typeof name !== 'string') return [];
    return [
      {
        kind,
        namespace: typeof namespace === 'string' ? namespace : '',
        name,
        file: typeof file === 'string' ? file : undefined,
        line: typeof line === 'number' ? line : undefined,
      },
    ];
  });
}

/** Why the control plane made an object that refuses, or undefined. */
export function refusalOf(metadata: Metadata | undefined): string | undefined {
  const refusal = metadata?.filterMetadata[SALLYPORT_METADATA]?.refusal;
  return typeof refusal === 'string' && refusal !== '' ? refusal : undefined;
}
