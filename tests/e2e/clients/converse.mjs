// Converse.js with its user interface, driven from a plugin of ours; it logs in by itself when initialized.

export function makeClient(converse) {
  let api;

  return {
    received: [],

    async login({ service, jid, password }) {
      const client = this;
      const transport = service.startsWith('ws') ? { websocket_url: service } : { bosh_service_url: service };
      const connected = new Promise((resolve, reject) => {
        converse.plugins.add('boshgate-e2e', {
          initialize() {
            api = this._converse.api;
            api.listen.on('connected', () => resolve());
            api.listen.on('disconnected', () => reject(new Error('disconnected')));
            api.listen.on('message', ({ attrs, stanza }) => {
              if (attrs?.body && stanza) client.received.push({ from: attrs.from, text: attrs.body });
            });
          },
        });
      });
      await converse.initialize({
        ...transport,
        allow_non_roster_messaging: true,
        assets_path: '/node_modules/converse.js/dist/',
        authentication: 'login',
        auto_login: true,
        auto_reconnect: false,
        blacklisted_plugins: ['converse-omemo'],
        discover_connection_methods: false,
        i18n: 'en',
        jid,
        keepalive: false,
        loglevel: 'warn',
        password,
        play_sounds: false,
        reuse_scram_keys: false,
        show_desktop_notifications: 'none',
        stylesheet: false,
        view_mode: 'fullscreen',
        whitelisted_plugins: ['boshgate-e2e'],
      });
      await connected;
      return api.connection.get().jid;
    },

    async send({ to, text }) {
      const chat = await api.chats.open(to);
      await chat.sendMessage({ body: text });
    },

    async logout() {
      await api.user.logout();
    },
  };
}
