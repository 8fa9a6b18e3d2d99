/** Lists in lines for people. */

const SHOWN = 3;

/** The first of a list, and how many more there are. */
export function few(list: readonly string[], separator = ', '): string {
  if (list.length <= SHOWN + 1) return list.join(separator);
  return `${list.slice(0, SHOWN).join(separator)} and ${list.length - SHOWN} more`;
}
