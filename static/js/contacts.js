// Who there is to talk to and what was said: roster, presence and messages, without any drawing.

import { NS } from "./client.js";
import { deliveryProblem } from "./problems.js";

const DELAY = "urn:xmpp:delay";
const PRESENCE_RANK = ["chat", "", "away", "xa", "dnd"];
const PRESENCE_WORDS = { chat: "free to chat", "": "online", away: "away", xa: "away for long", dnd: "do not disturb" };

const bare = (jid) => jid.split("/")[0].toLowerCase();
const child = (element, name, namespace) =>
  [...element.children].find((each) => each.localName === name && (!namespace || each.namespaceURI === namespace));

class Contact {
  resources = new Map(); // resource -> <show/>
  messages = [];
  unread = 0;
  typing = false;

  constructor(jid, name) {
    this.jid = jid;
    this.name = name || jid.split("@")[0];
  }

  get online() {
    return this.resources.size > 0;
  }

  get show() {
    const shows = [...this.resources.values()];
    return PRESENCE_RANK.find((show) => shows.includes(show)) ?? "";
  }

  get presence() {
    return this.online ? PRESENCE_WORDS[this.show] : "offline";
  }
}

/** Events: "change" {contact} (null: the list), "message" {contact, message}. */
export class Contacts extends EventTarget {
  #client;
  #contacts = new Map();

  constructor(client) {
    super();
    this.#client = client;
    client.addEventListener("online", () => this.#begin());
    client.addEventListener("stanza", ({ detail }) => this.#receive(detail.element));
    client.addEventListener("state", ({ detail }) => detail.state !== "online" && this.#everyoneLeft());
  }

  /** Those present first, then by name. */
  get all() {
    const rank = (contact) => (contact.online ? 0 : 1);
    return [...this.#contacts.values()].sort((a, b) => rank(a) - rank(b) || a.name.localeCompare(b.name));
  }

  get unread() {
    return this.all.reduce((sum, contact) => sum + contact.unread, 0);
  }

  forget() {
    this.#contacts.clear();
    this.#changed(null);
  }

  /** The contact of *jid*, made if need be. */
  open(jid, name) {
    const key = bare(jid);
    let contact = this.#contacts.get(key);
    if (!contact) {
      contact = new Contact(key, name);
      this.#contacts.set(key, contact);
      this.#changed(null);
    } else if (name && contact.name !== name) {
      contact.name = name;
      this.#changed(contact);
    }
    return contact;
  }

  say(contact, body) {
    const message = { id: newId(), direction: "out", body, time: new Date(), state: "sent" };
    contact.messages.push(message);
    const stanza = globalThis.$msg({ to: contact.jid, type: "chat", id: message.id });
    stanza.c("body").t(body).up();
    stanza.c("active", { xmlns: NS.chatstates }).up().c("request", { xmlns: NS.receipts });
    this.#client.send(stanza);
    this.#emit("message", { contact, message });
    this.#changed(contact);
  }

  /** Tell *contact* that a message is being written, or no longer (XEP-0085). */
  sayTyping(contact, state) {
    if (!contact.online || this.#client.state !== "online") return;
    this.#client.send(globalThis.$msg({ to: contact.jid, type: "chat" }).c(state, { xmlns: NS.chatstates }));
  }

  read(contact) {
    if (!contact.unread) return;
    contact.unread = 0;
    this.#changed(contact);
  }

  async #begin() {
    // RFC 6121 2.2: the roster comes before the first presence, so that nobody's presence is for a stranger.
    try {
      this.#readRoster(await this.#client.ask(globalThis.$iq({ type: "get" }).c("query", { xmlns: NS.roster })));
    } catch {
      // An anonymous account may have no roster; presence and messages work without.
    }
    if (this.#client.state === "online") this.#client.send(globalThis.$pres());
  }

  #readRoster(iq) {
    for (const item of iq.querySelectorAll("query > item")) {
      if (item.getAttribute("subscription") === "remove") this.#contacts.delete(bare(item.getAttribute("jid")));
      else this.open(item.getAttribute("jid"), item.getAttribute("name"));
    }
    this.#changed(null);
  }

  #receive(stanza) {
    if (stanza.localName === "presence") this.#receivePresence(stanza);
    else if (stanza.localName === "message") this.#receiveMessage(stanza);
    else {
      this.#readRoster(stanza);
      this.#client.send(globalThis.$iq({ type: "result", id: stanza.getAttribute("id") }));
    }
  }

  #receivePresence(presence) {
    const from = presence.getAttribute("from") ?? "";
    const type = presence.getAttribute("type");
    const contact = this.#contacts.get(bare(from));
    if (!contact || (type && type !== "unavailable")) return;
    const resource = from.slice(from.indexOf("/") + 1);
    if (type) contact.resources.delete(resource);
    else contact.resources.set(resource, child(presence, "show")?.textContent ?? "");
    if (!contact.online) contact.typing = false;
    this.#changed(contact);
  }

  #receiveMessage(stanza) {
    const from = stanza.getAttribute("from");
    const type = stanza.getAttribute("type") ?? "normal";
    if (!from || type === "groupchat") return;
    const id = stanza.getAttribute("id");
    const contact = this.#contacts.get(bare(from));
    if (type === "error") {
      const condition = [...(child(stanza, "error")?.children ?? [])].find((each) => each.namespaceURI === NS.stanzas);
      this.#mark(contact, id, "failed", deliveryProblem(condition?.localName ?? "no reason given"));
      return;
    }
    const receipt = child(stanza, "received", NS.receipts);
    if (receipt) this.#mark(contact, receipt.getAttribute("id"), "delivered");
    const body = child(stanza, "body")?.textContent;
    if (body) this.#hear(stanza, from, body, id);
    else if (contact) this.#chatState(contact, stanza);
  }

  #hear(stanza, from, body, id) {
    const contact = this.open(from);
    const stamp = child(stanza, "delay", DELAY)?.getAttribute("stamp");
    const message = { id, direction: "in", body, time: stamp ? new Date(stamp) : new Date(), state: "received" };
    contact.messages.push(message);
    contact.unread += 1;
    contact.typing = false;
    if (id && child(stanza, "request", NS.receipts)) {
      this.#client.send(globalThis.$msg({ to: from, type: "chat" }).c("received", { xmlns: NS.receipts, id }));
    }
    this.#emit("message", { contact, message });
    this.#changed(contact);
  }

  #chatState(contact, stanza) {
    const state = [...stanza.children].find((each) => each.namespaceURI === NS.chatstates)?.localName;
    if (!state) return;
    contact.typing = state === "composing";
    this.#changed(contact);
  }

  #mark(contact, id, state, note = "") {
    const message = contact?.messages.find((each) => each.direction === "out" && each.id === id);
    if (!message) return;
    Object.assign(message, { state, note });
    this.#changed(contact);
  }

  #everyoneLeft() {
    for (const contact of this.#contacts.values()) {
      contact.resources.clear();
      contact.typing = false;
    }
    this.#changed(null);
  }

  #changed(contact) {
    this.#emit("change", { contact });
  }

  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

const newId = () => [...crypto.getRandomValues(new Uint32Array(2))].map((number) => number.toString(36)).join("");
