/** Which bytes may stand where in an HTTP/1 head (RFC 9110 §5.5, §5.6.2, RFC 3986 §3.2). */

function table(allowed: (code: number) => boolean): Uint8Array {
  return Uint8Array.from({ length: 256 }, (_, code) => (allowed(code) ? 1 : 0));
}

const TOKEN_MARKS = "!#$%&'*+-.^_`|~";
const AUTHORITY_MARKS = "-._~%!$&'()*+,;=:[]@";

function isAlphanumeric(code: number): boolean {
  return (code >= 48 && code <= 57) || (code >= 65 && code <= 90) || (code >= 97 && code <= 122);
}

/** Names of methods and fields. */
export const TOKEN = table((code) => isAlphanumeric(code) || TOKEN_MARKS.includes(String.fromCharCode(code)));
/** Field values: visible characters, space, tab and bytes above ASCII; no other control character. */
export const FIELD_VALUE = table((code) => code === 9 || (code >= 32 && code !== 127));
/** The request target: visible ASCII. */
export const TARGET = table((code) => code > 32 && code < 127);
/** Host with port, as Envoy lets it through: user information and lists included. */
export const AUTHORITY = table((code) => isAlphanumeric(code) || AUTHORITY_MARKS.includes(String.fromCharCode(code)));

/** True if every character of `text` is in `allowed`. */
export function consistsOf(text: string, allowed: Uint8Array): boolean {
  for (let i = 0; i < text.length; i++) if (allowed[text.charCodeAt(i)] !== 1) return false;
  return true;
}
