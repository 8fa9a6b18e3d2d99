/** Node's cryptography, loaded when the first certificate is looked at: it takes 5 ms, and most configurations hold none. */
export function nodeCrypto(): typeof import('node:crypto') {
  return process.getBuiltinModule('node:crypto');
}
