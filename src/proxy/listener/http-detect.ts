/**
 * Tells HTTP from other bytes by the first line, as Envoy's HTTP inspector does: HTTP/2 by its connection preface, HTTP/1 by a request line that parses. What
 * does not parse is not HTTP: it is matched, and passed on or refused, as plain TCP. Pure.
 */
type HttpDetection = 'need-more' | 'not-http' | 'http/1.0' | 'http/1.1' | 'h2c';

const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1');
/** No first line of a request is longer (Envoy's `max_request_headers_kb` default). */
const MAX_REQUEST_LINE = 64 * 1024;

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const VISIBLE = /^[\x21-\x7e]+$/;

export function detectHttp(data: Buffer): HttpDetection {
  const common = Math.min(data.length, PREFACE.length);
  if (data.compare(PREFACE, 0, common, 0, common) === 0) return data.length >= PREFACE.length ? 'h2c' : 'need-more';
  let start = 0;
  // RFC 9112 §2.2: empty lines before the request line are passed over.
  while (start < data.length && (data[start] === 13 || data[start] === 10)) start++;
  const end = data.indexOf(10, start);
  if (end < 0) return plausibleStart(data, start) && data.length < MAX_REQUEST_LINE ? 'need-more' : 'not-http';
  const line = data.toString('latin1', start, data[end - 1] === 13 ? end - 1 : end);
  return requestLine(line);
}

/** Whether the bytes can still become a request line: a method of token characters, and so far no byte that no request line has. */
function plausibleStart(data: Buffer, start: number): boolean {
  let inMethod = true;
  for (let i = start; i < data.length; i++) {
    const c = data[i]!;
    if (c === 13) continue;
    if (c === 9 && i > start) {
      inMethod = false;
      continue;
    }
    if (c < 0x20 || c > 0x7e) return false;
    if (inMethod) {
      if (c === 0x20) {
        if (i === start) return false;
        inMethod = false;
      } else if (i - start > 64 || !TOKEN.test(String.fromCharCode(c))) return false;
    }
  }
  return true;
}

function requestLine(line: string): HttpDetection {
  // More white space than one blank and other versions are HTTP too, for a server that takes them: it is for HTTP's chain to refuse them.
  const [method = '', target = '', version = 'HTTP/0.9', more] = line.trimEnd().split(/[ \t]+/);
  if (more !== undefined || !TOKEN.test(method) || !validTarget(method, target) || !/^HTTP\/\d\.\d$/.test(version)) return 'not-http';
  return version === 'HTTP/1.1' ? 'http/1.1' : 'http/1.0';
}

function validTarget(method: string, target: string): boolean {
  if (!VISIBLE.test(target)) return false;
  if (method === 'CONNECT') return /^(\[[0-9a-fA-F:.]+\]|[^/\s:]+):\d+$/.test(target);
  return target.startsWith('/') || target.startsWith('*') || /^[A-Za-z][A-Za-z0-9+.-]*:\/\/[^/?#]/.test(target);
}
