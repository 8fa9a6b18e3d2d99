/** `proxy -c`: the data plane alone, kept at what an Envoy bootstrap file and the files that it subscribes to say. */
import { dirname, resolve } from 'node:path';
import { Follower, type FollowTimes, type Load } from '../config/follow.ts';
import type { Engine, Refusal } from '../engine/contract.ts';
import type { ProxyIdentity } from '../lib/proxy-identity.ts';
import { readAtOnce } from '../lib/read-at-once.ts';
import { readNeededText } from '../lib/regular-file.ts';
import { type BootstrapConfig, readBootstrap } from '../xds/bootstrap.ts';
import { readFileSet } from '../xds/bootstrap-files.ts';
import { type Publication, SetCache } from '../xds/cache.ts';
import { encodeSet } from '../xds/update.ts';

/** What whoever runs it is told. */
export type BootstrapEvent =
  /** A change is in force but for what was refused. */
  | { readonly kind: 'in-force'; readonly refused: readonly Refusal[] }
  /** A change could not be read, or not be brought into force. */
  | { readonly kind: 'failed'; readonly error: unknown };

export interface BootstrapProxy {
  /** Of the files as they were first. */
  readonly refused: readonly Refusal[];
  /** From now on the files are followed. */
  watch(): void;
  /** Reads the files again, whether or not they are followed. */
  reload(): Promise<unknown>;
  close(): void;
}

/** Rejects with what cannot be read, or the engine says of the first change. */
export async function followBootstrap(
  bootstrap: BootstrapConfig,
  engine: Engine,
  tell: (event: BootstrapEvent) => void,
  times?: FollowTimes,
): Promise<BootstrapProxy> {
  const load = loaderOf(bootstrap);
  const first = await load();
  const cache = new SetCache<Publication, Refusal>();
  cache.publish(KEY, first.value);
  return new Promise((resolveFirst, reject) => {
    let started = false;
    const watch = cache.watch(KEY, engine, (answer) => {
      if (answer.kind === 'accepted') {
        if (started) return tell({ kind: 'in-force', refused: answer.refused });
        started = true;
        resolveFirst({ refused: answer.refused, watch: () => follower.watch(), reload: () => follower.reload(), close });
      } else if (started) tell(answer);
      else {
        close();
        reject(answer.error);
      }
    });
    const listener = {
      changed: (value: Publication) => cache.publish(KEY, value),
      failed: (error: unknown) => tell({ kind: 'failed', error }),
    };
    const follower = new Follower(load, first, listener, times);
    const close = () => {
      follower.close();
      watch.close();
    };
  });
}

/** There is one proxy. */
const KEY = 'proxy';

/**
 * A load is a reading of all files as they stood at one moment: a route must not be had without the cluster that was written before it. Their text is compared with
 * what was read before.
 */
function loaderOf(bootstrap: BootstrapConfig): Load<Publication> {
  let texts: ReadonlyMap<string, string> | undefined;
  let value: Publication | undefined;
  return async () => {
    const read = readAtOnce((readText) => readFileSet(bootstrap, readText));
    const { files, resources } = read.value;
    const folders = new Set(files.map((file) => dirname(resolve(file))));
    if (value && read.torn) return { value, changed: false, folders, incomplete: true };
    const changed = !value || read.texts.size !== texts?.size || [...read.texts].some(([path, text]) => texts?.get(path) !== text);
    if (changed) {
      value = { resources, set: encodeSet(resources) };
      texts = read.texts;
    }
    return { value: value!, changed, folders, incomplete: read.torn };
  };
}

/** @throws SallyportError `file-unreadable`, or what `readBootstrap` throws */
export function openBootstrap(file: string): BootstrapConfig {
  return readBootstrap(readNeededText(file), file);
}

/** Node ids of Istio's form name the workload; any other is a name. */
export function bootstrapIdentity({ node }: BootstrapConfig): ProxyIdentity {
  const id = typeof node.id === 'string' ? node.id : 'proxy';
  const [type, address, workload] = id.split('~');
  const [name = 'proxy', namespace = ''] = (workload ?? id).split('.');
  const { region, zone, sub_zone: snake, subZone = snake } = (node.locality ?? {}) as Readonly<Record<string, string | undefined>>;
  return {
    type: type === 'sidecar' ? 'sidecar' : 'router',
    name,
    namespace,
    labels: {},
    serviceAccount: '',
    addresses: address ? [address] : [],
    locality: [region, zone, subZone].filter(Boolean).join('/'),
  };
}
