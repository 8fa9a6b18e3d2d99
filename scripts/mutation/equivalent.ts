/** A change that no test can notice, and why. */
export interface Equivalent {
  readonly file: string;
  /** The line that it is in, without the space round it. */
  readonly line: string;
  /** As the report says it. */
  readonly change: string;
  readonly why: string;
}

export const EQUIVALENT: readonly Equivalent[] = [
  {
    file: 'src/xds/match/filter-chain.ts',
    line: "for (let dot = name.indexOf('.', 1); dot > 0 && dot < name.length - 1; dot = name.indexOf('.', dot + 1)) {",
    change: '- → +',
    why: 'asks for the wildcard "." besides, which no filter chain can have',
  },
  {
    file: 'src/proxy/listener/http-detect.ts',
    line: "const line = data.toString('latin1', start, data[end - 1] === 13 ? end - 1 : end);",
    change: '13 → (13 + 1)',
    why: 'the line is trimmed at its end when it is read',
  },
  {
    file: 'src/http/routes/redirect.ts',
    line: "return newPath.includes('?') || query < 0 ? newPath : newPath + path.slice(query);",
    change: '< → <=',
    why: 'a path begins with a slash, so that its query is never at its beginning',
  },
  {
    file: 'src/proxy/http/h1/parser.ts',
    line: 'if (end >= 0) {',
    change: '>= → >',
    why: 'empty lines are skipped before, so that no head ends where it begins',
  },
  {
    file: 'src/proxy/http/h1/parser.ts',
    line: 'for (let at = partial.indexOf(10, from); at >= 0; at = partial.indexOf(10, at + 1)) {',
    change: '0 → (0 + 1)',
    why: 'what begins with LF is refused before for being no head, with the same details',
  },
  {
    file: 'src/registry/settle.ts',
    line: 'const repeated = lost.filter(({ number }) => claimed.get(number) !== service);',
    change: '.filter(({ number }) => claimed.get(number) !== service) → ',
    why: 'an object that has a port twice is refused when it is read, so that what it lost is always another object’s',
  },
  {
    file: 'src/proxy/http/h1/client.ts',
    line: 'this.#chunked = false;',
    change: 'false → true',
    why: 'the head of each request says it anew before any of its body',
  },
  {
    file: 'src/translate/scope.ts',
    line: "return { mode, egressProxy: { host, subset: egressProxy.subset ?? '', port: egressProxy.port?.number ?? 0 } };",
    change: '0 → (0 + 1)',
    why: 'a Sidecar whose egressProxy names no port is refused when it is read',
  },
  {
    file: 'src/registry/settle.ts',
    line: 'if (targets.size === 0) return undefined;',
    change: 'if (targets.size === 0) return undefined; → ;',
    why: 'an empty map is asked as none is; it saves the work',
  },
];
