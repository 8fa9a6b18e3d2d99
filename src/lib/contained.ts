/** What a proxy has to do with a command that is contained: which sockets it accepts on, and what it tells of the calls. */

import type { TokenForm } from './oauth2.ts';
import type { Redacted } from './redacted.ts';

/** What Node has a socket in, as it comes from another process: `listen` of a server and `bind` of a datagram socket take it. */
export type SocketHandle = object;

/** Sockets that were opened elsewhere, in another network namespace. Whoever listens on one owns it. */
export interface HandedSockets {
  /** TCP sockets that listen, by the address of the listener that they are for, `ip:port`. */
  readonly listeners: Readonly<Record<string, readonly SocketHandle[]>>;
  /** Sockets that are asked for names. */
  readonly dnsUdp: readonly { readonly handle: SocketHandle; readonly family: 'udp4' | 'udp6' }[];
  readonly dnsTcp: readonly SocketHandle[];
}

/** What requests to AWS are signed with. As a credential's value it is in JSON. */
export interface SigningKeys {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
}

/** A request for an access token: what is asked, and where. */
export interface TokenSettings extends TokenForm {
  /** An https URL. */
  readonly endpoint: string;
  /** The cluster that leads to its host. */
  readonly cluster: string;
}

export interface AskedCredential {
  readonly name: string;
  /** The value of this name is a client (`TokenClient` in JSON), and what is asked for a token that it gets. */
  readonly token?: TokenSettings | undefined;
}

/** Who holds the values of credentials. */
export interface CredentialSource {
  /** `done` is called once, possibly before this returns. Undefined: it can't be had for this host, and the reason has been logged. */
  get(credential: AskedCredential, host: string, done: (value: Redacted | undefined) => void): void;
}

/** Makes certificates by which a proxy stands in for hosts towards its client. */
export interface Minter {
  /** PEM of the certificate, and its key. */
  issue(host: string): { readonly chain: string; readonly key: Redacted };
}

/** A question that somebody answers. */
export interface Asked {
  /** Resolves when nothing is to be waited for any more, whatever the answer. */
  readonly answered: Promise<void>;
  /** Whoever asked waits no more. */
  leave(): void;
}

/** Who is asked about calls that nothing allows. An answer that allows one changes what is in force. */
export interface Asker {
  /** For how long a call may be held, ms. */
  readonly longestMs: number;
  /** Whether a question about the host makes sense. */
  mayAsk(host: string): boolean;
  /** Undefined: nobody is asked, and the call is refused. */
  ask(target: { readonly host: string; readonly port: number }, client: ObservedCall['client']): Asked | undefined;
}

export interface Contained {
  readonly sockets: HandedSockets;
  readonly observe: (call: ObservedCall) => void;
  /** What the proxy puts into calls, and the command never has. */
  readonly credentials?: CredentialSource | undefined;
  /** Stands in for the hosts whose TLS is intercepted. */
  readonly minter?: Minter | undefined;
  /** Is asked before a call is refused that nothing allows. */
  readonly asker?: Asker | undefined;
}

/** The reason of calls that nothing allows, and that the option `--allow` would. */
export const NOT_ALLOWED = 'not allowed';

/** A call, at its end. */
export interface ObservedCall {
  /**
   * `undeclared`: nothing allows it, and all is let through; `refused`: nothing allows it; `failed`: it was allowed, and the server was not reached; `unresolved`: a name was asked for that nothing declares.
   */
  readonly verdict: 'allowed' | 'undeclared' | 'refused' | 'failed' | 'unresolved';
  /** Name or address that was asked for. */
  readonly host: string;
  /** 0 for names alone. */
  readonly port: number;
  /** Of the client's socket inside. */
  readonly client: { readonly ip: string; readonly port: number };
  /** Why not, or empty. */
  readonly reason: string;
  /** Said at once, though nothing was refused: whoever started the command can mend it. */
  readonly notable?: boolean;
  /** From the client's side. */
  readonly bytesSent: number;
  readonly bytesReceived: number;
}
