/** What a finding is about, and what an xDS object was made of. */
import { table } from './table.ts';

/** One object of the configuration. */
export interface Origin {
  /** Empty where no object could be decoded: then `name` is the file. */
  readonly kind: string;
  /** Empty for cluster-scoped kinds. */
  readonly namespace: string;
  /** Empty for what there is one of (`MeshConfig`). */
  readonly name: string;
}

/** An object and where it is written: `metadata.filter_metadata["sallyport"].origins` of xDS. */
export interface PlacedOrigin extends Origin {
  readonly file?: string;
  readonly line?: number;
}

export function fileOrigin(file: string): Origin {
  return { kind: '', namespace: '', name: file };
}

/** `Kind namespace/name`, `Kind name` for cluster-scoped kinds, or the name of the file; for a placed origin with ` file:line` after it. */
export function originText({ kind, namespace, name, file, line }: PlacedOrigin): string {
  const object = namespace ? `${namespace}/${name}` : name;
  const written = WRITTEN[kind] ?? kind;
  const what = written && object ? `${written} ${object}` : written || object;
  if (!file) return what;
  return `${what} ${line === undefined ? file : `${file}:${line}`}`;
}

/** Kinds that resources have under another name than documents. */
const WRITTEN: Readonly<Record<string, string>> = table({ KubernetesGateway: 'Gateway' });
