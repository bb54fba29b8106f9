// Runs any number of StanzaJS agents. StanzaJS takes and gives JSON, so a test says which of an agent's methods to
// call with what, and what happens to an agent is told as {agent, event, data}.

import { createClient } from 'stanza';
import { serve, write } from './calls.mjs';

const agents = new Map();
const silent = /^(raw|stream:data|--|stanza$)|:id:/; // each of them is told in another way too

// What XEP-0124 asks of a client and StanzaJS 12 does not do.
const mended = (Bosh) =>
  class extends Bosh {
    constructor(...args) {
      super(...args);
      // Section 14.2: responses are taken in the order of the requests, whichever connection is faster.
      let before = Promise.resolve();
      for (const channel of this.channels) {
        const send = channel.send.bind(channel);
        channel.send = (rid, body) => {
          const inTurn = Promise.all([send(rid, body), before]).then(([response]) => response);
          before = inTurn.catch(() => {});
          return inTurn;
        };
      }
      // Sections 13 and 17.2: the <body/> that ends the session may hold what the server said last. To StanzaJS
      // that comes after the end, which is an error that would end the process.
      this.on('error', (error) => console.error(error.code));
    }
  };

// XEP-0077 section 3.1, with the fields in the form (section 4) where there is one. StanzaJS has no handler of its own.
function register(agent, account) {
  agent.registerFeature('inbandRegistration', 50, async (features, done) => {
    const query = { to: agent.config.server, type: 'get', account: {} };
    const { account: asked } = await agent.sendIQ(query);
    write({ agent: agent.name, event: 'registration', data: asked });
    const fields = asked.form?.fields.map(({ name, type, value }) => ({ name, type, value: account[name] ?? value }));
    await agent.sendIQ({ ...query, type: 'set', account: fields ? { form: { type: 'submit', fields } } : account });
    done();
  });
}

await serve({
  connect({ name, jid, resource, password, service, account }) {
    const transport = service.startsWith('ws') ? 'websocket' : 'bosh';
    const agent = createClient({ jid, resource, password, transports: { [transport]: service }, sendReceipts: false });
    agent.transports.bosh = mended(agent.transports.bosh);
    agents.set(name, Object.assign(agent, { name }));
    agent.on('*', (event, data) => silent.test(event) || write({ agent: name, event, data }));
    agent.on('iq:set:ibb', (iq) => agent.sendIQResult(iq)); // XEP-0047: StanzaJS leaves it to the application
    if (account) register(agent, account);
    return new Promise((resolve, reject) => {
      agent.on('sm', ({ type }) => type === 'enabled' && resolve(agent.jid)); // XEP-0198, the last of its features
      agent.once('auth:failed', () => reject(new Error('auth:failed')));
      agent.once('stream:error', (error) => reject(new Error(error.condition)));
      agent.once('disconnected', () => reject(new Error('disconnected')));
      agent.connect();
    });
  },

  do({ name, what, args }) {
    return agents.get(name)[what](...args);
  },

  // XEP-0198 section 4: what each side has counted of the other's stanzas, and how many of ours are not counted yet.
  counts({ name }) {
    const { handled, lastAck, unacked } = agents.get(name).sm;
    return { handled, acknowledged: lastAck, unacknowledged: unacked.length };
  },

  disconnect({ name }) {
    const agent = agents.get(name);
    agents.delete(name);
    return new Promise((resolve) => {
      agent.once('stream:end', resolve);
      agent.disconnect();
    });
  },
});
