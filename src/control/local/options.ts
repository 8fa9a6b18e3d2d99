import type { Snapshot } from '../../config/snapshot.ts';
import type { EngineOptions } from '../../engine/starter.ts';
import type { Contained } from '../../lib/contained.ts';
import type { SocketAddress } from '../../lib/socket-address.ts';

/** What the mesh of one machine is like. */
export interface LocalMeshOptions extends EngineOptions {
  /** Namespace and labels of this machine's workload. */
  readonly namespace: string;
  readonly workload: Readonly<Record<string, string>>;
  readonly meshConfig?: string;
  /** Folder of the CA that gives workloads their identities; without it the CA lives as long as the mesh. */
  readonly ca?: string;
  /** Of the first router; the next ones follow it. */
  readonly routerAddress: string;
  readonly proxyAddress: SocketAddress;
  /** Where redirected traffic comes in; 0 for nowhere. */
  readonly capturePort: number;
  readonly dnsAddress: SocketAddress;
  readonly adminAddress: SocketAddress;
  readonly statusAddress: SocketAddress;
  /** Time for running requests of a router that is no longer wanted, ms. */
  readonly graceMs: number;
  /** Where a proposal for what the files do not declare goes; then all is allowed. */
  readonly learn?: string;
  /** For a command that is contained: its sockets, and who hears of its calls. */
  readonly contained?: Contained;
  /** Where there is no MeshConfig, what nothing declares is refused; so it is of a command that is contained. */
  readonly closed?: boolean;
  /** Let through what nothing declares, whatever the files say. */
  readonly allowAll?: boolean;
  /** The paths that are read again as they change, where not all are. */
  readonly followed?: readonly string[];
  /** The file of grants, followed in any case. */
  readonly grants?: string;
  /** Resources beside those of the files. */
  readonly beside?: Snapshot;
  /** Whether to find what `sallyport analyze` finds, too. */
  readonly analyse: boolean;
}
