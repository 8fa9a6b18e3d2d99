/** What the sandbox's two halves say to each other over Node's IPC. */

/** What a listening socket that is handed over is for. */
export type Role = 'capture' | 'proxy' | 'dns-udp' | 'dns-tcp' | 'local';

/** Where the listeners are inside; nothing of it is on the machine outside. */
export const INSIDE_PORTS = { capture: 15001, proxy: 15080, dns: 15053 } as const;
export const INSIDE_LOOPBACK = '127.0.0.1';

/** What the helper is started with. */
export interface InsideOptions {
  /** Unix sockets that are to lead nowhere. */
  readonly hidden: readonly string[];
  /** Folders that are to be empty. */
  readonly hiddenFolders: readonly string[];
  /** Folders in which nothing can be written. */
  readonly keptFolders: readonly string[];
  /** Ports of the loopback addresses inside at which services of the machine are to be. */
  readonly localPorts: readonly number[];
}

export type ToInside =
  | {
      readonly kind: 'run';
      readonly words: readonly string[];
      readonly environment: Readonly<Record<string, string | undefined>>;
    }
  | { readonly kind: 'signal'; readonly signal: NodeJS.Signals }
  /** Open a connection to a port inside. */
  | { readonly kind: 'connect'; readonly id: number; readonly port: number }
  /** The command, if there is one, and the helper end now. */
  | { readonly kind: 'end' };

export type FromInside =
  /** Comes with the socket. */
  | { readonly kind: 'listener'; readonly role: Role; readonly address: string; readonly port: number }
  /** All listeners have come, nothing else gets out. */
  | { readonly kind: 'contained' }
  | { readonly kind: 'failed'; readonly message: string }
  /** `quiet`: no call waits to be answered, and none was. */
  | { readonly kind: 'ended'; readonly code: number | null; readonly signal: NodeJS.Signals | null; readonly quiet: boolean }
  | { readonly kind: 'not-run'; readonly message: string }
  /** Comes with the socket, if it could be connected. */
  | { readonly kind: 'connected'; readonly id: number };
