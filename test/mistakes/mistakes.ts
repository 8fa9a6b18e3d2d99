/** The mistakes that people make in a configuration, one at a time: something is left out, misspelt, or another word that is valid there. */

/** A document as YAML gives it. */
export interface Document {
  readonly kind: string;
  readonly [field: string]: unknown;
}

export interface Mistake {
  /** With the mistake in it. */
  readonly documents: readonly Document[];
  /** The kind, the path without indexes, and what became of it: `VirtualService spec.gateways deleted`. */
  readonly what: string;
}

type Container = Record<string | number, unknown>;
type Place = { readonly parent: Container; readonly key: string | number; readonly path: string };

const ROUTING = /^(?:Gateway|VirtualService|ServiceEntry|DestinationRule|Sidecar|HTTPRoute|TLSRoute|TCPRoute)$/;

/** What else stands in a field of this name. */
const WORDS: Readonly<Record<string, readonly string[]>> = {
  protocol: ['HTTP', 'HTTPS', 'TLS', 'TCP'],
  mode: ['PASSTHROUGH', 'SIMPLE', 'ISTIO_MUTUAL', 'DISABLE'],
  resolution: ['NONE', 'STATIC', 'DNS'],
  location: ['MESH_INTERNAL'],
  gateways: ['mesh'],
  exportTo: ['.', 'other'],
};

export function* mistakesIn(documents: readonly Document[]): Generator<Mistake> {
  for (const [index, { kind }] of documents.entries()) {
    if (!ROUTING.test(kind)) continue;
    yield { documents: documents.toSpliced(index, 1), what: `${kind} removed` };
    const count = [...places(documents[index], '')].length;
    for (let at = 0; at < count; at++) {
      for (let way = 0; ; way++) {
        const copy = structuredClone(documents) as Document[];
        const place = [...places(copy[index], '')][at]!;
        const change = changes(place)[way];
        if (!change) break;
        yield { what: `${kind} ${place.path} ${change()}`, documents: copy };
      }
    }
  }
}

function* places(value: unknown, path: string): Generator<Place> {
  if (typeof value !== 'object' || value === null) return;
  for (const key of Array.isArray(value) ? value.keys() : Object.keys(value)) {
    if (path === '' && (key === 'apiVersion' || key === 'kind')) continue;
    const at = typeof key === 'number' ? `${path}[]` : path === '' ? key : `${path}.${key}`;
    yield { parent: value as Container, key, path: at };
    yield* places((value as Container)[key], at);
  }
}

/** Each changes what is there, and says how. */
function changes({ parent, key, path }: Place): (() => string)[] {
  const value = parent[key];
  const become = (other: unknown) => () => {
    parent[key] = other;
    return `${value} -> ${other}`;
  };
  const remove = () => {
    if (Array.isArray(parent)) parent.splice(key as number, 1);
    else delete parent[key];
    return 'deleted';
  };
  if (typeof value === 'number') return [remove, ...[value + 1, 80, 443].filter((other) => other !== value).map(become)];
  if (typeof value !== 'string') return [remove];
  const middle = Math.floor(value.length / 2);
  const field = /(\w+)(?:\[\])*$/.exec(path)![1]!;
  const words = (WORDS[field] ?? []).filter((word) => word !== value);
  return [remove, ...[value.slice(0, middle) + value.slice(middle + 1), `${value}x`, ...words].map(become)];
}
