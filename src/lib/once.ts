/** Makes a value on the first call and returns that same value afterwards. `make` is released then, and with it whatever it holds on to. */
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
