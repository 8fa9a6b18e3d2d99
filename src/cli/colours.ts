/** Colours for a terminal; everywhere else the text as it is. */
import { inspect, styleText } from 'node:util';
import { type Paint, STYLES } from '../report/paint.ts';

/** Paints for the stream: it decides by being a terminal, `NO_COLOR` and `FORCE_COLOR`. */
export function paintFor(stream: NodeJS.WritableStream): Paint {
  return (style, text) => styleText(style as Parameters<typeof styleText>[0], text, { stream, validateStream: true });
}

/** The escape sequences that painting writes: numbers that begin and end a style. */
export const PAINTED: ReadonlySet<string> = new Set(STYLES.flatMap((style) => inspect.colors[style]!.map((code) => `\u001b[${code}m`)));
