// The contact list and the conversation: draws what contacts.js knows and passes on what the user writes.

import { $, h, icon, shortTime } from "./dom.js";

const EMOJI = "😀 😂 😊 😍 🤔 😎 😭 😱 👋 👍 👎 🙏 👏 💪 🎉 ❤️ 🔥 ✨ 🚀 🎈 🍕 🦄 🌈 👩‍🚀".split(" ");
const ONLY_EMOJI = /^(?:\p{Extended_Pictographic}|\p{Emoji_Modifier}|\u200d|\ufe0f|\s){1,12}$/u;
const TYPING_PAUSE = 4000; // ms without a key, then "paused" is sent

export class Chat {
  #contacts;
  #options;
  #current = null;
  #items = new Map(); // jid -> list item
  #typing = null;

  /** *options*: {onOpen() when a conversation is opened, demoLink(contact) -> URL or null} */
  constructor(contacts, options) {
    this.#contacts = contacts;
    this.#options = options;
    contacts.addEventListener("change", ({ detail }) => this.#contactChanged(detail.contact));
    contacts.addEventListener("message", ({ detail }) => this.#messageCame(detail));
    document.addEventListener("visibilitychange", () => this.#readCurrent());
    this.#wireComposer();
    $("new-chat-form").addEventListener("submit", (event) => this.#startChat(event));
    $("emoji").append(...EMOJI.map((emoji) => this.#emojiButton(emoji)));
  }

  reset() {
    this.#current = null;
    this.#items.clear();
    $("contacts").replaceChildren();
    $("composer").value = "";
    this.#drawConversation();
  }

  set enabled(enabled) {
    $("send").disabled = !enabled;
    $("composer").placeholder = enabled ? "Write a message" : "Waiting for the connection…";
  }

  open(contact) {
    if (this.#current !== contact) this.#stopTyping("active");
    this.#current = contact;
    this.#drawConversation();
    this.#drawList();
    this.#options.onOpen();
    this.#readCurrent();
    if (matchMedia("(min-width: 760px)").matches) $("composer").focus();
  }

  // ---- contacts ---------------------------------------------------------------------------------------------------

  #contactChanged(contact) {
    this.#drawList();
    if (!this.#current || (contact && contact !== this.#current)) return;
    this.#drawHead();
    this.#drawMessages();
  }

  #drawList() {
    const all = this.#contacts.all;
    const items = all.map((contact) => this.#item(contact));
    const list = $("contacts");
    if (items.some((item, index) => list.children[index] !== item) || list.children.length !== items.length) {
      const focused = document.activeElement;
      list.replaceChildren(...items);
      if (list.contains(focused)) focused.focus({ preventScroll: true });
    }
    $("contacts-empty").hidden = all.length > 0;
    const { unread } = this.#contacts;
    document.title = unread ? `(${unread}) boshgate` : "boshgate";
    for (const badge of document.querySelectorAll("[data-unread]")) {
      badge.textContent = unread || "";
      badge.hidden = !unread;
    }
  }

  #item(contact) {
    let item = this.#items.get(contact.jid);
    if (!item) {
      const button = h("button", { type: "button", class: "contact", "data-testid": "contact", "data-jid": contact.jid });
      button.addEventListener("click", () => this.open(this.#contacts.open(contact.jid)));
      item = h("li", {}, button);
      this.#items.set(contact.jid, item);
    }
    const button = item.firstElementChild;
    button.dataset.presence = contact.online ? "online" : "offline";
    button.setAttribute("aria-current", contact === this.#current);
    const last = contact.messages.at(-1);
    const preview = last ? `${last.direction === "out" ? "You: " : ""}${last.body}` : contact.jid;
    button.replaceChildren(
      avatar(contact),
      h(
        "span",
        { class: "contact-text" },
        h("span", { class: "contact-name" }, contact.name, h("span", { class: "unseen" }, `, ${contact.presence}`)),
        h("span", { class: "contact-preview" }, contact.typing ? "is writing…" : preview),
      ),
      h(
        "span",
        { class: "contact-side" },
        last && h("time", {}, shortTime(last.time)),
        contact.unread > 0 && h("span", { class: "badge" }, String(contact.unread), h("span", { class: "unseen" }, " unread")),
      ),
    );
    return item;
  }

  #startChat(event) {
    event.preventDefault();
    const field = $("new-chat-jid");
    const jid = field.value.trim();
    if (!/^[^@/\s]+@[^@/\s]+$/.test(jid)) {
      field.setCustomValidity("An address looks like somebody@example.org");
      field.reportValidity();
      field.addEventListener("input", () => field.setCustomValidity(""), { once: true });
      return;
    }
    field.value = "";
    $("new-chat").open = false;
    this.open(this.#contacts.open(jid));
  }

  // ---- conversation -----------------------------------------------------------------------------------------------

  #drawConversation() {
    $("conversation").hidden = !this.#current;
    $("conversation-empty").hidden = Boolean(this.#current);
    if (!this.#current) return;
    this.#drawHead();
    $("messages").replaceChildren();
    this.#drawMessages();
  }

  #drawHead() {
    const contact = this.#current;
    $("peer-avatar").replaceChildren(avatar(contact));
    $("peer-name").textContent = contact.name;
    $("peer-state").textContent = contact.typing ? "is writing…" : `${contact.presence} · ${contact.jid}`;
    const link = contact.online ? null : this.#options.demoLink(contact);
    $("demo-hint").hidden = !link;
    if (!link) return;
    $("demo-hint-name").textContent = contact.name;
    $("demo-hint-link").href = link;
    $("demo-hint-link").lastChild.textContent = `Open a tab as ${contact.name}`;
  }

  #drawMessages() {
    const log = $("messages");
    const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 80;
    const { messages } = this.#current;
    messages.forEach((message, index) => {
      const signature = `${message.state}${message.note ?? ""}`;
      const shown = log.children[index];
      if (shown?.dataset.signature === signature) return;
      const item = messageItem(message, messages[index - 1], this.#current);
      item.dataset.signature = signature;
      if (shown) shown.replaceWith(item);
      else log.append(item);
    });
    $("messages-empty").hidden = messages.length > 0;
    if (atEnd) log.scrollTop = log.scrollHeight;
  }

  #messageCame({ contact, message }) {
    if (contact !== this.#current) return;
    this.#drawMessages();
    if (message.direction === "out") $("messages").scrollTop = $("messages").scrollHeight;
    this.#readCurrent();
  }

  #readCurrent() {
    const seen = document.visibilityState === "visible" && $("conversation").checkVisibility?.() !== false;
    if (this.#current && seen) this.#contacts.read(this.#current);
  }

  /** A pane came into view: what is now seen is read. */
  shown() {
    this.#readCurrent();
  }

  // ---- composer ---------------------------------------------------------------------------------------------------

  #wireComposer() {
    const field = $("composer");
    $("composer-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#send();
    });
    field.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      this.#send();
    });
    field.addEventListener("input", () => {
      this.#fit();
      this.#noteTyping();
    });
    $("emoji-toggle").addEventListener("click", () => this.#showEmoji($("emoji").hidden));
    document.addEventListener("click", (event) => {
      if (!event.target.closest("#emoji, #emoji-toggle")) this.#showEmoji(false);
    });
    document.addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || $("emoji").hidden) return;
      this.#showEmoji(false);
      $("emoji-toggle").focus();
    });
  }

  #send() {
    const field = $("composer");
    const body = field.value.trim();
    if (!body || !this.#current || $("send").disabled) return;
    clearTimeout(this.#typing);
    this.#typing = null; // the message itself says "active"
    field.value = "";
    this.#fit();
    this.#showEmoji(false);
    this.#contacts.say(this.#current, body);
    field.focus();
  }

  /** As high as its text, up to the limit in the style sheet. */
  #fit() {
    const field = $("composer");
    field.style.height = "auto";
    field.style.height = `${field.scrollHeight + field.offsetHeight - field.clientHeight}px`;
  }

  #noteTyping() {
    if (!this.#current) return;
    if (this.#typing === null) this.#contacts.sayTyping(this.#current, "composing");
    clearTimeout(this.#typing);
    this.#typing = setTimeout(() => this.#stopTyping("paused"), TYPING_PAUSE);
  }

  #stopTyping(state) {
    if (this.#typing === null) return;
    clearTimeout(this.#typing);
    this.#typing = null;
    if (this.#current) this.#contacts.sayTyping(this.#current, state);
  }

  #emojiButton(emoji) {
    const insert = () => {
      const field = $("composer");
      field.setRangeText(emoji, field.selectionStart, field.selectionEnd, "end");
      field.focus();
      this.#fit();
    };
    return h("button", { type: "button", class: "emoji", onclick: insert }, emoji);
  }

  #showEmoji(show) {
    $("emoji").hidden = !show;
    $("emoji-toggle").setAttribute("aria-expanded", show);
    if (show) $("emoji").firstElementChild.focus();
  }
}

/** A round picture with the first letter; the colour comes from the address, so it is the same everywhere. */
export function avatar({ jid, name, online }) {
  const hue = [...jid].reduce((sum, char) => (sum * 31 + char.codePointAt(0)) % 8, 0);
  const letter = [...name][0]?.toUpperCase() ?? "?";
  const dot = online === undefined ? null : h("span", { class: `dot ${online ? "on" : "off"}` });
  return h("span", { class: `avatar tint-${hue}`, "aria-hidden": "true" }, letter, dot);
}

const STATES = { sent: ["check", "sent"], delivered: ["checks", "delivered"], failed: ["alert", "not delivered"] };

function messageItem(message, previous, contact) {
  const follows = previous?.direction === message.direction && message.time - previous.time < 120_000;
  const classes = ["message", message.direction, follows && "follows", message.state === "failed" && "failed"];
  const [symbol, words] = STATES[message.state] ?? [];
  const who = message.direction === "out" ? "You" : contact.name;
  const meta = h("span", { class: "message-meta" }, h("time", { datetime: message.time.toISOString() }, shortTime(message.time)));
  if (symbol) meta.append(h("span", { class: "message-state" }, icon(symbol), h("span", { class: "unseen" }, words)));
  return h(
    "li",
    {
      class: classes.filter(Boolean).join(" "),
      "data-testid": "message",
      "data-direction": message.direction,
      "data-state": message.state,
    },
    h("span", { class: "unseen" }, `${who}: `),
    h("p", { class: `message-body${ONLY_EMOJI.test(message.body) ? " big" : ""}`, "data-testid": "message-body" }, message.body),
    meta,
    message.note && h("p", { class: "message-note" }, message.note),
  );
}
