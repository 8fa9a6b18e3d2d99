/** A MeshConfig for output that others take as it is. */
import type { MeshConfig } from '../api/index.ts';
import { decodeMeshConfig, defaultMeshConfig } from '../api/mesh-config-document.ts';
import { SallyportError } from '../lib/errors.ts';
import { formatPosition } from '../lib/finding.ts';
import { readNeededText } from '../lib/regular-file.ts';

/**
 * Of a file, the defaults without one. What does not decode would hold by its default: of a MeshConfig that is broken nothing is taken.
 * @throws SallyportError `mesh-config-unreadable`, `file-unreadable`
 */
export function wholeMeshConfig(file: string | undefined): MeshConfig {
  if (file === undefined) return defaultMeshConfig();
  const { config, findings, empty } = decodeMeshConfig(readNeededText(file), file);
  const error = findings.find(({ level }) => level === 'Error');
  if (error) {
    const where = error.position ? formatPosition(error.position) : file;
    throw new SallyportError('mesh-config-unreadable', `${where}: ${error.message}`);
  }
  if (empty) throw new SallyportError('mesh-config-unreadable', `${file} holds no MeshConfig: name the file that does`);
  return config;
}
