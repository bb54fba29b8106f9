// Strophe.js, in a browser and in Node: the service's scheme chooses BOSH (http) or WebSocket (ws).

export function makeClient({ Strophe, $msg, $pres }) {
  let connection;
  let onDisconnected = () => {};

  return {
    received: [],
    onMessage: () => {},

    login({ service, jid, password }) {
      connection = new Strophe.Connection(service);
      return new Promise((resolve, reject) => {
        connection.connect(jid, password, (status, condition) => {
          if (status === Strophe.Status.CONNECTED) {
            connection.addHandler((stanza) => this.take(stanza), null, 'message', null);
            connection.send($pres());
            resolve(connection.jid);
          } else if (status === Strophe.Status.CONNFAIL || status === Strophe.Status.AUTHFAIL) {
            reject(new Error(String(condition)));
          } else if (status === Strophe.Status.DISCONNECTED) {
            onDisconnected();
          }
        });
      });
    },

    take(stanza) {
      const body = stanza.getElementsByTagName('body')[0];
      if (body) {
        const message = { from: stanza.getAttribute('from'), text: body.textContent };
        this.received.push(message);
        this.onMessage(message);
      }
      return true; // Strophe keeps the handler
    },

    send({ to, text }) {
      connection.send($msg({ to, type: 'chat', id: connection.getUniqueId() }).c('body').t(text));
    },

    logout() {
      return new Promise((resolve) => {
        onDisconnected = resolve;
        connection.disconnect('logout');
      });
    },
  };
}
