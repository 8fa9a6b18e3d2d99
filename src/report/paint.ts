/** How parts of a text stand out: whoever writes it to a terminal brings a `Paint` with colours, everybody else takes it as it is. */

export const STYLES = ['bold', 'dim', 'red', 'yellow', 'green', 'cyan'] as const;
export type Style = (typeof STYLES)[number];
export type Paint = (style: Style | readonly Style[], text: string) => string;

export const plain: Paint = (_style, text) => text;
