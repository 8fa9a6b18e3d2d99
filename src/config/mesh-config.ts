import { readFileSync } from 'node:fs';
import { decodeMeshConfig, type MeshConfigDecoded } from '../api/mesh-config-document.ts';
import { messageOf, SallyportError } from '../lib/errors.ts';
import type { Snapshot } from './snapshot.ts';

/** The ConfigMap that holds a cluster's MeshConfig, and the key under which it stands. */
const CONFIG_MAP = { name: 'istio', key: 'mesh' } as const;

/**
 * The mesh's settings: from `file` (a MeshConfig alone, or a ConfigMap with one), else from the ConfigMap `istio` of the snapshot, preferably
 * the one in istio-system, else Istio's defaults. Fields that do not decode keep their defaults and are findings.
 * @throws SallyportError `mesh-config-unreadable` if the file can't be read.
 */
export function loadMeshConfig(snapshot: Snapshot, file?: string): MeshConfigDecoded {
  if (file === undefined) return meshConfigIn(snapshot) ?? decodeMeshConfig('', '');
  try {
    return decodeMeshConfig(readFileSync(file, 'utf8'), file);
  } catch (cause) {
    throw meshConfigUnreadable(file, messageOf(cause), cause);
  }
}

/** What the resources say of the mesh's settings; undefined if nothing. */
export function meshConfigIn(snapshot: Snapshot): MeshConfigDecoded | undefined {
  const maps = snapshot.list('ConfigMap').filter(({ metadata, spec }) => metadata.name === CONFIG_MAP.name && CONFIG_MAP.key in spec.data);
  const chosen = maps.find(({ metadata }) => metadata.namespace === 'istio-system') ?? maps[0];
  if (!chosen) return undefined;
  const path = ['data', CONFIG_MAP.key];
  return decodeMeshConfig(chosen.spec.data[CONFIG_MAP.key]!, chosen.source.file, (within) => chosen.source.position(path, within));
}

export function meshConfigUnreadable(file: string, reason: string, cause?: unknown): SallyportError {
  return new SallyportError('mesh-config-unreadable', `the mesh configuration ${file} can't be read: ${reason}`, { cause });
}
