/** Of a warning that is longer an API server may cut what it likes, in characters. */
const LENGTH = 256;

export function warningText(text: string): string {
  return cut(text, LENGTH);
}

/** By code points, as API servers count. */
export function cut(text: string, most: number): string {
  const points = [...text];
  return points.length <= most ? text : `${points.slice(0, most - 1).join('')}…`;
}
