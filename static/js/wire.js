// The wire panel: the list of frames going by, what they add up to, and pause, clear, filter and copy.

import { $, bytes, exactTime, h, icon } from "./dom.js";
import { readFrame, renderSource } from "./frames.js";

const KEPT = 400; // frames in the list; the oldest leave first

export class Wire {
  #list = $("frames");
  #paused = false;
  #waiting = []; // frames that came while paused, at most KEPT
  #totals = { in: { count: 0, size: 0 }, out: { count: 0, size: 0 } };

  constructor() {
    $("frames-pause").addEventListener("click", () => this.#pause(!this.#paused));
    $("frames-clear").addEventListener("click", () => this.clear());
    $("frames-quiet").addEventListener("change", (event) => {
      this.#list.classList.toggle("quiet", event.target.checked);
      this.#scrollDown();
    });
  }

  /** One more frame, as the client's "frame" event tells it. */
  add(detail) {
    const frame = readFrame(detail);
    const total = this.#totals[frame.direction];
    total.count += 1;
    total.size += frame.size;
    $(`total-${frame.direction}`).textContent = `${total.count} · ${bytes(total.size)}`;
    if (this.#paused) {
      this.#waiting.push(frame);
      if (this.#waiting.length > KEPT) this.#waiting.shift();
      $("frames-held").textContent = `${this.#waiting.length} more while paused`;
    } else {
      this.#show([frame]);
    }
  }

  clear() {
    this.#list.replaceChildren();
    this.#waiting = [];
    $("frames-held").textContent = "";
    $("frames-empty").hidden = false;
  }

  #pause(paused) {
    this.#paused = paused;
    const button = $("frames-pause");
    button.setAttribute("aria-pressed", paused);
    button.replaceChildren(icon(paused ? "play" : "pause"), paused ? "Resume" : "Pause");
    $("frames-held").textContent = paused ? "Paused" : "";
    if (!paused) this.#show(this.#waiting.splice(0));
  }

  #show(frames) {
    const scroller = this.#list;
    const atEnd = scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < 40;
    this.#list.append(...frames.map(frameItem));
    while (this.#list.children.length > KEPT) this.#list.firstElementChild.remove();
    $("frames-empty").hidden = this.#list.children.length > 0;
    if (atEnd) this.#scrollDown();
  }

  #scrollDown() {
    this.#list.scrollTop = this.#list.scrollHeight;
  }
}

function frameItem(frame) {
  const sent = frame.direction === "out";
  const summary = h(
    "summary",
    {},
    h("span", { class: "frame-arrow" }, icon(sent ? "up" : "down"), h("span", { class: "unseen" }, sent ? "sent" : "received")),
    h("span", { class: "frame-what" }, frame.summary),
    h("time", { class: "frame-time", datetime: frame.time.toISOString() }, exactTime(frame.time)),
    h("span", { class: "frame-size" }, bytes(frame.size)),
  );
  const details = h("details", {}, summary);
  details.addEventListener("toggle", () => fill(details, frame), { once: true });
  return h(
    "li",
    { class: `frame ${frame.direction}${frame.noise ? " noise" : ""}`, "data-testid": "frame", "data-direction": frame.direction },
    details,
  );
}

/** The source is only built when somebody opens the frame. */
function fill(details, frame) {
  const source = h("pre", { tabindex: "0", "aria-label": "Frame source" });
  source.append(frame.root ? renderSource(frame.root) : "The frame is no well-formed XML, so credentials in it cannot be told apart.");
  const copy = h("button", { type: "button", class: "small", title: "Copy" }, ...copyLabel("copy", "Copy"));
  copy.addEventListener("click", () => copyText(source.textContent, copy));
  details.append(h("div", { class: "frame-source" }, source, copy));
}

async function copyText(text, button) {
  try {
    await navigator.clipboard.writeText(text);
    button.replaceChildren(...copyLabel("check", "Copied"));
  } catch {
    button.replaceChildren(...copyLabel("alert", "The browser does not allow it")); // outside https:// and localhost
  }
  setTimeout(() => button.replaceChildren(...copyLabel("copy", "Copy")), 1500);
}

const copyLabel = (symbol, words) => [icon(symbol), h("span", { class: "unseen", role: "status" }, words)];
