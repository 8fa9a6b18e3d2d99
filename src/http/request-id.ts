/** x-request-id: version 4 UUIDs (RFC 9562), from the manager's own random numbers; they need to differ, not to be secret. */

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));

/** `random`: integers, 0 ≤ n < 2^53; their lower 48 bits are used. */
export function requestId(random: () => number): string {
  const a = random();
  const b = random();
  const c = random();
  // 16 bytes: six of `a`, six of `b`, four of `c`.
  const aLow = a >>> 0;
  const aHigh = (a / 4294967296) & 0xffff;
  const bLow = b >>> 0;
  const bHigh = (b / 4294967296) & 0xffff;
  const last = c >>> 0;
  const version = `${HEX[0x40 | ((aHigh >>> 8) & 0x0f)]}${HEX[aHigh & 255]}`;
  const variant = `${HEX[0x80 | ((bHigh >>> 8) & 0x3f)]}${HEX[bHigh & 255]}`;
  return `${hex32(aLow)}-${hex16(bLow >>> 16)}-${version}-${variant}-${hex16(bLow)}${hex32(last)}`;
}

function hex16(n: number): string {
  return HEX[(n >>> 8) & 255]! + HEX[n & 255]!;
}

function hex32(n: number): string {
  return HEX[n >>> 24]! + HEX[(n >>> 16) & 255]! + HEX[(n >>> 8) & 255]! + HEX[n & 255]!;
}
