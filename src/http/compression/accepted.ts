/** Which of several encodings a client gets, by `accept-encoding` (as Envoy reads RFC 9110 §12.5.3). */

/** An encoding that may be used. */
export interface OfferedEncoding {
  readonly name: string;
  /** Of equals it comes first. */
  readonly chooseFirst: boolean;
}

interface Accepted {
  readonly name: string;
  readonly quality: number;
}

const IDENTITY = 'identity';
const ANY = '*';

/** The name of the one that is to be used; `identity` for none. `offered`: in the order of the compressors, each name once. */
export function chosenEncoding(accept: string, offered: readonly OfferedEncoding[]): string {
  const accepted = readAccepted(accept);
  const refused = new Set(accepted.filter(({ quality }) => quality === 0).map(({ name }) => name));
  const allowed = offered.filter(({ name }) => !refused.has(name));
  if (allowed.length === 0) return IDENTITY;
  let choice: Accepted = { name: IDENTITY, quality: 0 };
  for (const each of accepted) {
    const { name, quality } = each;
    const offer = allowed.find((one) => one.name === name);
    if (!offer && name !== IDENTITY && name !== ANY) continue;
    if (quality > choice.quality || (quality === choice.quality && offer?.chooseFirst)) choice = each;
  }
  if (choice.quality === 0) return IDENTITY;
  return choice.name === ANY ? allowed[0]!.name : choice.name;
}

function readAccepted(accept: string): readonly Accepted[] {
  return accept.split(',').flatMap((token): Accepted[] => {
    if (token === '') return [];
    const semicolon = token.indexOf(';');
    const name = (semicolon < 0 ? token : token.slice(0, semicolon)).trim();
    const quality = semicolon < 0 ? 1 : qualityIn(token.slice(semicolon + 1));
    return quality === undefined ? [] : [{ name, quality }];
  });
}

/** 1 without one; undefined where it can't be read. */
function qualityIn(parameters: string): number | undefined {
  const equals = parameters.indexOf('=');
  if (equals < 0 || parameters.slice(0, equals).trim().toLowerCase() !== 'q') return 1;
  const text = parameters.slice(equals + 1).trim();
  const number = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/i.test(text) ? Number(text) : Number.NaN;
  return Number.isNaN(number) ? undefined : number;
}
