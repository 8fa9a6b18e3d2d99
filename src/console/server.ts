/** The console's server: the pages, and the API, for whom the door lets in. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { SallyportError } from '../lib/errors.ts';
import { listening } from '../lib/listen.ts';
import { createLocalServer, renewTls } from '../lib/local-server.ts';
import { hostPort, isLoopbackAddress, type SocketAddress } from '../lib/socket-address.ts';
import { answer } from './answering.ts';
import { API, type Context } from './api.ts';
import { openAssets } from './assets.ts';
import { CutAsker, Cuts } from './cut.ts';
import { ClusterDoor, type Door, PrintedDoor } from './door.ts';
import { Events } from './events.ts';
import { FlowRecord } from './flow-record.ts';
import { Asker } from './questions/asker.ts';
import { portable } from './questions/portable.ts';
import type { Subject } from './questions/question.ts';
import { fail, HEADERS } from './replies.ts';
import { type Moment, momentOf, type Shown } from './subject.ts';
import { findingsOf, stateOf } from './views.ts';
import type { Visitor, Visitors } from './visitors.ts';

export interface ConsoleOptions {
  /** A loopback address, or with TLS any; port 0 for any free one. */
  readonly at: SocketAddress;
  readonly shown: Shown;
  /** Told the address that lets a browser in, at the start and whenever another token is needed; of a cluster's console where it is. */
  readonly enter: (url: string) => void;
  /** Folder of the pages; without it that of the build. */
  readonly pages?: string;
  /** People who are told apart; without it whoever has the printed address gets in, and sees everything. */
  readonly visitors?: Visitors;
  /** Certificate and key, PEM. */
  readonly tls?: Tls | undefined;
  /** Names beside the local ones by which it is called. */
  readonly hosts?: readonly string[];
}

interface Tls {
  readonly cert: string;
  readonly key: string;
}

export interface Console {
  readonly port: number;
  /** What is shown is not what it was. */
  changed(): void;
  /** For connections from now on. */
  setTls(tls: Tls): void;
  close(): Promise<void>;
}

/** Rejects with `usage` for an address that others can reach without TLS, `console-not-built`, and the codes of `listenError`. */
export async function startConsole({ at, shown, enter, pages, visitors, tls, hosts = [] }: ConsoleOptions): Promise<Console> {
  if (!isLoopbackAddress(at.address) && !tls)
    throw new SallyportError(
      'usage',
      `--console ${at.address}: the console speaks plain HTTP and is for this machine: name a loopback address, e.g. 127.0.0.1`,
    );
  const assetAt = openAssets(pages);
  let port = at.port;
  const address = () => `${tls ? 'https' : 'http'}://${hostPort(at.address, port)}/`;
  const cookie = () => `sallyport_console_${port}`;
  const printed = new PrintedDoor(cookie, (token) => enter(`${address()}?token=${token}`));
  const door: Door = visitors ? new ClusterDoor(visitors, cookie, tls !== undefined) : printed;
  const asker = new Asker(() => ({ version: shown.kind === 'dump' ? '' : shown.now().version, subject: () => subjectOf(shown) }));
  const record = shown.kind !== 'dump' && shown.flows ? new FlowRecord(shown.flows) : undefined;
  const cuts = new Cuts();
  const seenBy = (visitor: Visitor | undefined): Shown => (visitor && shown.kind !== 'dump' ? cuts.cut(shown, visitor.sight) : shown);
  const events = new Events({
    record,
    mesh: () => momentOf(shown).config,
    news: (visitor) => {
      const seen = seenBy(visitor);
      return [
        ['state', stateOf(seen, visitor)],
        ['findings', seen.kind === 'dump' ? [] : findingsOf(seen.now())],
      ];
    },
  });
  const contextOf = (visitor: Visitor | undefined): Context => ({
    shown: seenBy(visitor),
    asker: visitor?.sight.namespaces ? new CutAsker(asker, visitor.sight) : asker,
    events,
    guest: visitor,
    changed: () => events.changed(),
  });

  const sendPage = (path: string, request: IncomingMessage, response: ServerResponse): void => {
    request.resume();
    const asset = assetAt(path);
    if (!asset) throw new SallyportError('no-such-page', 'there is no such page');
    if (request.method !== 'GET' && request.method !== 'HEAD') throw new SallyportError('method', 'pages are read with GET');
    response.writeHead(200, { ...HEADERS, 'content-type': asset.type, 'content-length': asset.bytes.length });
    response.end(request.method === 'HEAD' ? undefined : asset.bytes);
  };
  const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const url = URL.parse(request.url ?? '/', 'http://console');
    if (!url) throw new SallyportError('usage', 'the target of the request is no path');
    if (door.open.includes(url.pathname)) return sendPage(url.pathname, request, response);
    const guest = await door.admit(url, request, response);
    if (!guest) return;
    if (url.pathname.startsWith(`${API}/`)) await answer(contextOf(guest.visitor), url, request, response);
    else sendPage(url.pathname, request, response);
  };
  const server = createLocalServer(
    (request, response) => {
      // What goes wrong here is no reason for the mesh to end.
      serve(request, response).catch((error: unknown) => {
        request.resume();
        fail(response, error);
      });
    },
    { hosts: hosts.map((host) => host.toLowerCase()), tls },
  );
  const { address: host } = at;
  await listening(server, { host, port: at.port }, { ip: host, port: at.port }, { what: 'console', option: '--console' });
  port = (server.address() as AddressInfo).port;
  // Whoever looks is no reason to go on.
  server.unref();
  if (visitors) enter(address());
  else printed.announce();
  return {
    port,
    changed: () => events.changed(),
    setTls: (renewed) => renewTls(server, renewed),
    close: async () => {
      events.end();
      door.close();
      record?.close();
      asker.close();
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeAllConnections();
      await closed;
    },
  };
}

function subjectOf(shown: Shown): Subject {
  if (shown.kind === 'dump') return { kind: 'dumps', dumps: shown.dumps };
  const { paths, meshConfig, namespace } = shown;
  const { snapshot, config, running }: Moment = momentOf(shown);
  return { kind: 'mesh', mesh: portable(snapshot, config), running, paths, meshConfig, namespace };
}
