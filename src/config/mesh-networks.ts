import { DECODING_CODES } from '../api/codes.ts';
import { decode, formatPath } from '../api/decode.ts';
import { type MeshNetworks, meshNetworks } from '../api/mesh-networks.ts';
import type { Resource, Source } from '../api/resource.ts';
import { DocumentSource } from '../api/source.ts';
import { LineIndex, splitDocuments } from '../api/yaml/documents.ts';
import { parseYaml } from '../api/yaml/parse.ts';
import { messageOf, SallyportError } from '../lib/errors.ts';
import type { Finding, Position } from '../lib/finding.ts';
import type { Origin } from '../lib/origin.ts';
import { readRegularText } from '../lib/regular-file.ts';
import type { Snapshot } from './snapshot.ts';

const ORIGIN: Origin = { kind: 'MeshNetworks', namespace: '', name: '' };

export type MeshNetworksResource = Resource<'MeshNetworks', MeshNetworks>;

interface LoadedMeshNetworks {
  /** Undefined where there is no such configuration, or none that can be read. */
  readonly networks: MeshNetworksResource | undefined;
  readonly findings: readonly Finding[];
}

const CONFIG_MAP = { name: 'istio', key: 'meshNetworks' } as const;

/**
 * The networks of the mesh: from `file`, else from the key meshNetworks of the ConfigMap `istio`.
 * @throws SallyportError `mesh-networks-unreadable` if the file can't be read.
 */
export function loadMeshNetworks(snapshot: Snapshot, file?: string): LoadedMeshNetworks {
  if (file !== undefined) return decodeNetworks(read(file), file, (within) => ({ file, ...within }));
  const holder = snapshot
    .list('ConfigMap')
    .find(({ metadata, spec }) => metadata.name === CONFIG_MAP.name && Object.hasOwn(spec.data, CONFIG_MAP.key));
  if (!holder) return { networks: undefined, findings: [] };
  return decodeNetworks(holder.spec.data[CONFIG_MAP.key]!, holder.source.file, (within) =>
    holder.source.position(['data', CONFIG_MAP.key], within),
  );
}

function read(file: string): string {
  try {
    return readRegularText(file);
  } catch (cause) {
    throw new SallyportError('mesh-networks-unreadable', `the mesh networks ${file} can't be read: ${messageOf(cause)}`, { cause });
  }
}

function decodeNetworks(text: string, file: string, locate: (within: { line: number; column: number }) => Position): LoadedMeshNetworks {
  const chunk = splitDocuments(text)[0];
  if (!chunk) return { networks: undefined, findings: [] };
  const inner = new DocumentSource(file, chunk, new LineIndex(text));
  const parsed = parseYaml(chunk.text);
  if ('problem' in parsed) {
    const position = locate(inner.at(parsed.offset));
    const finding: Finding = {
      code: 'SP0001',
      level: DECODING_CODES.SP0001.level,
      message: parsed.problem,
      origin: ORIGIN,
      position,
    };
    return { networks: undefined, findings: [finding] };
  }
  const findings: Finding[] = [];
  const spec = decode(meshNetworks, parsed.value ?? {}, [], ({ code, level, message, path, at }) => {
    const where = formatPath(path);
    const position = locate(at === 'key' ? inner.keyPosition(path) : inner.position(path));
    findings.push({ code, level, message: where ? `${where}: ${message}` : message, origin: ORIGIN, position });
  });
  if (spec === undefined) return { networks: undefined, findings };
  const source: Source = {
    file,
    position: (path) => locate(inner.position(path)),
    keyPosition: (path) => locate(inner.keyPosition(path)),
  };
  const metadata = { name: 'networks', namespace: '', labels: {}, annotations: {} };
  return {
    networks: { apiVersion: '', kind: 'MeshNetworks', metadata, spec: spec as MeshNetworks, order: 0, valid: true, source },
    findings,
  };
}
