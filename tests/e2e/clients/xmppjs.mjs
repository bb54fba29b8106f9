// @xmpp/client; in Node it has TCP and WebSocket, and no BOSH.

import { client as makeXmpp, xml } from '@xmpp/client';

export function makeClient() {
  let xmpp;

  return {
    received: [],
    onMessage: () => {},

    async login({ service, jid, password }) {
      const [username, domain] = jid.split('@');
      xmpp = makeXmpp({ service, domain, username, password });
      xmpp.on('error', (error) => console.error(error));
      xmpp.on('stanza', (stanza) => {
        const text = stanza.is('message') && stanza.getChildText('body');
        if (text) {
          const message = { from: stanza.attrs.from, text };
          this.received.push(message);
          this.onMessage(message);
        }
      });
      const address = await xmpp.start();
      await xmpp.send(xml('presence'));
      return String(address);
    },

    async send({ to, text }) {
      await xmpp.send(xml('message', { to, type: 'chat' }, xml('body', {}, text)));
    },

    async logout() {
      await xmpp.send(xml('presence', { type: 'unavailable' }));
      await xmpp.stop();
    },
  };
}
