// Runs one client in Node; what it receives is told as {message}.

import { serve, write } from './calls.mjs';

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

const client = await load(process.argv[2]);
client.onMessage = (message) => write({ message });
await serve(client);
