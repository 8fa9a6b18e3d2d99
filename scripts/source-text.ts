/** Reads TypeScript source as text: what it imports, and its code without comments, strings and regular expressions. No parser needed. */

export interface Import {
  readonly specifier: string;
  /** 1-based, where the specifier stands. */
  readonly line: number;
  /** What is taken of the module; `*` for a namespace or a side-effect import, `default` for the default export. */
  readonly names: readonly string[];
}

/** Words after which a slash begins a regular expression and not a division. */
const BEFORE_REGEX = /(?:^|[^\w$.])(?:return|typeof|case|in|of|delete|void|throw|new|else|do|await|yield|instanceof)$/;

interface Literal {
  readonly start: number;
  readonly value: string;
}

/** One pass over the text: code with everything else replaced by spaces (newlines kept), and the plain string literals. */
function scan(source: string): { code: string; strings: Literal[] } {
  const code = source.split('');
  const strings: Literal[] = [];
  /** For each template literal that is open around us, the depth of braces at which its `${` began. */
  const templates: number[] = [];
  let depth = 0;
  let significant = '';
  let at = 0;

  const blank = (from: number, to: number) => {
    for (let i = from; i < to; i += 1) if (code[i] !== '\n') code[i] = ' ';
  };
  const endOfLine = (from: number) => {
    const end = source.indexOf('\n', from);
    return end < 0 ? source.length : end;
  };
  /** The index after a literal that began at `from` and ends with `quote`. */
  const endOfQuoted = (from: number, quote: string) => {
    let i = from + 1;
    while (i < source.length && source[i] !== quote) i += source[i] === '\\' ? 2 : 1;
    return i + 1;
  };
  const endOfRegex = (from: number) => {
    let i = from + 1;
    let inClass = false;
    while (i < source.length && source[i] !== '\n' && (inClass || source[i] !== '/')) {
      if (source[i] === '\\') i += 1;
      else if (source[i] === '[') inClass = true;
      else if (source[i] === ']') inClass = false;
      i += 1;
    }
    return i + 1;
  };
  /** Text of a template up to its end or to the next `${`; `from` is its first character. */
  const template = (from: number) => {
    let i = from;
    while (i < source.length && source[i] !== '`' && !(source[i] === '$' && source[i + 1] === '{')) i += source[i] === '\\' ? 2 : 1;
    blank(from, i);
    if (source[i] === '$') {
      templates.push(depth);
      depth += 1;
      significant = '{';
      return i + 2;
    }
    significant = '`';
    return i + 1;
  };

  while (at < source.length) {
    const char = source[at]!;
    const next = source[at + 1];
    if (char === '/' && next === '/') {
      const end = endOfLine(at);
      blank(at, end);
      at = end;
    } else if (char === '/' && next === '*') {
      const close = source.indexOf('*/', at + 2);
      const end = close < 0 ? source.length : close + 2;
      blank(at, end);
      at = end;
    } else if (char === "'" || char === '"') {
      const end = endOfQuoted(at, char);
      strings.push({ start: at, value: source.slice(at + 1, end - 1) });
      blank(at + 1, end - 1);
      significant = char;
      at = end;
    } else if (char === '`') {
      at = template(at + 1);
    } else if (
      char === '/' &&
      (/[(,=:[!&|?{};+\-*%~^<>]/.test(significant) || significant === '' || BEFORE_REGEX.test(source.slice(0, at).trimEnd().slice(-12)))
    ) {
      const end = endOfRegex(at);
      blank(at, end);
      significant = '/';
      at = end;
    } else {
      if (char === '{') depth += 1;
      if (char === '}') {
        depth -= 1;
        if (templates.at(-1) === depth) {
          templates.pop();
          at = template(at + 1);
          continue;
        }
      }
      if (!/\s/.test(char)) significant = char;
      at += 1;
    }
  }
  return { code: code.join(''), strings };
}

/** The source with comments and the content of strings, templates and regular expressions replaced by spaces; lines stay where they are. */
export function blankOut(source: string): string {
  return scan(source).code;
}

function namesOf(clause: string): string[] {
  const names: string[] = [];
  const braces = /\{([^}]*)\}/.exec(clause);
  if (braces !== null) {
    for (const part of braces[1]!.split(',')) {
      const name = part
        .trim()
        .replace(/^type\s+/, '')
        .split(/\s+as\s+/)[0]!;
      if (name !== '') names.push(name);
    }
  }
  if (clause.includes('*')) names.push('*');
  const first = /^\s*(?:type\s+)?([\w$]+)\s*(?:,|from)/.exec(clause);
  if (first !== null) names.push('default');
  return names.length === 0 ? ['*'] : names;
}

/** Static imports, re-exports (`export … from`), dynamic imports and `import type`, in order. */
export function importsOf(source: string): Import[] {
  const { code, strings } = scan(source);
  const found: Import[] = [];
  for (const { start, value } of strings) {
    // An import clause is never longer than this; the whole text before each string would cost the square of the file's size.
    const before = code.slice(Math.max(0, start - 4000), start);
    const clause = /(?:^|[;\n}])\s*(?:import|export)\s+((?:type\s+)?[\w$*{},\s]*?\bfrom|(?:type\s+)?\{[^}]*\}\s*from)\s*$/.exec(before);
    const bare = /(?:^|[;\n}])\s*import\s*$/.test(before);
    const dynamic = /(?<![.\w$])import\s*\(\s*$/.test(before) || /(?<![.\w$])require\s*\(\s*$/.test(before);
    if (clause === null && !bare && !dynamic) continue;
    const line = code.slice(0, start).split('\n').length;
    found.push({ specifier: value, line, names: clause === null ? ['*'] : namesOf(clause[1]!) });
  }
  return found;
}
