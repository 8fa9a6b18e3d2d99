/** Query parameters as Envoy's route match sees them: the first value of a name, not percent-decoded. */
import type { QueryParameterMatcher } from '../../xds/gen/envoy/config/route/v3/route_components_pb.js';
import { compileStringMatcher } from '../../xds/match/string.ts';

/** The first value of a parameter in `path` (with its query); empty without `=`; undefined if it is not there. */
export function queryParameter(path: string, name: string): string | undefined {
  const start = path.indexOf('?');
  if (start < 0) return undefined;
  const fragment = path.indexOf('#', start);
  for (const part of path.slice(start + 1, fragment < 0 ? undefined : fragment).split('&')) {
    const equals = part.indexOf('=');
    if (equals < 0 ? part === name : equals === name.length && part.startsWith(name)) return equals < 0 ? '' : part.slice(equals + 1);
  }
  return undefined;
}

/** All of them hold. Throws `xds-invalid` for a bad regex. `read`: what a parameter's value is. */
export function compileQueryMatchers(
  matchers: readonly QueryParameterMatcher[],
  read: (path: string, name: string) => string | undefined = queryParameter,
): ((path: string) => boolean) | undefined {
  if (matchers.length === 0) return undefined;
  const predicates = matchers.map(({ name, queryParameterMatchSpecifier: specifier }): ((path: string) => boolean) => {
    if (specifier.case === 'stringMatch') {
      const test = compileStringMatcher(specifier.value);
      return (path) => {
        const value = read(path, name);
        return value !== undefined && test(value);
      };
    }
    const expected = specifier.case === undefined || specifier.value;
    return (path) => (read(path, name) !== undefined) === expected;
  });
  return (path) => predicates.every((predicate) => predicate(path));
}
