/** The same value each time; made when it is first asked for. What making it needs is let go then. */
export function once<T>(make: () => T): () => T {
  let maker: (() => T) | undefined = make;
  let value: T;
  return () => {
    if (maker) {
      value = maker();
      maker = undefined;
    }
    return value;
  };
}
