/** The ways into a console: by an address that a terminal prints, or by a token of a cluster, which says who somebody is. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { text as textOf } from 'node:stream/consumers';
import { codeOf, messageOf, SallyportError } from '../lib/errors.ts';
import { Entry } from './entry.ts';
import { entryPage } from './entry-page.ts';
import { FORM_HEADERS, HEADERS, statusOf } from './replies.ts';
import type { Visitor, Visitors } from './visitors.ts';

export interface Guest {
  /** Who it is, where people are told apart. */
  readonly visitor: Visitor | undefined;
}

export interface Door {
  /** Pages that anybody gets. */
  readonly open: readonly string[];
  /** Undefined: the request was about getting in or out, and is answered. Rejects with why somebody does not get in. */
  admit(url: URL, request: IncomingMessage, response: ServerResponse): Promise<Guest | undefined>;
  close(): void;
}

const NOBODY_IN_PARTICULAR: Guest = { visitor: undefined };

/** For one user's browsers. @param announce told the token for the next one, each time that one was used */
export class PrintedDoor implements Door {
  readonly open: readonly string[] = [];
  readonly #entry = new Entry();
  readonly #cookie: () => string;
  readonly #announce: (token: string) => void;

  constructor(cookie: () => string, announce: (token: string) => void) {
    this.#cookie = cookie;
    this.#announce = announce;
  }

  announce(): void {
    this.#announce(this.#entry.token);
  }

  async admit(url: URL, request: IncomingMessage, response: ServerResponse): Promise<Guest | undefined> {
    const token = url.searchParams.get('token');
    if (request.method === 'GET' && url.pathname === '/' && token !== null) {
      request.resume();
      const session = this.#entry.redeem(token);
      if (session === undefined) throw new SallyportError('token-used', TOKEN_WRONG);
      goHome(response, `${this.#cookie()}=${session}; HttpOnly; SameSite=Strict; Path=/`);
      this.announce();
      return undefined;
    }
    if (!this.#entry.admits(request.headers, this.#cookie()))
      throw new SallyportError('no-session', 'open the address with the token that the terminal shows');
    return NOBODY_IN_PARTICULAR;
  }

  close(): void {}
}

const TOKEN_WRONG = 'this address was used already, or is of an earlier start: take the newest one that the terminal shows';

/** Of a form with a token, bytes. */
const MOST_FORM = 16 * 1024;

/** For people of a cluster. */
export class ClusterDoor implements Door {
  readonly open = ['/main.css', '/icon.svg'];
  readonly #visitors: Visitors;
  readonly #cookie: () => string;
  readonly #secure: string;

  /** @param tls whether the cookie is for HTTPS alone */
  constructor(visitors: Visitors, cookie: () => string, tls: boolean) {
    this.#visitors = visitors;
    this.#cookie = cookie;
    this.#secure = tls ? '; Secure' : '';
  }

  async admit(url: URL, request: IncomingMessage, response: ServerResponse): Promise<Guest | undefined> {
    if (request.method === 'POST' && url.pathname === '/enter') return this.#enter(request, response);
    if (request.method === 'POST' && url.pathname === '/leave') {
      request.resume();
      this.#visitors.leave(request.headers, this.#cookie());
      return goHome(response, `${this.#cookie()}=; HttpOnly; SameSite=Strict; Path=/; Max-Age=0${this.#secure}`);
    }
    try {
      return { visitor: await this.#visitors.admit(request.headers, this.#cookie()) };
    } catch (error) {
      if (url.pathname !== '/' || request.method !== 'GET') throw error;
      request.resume();
      // Who has not tried yet is told nothing of what went wrong.
      const tried = request.headers.authorization !== undefined || codeOf(error) !== 'no-session';
      return sendEntry(response, error, tried);
    }
  }

  close(): void {
    this.#visitors.close();
  }

  async #enter(request: IncomingMessage, response: ServerResponse): Promise<undefined> {
    try {
      const session = await this.#visitors.enter(await tokenIn(request));
      goHome(response, `${this.#cookie()}=${session}; HttpOnly; SameSite=Strict; Path=/${this.#secure}`);
    } catch (error) {
      sendEntry(response, error, true);
    }
  }
}

/** What was entered, without the white space that copying brings. Rejects with `usage`, `too-large`. */
async function tokenIn(request: IncomingMessage): Promise<string> {
  if (!/^application\/x-www-form-urlencoded\b/i.test(request.headers['content-type'] ?? '') || !request.headers['content-length'])
    throw new SallyportError('usage', 'a token is sent as a form with the field token');
  if (Number(request.headers['content-length']) > MOST_FORM)
    throw new SallyportError('too-large', `what was entered has more than ${MOST_FORM} bytes`);
  const token = new URLSearchParams(await textOf(request)).get('token')?.replace(/\s/g, '') ?? '';
  if (token === '') throw new SallyportError('usage', 'enter a token');
  return token;
}

function sendEntry(response: ServerResponse, error: unknown, tells: boolean): undefined {
  response.writeHead(statusOf(error), {
    ...FORM_HEADERS,
    'content-type': 'text/html; charset=UTF-8',
    connection: 'close',
  });
  response.end(entryPage(tells ? messageOf(error) : ''));
}

function goHome(response: ServerResponse, cookie: string): undefined {
  response.writeHead(303, { ...HEADERS, location: '/', 'set-cookie': cookie });
  response.end();
}
