/** A change that no test can notice, and why. */
export interface Equivalent {
  readonly file: string;
  /** The line that it is in, without the space round it. */
  readonly line: string;
  /** Where in the line, from 1, if the same change of another place in it can be noticed. */
  readonly column?: number;
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
  {
    file: 'src/lib/ip.ts',
    line: 'if (slash < 0) {',
    change: '< → <=',
    why: 'a text that begins with a slash is neither an address nor a range',
  },
  {
    file: 'src/http/header-map.ts',
    line: 'let kept = -1;',
    change: '1 → (1 + 1)',
    why: 'any number below 0 stands for none',
  },
  {
    file: 'src/lib/finding-form.ts',
    line: 'if (!a || !b) return (a ? 1 : 0) - (b ? 1 : 0);',
    change: '1 → (1 + 1)',
    why: 'a sort takes the sign alone, and one of the two is not there',
  },
  {
    file: 'src/lib/spelling.ts',
    line: 'if (i > 1 && j > 1 && a.charCodeAt(i - 1) === b.charCodeAt(j - 2) && a.charCodeAt(i - 2) === b.charCodeAt(j - 1))',
    change: '> → >=',
    why: 'before the first letter there is none, which equals no letter',
  },
  {
    file: 'src/simulate/sample.ts',
    line: 'const OTHER_PORT = 1;',
    change: '1 → (1 + 1)',
    why: 'another port that hardly anybody declares does as well',
  },
  {
    file: 'src/lib/readiness.ts',
    line: 'const AGAIN_MS = 200;',
    change: '200 → (200 + 1)',
    why: 'how soon it asks again changes no answer',
  },
  {
    file: 'src/registry/joined.ts',
    line: 'if (a === b) return true;',
    change: 'if (a === b) return true; → ;',
    why: 'all that is compared is the same then; it saves the work',
  },
  {
    file: 'src/proxy/http/h1/client.ts',
    line: '#chunked = false;',
    change: 'false → true',
    why: 'the head of each request says it anew before any of its body',
  },
  {
    file: 'src/proxy/http/h1/client.ts',
    line: '#informational = false;',
    change: 'false → true',
    why: 'the head of each response says it anew before its end',
  },
  {
    file: 'src/proxy/http/h1/parser.ts',
    line: 'if (end < 0) {',
    change: '< → <=',
    why: 'empty lines are skipped before, so that no head ends where it begins',
  },
  {
    file: 'src/proxy/cluster/balancer.ts',
    line: 'if (!this.#byLocality) return new Rotation([group(priority.hosts)], () => 1, 0);',
    change: '0 → (0 + 1)',
    why: 'a round of one begins with it wherever it begins',
  },
  {
    file: 'src/proxy/http/attempt.ts',
    line: 'if (forward.perTryMs <= 0 || !forward.ended || this.#perTry || this.#done || !this.host) return;',
    column: 61,
    change: '|| → &&',
    why: 'it is asked once for each try, and its time does nothing to a try that is over',
  },
  {
    file: 'src/registry/provider-service.ts',
    line: 'const [namespace, hostname] = slash < 0 ? [undefined, text] : [text.slice(0, slash), text.slice(slash + 1)];',
    column: 39,
    change: '0 → (0 + 1)',
    why: 'there is neither a host that begins with a slash nor one in a namespace without a name',
  },
  {
    file: 'src/proxy/listener/proxy-protocol.ts',
    line: "if (end < 0) return data.length < 107 ? { kind: 'need-more' } : invalid('PROXY v1 header longer than 107 bytes');",
    change: '0 → (0 + 1)',
    why: 'what begins with a line’s end is no header of version 1',
  },
  {
    file: 'src/proxy/cluster/connect.ts',
    line: "const alpn = failure || !transport ? '' : (socket as TLSSocket).alpnProtocol || '';",
    column: 22,
    change: '|| → &&',
    why: 'a plain socket has no protocol, and nobody looks at that of a connection that failed',
  },
];
