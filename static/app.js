// The page: reads what the gateway says, makes the parts and connects them.

import { Chat, avatar } from "./js/chat.js";
import { Client, TRANSPORT_NAMES } from "./js/client.js";
import { loadConfig } from "./js/config.js";
import { Contacts } from "./js/contacts.js";
import { $ } from "./js/dom.js";
import { Latency } from "./js/latency.js";
import { Login } from "./js/login.js";
import { loadStrophe } from "./js/strophe.js";
import { Wire } from "./js/wire.js";

const STATE_WORDS = {
  offline: "Offline",
  connecting: "Connecting",
  authenticating: "Logging in",
  online: "Connected",
  waiting: "Reconnecting",
};

function show(view) {
  document.body.dataset.view = view;
  for (const id of ["loading", "broken", "setup", "login", "workspace"]) $(id).hidden = id !== view;
}

function showPane(name) {
  $("workspace").dataset.pane = name;
  for (const tab of document.querySelectorAll("[data-to]")) tab.setAttribute("aria-current", tab.dataset.to === name);
}

function toast(text) {
  const box = $("toast");
  box.textContent = text;
  box.hidden = false;
  clearTimeout(toast.timer);
  toast.timer = setTimeout(() => (box.hidden = true), 6000);
}

/** The link that logs a demo user in, in another tab, over the other transport than this one. */
function demoLink(config, client, contact) {
  const [name, domain] = contact.jid.split("@");
  if (!config.demo?.accounts.includes(name) || domain !== config.domains[0]) return null;
  const via = client.transport === "websocket" ? "bosh" : "websocket";
  return `${location.pathname}#as=${encodeURIComponent(name)}&via=${via}`;
}

class Page {
  constructor(strophe, config) {
    this.config = config;
    this.client = new Client(strophe, config);
    this.contacts = new Contacts(this.client);
    this.wire = new Wire();
    this.latency = new Latency(this.client);
    this.chat = new Chat(this.contacts, {
      onOpen: () => showPane("chat"),
      demoLink: (contact) => demoLink(config, this.client, contact),
    });
    this.login = new Login(config, {
      onLogin: (account) => this.client.login(account),
      onCancel: () => this.#leave(),
    });
    this.#listen();
    this.#wireControls();
    show("login");
    const asked = new URLSearchParams(location.hash.slice(1)).get("as");
    if (asked) this.login.startDemo(asked);
  }

  #listen() {
    const on = (type, handle) => this.client.addEventListener(type, ({ detail }) => handle(detail));
    on("frame", (frame) => this.wire.add(frame));
    on("state", (detail) => this.#stateChanged(detail));
    on("online", () => this.#online());
    on("problem", ({ problem }) => {
      show("login");
      this.#forget();
      this.login.fail(problem);
    });
    on("fallback", ({ problem, transport }) => {
      toast(`${problem.title.replace(/\.$/, "")} over WebSocket: trying ${TRANSPORT_NAMES[transport]}.`);
    });
    on("interrupted", ({ on: interrupted }) => {
      if (this.client.state === "online") this.#connectionShown("online", interrupted);
    });
  }

  #stateChanged({ state, transport, delay, problem }) {
    this.#connectionShown(state, false);
    this.chat.enabled = state === "online";
    clearInterval(this.countdown);
    $("banner").hidden = true;
    if (state !== "online") this.latency.stop();
    if (document.body.dataset.view === "login") {
      const words = { connecting: `Opening ${TRANSPORT_NAMES[transport]}…`, authenticating: "Logging in…" };
      this.login.progress(words[state] ?? "");
    } else if (state === "waiting") {
      this.#countDown(delay, problem);
    } else if (state === "connecting" || state === "authenticating") {
      this.#banner("Connecting again…", false);
    }
  }

  #connectionShown(state, interrupted) {
    const { transport } = this.client;
    const name = TRANSPORT_NAMES[transport] ?? "";
    const word = interrupted ? "Interrupted" : STATE_WORDS[state];
    for (const element of document.querySelectorAll("[data-connection]")) {
      element.dataset.connection = interrupted ? "interrupted" : state;
    }
    for (const element of document.querySelectorAll("[data-state-word]")) element.textContent = word;
    for (const element of document.querySelectorAll("[data-transport-name]")) element.textContent = name;
    $("transport-badge").dataset.transport = transport ?? "";
    $("transport-url").textContent = this.client.url ?? "";
    $("live").textContent = state === "online" ? `${word} over ${name}` : word;
    if (state === "online") {
      if (interrupted) this.#banner("The gateway does not answer. Trying again…", false);
      else $("banner").hidden = true;
    }
  }

  #online() {
    const me = this.client.jid.split("/")[0];
    const [name] = me.split("@");
    $("me-avatar").replaceChildren(avatar({ jid: me, name }));
    $("me-name").textContent = name;
    $("me-jid").textContent = this.client.jid;
    this.login.progress("");
    $("login-password").value = "";
    if (document.body.dataset.view !== "workspace") {
      showPane("people");
      show("workspace");
    }
    this.latency.start();
  }

  #countDown(delay, problem) {
    const end = Date.now() + delay;
    const tell = () => {
      const seconds = Math.max(1, Math.ceil((end - Date.now()) / 1000));
      this.#banner(`${problem.title}. Trying again in ${seconds} s…`, true);
    };
    tell();
    this.countdown = setInterval(tell, 1000);
  }

  #banner(text, canRetry) {
    $("banner").hidden = false;
    if ($("banner-text").textContent !== text) $("banner-text").textContent = text;
    $("retry").hidden = !canRetry;
  }

  #wireControls() {
    $("logout").addEventListener("click", () => this.#leave());
    $("retry").addEventListener("click", () => this.client.retryNow());
    for (const tab of document.querySelectorAll("[data-to]")) {
      tab.addEventListener("click", () => {
        showPane(tab.dataset.to);
        this.chat.shown();
      });
    }
    $("wire-toggle").addEventListener("click", () => this.#toggleWire());
    addEventListener("pagehide", () => this.client.leave());
    addEventListener("pageshow", (event) => event.persisted && location.reload());
    addEventListener("online", () => this.client.retryNow());
  }

  /** A column on desktops, a drawer on tablets, a view of its own on phones. */
  #toggleWire() {
    const open = getComputedStyle($("wire")).display !== "none";
    $("workspace").dataset.wire = open ? "shut" : "open";
    $("wire-toggle").setAttribute("aria-expanded", !open);
    if (matchMedia("(max-width: 759px)").matches) showPane(open ? "chat" : "wire");
  }

  #leave() {
    this.client.logout();
    show("login");
    this.#forget();
    this.login.progress("");
    history.replaceState(null, "", location.pathname + location.search);
  }

  #forget() {
    this.contacts.forget();
    this.chat.reset();
    this.wire.clear();
  }
}

async function main() {
  const [strophe, config] = await Promise.all([loadStrophe(), loadConfig().catch((error) => error)]);
  if (config instanceof Error) {
    $("broken-text").textContent = config.message;
    show("broken");
    return;
  }
  $("version").textContent = config.version;
  if (strophe) new Page(strophe, config);
  else show("setup");
}

main();
