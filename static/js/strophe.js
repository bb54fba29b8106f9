// Load Strophe.js, which the build step copies to vendor/; without it the page can only say how to install it.

/** Resolves to Strophe, or to null where vendor/ is missing. */
export function loadStrophe() {
  return new Promise((resolve) => {
    const script = document.createElement("script");
    script.src = new URL("../vendor/strophe.umd.min.js", import.meta.url).href;
    script.addEventListener("load", () => {
      globalThis.Strophe?.setLogLevel?.(globalThis.Strophe.LogLevel.FATAL); // the page tells what goes wrong itself
      resolve(globalThis.Strophe?.Connection ? globalThis.Strophe : null);
    });
    script.addEventListener("error", () => resolve(null));
    document.head.append(script);
  });
}
