// One login as a small machine around Strophe: choose a transport, connect, notice when it is lost, connect again.

import { lostProblem, loginProblem, nothingWorksProblem, streamProblem, timeoutProblem, unreachableProblem } from "./problems.js";

export const NS = {
  framing: "urn:ietf:params:xml:ns:xmpp-framing",
  stream: "http://etherx.jabber.org/streams",
  stanzas: "urn:ietf:params:xml:ns:xmpp-stanzas",
  roster: "jabber:iq:roster",
  ping: "urn:xmpp:ping",
  receipts: "urn:xmpp:receipts",
  chatstates: "http://jabber.org/protocol/chatstates",
};

export const TRANSPORT_NAMES = { websocket: "WebSocket", bosh: "BOSH" };

const OPEN_TIMEOUT = { auto: 5000, websocket: 12_000, bosh: 12_000 }; // ms until the transport has carried something
const LOGIN_TIMEOUT = 30_000; // ms from there to the end of the login
const PING_TIMEOUT = 15_000; // ms without an answer, then the connection counts as lost
const MAX_DELAY = 30_000; // ms between two attempts to connect again

/**
 * Events: "state" {state, transport, delay}, "frame" {direction, transport, text}, "online", "problem" {problem},
 * "fallback" {problem}, "interrupted" {on}, "stanza" {element}.
 * States: offline, connecting, authenticating, online, waiting (for the next attempt).
 */
export class Client extends EventTarget {
  #strophe;
  #config;
  #connection = null;
  #generation = 0; // callbacks of an older attempt are ignored
  #login = null;
  #condition = null;
  #wasOnline = false;
  #failures = 0;
  #timer = null;

  state = "offline";
  transport = null;
  jid = null;

  constructor(strophe, config) {
    super();
    this.#strophe = strophe;
    this.#config = config;
  }

  /** Log in as *jid*; *transport* is "auto", "websocket" or "bosh". */
  login({ jid, password, transport }) {
    const resource = `page-${crypto.getRandomValues(new Uint32Array(1))[0].toString(36)}`;
    const full = jid.includes("/") ? jid : `${jid}/${resource}`;
    this.#login = { jid: full, password, transport, domain: this.#strophe.getDomainFromJid(jid) };
    this.#wasOnline = false;
    this.#failures = 0;
    this.#connect();
  }

  logout() {
    this.#login = null;
    this.#drop();
    this.#become("offline");
  }

  /** Do not wait for the next attempt. */
  retryNow() {
    if (this.state === "waiting") this.#connect();
  }

  get url() {
    return this.transport && this.#config[this.transport];
  }

  send(stanza) {
    this.#connection.send(stanza);
    this.#connection.flush(); // over BOSH Strophe would collect for 100 ms
  }

  /** Send an <iq/>; resolves to the answer, rejects with the error's condition. */
  ask(iq) {
    return new Promise((resolve, reject) => {
      const refused = (answer) => reject(new Error(answer?.querySelector("error > *")?.localName ?? "timeout"));
      this.#connection.sendIQ(iq, resolve, refused, 20_000);
      this.#connection.flush();
    });
  }

  /** One XEP-0199 ping to the server: resolves to the round trip in milliseconds, errors count as answers too. */
  async ping() {
    const generation = this.#generation;
    const timer = setTimeout(() => {
      if (generation === this.#generation) this.#failed(lostProblem());
    }, PING_TIMEOUT);
    const begin = performance.now();
    try {
      await this.ask(globalThis.$iq({ type: "get", to: this.#login.domain }).c("ping", { xmlns: NS.ping }));
    } catch {
      // A server without XEP-0199 answers with an error: the way there and back is the same.
    }
    clearTimeout(timer);
    return generation === this.#generation ? performance.now() - begin : null;
  }

  /** The tab goes away: say so in a way that outlives it, so that contacts need not wait for the session to time out. */
  leave() {
    if (this.state !== "online") return;
    if (this.transport === "websocket") {
      this.#connection.disconnect();
      return;
    }
    const body = this.#connection._proto._buildBody().attrs({ type: "terminate" });
    body.cnode(globalThis.$pres({ xmlns: "jabber:client", type: "unavailable" }).tree());
    const headers = { "Content-Type": "text/xml; charset=utf-8" };
    const request = { method: "POST", headers, keepalive: true, body: body.toString() };
    fetch(this.#config.bosh, request).catch(() => {}); // nobody is left to tell
  }

  #connect() {
    clearTimeout(this.#timer);
    const { transport } = this.#login;
    const order = transport === "auto" ? ["websocket", "bosh"] : [transport];
    this.#try(order);
  }

  #try([transport, ...rest]) {
    const generation = ++this.#generation;
    const { jid, password } = this.#login;
    this.transport = transport;
    this.#condition = null;
    this.#become("connecting");
    const connection = new this.#strophe.Connection(this.#config[transport]);
    connection.maxRetries = 1;
    this.#connection = connection;
    const fail = (problem) => {
      if (generation === this.#generation) this.#failed(problem, rest);
    };
    const limit = (milliseconds) => {
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => fail(timeoutProblem(TRANSPORT_NAMES[transport])), milliseconds);
    };
    limit(OPEN_TIMEOUT[rest.length ? "auto" : transport]);
    this.#watch(connection, transport, () => {
      if (generation === this.#generation) limit(LOGIN_TIMEOUT);
    });
    connection.connect(jid, password, (status, condition, element) => {
      if (generation === this.#generation) this.#statusChanged(status, condition, element, fail);
    });
  }

  #watch(connection, transport, opened) {
    let open = false;
    const frame = (direction, text) => {
      // A WebSocket is open when it carries the first frame, BOSH when the first response is there.
      if (!open && (transport === "websocket" || direction === "in")) opened();
      open ||= transport === "websocket" || direction === "in";
      if (direction === "in") this.#emit("interrupted", { on: false });
      this.#emit("frame", { direction, transport, text, time: new Date() });
    };
    connection.rawOutput = (text) => frame("out", text);
    connection.rawInput = (text) => frame("in", text);
    connection.xmlOutput = (element) => {
      if (this.state === "connecting" && connection === this.#connection) {
        if (element.localName === "auth" || element.querySelector("auth")) this.#become("authenticating");
      }
    };
    connection.xmlInput = (element) => {
      // Over BOSH the error is inside <body/>; over WebSocket it comes by itself; <close/> comes as an event.
      const inside = element.getElementsByTagNameNS?.(NS.stream, "error")?.[0];
      const error = element.namespaceURI === NS.stream && element.localName === "error" ? element : inside;
      if (error) this.#condition = error.firstElementChild?.localName ?? null;
    };
    for (const status of [0, 502, 503, 504]) {
      connection.addProtocolErrorHandler("HTTP", status, () => this.#emit("interrupted", { on: true }));
    }
  }

  #statusChanged(status, condition, element, fail) {
    const { Status } = this.#strophe;
    if (status === Status.CONNECTED) {
      this.#online();
    } else if (status === Status.AUTHFAIL) {
      fail(loginProblem(element));
    } else if (status === Status.CONNFAIL || status === Status.ERROR || status === Status.DISCONNECTED) {
      fail(this.#explain(condition));
    } else if (status === Status.CONNTIMEOUT) {
      fail(lostProblem());
    }
  }

  #explain(condition) {
    const { domain } = this.#login;
    const known = this.#condition ?? (/^[a-z-]+$/.test(condition ?? "") ? condition : null);
    if (known && known !== "giving-up") return streamProblem(known, { domain, served: this.#config.domains });
    if (this.state === "online") return lostProblem();
    return unreachableProblem(TRANSPORT_NAMES[this.transport], this.#config[this.transport]);
  }

  #online() {
    clearTimeout(this.#timer);
    const connection = this.#connection;
    connection.maxRetries = 5;
    this.#wasOnline = true;
    this.#failures = 0;
    this.jid = connection.jid;
    const pass = (element) => {
      this.#emit("stanza", { element });
      return true;
    };
    connection.addHandler(pass, null, "message");
    connection.addHandler(pass, null, "presence");
    connection.addHandler(pass, NS.roster, "iq", "set");
    this.#become("online");
    this.#emit("online", {});
  }

  #failed(problem, rest = []) {
    this.#drop();
    if (problem.reach && rest.length) {
      this.#emit("fallback", { problem, transport: rest[0] });
      this.#try(rest);
    } else if (this.#wasOnline && !problem.final) {
      const delay = Math.min(MAX_DELAY, 1000 * 2 ** this.#failures++) * (0.8 + 0.4 * Math.random());
      this.#timer = setTimeout(() => this.#connect(), delay);
      this.#become("waiting", { delay, problem });
    } else {
      const all = problem.reach && this.#login.transport === "auto";
      this.#login = null;
      this.#become("offline");
      this.#emit("problem", { problem: all ? nothingWorksProblem(this.#config.bosh) : problem });
    }
  }

  #drop() {
    clearTimeout(this.#timer);
    this.#generation++;
    this.#connection?.disconnect();
    this.#connection = null;
    this.#emit("interrupted", { on: false });
  }

  #become(state, detail = {}) {
    this.state = state;
    this.#emit("state", { state, transport: this.transport, ...detail });
  }

  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
