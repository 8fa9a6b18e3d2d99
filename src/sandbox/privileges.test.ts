import assert from 'node:assert/strict';
import { test } from 'node:test';
import { socketFilter } from './privileges.ts';

const X64 = 0xc000003e;
const I386 = 0x40000003;
const [ALLOW, NO_FAMILY, MISSING, FORBIDDEN, KILL] = [0x7fff0000, 0x00050000 | 97, 0x00050000 | 38, 0x00050000 | 1, 0x80000000];

/** What the kernel makes of a system call: the filter's instructions, run (BPF: load, jump if a bit is set, jump if equal, return). */
function verdict(filter: Buffer, architecture: number, number: number, first = 0, second = 0): number {
  const words = new Map([
    [0, number],
    [4, architecture],
    [16, first],
    [24, second],
  ]);
  let loaded = 0;
  for (let at = 0; at < filter.length; at += 8) {
    const [code, yes, no, value] = [filter.readUInt16LE(at), filter[at + 2]!, filter[at + 3]!, filter.readUInt32LE(at + 4)];
    if (code === 0x06) return value;
    if (code === 0x20) loaded = words.get(value)!;
    else if (code === 0x45) at += 8 * ((loaded & value) !== 0 ? yes : no);
    else if (code === 0x15) at += 8 * (loaded === value ? yes : no);
    else throw new Error(`instruction ${code} at ${at / 8} is none that is known`);
  }
  throw new Error('the filter has no end');
}

test('system calls that the filter lets pass, and those that it keeps back', () => {
  const filter = socketFilter('x64');
  const of = (...call: [architecture: number, number: number, first?: number, second?: number]) => verdict(filter, ...call);
  for (const family of [1, 2, 10, 16]) {
    assert.equal(of(X64, 41, family), ALLOW, `socket of family ${family}`);
    assert.equal(of(I386, 359, family), ALLOW);
  }
  for (const family of [3, 17, 31, 40, 44]) {
    assert.equal(of(X64, 41, family), NO_FAMILY, `socket of family ${family}`);
    assert.equal(of(I386, 359, family), NO_FAMILY);
  }
  for (const number of [425, 249]) assert.equal(of(X64, number), MISSING, `system call ${number}`);
  for (const number of [425, 287, 102]) assert.equal(of(I386, number), MISSING, `system call ${number} of 32 bits`);
  for (const [architecture, ioctl] of [
    [X64, 16],
    [I386, 54],
  ] as const) {
    assert.equal(of(architecture, ioctl, 0, 0x5412), FORBIDDEN, 'typing for the user');
    assert.equal(of(architecture, ioctl, 0, 0x541c), FORBIDDEN);
    assert.equal(of(architecture, ioctl, 0, 0x5401), ALLOW);
  }
  assert.equal(of(X64, 0), ALLOW);
  for (const number of [0, 16, 41, 514, 520]) assert.equal(of(X64, 0x40000000 | number), MISSING, `system call ${number} of x32`);
  assert.equal(of(0x12345678, 0), KILL, 'an architecture that is not known');
  assert.throws(() => socketFilter('mips'), { code: 'sandbox-unavailable' });
});
