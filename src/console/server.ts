/** The console's server: the pages, the API, and who gets in. For a browser on this machine alone. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { SallyportError } from '../lib/errors.ts';
import { listening } from '../lib/listen.ts';
import { createLocalServer } from '../lib/local-server.ts';
import { hostPort, isLoopbackAddress, type SocketAddress } from '../lib/socket-address.ts';
import { answer } from './answering.ts';
import { API, type Context } from './api.ts';
import { openAssets } from './assets.ts';
import { Entry } from './entry.ts';
import { Events } from './events.ts';
import { FlowRecord } from './flow-record.ts';
import { Asker } from './questions/asker.ts';
import { portable } from './questions/portable.ts';
import type { Subject } from './questions/question.ts';
import { fail, HEADERS, refuse } from './replies.ts';
import { type Moment, momentOf, type Shown } from './subject.ts';
import { findingsOf, stateOf } from './views.ts';

export interface ConsoleOptions {
  /** A loopback address; port 0 for any free one. */
  readonly at: SocketAddress;
  readonly shown: Shown;
  /** Told the address that lets a browser in, at the start and whenever another token is needed. */
  readonly enter: (url: string) => void;
  /** Folder of the pages; without it that of the build. */
  readonly pages?: string;
}

export interface Console {
  readonly port: number;
  /** What is shown is not what it was. */
  changed(): void;
  close(): Promise<void>;
}

/** Rejects with `usage` for an address that others can reach, `console-not-built`, and the codes of `listenError`. */
export async function startConsole({ at, shown, enter, pages }: ConsoleOptions): Promise<Console> {
  if (!isLoopbackAddress(at.address))
    throw new SallyportError(
      'usage',
      `--console ${at.address}: the console speaks plain HTTP and is for this machine: name a loopback address, e.g. 127.0.0.1`,
    );
  const assetAt = openAssets(pages);
  const entry = new Entry();
  const asker = new Asker(() => ({ version: shown.kind === 'dump' ? '' : shown.now().version, subject: () => subjectOf(shown) }));
  const record = shown.kind !== 'dump' && shown.flows ? new FlowRecord(shown.flows) : undefined;
  const events = new Events(record, () => [
    ['state', stateOf(shown)],
    ['findings', shown.kind === 'dump' ? [] : findingsOf(shown.now())],
  ]);
  const context: Context = { shown, asker, events, changed: () => events.changed() };
  let port = at.port;
  const cookie = () => `sallyport_console_${port}`;
  const announce = () => enter(`http://${hostPort(at.address, port)}/?token=${entry.token}`);

  const serve = (request: IncomingMessage, response: ServerResponse) => {
    const url = URL.parse(request.url ?? '/', 'http://console');
    if (!url) {
      request.resume();
      return refuse(response, 400, 'usage', 'the target of the request is no path');
    }
    const token = url.searchParams.get('token');
    if (request.method === 'GET' && url.pathname === '/' && token !== null) {
      request.resume();
      const session = entry.redeem(token);
      if (session === undefined) return refuse(response, 401, 'token-used', TOKEN_WRONG);
      response.writeHead(303, {
        ...HEADERS,
        location: '/',
        'set-cookie': `${cookie()}=${session}; HttpOnly; SameSite=Strict; Path=/`,
      });
      response.end();
      announce();
      return;
    }
    if (!entry.admits(request.headers, cookie())) {
      request.resume();
      return refuse(response, 401, 'no-session', NO_SESSION);
    }
    if (url.pathname.startsWith(`${API}/`)) {
      void answer(context, url, request, response).catch((error: unknown) => fail(response, error));
      return;
    }
    request.resume();
    const asset = assetAt(url.pathname);
    if (!asset) return refuse(response, 404, 'no-such-page', 'there is no such page');
    if (request.method !== 'GET' && request.method !== 'HEAD') return refuse(response, 405, 'read-only', 'pages are read with GET');
    response.writeHead(200, { ...HEADERS, 'content-type': asset.type, 'content-length': asset.bytes.length });
    response.end(request.method === 'HEAD' ? undefined : asset.bytes);
  };
  const server = createLocalServer((request, response) => {
    // What goes wrong here is no reason for the mesh to end.
    try {
      serve(request, response);
    } catch (error) {
      fail(response, error);
    }
  });
  const { address: host } = at;
  await listening(server, { host, port: at.port }, { ip: host, port: at.port }, { what: 'console', option: '--console' });
  port = (server.address() as AddressInfo).port;
  // Whoever looks is no reason to go on.
  server.unref();
  announce();
  return {
    port,
    changed: () => events.changed(),
    close: async () => {
      events.end();
      record?.close();
      asker.close();
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeAllConnections();
      await closed;
    },
  };
}

const TOKEN_WRONG = 'this address was used already, or is of an earlier start: take the newest one that the terminal shows';
const NO_SESSION = 'open the address with the token that the terminal shows';

function subjectOf(shown: Shown): Subject {
  if (shown.kind === 'dump') return { kind: 'dumps', dumps: shown.dumps };
  const { paths, meshConfig, namespace } = shown;
  const { snapshot, config, running }: Moment = momentOf(shown);
  return { kind: 'mesh', mesh: portable(snapshot, config), running, paths, meshConfig, namespace };
}
