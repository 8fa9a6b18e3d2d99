/** What `up`, `proxy --role` and `controller` have in common: a control plane over files (or what is read in their place), with a status server. */
import type { Audit } from '../audit/audit.ts';
import type { Listener } from '../config/follow.ts';
import { type MeshFiles, type MeshInput, type MeshSource, openMeshFiles } from '../config/mesh-source.ts';
import type { FileGuard } from '../config/read.ts';
import { SallyportError } from '../lib/errors.ts';
import type { SocketAddress } from '../lib/socket-address.ts';
import { AuthorityFollower } from './authority-follower.ts';
import type { Report } from './report.ts';
import { Session, type SessionOptions } from './session.ts';
import type { StatusServer } from './status-server.ts';

/** Opens what is not read from files; rejects with what reading throws. */
export type OpenSource = (listener: Listener<MeshInput>) => Promise<MeshSource>;

export interface FromFilesOptions extends SessionOptions {
  readonly paths: readonly string[];
  readonly meshConfig: string | undefined;
  /** Of paths that are read only from whom they may come. */
  readonly guards?: ReadonlyMap<string, FileGuard> | undefined;
  /** The paths that are read again, where not all are; the CA is not then. */
  readonly followed?: readonly string[] | undefined;
  /** Folder of the CA that `identities` has; undefined for one in memory, or none. */
  readonly ca?: string | undefined;
  /** The CA is another than it was, and proxies get what it is now. */
  readonly authorityChanged?: () => void;
  /** What is read in place of files. */
  readonly source?: OpenSource | undefined;
  /** Port 0 for no status server. */
  readonly statusAddress: SocketAddress;
  /** What the status says beyond the report. */
  readonly more?: () => object;
  /** Of what the proxies carry. */
  readonly audit?: Audit | undefined;
  /** Where there is no MeshConfig, what nothing declares is refused. */
  readonly closed?: boolean;
}

export interface ControlPlane {
  /** What is in force. */
  readonly report: Report;
  /** From now on the files are followed. */
  watch(): void;
  /** Reads the files and the CA again, whether or not they are followed; resolves when what they say is in force. */
  reload(): Promise<Report>;
  /** Goes on with other files in place of those it was started with; resolves when they are in force. */
  use(paths: readonly string[]): Promise<Report>;
  /** Has every proxy open its access logs anew. */
  reopenLogs(): Promise<void>;
  /** Follows no files any more and ends the proxies; running requests may finish for so many ms. */
  close(graceMs: number): Promise<void>;
}

/** Resolves when what the files say is in force; if that cannot be, nothing is left behind. */
export async function controlFromFiles(options: FromFilesOptions): Promise<ControlPlane> {
  const session = new Session(options);
  let files: MeshSource | undefined;
  let status: StatusServer | undefined;
  const authority =
    options.identities &&
    new AuthorityFollower({
      identities: options.identities,
      folder: options.ca,
      changed: () => {
        session.renew();
        options.authorityChanged?.();
      },
      failed: (error) => session.failed(error),
    });
  const close = async (graceMs: number) => {
    files?.close();
    authority?.close();
    await session.close(graceMs);
    status?.close();
  };
  try {
    const { paths, meshConfig, closed, guards, followed } = options;
    const opened: MeshSource & Partial<MeshFiles> = options.source
      ? await options.source(session)
      : await openMeshFiles({ paths, meshConfig, closed, guards, followed }, session);
    files = opened;
    const reload = async () => {
      // What is wrong with the CA keeps nobody from what the files say.
      const read = attempt(() => authority?.read());
      const report = await session.apply(await opened.reload());
      if ('error' in read) throw read.error;
      return report;
    };
    status = await startStatus(options, () => session.report, reload);
    const first = await session.apply(opened.first);
    return {
      get report() {
        return session.report ?? first;
      },
      watch: () => {
        opened.watch();
        if (!followed) authority?.watch();
      },
      reload,
      use: async (others) => {
        if (!opened.use) throw new SallyportError('usage', 'a cluster is read, not files');
        return session.apply(await opened.use(others));
      },
      reopenLogs: () => session.reopenLogs(),
      close,
    };
  } catch (error) {
    await close(0);
    throw error;
  }
}

function attempt(act: () => void): { readonly error?: unknown } {
  try {
    act();
    return {};
  } catch (error) {
    return { error };
  }
}

async function startStatus(options: FromFilesOptions, report: () => Report | undefined, reload: () => Promise<Report>) {
  const { address, port } = options.statusAddress;
  if (port === 0) return undefined;
  const { startStatusServer } = await import('./status-server.ts');
  return startStatusServer({ address, port, report, reload, more: options.more, audit: options.audit });
}
