/** Colours for a terminal; everywhere else the text as it is. */
import { styleText } from 'node:util';

export type Style = 'bold' | 'dim' | 'red' | 'yellow' | 'green' | 'cyan';
export type Paint = (style: Style | readonly Style[], text: string) => string;

/** Paints for the stream: it decides by being a terminal, `NO_COLOR` and `FORCE_COLOR`. */
export function paintFor(stream: NodeJS.WritableStream): Paint {
  return (style, text) => styleText(style as Parameters<typeof styleText>[0], text, { stream, validateStream: true });
}

export const plain: Paint = (_style, text) => text;
