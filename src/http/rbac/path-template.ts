/** Path templates (envoy.path.match.uri_template): `*` stands for one segment, `**` for any number of them, `{name}` and `{name=…}` for what they capture. */
import { SallyportError } from '../../lib/errors.ts';
import { compileRegex } from '../../xds/match/regex.ts';

/** Characters of RFC 3986's `pchar`, for a class of a regular expression. */
const LITERAL = "a-zA-Z0-9._~%!$&'()*+,;=:@\\-";
const ONE = `[${LITERAL}]+`;
const MANY = `[/${LITERAL}]*`;
const IS_LITERAL = new RegExp(`^[${LITERAL}]*$`);

/** Tests a path without query. Throws `xds-invalid` for what is no template. */
export function compilePathTemplate(template: string): (path: string) => boolean {
  if (!template.startsWith('/')) throw invalid(template, 'must start with a slash');
  const parts = segmentsOf(template.slice(1)).map((segment) => segmentRegex(template, segment));
  return compileRegex({ $typeName: 'envoy.type.matcher.v3.RegexMatcher', regex: `/${parts.join('/')}`, engineType: { case: undefined } });
}

/** Slashes within braces belong to the variable. */
function segmentsOf(text: string): string[] {
  const segments: string[] = [];
  let depth = 0;
  let start = 0;
  for (let i = 0; i < text.length; i++) {
    if (text[i] === '{') depth++;
    else if (text[i] === '}') depth--;
    else if (text[i] === '/' && depth === 0) {
      segments.push(text.slice(start, i));
      start = i + 1;
    }
  }
  return [...segments, text.slice(start)];
}

function segmentRegex(template: string, segment: string): string {
  const found = /^(\*\*|\*|\{[^{}]*\})?([^{}*]*)$/.exec(segment);
  if (!found || !IS_LITERAL.test(found[2]!)) throw invalid(template, `"${segment}" is neither text nor *, ** or a variable`);
  const [, operator = '', rest = ''] = found;
  return `${operatorRegex(template, operator)}${quoted(rest)}`;
}

function operatorRegex(template: string, operator: string): string {
  if (operator === '') return '';
  if (operator === '*') return ONE;
  if (operator === '**') return MANY;
  const [, pattern] = /^\{[a-zA-Z]\w*(?:=(.+))?\}$/.exec(operator) ?? [undefined, ''];
  if (pattern === '') throw invalid(template, `"${operator}" is no variable`);
  if (pattern === undefined) return ONE;
  return pattern
    .split('/')
    .map((part) => (part === '*' ? ONE : part === '**' ? MANY : quoted(part)))
    .join('/');
}

function quoted(text: string): string {
  return text.replace(/[$().+]/g, '\\$&');
}

function invalid(template: string, why: string): SallyportError {
  return new SallyportError('xds-invalid', `path template "${template}": ${why}`);
}
