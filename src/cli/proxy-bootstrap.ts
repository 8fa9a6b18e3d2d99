/** `sallyport proxy -c`: the data plane alone, from an Envoy bootstrap file and the files it subscribes to. */
import { once } from 'node:events';
import { type FSWatcher, readFileSync, watch } from 'node:fs';
import { basename, dirname } from 'node:path';
import { say } from '../control/session.ts';
import type { Engine } from '../engine/contract.ts';
import { EngineStarter } from '../engine/starter.ts';
import { messageOf, SallyportError } from '../lib/errors.ts';
import type { ProxyIdentity } from '../lib/proxy-identity.ts';
import { type BootstrapConfig, readBootstrap } from '../xds/bootstrap.ts';
import { readFileSet } from '../xds/bootstrap-files.ts';
import { EMPTY_SET, type EncodedSet, encodeSet, unsettled, updateBetween } from '../xds/update.ts';
import { EXIT } from './exit.ts';
import type { ProxyOptions } from './proxy.ts';

/** Returns the exit code, once a signal or a failure has ended the proxy. */
export async function runBootstrap(file: string, options: ProxyOptions): Promise<number> {
  if (options.engine !== 'embedded')
    throw new SallyportError('usage', 'Envoy runs a bootstrap file itself: envoy -c FILE. --engine is for --role.');
  const bootstrap = readBootstrap(read(file), file);
  const admin = options.adminAddress ?? bootstrap.admin;
  const starter = new EngineStarter({ engine: 'embedded', envoy: undefined, concurrency: options.concurrency, logLevel: '' });
  const engine = await starter.start({ identity: identityOf(bootstrap), node: bootstrap.node, admin, alone: true });
  const follower = new Follower(bootstrap, engine);
  try {
    if (((await follower.apply()) ?? 0) > 0) throw new SallyportError('xds-rejected', `${file}: what is named above cannot be run.`);
    follower.watch();
    say('ready');
    const end = await Promise.race([once(process, 'SIGTERM'), once(process, 'SIGINT'), starter.failed]);
    if (end instanceof Error) throw end;
    say('draining');
    return EXIT.fine;
  } finally {
    follower.close();
    await engine.close(options.grace);
  }
}

/** Keeps an engine at what the files say. */
class Follower {
  readonly #bootstrap: BootstrapConfig;
  readonly #engine: Engine;
  readonly #watchers = new Map<string, FSWatcher>();
  #files: readonly string[] = [];
  #inForce: EncodedSet = EMPTY_SET;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(bootstrap: BootstrapConfig, engine: Engine) {
    this.#bootstrap = bootstrap;
    this.#engine = engine;
  }

  /** Returns how many resources were refused; undefined if nothing changed. */
  async apply(): Promise<number | undefined> {
    const { resources, files } = readFileSet(this.#bootstrap, read);
    this.#files = files;
    const set = encodeSet(resources);
    const update = updateBetween(this.#inForce, set);
    if (!update) return undefined;
    const refusals = await this.#engine.apply(resources, update);
    this.#inForce = unsettled(set, new Set(refusals.map(({ key }) => key)));
    for (const { resource, message } of refusals) say(`${resource}: ${message}`);
    return refusals.length;
  }

  /** Watches the folders: a subscription's file is replaced by renaming another over it. */
  watch(): void {
    for (const file of this.#files) {
      const folder = dirname(file);
      if (this.#watchers.has(folder)) continue;
      const watcher = watch(folder, (_event, name) => {
        if (!this.#files.some((path) => dirname(path) === folder && basename(path) === name)) return;
        this.#turn = this.#turn
          .then(() => this.apply())
          .then((refused) => refused === undefined || say(refused > 0 ? 'the rest of the change is in force' : 'the change is in force'))
          .then(() => this.watch())
          .catch((error: unknown) => say(`${messageOf(error)}; what was in force before stays`));
      });
      watcher.on('error', (error) => say(`${folder} is not being watched any more: ${error.message}`));
      this.#watchers.set(folder, watcher);
    }
  }

  close(): void {
    for (const watcher of this.#watchers.values()) watcher.close();
  }
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    throw new SallyportError('file-unreadable', `${path} cannot be read: ${messageOf(cause)}`, { cause });
  }
}

/** Node ids of Istio's form name the workload; any other is a name. */
function identityOf({ node }: BootstrapConfig): ProxyIdentity {
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
