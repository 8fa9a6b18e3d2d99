/** Asks an authorizer over HTTP: the request's head under another path, answered by 200 or not. */

import { create } from '@bufbuild/protobuf';
import { SallyportError } from '../../lib/errors.ts';
import { HeaderValueOption_HeaderAppendAction, HeaderValueOptionSchema } from '../../xds/gen/envoy/config/core/v3/base_pb.js';
import type { HttpService } from '../../xds/gen/envoy/extensions/filters/http/ext_authz/v3/ext_authz_pb.js';
import type { ListStringMatcher } from '../../xds/gen/envoy/type/matcher/v3/string_pb.js';
import { durationMs } from '../../xds/match/duration.ts';
import { compileStringMatcher } from '../../xds/match/string.ts';
import { unsupported } from '../../xds/unpack.ts';
import type { Head } from '../head.ts';
import { HeaderMap } from '../header-map.ts';
import { mayBeSet } from '../outgoing-problem.ts';
import { compileMutations } from '../routes/mutation.ts';
import { CHECK_ERROR, type Check, type CheckVerdict, removeField, setField, toldHeaders } from './check.ts';

export type NamePredicate = (name: string) => boolean;

/** Names that some matcher takes; with none given, none. */
export function compileNames(list: ListStringMatcher | undefined): NamePredicate {
  const tests = list?.patterns.map(compileStringMatcher) ?? [];
  return (name) => tests.some((test) => test(name));
}

/** Told whatever else is. */
const ALWAYS_TOLD: ReadonlySet<string> = new Set([':authority', ':path', ':method', 'authorization']);
/** Passed on to a client that is denied wherever a list names others. */
const ALWAYS_ANSWERED: ReadonlySet<string> = new Set(['content-length', 'www-authenticate', 'location']);
/** Of one connection alone, or made anew. */
const OF_CONNECTION: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'transfer-encoding',
  'upgrade',
  'te',
  'trailer',
  'expect',
  'content-length',
]);
/** Values of headers to add are formats, which may read the request alone. */
const HEADER_CONTEXT = { hostname: '', environment: {} };
const TO_REMOVE = 'x-envoy-auth-headers-to-remove';

/** `tells`: names that the filter's own lists let through. Throws `xds-unsupported` or `xds-invalid`; `where` names the filter. */
export function compileHttpCheck(service: HttpService, tells: NamePredicate, where: string): Check {
  const { serverUri, pathPrefix, authorizationRequest, authorizationResponse } = service;
  if (serverUri?.httpUpstreamType.case !== 'cluster')
    throw new SallyportError('xds-invalid', `${where}.http_service.server_uri: names no cluster`);
  if (authorizationResponse?.dynamicMetadataFromHeaders)
    unsupported(`${where}.http_service.authorization_response.dynamic_metadata_from_headers`, 'not supported');
  const cluster = serverUri.httpUpstreamType.value;
  const timeoutMs = durationMs(serverUri.timeout, 0);
  const appendAction = HeaderValueOption_HeaderAppendAction.OVERWRITE_IF_EXISTS_OR_ADD;
  const added = compileMutations(
    (authorizationRequest?.headersToAdd ?? []).map((header) => create(HeaderValueOptionSchema, { header, appendAction })),
    [],
    HEADER_CONTEXT,
  );
  const upstream = compileNames(authorizationResponse?.allowedUpstreamHeaders);
  const appended = compileNames(authorizationResponse?.allowedUpstreamHeadersToAppend);
  const onSuccess = compileNames(authorizationResponse?.allowedClientHeadersOnSuccess);
  const client = clientNames(authorizationResponse?.allowedClientHeaders);
  return {
    cluster,
    call(request) {
      const { head, body, record } = request;
      const headers = new HeaderMap();
      for (const [name, value] of toldHeaders(request, (each) => ALWAYS_TOLD.has(each) || tells(each))) {
        if (!name.startsWith(':') && !OF_CONNECTION.has(name)) headers.append(name, value);
      }
      const bytes = body?.bytes ?? Buffer.alloc(0);
      headers.set('content-length', String(bytes.length));
      added?.apply(headers, record);
      const { method, authority, scheme } = head;
      return { cluster, method, path: `${pathPrefix}${head.path}`, authority, scheme, headers, body: bytes, timeoutMs };
    },
    read(answer) {
      if (!answer || answer.status >= 500) return CHECK_ERROR;
      const { status, headers, body } = answer;
      if (status === 200) return allowed(headers, { upstream, appended, onSuccess });
      const told = new HeaderMap();
      for (const [name, value] of headers) if (client(name) && !OF_CONNECTION.has(name)) told.append(name, value);
      return { kind: 'denied', status, body, headers: told, metadata: undefined };
    },
  };
}

/** Everything, where no list says what. */
function clientNames(list: ListStringMatcher | undefined): NamePredicate {
  if (!list || list.patterns.length === 0) return () => true;
  const named = compileNames(list);
  return (name) => ALWAYS_ANSWERED.has(name) || named(name);
}

interface Passed {
  readonly upstream: NamePredicate;
  readonly appended: NamePredicate;
  readonly onSuccess: NamePredicate;
}

function allowed(headers: HeaderMap, { upstream, appended, onSuccess }: Passed): CheckVerdict {
  const removed = headers.all(TO_REMOVE).flatMap((line) => line.split(',').map((name) => name.trim().toLowerCase()));
  const all = [...headers].filter(([name]) => name !== TO_REMOVE);
  const set = all.filter(([name]) => upstream(name));
  const more = all.filter(([name]) => appended(name));
  const marked = all.filter(([name]) => onSuccess(name) && mayBeSet(name));
  const edit = (head: Head) => {
    for (const [name, value] of set) setField(head, name, value);
    for (const [name, value] of more)
      if (mayBeSet(name) && head.headers.has(name)) head.headers.set(name, `${head.headers.all(name).join(',')},${value}`);
    for (const name of removed) if (name !== '') removeField(head, name);
  };
  return {
    kind: 'allowed',
    edit: set.length + more.length + removed.length > 0 ? edit : undefined,
    mark:
      marked.length > 0
        ? (response) => {
            for (const [name, value] of marked) response.append(name, value);
          }
        : undefined,
    metadata: undefined,
  };
}
