/** Where the objects that make pods have their template. */
import { isMapping } from '../../api/decode.ts';
import type { Resource } from '../../api/resource.ts';
import { SallyportError } from '../../lib/errors.ts';
import { table } from '../../lib/table.ts';
import { injectPod } from './inject.ts';
import { ownerOf } from './owner.ts';
import type { Fields, Owner, PodMetadata, WrittenPod } from './pod.ts';
import type { InjectionOptions } from './settings.ts';

const PATHS: Readonly<Record<string, readonly string[]>> = table({
  'v1 Pod': [],
  'v1 ReplicationController': ['spec', 'template'],
  'apps/v1 Deployment': ['spec', 'template'],
  'apps/v1 StatefulSet': ['spec', 'template'],
  'apps/v1 DaemonSet': ['spec', 'template'],
  'apps/v1 ReplicaSet': ['spec', 'template'],
  'batch/v1 Job': ['spec', 'template'],
  'batch/v1 CronJob': ['spec', 'jobTemplate', 'spec', 'template'],
});

export interface InjectedObject {
  /** The object as it was given, or with its pods injected. */
  readonly object: unknown;
  /** Whether anything in it makes pods, injected or not. */
  readonly changed: boolean;
  readonly notes: readonly string[];
}

/**
 * Any object of Kubernetes, with its pods injected; a List's members each. What makes no pods is given back as it is.
 * @throws SallyportError `injection-annotation`, `injection-unsupported`, `injection-invalid`, naming the object
 */
export function injectObject(
  object: unknown,
  options: InjectionOptions,
  namespaceOf: (name: string) => Resource | undefined,
): InjectedObject {
  if (!isMapping(object)) return { object, changed: false, notes: [] };
  if (object.kind === 'List' && Array.isArray(object.items)) {
    const items = object.items.map((item) => injectObject(item, options, namespaceOf));
    const changed = items.some((item) => item.changed);
    return {
      object: changed ? { ...object, items: items.map((item) => item.object) } : object,
      changed,
      notes: items.flatMap(({ notes }) => notes),
    };
  }
  const path = PATHS[`${String(object.apiVersion)} ${String(object.kind)}`];
  if (!path) return { object, changed: false, notes: [] };
  const { name, generateName, namespace = 'default' } = (isMapping(object.metadata) ? object.metadata : {}) as PodMetadata;
  const called = `${String(object.kind)} ${namespace}/${name ?? generateName ?? ''}`;
  const template = valueAt(object, path);
  if (!isPod(template))
    throw new SallyportError(
      'injection-invalid',
      `${called}: ${path.length === 0 ? 'it' : path.join('.')} has to be a pod: spec.containers lists containers with names, labels and annotations are strings`,
    );
  const owner: Owner =
    path.length === 0
      ? ownerOf(template, namespace)
      : { apiVersion: String(object.apiVersion), kind: String(object.kind), name: name ?? '', namespace };
  try {
    const injection = injectPod(template, owner, namespaceOf(namespace), options);
    if (injection.kind === 'left') return { object, changed: false, notes: [`${called} is left as it is: it ${injection.reason}`] };
    const notes = injection.warnings.map((warning) => `${called}: ${warning}`);
    return { object: replacedAt(object, path, injection.pod), changed: true, notes };
  } catch (error) {
    if (!(error instanceof SallyportError)) throw error;
    throw new SallyportError(error.code, `${called}: ${error.message}`, { cause: error });
  }
}

export function isPod(value: unknown): value is WrittenPod {
  if (!isMapping(value) || !isMapping(value.spec) || !Array.isArray(value.spec.containers)) return false;
  const { containers, initContainers = [] } = value.spec;
  const isContainer = (container: unknown) => isMapping(container) && typeof container.name === 'string';
  const { labels, annotations } = isMapping(value.metadata) ? value.metadata : {};
  const isTexts = (map: unknown) => map === undefined || (isMapping(map) && Object.values(map).every((text) => typeof text === 'string'));
  return (
    containers.every(isContainer) &&
    Array.isArray(initContainers) &&
    initContainers.every(isContainer) &&
    isTexts(labels) &&
    isTexts(annotations)
  );
}

function valueAt(object: unknown, path: readonly string[]): unknown {
  return path.reduce<unknown>((value, step) => (isMapping(value) ? value[step] : undefined), object);
}

function replacedAt(object: Fields, [step, ...rest]: readonly string[], value: Fields): Fields {
  return step === undefined ? value : { ...object, [step]: replacedAt(object[step] as Fields, rest, value) };
}
