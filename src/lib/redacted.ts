/** Bytes that must never be printed: a private key, a password. Only `reveal` gives them out. */
export class Redacted {
  readonly #bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  reveal(): Uint8Array {
    return this.#bytes;
  }

  /** The bytes as UTF-8 text. */
  revealText(): string {
    return new TextDecoder().decode(this.#bytes);
  }

  equals(other: Redacted): boolean {
    return this.#bytes.length === other.#bytes.length && this.#bytes.every((byte, index) => byte === other.#bytes[index]);
  }

  toString(): string {
    return '[redacted]';
  }

  toJSON(): string {
    return '[redacted]';
  }

  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return '[redacted]';
  }
}
