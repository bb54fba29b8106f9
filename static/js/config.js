// What the gateway says about itself (config.json), with every path turned into a URL the browser can use.

/**
 * A path as the gateway knows it (`/http-bind`) is meant below the folder this page came from, so that the page
 * works behind a reverse proxy with a prefix. A whole URL is taken as it is.
 */
function resolve(path) {
  if (/^[a-z][a-z0-9+.-]*:/i.test(path)) return new URL(path);
  return new URL(path.replace(/^\/+/, ""), new URL(".", location.href));
}

function webSocketUrl(path) {
  const url = resolve(path);
  url.protocol = url.protocol.replace(/^http/, "ws");
  return url.href;
}

/** Read config.json. Throws where the gateway does not answer, or not with a configuration. */
export async function loadConfig() {
  const answer = await fetch(new URL("config.json", new URL(".", location.href)), { cache: "no-store" });
  if (!answer.ok) throw new Error(`config.json: HTTP ${answer.status}`);
  const config = await answer.json();
  return {
    bosh: resolve(config.bosh).href,
    websocket: webSocketUrl(config.websocket),
    domains: config.domains ?? [],
    demo: config.demo ?? null,
    version: config.version ?? "",
  };
}
