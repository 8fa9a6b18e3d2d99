/** Whether a chain is whole: fed with its lines in order, says what is wrong with it. Knows no files. */
import { createHash, createPublicKey, type Hash, type KeyObject, verify as verifySignature } from 'node:crypto';
import { FORMAT, hashOf, keyId, type Line, NOTHING_BEFORE, readLine, signedBytes } from './line.ts';

export interface Problem {
  /** Number of the segment, and of the line in it, from 1 on; 0 for what is of no line. */
  readonly segment: number;
  readonly line: number;
  readonly message: string;
}

export interface Head {
  readonly seq: number;
  readonly hash: string;
}

export interface Verdict {
  readonly problems: readonly Problem[];
  /** Problems beyond those that are listed. */
  readonly more: number;
  /** What is not wrong, and worth knowing: where the chain was cut and taken up again. */
  readonly notes: readonly string[];
  readonly segments: number;
  readonly lines: number;
  readonly calls: number;
  /** The last line. */
  readonly head: Head | undefined;
  /** The last line that a valid signature covers, when it was made and by which key. */
  readonly signed: { readonly seq: number; readonly time: string; readonly key: string } | undefined;
  /** The chain ends with the signature by which a process that ends closes it. */
  readonly ended: boolean;
}

export interface VerifyOptions {
  /** Public keys that may have signed; undefined: those that the chain names itself, which says nothing of who signed. */
  readonly keys: readonly KeyObject[] | undefined;
  /** The first segment that is to be there; those before are kept elsewhere. */
  readonly from: number;
  /** A line that the chain is known to have had. */
  readonly expect: Head | undefined;
}

const MOST_PROBLEMS = 100;
const MOST_NOTES = 100;

/** Bytes from the first on that is of no line, until a segment says that they were cut off. */
interface Rest {
  readonly hash: Hash;
  bytes: number;
}

export class ChainVerifier {
  readonly #options: VerifyOptions;
  readonly #keys: Map<string, KeyObject> | undefined;
  readonly #problems: Problem[] = [];
  readonly #notes: string[] = [];
  readonly #named = new Map<string, KeyObject>();
  #more = 0;
  #moreNotes = 0;
  #segments = 0;
  #segment = 0;
  #line = 0;
  #lines = 0;
  #calls = 0;
  #head: Head | undefined;
  #signed: Verdict['signed'];
  #ended = false;
  #rest: Rest | undefined;
  /** Bytes that end without a newline. */
  #torn = 0;
  #expected = false;

  constructor(options: VerifyOptions) {
    this.#options = options;
    this.#keys = options.keys && new Map(options.keys.map((key) => [idOf(key), key]));
  }

  /** A file of the chain, in the order of their numbers. */
  segment(number: number): void {
    const first = this.#segments === 0 ? this.#options.from : this.#segment + 1;
    if (number > first) this.#problem(0, `${missing(first, number - 1)} before it`, number);
    this.#segments++;
    this.#segment = number;
    this.#line = 0;
  }

  /** The next line of the file, without its newline. */
  line(text: string): void {
    this.#line++;
    this.#lines++;
    const line = readLine(text);
    if (!line) {
      this.#problem(this.#line, 'is not a line of an audit: it was changed');
      this.#skip(`${text}\n`);
      return;
    }
    const hash = hashOf(text);
    this.#link(line);
    this.#open(line);
    if (this.#rest) this.#skip(`${text}\n`);
    this.#read(line);
    this.#head = { seq: line.seq, hash };
    this.#expect(this.#head);
  }

  /** What stands in the file after the last newline. */
  tail(bytes: Uint8Array): void {
    this.#torn += bytes.length;
    if (bytes.length > 0) this.#skip(bytes);
  }

  end(): Verdict {
    if (this.#segments === 0) this.#problem(0, 'there is no segment at all');
    if (this.#torn > 0) this.#note(`the last ${this.#torn} bytes are of a line that was not written to its end: it was not acknowledged`);
    const { expect } = this.#options;
    if (this.#keys && this.#lines > 0 && !this.#signed)
      this.#problem(0, 'no line is signed by a key that was given: anybody may have written it');
    if (expect && !this.#expected)
      this.#problem(0, `line ${expect.seq} with the hash ${expect.hash} is not in the chain: its end is cut off, or it was written anew`);
    return {
      problems: this.#problems,
      more: this.#more,
      notes: this.#moreNotes > 0 ? [...this.#notes, `and ${this.#moreNotes} more`] : this.#notes,
      segments: this.#segments,
      lines: this.#lines,
      calls: this.#calls,
      head: this.#head,
      signed: this.#signed,
      ended: this.#ended && this.#torn === 0,
    };
  }

  #problem(line: number, message: string, segment = this.#segment): void {
    if (this.#problems.length < MOST_PROBLEMS) this.#problems.push({ segment, line, message });
    else this.#more++;
  }

  #note(message: string): void {
    if (this.#notes.length < MOST_NOTES) this.#notes.push(message);
    else this.#moreNotes++;
  }

  #skip(bytes: string | Uint8Array): void {
    this.#rest ??= { hash: createHash('sha256'), bytes: 0 };
    this.#rest.hash.update(bytes);
    this.#rest.bytes += Buffer.byteLength(bytes);
  }

  /** Compares with the line before. */
  #link({ seq, prev }: Line): void {
    const before = this.#head;
    if (!before) {
      const first = this.#options.from === 1;
      if (first && (seq !== 1 || prev !== NOTHING_BEFORE))
        this.#problem(this.#line, `the chain begins with line ${seq}: ${missing(1, seq - 1, 'line')}`);
    } else if (seq > before.seq + 1) this.#problem(this.#line, missing(before.seq + 1, seq - 1, 'line'));
    else if (seq <= before.seq) this.#problem(this.#line, `line ${seq} follows line ${before.seq}: it was put in, or moved`);
    else if (prev !== before.hash)
      this.#problem(this.#line, `line ${before.seq}, before it, is not the one that it follows: that was changed, or this one was`);
  }

  /** Each file begins with a line that says which it is, and what was cut off before it. */
  #open({ entry }: Line): void {
    if (this.#line > 1) {
      if (entry.kind === 'segment') this.#problem(this.#line, 'a segment begins within another');
      return;
    }
    if (entry.kind !== 'segment') this.#problem(1, 'the beginning of the segment is missing');
    else if (entry.segment !== this.#segment) this.#problem(1, `the file holds segment ${String(entry.segment)}: it was renamed`);
    else if (entry.format !== FORMAT) this.#problem(1, `format ${String(entry.format)} is not known: verify with a newer sallyport`);
    this.#cut(entry.cut as { readonly bytes?: unknown; readonly sha256?: unknown } | undefined, String(entry.time));
  }

  #cut(cut: { readonly bytes?: unknown; readonly sha256?: unknown } | undefined, time: string): void {
    const rest = this.#rest;
    const torn = this.#torn;
    this.#rest = undefined;
    this.#torn = 0;
    if (!cut) {
      if (torn > 0) this.#problem(1, `${torn} bytes before it are no line, and it does not know of them`);
      return;
    }
    const same = rest === undefined ? cut.bytes === 0 : cut.bytes === rest.bytes && cut.sha256 === rest.hash.digest('hex');
    if (!same) this.#problem(1, `before it stand other bytes than the ${String(cut.bytes)} of which it says that they were cut off`);
    else if (torn > 0) this.#note(`${torn} bytes before segment ${this.#segment} (${time}) are of a line that was not acknowledged`);
  }

  #read(line: Line): void {
    const { entry } = line;
    const ended = this.#ended;
    this.#ended = false;
    if (entry.kind === 'call') this.#calls++;
    else if (entry.kind === 'segment') this.#name(entry.publicKey);
    else if (entry.kind === 'signature') this.#signature(line);
    else if (entry.kind === 'failure')
      this.#note(
        `line ${line.seq}: no audit from ${String(entry.since)} to ${String(entry.time)} (${String(entry.reason)}), ${String(entry.lost)} lines lost`,
      );
    if (entry.kind === 'segment' && entry.after === 'restart' && !ended)
      this.#note(
        `segment ${this.#segment} was begun after a process that did not end the chain: what it had not acknowledged is not known`,
      );
  }

  #name(publicKey: unknown): void {
    try {
      const key = createPublicKey({ key: Buffer.from(String(publicKey), 'base64'), format: 'der', type: 'spki' });
      this.#named.set(idOf(key), key);
    } catch {
      this.#problem(this.#line, 'the public key cannot be read');
    }
  }

  #signature(line: Line): void {
    const { key, signature, time, end } = line.entry;
    const id = String(key);
    const known = (this.#keys ?? this.#named).get(id);
    if (!known) this.#problem(this.#line, `it is signed by the key ${id}, which is not one of those given`);
    else if (!isSigned(line, String(signature), known))
      this.#problem(this.#line, `the signature by ${id} is not valid: what stands before it was changed`);
    else {
      this.#signed = { seq: line.seq, time: String(time), key: id };
      this.#ended = end === true;
    }
  }

  #expect({ seq, hash }: Head): void {
    const { expect } = this.#options;
    this.#expected ||= expect?.seq === seq && expect.hash === hash;
  }
}

/** Base64 can be written in several ways: in another one the line was changed. */
function isSigned(line: Line, signature: string, key: KeyObject): boolean {
  const bytes = Buffer.from(signature, 'base64');
  return bytes.toString('base64') === signature && verifySignature(null, signedBytes(line), key, bytes);
}

function idOf(key: KeyObject): string {
  return keyId(key.export({ format: 'der', type: 'spki' }));
}

function missing(first: number, last: number, what = 'segment'): string {
  return first >= last ? `${what} ${first} is missing` : `${what}s ${first} to ${last} are missing`;
}
