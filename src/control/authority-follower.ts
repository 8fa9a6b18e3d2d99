/** Follows the CA's folder, so that roots and keys are replaced while everything runs. */
import type { Identities } from '../ca/identities.ts';
import { FolderWatch } from '../config/folder-watch.ts';

export interface AuthorityFollowerOptions {
  readonly identities: Identities;
  /** Of the CA; undefined: there is nothing to follow. */
  readonly folder: string | undefined;
  /** The CA is another than it was. */
  readonly changed: () => void;
  /** What stands there is of no use; what was read before stays. */
  readonly failed: (error: unknown) => void;
}

/** Its files are replaced one after another, and fit one another at the end. */
const QUIET_MS = 500;

export class AuthorityFollower {
  readonly #options: AuthorityFollowerOptions;
  readonly #watch: FolderWatch;
  #quiet: NodeJS.Timeout | undefined;

  constructor(options: AuthorityFollowerOptions) {
    this.#options = options;
    this.#watch = new FolderWatch(() => {
      clearTimeout(this.#quiet);
      this.#quiet = setTimeout(() => this.#noticed(), QUIET_MS).unref();
    });
  }

  watch(): void {
    const { folder } = this.#options;
    if (folder !== undefined) this.#watch.follow(new Set([folder]));
  }

  /** Reads it now. Throws as `Identities.reload`. */
  read(): void {
    const { identities, changed } = this.#options;
    if (identities.reload()) changed();
  }

  close(): void {
    clearTimeout(this.#quiet);
    this.#watch.close();
  }

  #noticed(): void {
    try {
      this.read();
    } catch (error) {
      this.#options.failed(error);
    }
    // Another folder may have taken its place.
    this.watch();
  }
}
