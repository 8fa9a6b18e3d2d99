/** Colours for a terminal; everywhere else the text as it is. */
import { inspect, styleText } from 'node:util';

const STYLES = ['bold', 'dim', 'red', 'yellow', 'green', 'cyan'] as const;
export type Style = (typeof STYLES)[number];
export type Paint = (style: Style | readonly Style[], text: string) => string;

/** Paints for the stream: it decides by being a terminal, `NO_COLOR` and `FORCE_COLOR`. */
export function paintFor(stream: NodeJS.WritableStream): Paint {
  return (style, text) => styleText(style as Parameters<typeof styleText>[0], text, { stream, validateStream: true });
}

export const plain: Paint = (_style, text) => text;

/** The escape sequences that painting writes: numbers that begin and end a style. */
export const PAINTED: ReadonlySet<string> = new Set(STYLES.flatMap((style) => inspect.colors[style]!.map((code) => `\u001b[${code}m`)));
