/** Text as a field of a request takes it. */

const MOST = 64 * 1024;

/** One line of printable ASCII; a line end behind it is the editor's. What is none says why, as the rest of a sentence that holds nothing of it. */
export function fieldValue(text: string): { readonly text: string } | { readonly problem: string } {
  const line = text.replace(/\r?\n$/, '');
  if (line === '') return { problem: 'is empty' };
  if (line.length > MOST) return { problem: `has more than ${MOST} bytes` };
  return /^[\x20-\x7e]*$/.test(line) ? { text: line } : { problem: 'holds other characters than printable ASCII in one line' };
}
