// The round-trip time: a ping every few seconds, the newest figure, and the last minutes as a sparkline.

import { $ } from "./dom.js";

const INTERVAL = 3000; // ms between two pings
const KEPT = 48; // samples in the sparkline
const HEIGHT = 56;

export class Latency {
  #client;
  #timer = null;
  #samples = [];

  constructor(client) {
    this.#client = client;
    new ResizeObserver(() => this.#draw()).observe($("sparkline"));
  }

  start() {
    this.stop();
    this.#samples = [];
    this.#measure();
  }

  stop() {
    clearTimeout(this.#timer);
    this.#timer = null;
    this.#draw();
  }

  async #measure() {
    this.#timer = setTimeout(() => this.#measure(), INTERVAL);
    const milliseconds = await this.#client.ping();
    if (milliseconds === null) return;
    this.#samples.push(milliseconds);
    if (this.#samples.length > KEPT) this.#samples.shift();
    this.#draw();
  }

  #draw() {
    const samples = this.#samples;
    const last = samples.at(-1);
    const running = this.#timer !== null && last !== undefined;
    $("rtt").textContent = running ? figure(last) : "–";
    for (const element of document.querySelectorAll("[data-rtt]")) {
      element.textContent = running ? `${figure(last)} ms` : "";
    }
    const sorted = [...samples].sort((a, b) => a - b);
    const values = { best: sorted[0], median: sorted[Math.floor(sorted.length / 2)], worst: sorted.at(-1) };
    for (const [name, value] of Object.entries(values)) {
      $(`rtt-${name}`).textContent = value === undefined ? "–" : `${figure(value)} ms`;
    }
    this.#drawLine(values);
  }

  #drawLine({ best, worst }) {
    const samples = this.#samples;
    const width = $("sparkline").clientWidth || 240;
    $("sparkline").setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
    $("spark-base").setAttribute("d", `M0 ${HEIGHT - 0.5}H${width}`);
    const top = Math.max(worst ?? 0, 8) * 1.15;
    const step = (width - 4) / Math.max(samples.length - 1, 11);
    const start = width - 4 - (samples.length - 1) * step;
    const points = samples.map((value, index) => [start + index * step, HEIGHT - 3 - (value / top) * (HEIGHT - 8)]);
    const line = points.map(([x, y], index) => `${index ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`).join("");
    $("spark-line").setAttribute("d", line);
    $("spark-area").setAttribute("d", points.length > 1 ? `${line}V${HEIGHT - 1}H${start.toFixed(1)}Z` : "");
    const [x, y] = points.at(-1) ?? [-10, -10];
    $("spark-dot").setAttribute("cx", x.toFixed(1));
    $("spark-dot").setAttribute("cy", y.toFixed(1));
    const label = samples.length
      ? `Round-trip time of the last ${samples.length} pings: ${figure(best)} to ${figure(worst)} milliseconds`
      : "Round-trip time: no pings yet";
    $("sparkline").setAttribute("aria-label", label);
  }
}

const figure = (milliseconds) => (milliseconds < 10 ? milliseconds.toFixed(1) : String(Math.round(milliseconds)));
