// The login view: a demo user with one click or an own account, the choice of transport, progress and errors.

import { $, h, icon, memory } from "./dom.js";
import { avatar } from "./chat.js";

const HINTS = {
  auto: "WebSocket first, BOSH where that is blocked.",
  websocket: "One open socket (RFC 7395), the fastest way.",
  bosh: "Long polling (XEP-0124), passes any web proxy.",
};

export class Login {
  #config;
  #onLogin;
  #busy = false;

  /** *onLogin* is called with {jid, password, transport}. */
  constructor(config, { onLogin, onCancel }) {
    this.#config = config;
    this.#onLogin = onLogin;
    this.#drawDemo();
    this.#drawTransport();
    $("login-form").addEventListener("submit", (event) => this.#submit(event));
    $("login-cancel").addEventListener("click", onCancel);
    $("password-show").addEventListener("click", () => this.#togglePassword());
    $("login-jid").value = memory.get("jid") ?? "";
    const [domain] = config.domains;
    if (domain) $("login-jid").placeholder = `you@${domain}`;
    $("login-domains").textContent = config.domains.length ? `Served here: ${config.domains.join(", ")}` : "";
  }

  /** Log *name* in, where it is a demo account: the link "open a tab as bob" leads here. */
  startDemo(name) {
    const { demo, domains } = this.#config;
    if (!demo?.accounts.includes(name)) return;
    this.#start({ jid: `${name}@${domains[0]}`, password: demo.password });
  }

  get transport() {
    return document.querySelector("input[name=transport]:checked").value;
  }

  progress(text) {
    this.#busy = Boolean(text);
    $("login").toggleAttribute("data-busy", this.#busy);
    $("login-progress").hidden = !this.#busy;
    $("login-progress-text").textContent = text;
    for (const control of document.querySelectorAll("#login fieldset")) control.disabled = this.#busy;
    if (this.#busy) $("login-error").hidden = true;
  }

  fail({ title, text }) {
    this.progress("");
    $("login-error-title").textContent = title;
    $("login-error-text").textContent = text;
    $("login-error").hidden = false;
    $("login-error").focus();
  }

  #drawDemo() {
    const { demo, domains } = this.#config;
    $("demo").hidden = !demo;
    $("own-title").textContent = demo ? "Or your own account" : "Your account";
    if (!demo) return;
    $("demo-accounts").append(
      ...demo.accounts.map((name) =>
        h(
          "button",
          { type: "button", class: "demo-account", "data-testid": `demo-${name}`, onclick: () => this.startDemo(name) },
          avatar({ jid: `${name}@${domains[0]}`, name }),
          h("span", { class: "unseen" }, "Log in as "),
          h("span", { class: "demo-name" }, name),
        ),
      ),
    );
  }

  #drawTransport() {
    const asked = new URLSearchParams(location.hash.slice(1)).get("via") ?? memory.get("transport");
    const choice = document.querySelector(`input[name=transport][value="${CSS.escape(asked ?? "auto")}"]`);
    if (choice) choice.checked = true;
    const tell = () => {
      $("transport-hint").textContent = HINTS[this.transport];
      $("login").dataset.transport = this.transport;
    };
    $("transport").addEventListener("change", () => {
      memory.set("transport", this.transport);
      tell();
    });
    tell();
  }

  #submit(event) {
    event.preventDefault();
    const field = $("login-jid");
    let jid = field.value.trim();
    if (!jid.includes("@") && this.#config.domains.length) jid = `${jid}@${this.#config.domains[0]}`;
    if (!/^[^@/\s]+@[^@/\s]+(\/.+)?$/.test(jid)) {
      this.fail({ title: "That is not an XMPP address", text: "It looks like you@example.org." });
      field.focus();
      return;
    }
    memory.set("jid", field.value.trim());
    this.#start({ jid, password: $("login-password").value });
  }

  #start({ jid, password }) {
    if (this.#busy) return;
    $("login-error").hidden = true;
    this.#onLogin({ jid, password, transport: this.transport });
  }

  #togglePassword() {
    const field = $("login-password");
    const show = field.type === "password";
    field.type = show ? "text" : "password";
    $("password-show").setAttribute("aria-pressed", show);
    $("password-show").replaceChildren(icon(show ? "eye-off" : "eye"), h("span", { class: "unseen" }, "Show password"));
  }
}
