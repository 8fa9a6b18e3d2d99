/** Compresses responses for clients that accept it (`envoy.filters.http.compressor`). */
import {
  type Compressor,
  type CompressorPerRoute,
  CompressorPerRouteSchema,
} from '../../xds/gen/envoy/extensions/filters/http/compressor/v3/compressor_pb.js';
import { unsupported } from '../../xds/unpack.ts';
import { chosenEncoding, type OfferedEncoding } from '../compression/accepted.ts';
import { type BodyEncoding, compileEncoding } from '../compression/encoding.ts';
import type { HeaderMap } from '../header-map.ts';
import type { ManagerOptions } from '../options.ts';
import { type FilterStatus, type FilterStream, type HttpFilter, type JudgedRequest, type Judgement, PASS } from './filter.ts';

const LEAST_BYTES = 30;
/** Without a list of its own. */
const CONTENT_TYPES: readonly string[] = [
  'text/html',
  'text/plain',
  'text/css',
  'application/javascript',
  'application/x-javascript',
  'text/javascript',
  'text/x-javascript',
  'text/ecmascript',
  'text/js',
  'text/jscript',
  'text/x-js',
  'application/ecmascript',
  'application/x-json',
  'application/xml',
  'application/json',
  'image/svg+xml',
  'text/xml',
  'application/xhtml+xml',
  'application/grpc-web',
  'application/grpc-web+proto',
];
/** In `transfer-encoding`: the body is compressed already. */
const COMPRESSED: ReadonlySet<string> = new Set(['gzip', 'br', 'deflate', 'compress', 'zstd']);
const ACCEPT_ENCODING = 'Accept-Encoding';

/** The compressors of each connection manager, in order: together they offer what a client may choose from. */
const together = new WeakMap<ManagerOptions, CompressorFilter[]>();

/** What counts for a request. */
interface ForRequest {
  readonly enabled: boolean;
  readonly removesAcceptEncoding: boolean;
}

export class CompressorFilter implements HttpFilter {
  readonly name: string;
  readonly router = undefined;
  readonly encoding: BodyEncoding;
  readonly chooseFirst: boolean;
  readonly #leastBytes: number;
  readonly #types: ReadonlySet<string>;
  readonly #uncompressible: ReadonlySet<number>;
  readonly #etag: 'disables' | 'weakened' | 'removed';
  readonly #default: ForRequest;
  readonly #all: CompressorFilter[];

  /** Throws `xds-unsupported` and `xds-invalid`; `where` names the filter. */
  constructor(name: string, config: Compressor, where: string, options: ManagerOptions) {
    this.name = name;
    refuseUnknown(config, where);
    const { commonConfig, disableOnEtagHeader, weakenEtagOnCompress, removeAcceptEncodingHeader, uncompressibleResponseCodes } =
      config.responseDirectionConfig ?? {};
    this.encoding = compileEncoding(config.compressorLibrary?.typedConfig, `${where}.compressor_library`);
    this.chooseFirst = config.chooseFirst;
    this.#leastBytes = commonConfig?.minContentLength || LEAST_BYTES;
    const types = commonConfig?.contentType ?? [];
    this.#types = new Set((types.length > 0 ? types : CONTENT_TYPES).map((type) => type.toLowerCase()));
    this.#uncompressible = new Set(uncompressibleResponseCodes);
    this.#etag = weakenEtagOnCompress ? 'weakened' : disableOnEtagHeader ? 'disables' : 'removed';
    const enabled = commonConfig?.enabled?.defaultValue ?? true;
    this.#default = { enabled, removesAcceptEncoding: removeAcceptEncodingHeader ?? false };
    this.#all = together.get(options) ?? [];
    this.#all.push(this);
    together.set(options, this.#all);
  }

  judge(request: JudgedRequest): Judgement {
    const { enabled, removesAcceptEncoding } = this.#for(request);
    return enabled && removesAcceptEncoding ? { ...PASS, edit: ({ headers }) => headers.remove('accept-encoding') } : PASS;
  }

  run(stream: FilterStream): FilterStatus {
    const { enabled, removesAcceptEncoding } = this.#for(stream);
    if (!enabled) return 'continue';
    const { headers: request } = stream.head;
    const accept = joined(request, 'accept-encoding');
    if (removesAcceptEncoding) request.remove('accept-encoding');
    stream.onResponse((headers, status, end) => this.#mark(headers, status, end, accept));
    return 'continue';
  }

  takes(headers: HeaderMap): boolean {
    const type = contentType(headers);
    return type === undefined || this.#types.has(type);
  }

  #for({ route, head }: JudgedRequest): ForRequest {
    const config = route?.filterConfig(this.name, CompressorPerRouteSchema, head);
    if (config === undefined) return this.#default;
    return config === 'disabled' ? { enabled: false, removesAcceptEncoding: false } : ofRoute(config, this.#default, this.name);
  }

  #mark(headers: HeaderMap, status: number, end: boolean, accept: string | undefined): BodyEncoding | undefined {
    if (!this.#isCompressible(headers, status)) return undefined;
    const encodes = !end && accept !== undefined && this.#isChosen(accept, headers) && !isCompressed(headers);
    if (encodes) this.#encode(headers);
    // Also where this client accepts none: caches are to know that others do.
    vary(headers);
    return encodes ? this.encoding : undefined;
  }

  #isCompressible(headers: HeaderMap, status: number): boolean {
    const length = headers.get('content-length');
    if (length !== undefined && !(Number(length) >= this.#leastBytes)) return false;
    if (!this.takes(headers) || headers.has('content-encoding') || this.#uncompressible.has(status)) return false;
    if (this.#etag === 'disables' && headers.has('etag')) return false;
    return !tokens(joined(headers, 'cache-control')).some((token) => token.toLowerCase() === 'no-transform');
  }

  #isChosen(accept: string, headers: HeaderMap): boolean {
    const offered = new Map<string, OfferedEncoding>();
    for (const each of this.#all) {
      const { name } = each.encoding;
      if (each.takes(headers) && !offered.has(name)) offered.set(name, { name, chooseFirst: each.chooseFirst });
    }
    return chosenEncoding(accept, [...offered.values()]) === this.encoding.name;
  }

  #encode(headers: HeaderMap): void {
    const etag = headers.get('etag');
    if (etag !== undefined && !/^w\//i.test(etag)) {
      if (this.#etag === 'weakened') headers.set('etag', `W/${etag}`);
      else headers.remove('etag');
    }
    headers.remove('content-length');
    headers.append('content-encoding', this.encoding.name);
  }
}

function ofRoute({ override }: CompressorPerRoute, standard: ForRequest, name: string): ForRequest {
  if (override.case !== 'overrides') return { ...standard, enabled: false };
  const { responseDirectionConfig: response, compressorLibrary } = override.value;
  if (compressorLibrary) unsupported(name, 'compressor_library of a route is not supported');
  if (!response) return standard;
  return { enabled: true, removesAcceptEncoding: response.removeAcceptEncodingHeader ?? standard.removesAcceptEncoding };
}

/** What Envoy does with these would be left out otherwise. */
function refuseUnknown(config: Compressor, where: string): void {
  const { requestDirectionConfig: request, responseDirectionConfig: response } = config;
  const compressesRequests = request !== undefined && (request.commonConfig?.enabled?.defaultValue ?? true);
  const lacking: readonly (readonly [string, boolean])[] = [
    ['content_length', config.contentLength !== undefined],
    ['content_type', config.contentType.length > 0],
    ['disable_on_etag_header', config.disableOnEtagHeader],
    ['remove_accept_encoding_header', config.removeAcceptEncodingHeader],
    ['runtime_enabled', config.runtimeEnabled !== undefined],
    ['request_direction_config', compressesRequests],
    ['response_direction_config.common_config.content_type_matcher', (response?.commonConfig?.contentTypeMatcher.length ?? 0) > 0],
    ['response_direction_config.status_header_enabled', response?.statusHeaderEnabled === true],
  ];
  for (const [field, given] of lacking) if (given) unsupported(`${where}.${field}`, 'not supported');
}

/** Without parameters, in lower case. */
function contentType(headers: HeaderMap): string | undefined {
  return headers.get('content-type')?.replace(/;.*/s, '').trim().toLowerCase();
}

/** All lines of a field as one. */
function joined(headers: HeaderMap, name: string): string | undefined {
  return headers.has(name) ? headers.all(name).join(',') : undefined;
}

function tokens(list: string | undefined): string[] {
  return list?.split(',').map((token) => token.trim()) ?? [];
}

function isCompressed(headers: HeaderMap): boolean {
  return tokens(joined(headers, 'transfer-encoding')).some((token) => COMPRESSED.has(token.toLowerCase()));
}

function vary(headers: HeaderMap): void {
  const there = joined(headers, 'vary');
  if (there === undefined) headers.append('vary', ACCEPT_ENCODING);
  else if (!tokens(there).includes(ACCEPT_ENCODING)) headers.set('vary', `${there}, ${ACCEPT_ENCODING}`);
}
