/** Keeps the plugin on a node: its files, and its place in the network configuration whoever writes that anew. */
import { readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { FolderWatch } from '../../config/folder-watch.ts';
import { codeOf, messageOf } from '../../lib/errors.ts';
import { readRegularText } from '../../lib/regular-file.ts';
import { beforeOurs, CONF_FILE, chained, PLUGIN, primaryOf } from './chained.ts';
import { installPlugin, removePlugin } from './node-files.ts';

export interface KeeperOptions {
  /** Where the image has the plugin's files. */
  readonly plugin: string;
  /** The node's folder of plugins. */
  readonly bin: string;
  /** The node's folder of network configurations. */
  readonly conf: string;
  readonly say: (line: string) => void;
}

/** Beside notices of the system, which may be lost, ms. */
const LOOK_AGAIN_MS = 10_000;

export class Keeper {
  readonly #options: KeeperOptions;
  readonly #watch: FolderWatch;
  readonly #again: NodeJS.Timeout;
  /** Why pods are not captured; undefined if they are. */
  #problem: string | undefined = 'it has not begun';

  /** Begins at once. */
  constructor(options: KeeperOptions) {
    this.#options = options;
    this.#watch = new FolderWatch(() => this.#look());
    this.#again = setInterval(() => this.#look(), LOOK_AGAIN_MS);
    this.#look();
  }

  get problem(): string | undefined {
    return this.#problem;
  }

  /** What is there stays. */
  close(): void {
    clearInterval(this.#again);
    this.#watch.close();
  }

  /** Takes it away; without it in the configuration first, so that no pod misses it. */
  remove(): void {
    this.close();
    rmSync(join(this.#options.conf, CONF_FILE), { force: true });
    removePlugin(this.#options.bin);
  }

  #look(): void {
    const { bin, conf, say } = this.#options;
    const before = this.#problem;
    try {
      this.#problem = this.#keep();
      this.#watch.follow(new Set([bin, conf]));
    } catch (error) {
      this.#problem = messageOf(error);
    }
    if (this.#problem !== before) say(this.#problem ?? 'pods are captured by the plugin from now on');
  }

  /** Returns what is in the way. */
  #keep(): string | undefined {
    const { plugin, bin, conf } = this.#options;
    installPlugin(plugin, bin);
    const names = readdirSync(conf);
    const primary = primaryOf(names);
    if (primary === undefined) {
      rmSync(join(conf, CONF_FILE), { force: true });
      return `${conf} has no network configuration to chain the plugin onto`;
    }
    const made = chained(readRegularText(join(conf, primary)));
    if ('problem' in made) return `${join(conf, primary)} ${made.problem}`;
    if (textOf(join(conf, CONF_FILE)) !== made.text) this.#write(made.text);
    const other = beforeOurs(names);
    return other && `${join(conf, other)} comes before ${CONF_FILE}, and is what the container runtime takes: rename it`;
  }

  /** In one step, from a name that no runtime reads; of the same folder, as runtimes hear of the file that goes. */
  #write(text: string): void {
    const { conf, say } = this.#options;
    const half = join(conf, `.${PLUGIN}`);
    writeFileSync(half, text);
    renameSync(half, join(conf, CONF_FILE));
    say(`wrote ${join(conf, CONF_FILE)}`);
  }
}

function textOf(file: string): string | undefined {
  try {
    return readRegularText(file);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}
