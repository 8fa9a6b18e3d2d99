/** As `once`, but what was made may go when nobody else has it any more: it is made again then, for large values that are mostly read once. */
export function weakly<T extends object>(make: () => T): () => T {
  let made: WeakRef<T> | undefined;
  return () => {
    const present = made?.deref();
    if (present) return present;
    const value = make();
    made = new WeakRef(value);
    return value;
  };
}
