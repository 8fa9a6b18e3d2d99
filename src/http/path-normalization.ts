/** What a connection manager does to request paths before anything is matched: escaped slashes, dot segments, escapes, repeated slashes. Pure. */
import {
  type HttpConnectionManager,
  HttpConnectionManager_PathWithEscapedSlashesAction,
} from '../xds/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js';

export interface PathOptions {
  readonly normalize: boolean;
  readonly mergeSlashes: boolean;
  readonly escapedSlashes: 'keep' | 'reject' | 'redirect' | 'unescape';
}

const ESCAPED_SLASHES: Readonly<Record<number, PathOptions['escapedSlashes']>> = {
  [HttpConnectionManager_PathWithEscapedSlashesAction.REJECT_REQUEST]: 'reject',
  [HttpConnectionManager_PathWithEscapedSlashesAction.UNESCAPE_AND_REDIRECT]: 'redirect',
  [HttpConnectionManager_PathWithEscapedSlashesAction.UNESCAPE_AND_FORWARD]: 'unescape',
};

/** What a connection manager's configuration says of paths. */
export function pathOptions(config: HttpConnectionManager): PathOptions {
  return {
    normalize: config.normalizePath ?? false,
    mergeSlashes: config.mergeSlashes,
    escapedSlashes: ESCAPED_SLASHES[config.pathWithEscapedSlashesAction] ?? 'keep',
  };
}

export type PathResult = { readonly kind: 'rejected' } | { readonly kind: 'redirect'; readonly path: string };

const REJECTED: PathResult = { kind: 'rejected' };

/** Characters after which a path may need a change: anything but plain letters, digits and marks. */
const PLAIN = new Uint8Array(256);
for (let code = 33; code < 127; code++) PLAIN[code] = '%\\."<>^`{|}'.includes(String.fromCharCode(code)) ? 0 : 1;

const HEX = '0123456789ABCDEF';

/** The path as it goes on (the same string in the usual case), a redirect to it, or a refusal: 400 `path_normalization_failed`. */
export function normalizePath(target: string, options: PathOptions): string | PathResult {
  // A fragment is no part of a request target: who reads on past the sign sees another path than who does not.
  if (target.includes('#')) return REJECTED;
  if (isPlain(target, options)) return target;
  const queryAt = target.indexOf('?');
  const query = queryAt < 0 ? '' : target.slice(queryAt);
  let path = queryAt < 0 ? target : target.slice(0, queryAt);
  let redirect = false;
  if (options.escapedSlashes !== 'keep' && /%2f|%5c/i.test(path)) {
    if (options.escapedSlashes === 'reject') return REJECTED;
    path = path.replace(/%2f/gi, '/').replace(/%5c/gi, '\\');
    redirect = options.escapedSlashes === 'redirect';
  }
  if (options.normalize) {
    const canonical = canonicalPath(path);
    if (canonical === undefined) return REJECTED;
    path = canonical;
  }
  // Slashes alone become two, as in Envoy.
  if (options.mergeSlashes) path = /^\/{2,}$/.test(path) ? '//' : path.replace(/\/{2,}/g, '/');
  return redirect ? { kind: 'redirect', path: path + query } : path + query;
}

function isPlain(target: string, options: PathOptions): boolean {
  if (!options.normalize && !options.mergeSlashes && options.escapedSlashes === 'keep') return true;
  let previous = 0;
  for (let i = 0; i < target.length; i++) {
    const code = target.charCodeAt(i);
    if (code === 63) return true;
    // A dot matters only where a segment starts.
    if (PLAIN[code] !== 1 && (code !== 46 || previous === 47)) return false;
    if (code === 47 && previous === 47) return false;
    previous = code;
  }
  return true;
}

/**
 * As Chromium's URL library, which Envoy uses: backslashes are slashes, escapes of unreserved characters go, %2e is a dot. Undefined for %00, and for dots before
 * a path parameter of which one is escaped (`%2e%2e;x`): Envoy leaves such a segment, and servers do not.
 */
function canonicalPath(path: string): string | undefined {
  if (/%2e/i.test(path) && ESCAPED_DOTS.test(path)) return undefined;
  let text = '';
  for (let i = 0; i < path.length; i++) {
    const code = path.charCodeAt(i);
    if (code === 37) {
      const value = Number.parseInt(/^%[0-9a-fA-F]{2}/.test(path.slice(i, i + 3)) ? path.slice(i + 1, i + 3) : '', 16);
      if (value === 0) return undefined;
      if (Number.isNaN(value)) text += '%';
      else {
        text += isUnreserved(value) ? String.fromCharCode(value) : path.slice(i, i + 3);
        i += 2;
      }
    } else if (code === 92) text += '/';
    else if ('"<>^`{|}'.includes(path[i]!) || code < 33 || code > 126) text += `%${HEX[code >> 4]}${HEX[code & 15]}`;
    else text += path[i];
  }
  // Servers that know path parameters read `..;x` as `..`.
  return removeDotSegments(text.replace(/\/(\.{1,2});[^/]*/g, '/$1'));
}

/** `.` or `..` before a semicolon, one of the dots escaped. */
const ESCAPED_DOTS = /[/\\](?:%2e(?:\.|%2e)?|\.%2e);/i;

/** How often what follows may undo escapes: some unescape once more than they should. */
const MOST_UNESCAPED = 4;

/**
 * Whether a server that undoes more escapes than are undone here (`/v1/..%2fadmin`, `..%5c`, `..%3b`, `%252e%252e%252f`) would find dot segments: no rule for a
 * path could hold it then. Escapes that hide none are names' own (`/group%2Fproject`).
 */
export function hidesDotSegments(target: string): boolean {
  let [text = ''] = target.split('?', 1);
  for (let i = 0; i < MOST_UNESCAPED && text.includes('%'); i++) {
    text = text.replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
    if (/[/\\]\.{1,2}(?:[/\\;]|$)/.test(text)) return true;
  }
  return false;
}

function isUnreserved(code: number): boolean {
  return (
    (code >= 48 && code <= 57) ||
    (code >= 65 && code <= 90) ||
    (code >= 97 && code <= 122) ||
    code === 45 ||
    code === 46 ||
    code === 95 ||
    code === 126
  );
}

/** RFC 3986 §5.2.4; empty segments stay. */
function removeDotSegments(path: string): string {
  if (!path.includes('/.')) return path;
  const segments = path.split('/');
  const kept: string[] = [];
  for (let i = 1; i < segments.length; i++) {
    const segment = segments[i]!;
    const last = i === segments.length - 1;
    if (segment === '.') {
      if (last) kept.push('');
    } else if (segment === '..') {
      kept.pop();
      if (last) kept.push('');
    } else kept.push(segment);
  }
  return `/${kept.join('/')}`;
}
