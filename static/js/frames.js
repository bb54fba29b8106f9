// Frames as people read them: credentials taken out first, then a one-line summary and an indented, coloured source.

import { h } from "./dom.js";

const SASL = "urn:ietf:params:xml:ns:xmpp-sasl";
const SASL2 = "urn:xmpp:sasl:2";
const STREAM = "http://etherx.jabber.org/streams";
const HTTPBIND = "http://jabber.org/protocol/httpbind";
const PASSWORD_FORMS = new Set(["jabber:iq:auth", "jabber:iq:register"]);
const SECRET_ATTRIBUTES = ["token", "key", "newkey"];
const parser = new DOMParser();
const encoder = new TextEncoder();

/** Take a raw frame apart: {direction, transport, time, size, root, summary, noise}; *root* is null where it is no XML. */
export function readFrame({ direction, transport, text, time }) {
  const size = encoder.encode(text).length;
  const root = parser.parseFromString(text, "text/xml").documentElement;
  if (root.localName === "parsererror" || root.querySelector("parsererror")) {
    return { direction, transport, time, size, root: null, summary: "not well-formed, not shown", noise: false };
  }
  redact(root);
  return { direction, transport, time, size, root, summary: summarise(root, direction), noise: isNoise(root) };
}

/** Replace what lets somebody else log in or take the session over. Works on the tree, so the raw text is never kept. */
function redact(root) {
  for (const element of [root, ...root.getElementsByTagName("*")]) {
    if (isSecret(element)) hide(element);
    for (const name of SECRET_ATTRIBUTES) if (element.hasAttribute(name)) element.setAttribute(name, "…hidden…");
  }
  const sid = root.getAttribute("sid");
  if (sid && root.namespaceURI === HTTPBIND) root.setAttribute("sid", `${sid.slice(0, 6)}…`);
}

function isSecret(element) {
  const { namespaceURI, localName, parentNode } = element;
  if (namespaceURI === SASL) return ["auth", "challenge", "response", "success"].includes(localName);
  if (namespaceURI === SASL2) return !element.firstElementChild && localName !== "text";
  return ["password", "digest"].includes(localName) && PASSWORD_FORMS.has(parentNode?.namespaceURI);
}

function hide(element) {
  const length = element.textContent.length;
  if (length) element.textContent = `…${length} characters hidden…`;
}

// ---- one line -----------------------------------------------------------------------------------------------------

function summarise(root, direction) {
  if (root.namespaceURI !== HTTPBIND) return summariseElement(root, direction);
  const inside = [...root.children].map((child) => summariseElement(child, direction)).join(" + ");
  if (root.getAttribute("type") === "terminate") {
    const condition = root.getAttribute("condition");
    return ["terminate", condition, inside].filter(Boolean).join(" · ");
  }
  if (root.getAttribute("type") === "error") return "recoverable error";
  if (inside) return inside;
  if ([...root.attributes].some((attribute) => attribute.localName === "restart")) return "stream restart";
  if (direction === "out" && !root.hasAttribute("sid")) return `session request to ${root.getAttribute("to")}`;
  return direction === "out" ? "empty poll" : "empty answer";
}

function summariseElement(element, direction) {
  const { localName } = element;
  if (["message", "presence", "iq"].includes(localName)) return summariseStanza(element, direction);
  if (localName === "auth") return `auth ${element.getAttribute("mechanism") ?? ""}`;
  if (localName === "failure") return `failure · ${element.firstElementChild?.localName ?? ""}`;
  if (localName === "open") return `open ${direction === "out" ? "to" : "from"} ${element.getAttribute(direction === "out" ? "to" : "from") ?? ""}`;
  if (element.namespaceURI !== STREAM) return localName;
  if (localName === "error") return `stream error · ${element.firstElementChild?.localName ?? ""}`;
  return `stream ${localName}`;
}

function summariseStanza(stanza, direction) {
  const type = stanza.getAttribute("type");
  const peer = stanza.getAttribute(direction === "out" ? "to" : "from");
  const arrow = direction === "out" ? "→" : "←";
  const what = [stanza.localName, type && type !== "chat" && type, describe(stanza)].filter(Boolean).join(" · ");
  return peer ? `${what} ${arrow} ${peer.split(/[@/]/)[0]}` : what;
}

function describe(stanza) {
  if (stanza.getAttribute("type") === "error") return stanza.querySelector("error > *")?.localName;
  if (stanza.localName === "message") {
    const body = [...stanza.children].find((child) => child.localName === "body");
    return body ? "" : stanza.firstElementChild?.localName;
  }
  const payload = stanza.firstElementChild;
  if (!payload) return stanza.localName === "iq" ? "" : null;
  if (payload.localName !== "query") return payload.localName;
  return payload.namespaceURI.replace(/^(jabber:iq:|http:\/\/jabber\.org\/protocol\/)/, "");
}

/** Pings, their answers and BOSH bodies with nothing in them: what goes on when nobody does anything. */
function isNoise(root) {
  if (root.namespaceURI === HTTPBIND) {
    if (root.hasAttribute("type") || root.hasAttribute("to") || root.hasAttribute("ver")) return false;
    return [...root.children].every(isPing);
  }
  return isPing(root);
}

function isPing(stanza) {
  if (stanza.localName !== "iq") return false;
  return stanza.firstElementChild ? stanza.firstElementChild.localName === "ping" : stanza.getAttribute("type") === "result";
}

// ---- the source ---------------------------------------------------------------------------------------------------

const span = (kind, text) => h("span", { class: kind }, text);

/** The frame's XML, indented and coloured, as a fragment; its textContent is XML again. */
export function renderSource(root) {
  const fragment = document.createDocumentFragment();
  renderElement(fragment, root, 0);
  return fragment;
}

function renderElement(into, element, depth) {
  const indent = "  ".repeat(depth);
  into.append(indent, span("x-mark", "<"), span("x-name", element.tagName));
  for (const { name, value } of element.attributes) {
    into.append(" ", span("x-attribute", name), span("x-mark", "="), span("x-value", `"${escape(value)}"`));
  }
  if (!element.hasChildNodes()) {
    into.append(span("x-mark", "/>"));
    return;
  }
  into.append(span("x-mark", ">"));
  if (element.firstElementChild) {
    for (const child of element.childNodes) renderChild(into, child, depth + 1);
    into.append("\n", indent);
  } else {
    into.append(span("x-text", escape(element.textContent)));
  }
  into.append(span("x-mark", "</"), span("x-name", element.tagName), span("x-mark", ">"));
}

function renderChild(into, child, depth) {
  if (child.nodeType === Node.ELEMENT_NODE) {
    into.append("\n");
    renderElement(into, child, depth);
  } else if (child.textContent.trim()) {
    into.append("\n", "  ".repeat(depth), span("x-text", escape(child.textContent)));
  }
}

const ENTITIES = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };
const escape = (text) => text.replace(/[&<>"]/g, (char) => ENTITIES[char]);
