/** Objects of Istio's API that stand for objects of another, and from where in those each part of them comes. */
import { SallyportError } from '../lib/errors.ts';
import { decode } from './decode.ts';
import { KINDS, type Kind, type ResourceOf } from './index.ts';
import type { PathStep, Resource, Source } from './resource.ts';

/** A place in an object that a user wrote. */
export interface Place {
  readonly resource: Resource;
  readonly path: readonly PathStep[];
}

/** From a path of the derived object to where what stands there was written. */
export type Locate = (path: readonly PathStep[]) => Place;

/** Points into the objects that a derived one comes of. */
class DerivedSource implements Source {
  readonly file: string;
  readonly #locate: Locate;

  constructor(from: Resource, locate: Locate) {
    this.file = from.source.file;
    this.#locate = locate;
  }

  position: Source['position'] = (path = []) => {
    const place = this.#locate(path);
    return place.resource.source.position(place.path);
  };

  keyPosition: Source['keyPosition'] = (path) => {
    const place = this.#locate(path);
    return place.resource.source.keyPosition(place.path);
  };
}

interface Derivation<K extends Kind> {
  readonly kind: K;
  readonly name: string;
  /** Without: that of the object that it comes of. */
  readonly namespace?: string;
  /** As a document would have it. */
  readonly spec: object;
  readonly locate?: Locate;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
}

/** The derived object has the age of the one that it comes of. */
export function derive<K extends Kind>(from: Resource, derivation: Derivation<K>): ResourceOf<K> {
  const { kind, name, namespace = from.metadata.namespace, spec, locate, labels = {}, annotations = {} } = derivation;
  const { group, versions, schema } = KINDS[kind];
  const decoded = decode(schema, spec, ['spec'], ({ path, message }) => {
    throw new SallyportError('internal', `${kind} ${name} made of ${from.kind} ${from.metadata.name}: ${path.join('.')}: ${message}`);
  });
  return {
    apiVersion: group ? `${group}/${versions[0]}` : versions[0],
    kind,
    metadata: { name, namespace, labels, annotations },
    spec: decoded,
    order: from.order,
    valid: true,
    source: new DerivedSource(from, locate ?? ((path) => ({ resource: from, path: path[0] === 'metadata' ? path : [] }))),
    derivedFrom: from,
  } as Resource as ResourceOf<K>;
}
