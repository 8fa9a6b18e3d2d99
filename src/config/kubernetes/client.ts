/** Requests to the Kubernetes API: one answer, the lines of a watch, or a change. */
import type { IncomingMessage } from 'node:http';
import type { Agent, RequestOptions } from 'node:https';
import { pipeline } from 'node:stream';
import { getCACertificates } from 'node:tls';
import { createGunzip } from 'node:zlib';
import { codeOf, messageOf, SallyportError } from '../../lib/errors.ts';
import { productVersion } from '../../lib/version.ts';
import type { ClientCertificate, ClusterAccess, Presented } from './access.ts';
import { ApiError, statusText } from './errors.ts';

/** More than a page of a list has by far, bytes: what answers without end is not read to the end. */
const MOST_BYTES = 512 * 1024 * 1024;
const MOST_OF_AN_ERROR = 64 * 1024;

/** A server that has been silent for so long while it owes an answer is gone, ms. The API server itself gives up after a minute. */
const SILENCE_MS = 70_000;

/** A connection that carries nothing is probed after this, ms: peers that went without a word are noticed. */
const PROBE_MS = 30_000;

export type ChangingMethod = 'POST' | 'PUT' | 'PATCH' | 'DELETE';

interface Asked {
  readonly method: 'GET' | ChangingMethod;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string | undefined;
}

export interface RequestTimes {
  /** ms of silence after which a request has failed. */
  readonly silenceMs?: number;
}

export class ApiClient {
  readonly access: ClusterAccess;
  readonly #silenceMs: number;
  readonly #http: typeof import('node:http') | typeof import('node:https');
  #agent: Agent | undefined;
  #certificate: ClientCertificate | undefined;

  constructor(access: ClusterAccess, { silenceMs = SILENCE_MS }: RequestTimes = {}) {
    this.access = access;
    this.#silenceMs = silenceMs;
    this.#http = access.server.protocol === 'http:' ? process.getBuiltinModule('node:http') : process.getBuiltinModule('node:https');
  }

  /**
   * The answer to a GET, parsed.
   * @param path from the server's root on, with the query
   * @throws ApiError, or SallyportError `cluster-unreachable`, `cluster-answer-invalid`, `cluster-credentials`
   */
  async get(path: string, signal?: AbortSignal): Promise<unknown> {
    return this.#parsed(await this.#open({ method: 'GET', path, headers: { 'accept-encoding': 'gzip' } }, signal), path);
  }

  /**
   * Changes something; the answer is the object as it is then.
   * @param contentType of the body: which kind of patch it is
   * @throws as `get`; `cluster-conflict` (409) where the object is another than the one that was read, or is there already
   */
  async send(method: ChangingMethod, path: string, body?: object, contentType = 'application/json'): Promise<unknown> {
    const headers = { 'accept-encoding': 'gzip', ...(body && { 'content-type': contentType }) };
    return this.#parsed(await this.#open({ method, path, headers, body: body && JSON.stringify(body) }, undefined), path);
  }

  /**
   * The lines of an answer as they come; ends when the server ends it.
   * @throws as `get`; `cluster-unreachable` also where the connection breaks off
   */
  async *lines(path: string, signal: AbortSignal): AsyncGenerator<string> {
    const response = await this.#open({ method: 'GET', path, headers: {} }, signal);
    const decoder = new TextDecoder();
    let rest = '';
    try {
      for await (const chunk of response) {
        const text = rest + decoder.decode(chunk as Buffer, { stream: true });
        const lines = text.split('\n');
        // What is cut off in the middle of a line never was an event.
        rest = lines.pop()!;
        if (rest.length > MOST_BYTES) throw new SallyportError('cluster-answer-invalid', `${this.#name(path)} sends a line without end`);
        for (const line of lines) if (line !== '') yield line;
      }
    } catch (cause) {
      if (cause instanceof SallyportError) throw cause;
      throw this.#unreachable(path, cause);
    } finally {
      response.destroy();
    }
  }

  /** Ends the connections that are kept. */
  close(): void {
    this.#agent?.destroy();
    this.#agent = undefined;
  }

  async #open(asked: Asked, signal: AbortSignal | undefined): Promise<IncomingMessage> {
    const { credentials } = this.access;
    let response = await this.#request(asked, await credentials.present(), signal);
    // Tokens end before their time, too, and files of them are renewed.
    if (response.statusCode === 401 && credentials.renew()) {
      response.resume();
      response = await this.#request(asked, await credentials.present(), signal);
    }
    const { statusCode = 0 } = response;
    if (statusCode >= 200 && statusCode < 300) return response;
    throw await this.#refusal(asked.path, response);
  }

  #request(
    { method, path, headers, body }: Asked,
    { authorization, certificate }: Presented,
    signal: AbortSignal | undefined,
  ): Promise<IncomingMessage> {
    const { server, headers: own } = this.access;
    const base = server.pathname.replace(/\/$/, '');
    const options: RequestOptions = {
      method,
      agent: this.#agentFor(certificate),
      headers: {
        // The keys of tokens have a type of their own.
        accept: 'application/json, application/jwk-set+json',
        'user-agent': `sallyport/${productVersion()}`,
        ...headers,
        ...(body !== undefined && { 'content-length': Buffer.byteLength(body) }),
        ...(authorization && { authorization: authorization.revealText() }),
        ...listed(own),
      },
      ...(signal && { signal }),
    };
    return new Promise((resolve, reject) => {
      const request = this.#http.request(new URL(base + path, server), options, resolve);
      request.setTimeout(this.#silenceMs, () => request.destroy(new Error(`no answer for ${this.#silenceMs / 1000} s`)));
      request.on('error', (cause) => reject(this.#unreachable(path, cause)));
      request.end(body);
    });
  }

  #agentFor(certificate: ClientCertificate | undefined): Agent | undefined {
    if (this.#agent && this.#certificate === certificate) return this.#agent;
    this.#agent?.destroy();
    this.#certificate = certificate;
    const { tls, server } = this.access;
    const kept = { keepAlive: true, keepAliveMsecs: PROBE_MS };
    const ca = tls.ca ?? [...getCACertificates('default'), ...getCACertificates('system')];
    this.#agent = new this.#http.Agent(
      server.protocol === 'http:'
        ? kept
        : {
            ...kept,
            ...(tls.insecure ? { rejectUnauthorized: false } : { ca }),
            ...(tls.serverName !== undefined && { servername: tls.serverName }),
            ...(certificate && { cert: certificate.certificate, key: certificate.key.revealText() }),
          },
    ) as Agent;
    return this.#agent;
  }

  async #parsed(response: IncomingMessage, path: string): Promise<unknown> {
    const text = await this.#textOf(response, path, MOST_BYTES);
    try {
      return JSON.parse(text);
    } catch (cause) {
      throw new SallyportError('cluster-answer-invalid', `${this.#name(path)} answered what is no JSON: ${messageOf(cause)}`, { cause });
    }
  }

  async #textOf(response: IncomingMessage, path: string, most: number): Promise<string> {
    const body = response.headers['content-encoding'] === 'gzip' ? pipeline(response, createGunzip(), () => undefined) : response;
    const parts: Buffer[] = [];
    let size = 0;
    try {
      for await (const part of body) {
        size += (part as Buffer).length;
        if (size > most) throw new SallyportError('cluster-answer-invalid', `${this.#name(path)} answered with more than ${most} bytes`);
        parts.push(part as Buffer);
      }
    } catch (cause) {
      response.destroy();
      if (cause instanceof SallyportError) throw cause;
      throw this.#unreachable(path, cause);
    }
    return Buffer.concat(parts).toString('utf8');
  }

  async #refusal(path: string, response: IncomingMessage): Promise<SallyportError> {
    const raw = await this.#textOf(response, path, MOST_OF_AN_ERROR).catch(() => '');
    let body: unknown;
    try {
      body = JSON.parse(raw);
    } catch {
      body = undefined;
    }
    const status = response.statusCode ?? 0;
    const seconds = Number(response.headers['retry-after']);
    const said = status === 401 ? `it does not take these credentials (${statusText(body, raw)})` : statusText(body, raw);
    return new ApiError(status, `${this.#name(path)} answered ${status}: ${said}`, seconds > 0 ? seconds * 1000 : undefined);
  }

  #unreachable(path: string, cause: unknown): SallyportError {
    const advice = ADVICE.get(codeOf(cause) ?? '');
    return new SallyportError('cluster-unreachable', `${this.#name(path)}: ${messageOf(cause)}${advice ? `. ${advice}` : ''}`, { cause });
  }

  #name(path: string): string {
    return `${this.access.server.origin}${path.split('?')[0]} (context ${this.access.name})`;
  }
}

const UNTRUSTED = "Its certificate is of no CA that is trusted: name the cluster's CA as certificate-authority in the kubeconfig";
const ADVICE: ReadonlyMap<string, string> = new Map([
  ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', UNTRUSTED],
  ['SELF_SIGNED_CERT_IN_CHAIN', UNTRUSTED],
  ['DEPTH_ZERO_SELF_SIGNED_CERT', UNTRUSTED],
  ['UNABLE_TO_GET_ISSUER_CERT_LOCALLY', UNTRUSTED],
  ['ERR_TLS_CERT_ALTNAME_INVALID', 'If it is the right server, name what its certificate is for as tls-server-name in the kubeconfig'],
]);

/** Headers of which one may stand several times. */
function listed(headers: readonly (readonly [string, string])[]): Record<string, string[]> {
  const all: Record<string, string[]> = {};
  for (const [name, value] of headers) all[name] = [...(all[name] ?? []), value];
  return all;
}
