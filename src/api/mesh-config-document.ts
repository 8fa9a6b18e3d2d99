import type { Finding, Position } from '../lib/finding.ts';
import type { Origin } from '../lib/origin.ts';
import { DECODING_CODES } from './codes.ts';
import { decode, formatPath, isMapping } from './decode.ts';
import { type MeshConfig, meshConfig } from './mesh-config.ts';
import type { PathStep, Source } from './resource.ts';
import { DocumentSource } from './source.ts';
import { LineIndex, splitDocuments } from './yaml/documents.ts';
import { parseYaml } from './yaml/parse.ts';

export interface MeshConfigDecoded {
  readonly config: MeshConfig;
  readonly findings: readonly Finding[];
  /** There is no MeshConfig in the text: these are Istio's defaults. */
  readonly empty: boolean;
  /** Where a part of it is written; undefined where it is written nowhere. */
  readonly position?: (path: readonly PathStep[]) => Position;
}

/** Maps a place in a text to where that text stands in a file. */
type Locate = (within: { readonly line: number; readonly column: number }) => Position;

const ORIGIN: Origin = { kind: 'MeshConfig', namespace: '', name: '' };

/** The MeshConfig that a cluster without any settings has. */
export function defaultMeshConfig(): MeshConfig {
  return decode(meshConfig, {}, [], () => {}) as MeshConfig;
}

/**
 * Decodes a MeshConfig. The text is one alone, or a ConfigMap that holds one under `mesh`. What does not decode keeps its default and is a
 * finding. If anything is wrong and it does not say plainly what happens to calls to unknown destinations, they are refused (REGISTRY_ONLY):
 * the default would let them out.
 * @param locate where the text stands, if it is part of a larger file; by default it is the whole of `file`.
 */
export function decodeMeshConfig(text: string, file: string, locate: Locate = (within) => ({ file, ...within })): MeshConfigDecoded {
  const findings: Finding[] = [];
  const chunk = splitDocuments(text)[0];
  if (!chunk) return { config: defaultMeshConfig(), findings, empty: true };
  const source = new DocumentSource(file, chunk, new LineIndex(text));
  const parsed = parseYaml(chunk.text);
  if ('problem' in parsed) {
    findings.push({
      code: 'SP0001',
      level: DECODING_CODES.SP0001.level,
      message: parsed.problem,
      origin: ORIGIN,
      position: locate(source.at(parsed.offset)),
    });
    return failClosed({ config: defaultMeshConfig(), findings, empty: false }, undefined, locate({ line: 1, column: 1 }));
  }
  const { value } = parsed;
  if (isMapping(value) && value.kind === 'ConfigMap') return decodeConfigMap(value, source, file);
  const config = decode(meshConfig, value ?? {}, [], (issue) => {
    const position = issue.at === 'key' ? source.keyPosition(issue.path) : source.position(issue.path);
    const where = formatPath(issue.path);
    findings.push({
      code: issue.code,
      level: issue.level,
      message: where ? `${where}: ${issue.message}` : issue.message,
      origin: ORIGIN,
      position: locate(position),
    });
  });
  const position = (path: readonly PathStep[]) => locate(source.position(path));
  const decoded = { config: (config as MeshConfig | undefined) ?? defaultMeshConfig(), findings, empty: value === null, position };
  return failClosed(decoded, value, locate(source.position()));
}

function failClosed(decoded: MeshConfigDecoded, value: unknown, position: Position): MeshConfigDecoded {
  const { config, findings } = decoded;
  const written = isMapping(value) && isMapping(value.outboundTrafficPolicy) ? value.outboundTrafficPolicy.mode : undefined;
  if (written === config.outboundTrafficPolicy.mode || !findings.some(({ level }) => level === 'Error')) return decoded;
  const message = 'is broken and does not say outboundTrafficPolicy.mode: calls to unknown destinations are refused until it is mended';
  return {
    ...decoded,
    config: { ...config, outboundTrafficPolicy: { mode: 'REGISTRY_ONLY' } },
    findings: [...findings, { code: 'SP0011', level: DECODING_CODES.SP0011.level, message, origin: ORIGIN, position }],
  };
}

function decodeConfigMap(value: Record<string, unknown>, source: Source, file: string): MeshConfigDecoded {
  const mesh = isMapping(value.data) ? value.data.mesh : undefined;
  if (typeof mesh === 'string') return decodeMeshConfig(mesh, file, (within) => source.position(['data', 'mesh'], within));
  const message = 'data: the ConfigMap has no key mesh that holds a MeshConfig';
  const findings: Finding[] = [{ code: 'IST0106', level: 'Error', message, origin: ORIGIN, position: source.position(['data']) }];
  return failClosed({ config: defaultMeshConfig(), findings, empty: false }, undefined, source.position());
}
