import type { ResourceOf } from '../api/index.ts';
import { decodeMeshConfig, type MeshConfigDecoded } from '../api/mesh-config-document.ts';
import { messageOf, SallyportError } from '../lib/errors.ts';
import { readRegularText } from '../lib/regular-file.ts';
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
    return decodeMeshConfig(readRegularText(file), file);
  } catch (cause) {
    throw meshConfigUnreadable(file, messageOf(cause), cause);
  }
}

/** What the resources say of the mesh's settings; undefined if nothing. */
export function meshConfigIn(snapshot: Snapshot): MeshConfigDecoded | undefined {
  const chosen = chosenMap(snapshot);
  if (!chosen) return undefined;
  const path = ['data', CONFIG_MAP.key];
  return decodeMeshConfig(chosen.spec.data[CONFIG_MAP.key]!, chosen.source.file, (within) => chosen.source.position(path, within));
}

/** The same as it is written; empty if there is none. */
export function meshConfigTextIn(snapshot: Snapshot): string {
  return chosenMap(snapshot)?.spec.data[CONFIG_MAP.key] ?? '';
}

function chosenMap(snapshot: Snapshot): ResourceOf<'ConfigMap'> | undefined {
  const maps = snapshot
    .list('ConfigMap')
    .filter(({ metadata, spec }) => metadata.name === CONFIG_MAP.name && Object.hasOwn(spec.data, CONFIG_MAP.key));
  return maps.find(({ metadata }) => metadata.namespace === 'istio-system') ?? maps[0];
}

export function meshConfigUnreadable(file: string, reason: string, cause?: unknown): SallyportError {
  return new SallyportError('mesh-config-unreadable', `the mesh configuration ${file} can't be read: ${reason}`, { cause });
}
