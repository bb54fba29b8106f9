// Runs one client in Node. Each line of standard input is a call {id, method, params}; each line of
// standard output is its answer {id, result} or {id, error}, or a received message {message}.

import { createInterface } from 'node:readline';

// Standard output is for answers only; libraries print what they like elsewhere.
console.log = console.info = console.debug = console.error;

async function load(name) {
  globalThis.WebSocket ??= (await import('ws')).default; // Node has one of its own from 22 on
  if (name === 'xmpp.js') return (await import('./xmppjs.mjs')).makeClient();
  const library = await import('strophe.js'); // it also brings a DOMParser
  const { default: TextXMLHttpRequest } = await import('xhr2');
  globalThis.XMLHttpRequest = class extends TextXMLHttpRequest {
    get responseXML() {
      return this.responseText ? new DOMParser().parseFromString(this.responseText, 'text/xml') : null;
    }
  };
  return (await import('./strophe.mjs')).makeClient(library);
}

function write(object) {
  process.stdout.write(`${JSON.stringify(object)}\n`);
}

const client = await load(process.argv[2]);
client.onMessage = (message) => write({ message });

for await (const line of createInterface({ input: process.stdin })) {
  const { id, method, params } = JSON.parse(line);
  try {
    write({ id, result: (await client[method](params)) ?? null });
  } catch (error) {
    write({ id, error: `${error?.name}: ${error?.message ?? error}` });
  }
}
process.exit(0);
