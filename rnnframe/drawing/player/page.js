"use strict";
// The player. A film is a list of moments; what is held at one of them follows from replaying all before it.
const data = JSON.parse(document.getElementById("data").textContent);
const films = data.films;
const KINDS = ["forward", "tape", "reverse", "save", "load", "drop", "forget", "update"];
const SVG = "http://www.w3.org/2000/svg";

function make(name, attributes, parent, text) {
  const node = name.startsWith("svg:") ? document.createElementNS(SVG, name.slice(4)) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) node.setAttribute(key, value);
  if (text !== undefined) node.textContent = text;
  if (parent) parent.append(node);
  return node;
}

function bytes(count) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let size = count;
  while (size >= 1024 && units.length > 1) { size /= 1024; units.shift(); }
  return (units[0] === "B" ? size.toFixed(0) : size.toFixed(1)) + " " + units[0];
}

function plural(count, one, many) { return count === 1 ? "1 " + one : count + " " + (many || one + "s"); }

// Steps are counted from 1 in what a person reads.
function steps(film, first, last) {
  const from = film.starts[first] + 1, to = film.starts[last + 1];
  return from === to ? "step " + from : "steps " + from + "–" + to;
}
function stateBefore(film, chunk) {
  const step = film.starts[chunk];
  return step === 0 ? "the initial state" : "the state after step " + step;
}

// What is held after the first `count` moments of a film.
function replay(film, count) {
  const s = { tapes: new Map(), slots: new Map(), position: 0, version: 0, forward: 0, reverse: 0, updates: 0, action: 0,
    ran: new Map(), reversed: new Map(), terms: 0, runs: 0, sweeps: 0, arena: 0, farPeak: 0, versionsPeak: 0, farNow: 0,
    now: film.bytes.fixed, peak: film.bytes.fixed, moment: null, again: false };
  const extent = (map, kind) => {
    let most = 0;
    for (const held of map.values()) if (held.kind === kind) most = Math.max(most, held.place + 1);
    return most;
  };
  const older = () => film.keepsWeights
    ? new Set([...s.tapes.values()].map((held) => held.version).filter((version) => version !== s.version)).size : 0;
  const measure = (passing) => {
    let tapes = extent(s.tapes, "tape");
    if (passing !== null) tapes = Math.max(tapes, passing + 1);
    const snapshots = extent(s.slots, "snapshot");
    s.farNow = [...s.slots.values()].filter((held) => held.kind === "far").length;
    const versions = older();
    const arena = tapes * film.bytes.tape + snapshots * film.bytes.snapshot;
    s.arena = Math.max(s.arena, arena);
    s.farPeak = Math.max(s.farPeak, s.farNow);
    s.versionsPeak = Math.max(s.versionsPeak, versions);
    s.now = film.bytes.fixed + arena + s.farNow * film.bytes.far + versions * film.bytes.weights;
    s.peak = film.bytes.fixed + s.arena + s.farPeak * film.bytes.far + s.versionsPeak * film.bytes.weights;
  };
  for (let n = 0; n < count; n++) {
    const [k, action, chunk, counts, made, released, passing, line] = film.moments[n];
    const kind = KINDS[k], length = film.starts[chunk + 1] - film.starts[chunk];
    s.moment = { kind, chunk, counts, made, released, passing, line };
    s.action = action;
    if (kind === "forward" || kind === "tape") {
      s.again = s.ran.has(chunk);
      s.ran.set(chunk, (s.ran.get(chunk) || 0) + 1);
      s.forward += length; s.position = chunk + 1; s.runs += 1;
    } else if (kind === "reverse") {
      s.reversed.set(chunk, (s.reversed.get(chunk) || 0) + 1);
      s.reverse += length; s.terms += length; s.sweeps += 1;
    } else if (kind === "load") s.position = chunk;
    for (const [what, number, of, place] of released) (what === 0 ? s.tapes : s.slots).delete(number);
    if (kind === "update") { s.updates += 1; s.version += 1; s.terms = 0; }
    for (const [what, number, of, place] of made) {
      const held = { kind: ["tape", "snapshot", "far"][what], number, chunk: of, place, version: s.version, run: s.runs };
      (what === 0 ? s.tapes : s.slots).set(number, held);
    }
    measure(passing);
  }
  return s;
}

function caption(film, s) {
  const m = s.moment;
  if (!m) return "Nothing has run yet. The network stands at its initial state.";
  const here = steps(film, m.chunk, Math.min(m.chunk, film.starts.length - 2));
  switch (m.kind) {
    case "tape":
      return s.again
        ? "Forward through " + here + " again, and this time its tape is kept: what its reverse needs is recomputed."
        : "Forward through " + here + ". Its tape (the states, not the outputs) is kept for the way back.";
    case "forward":
      return s.again
        ? "Forward through " + here + " again: nothing is kept but the state that it leads to."
        : "Forward through " + here + ". Nothing is kept but the current state.";
    case "reverse": {
      const joins = m.chunk + 1 < film.starts.length - 1 && s.reversed.has(m.chunk + 1)
        ? " and joins what comes back from " + steps(film, m.chunk + 1, m.chunk + 1) : "";
      const loss = m.counts
        ? "the outputs o are computed now, their error enters" + joins
        : "its loss was counted by an earlier window, so only what comes back from later steps passes through";
      const after = m.released.length ? " Its tape is released." : " Its tape stays for the next window.";
      return "Back through " + here + ": " + loss + "; one more term is added to every gradient sum." + after;
    }
    case "save": {
      const far = m.made.some((buffer) => buffer[0] === 2);
      const slot = m.made.length ? m.made[0][1] + 1 : "";
      return "Save " + stateBefore(film, m.chunk) + (far ? " in the medium, as number " : " in slot ") + slot + ".";
    }
    case "load": return "Return to " + stateBefore(film, m.chunk) + ".";
    case "drop": return "Slot " + (m.released.length ? m.released[0][1] + 1 : "") + " is free again.";
    case "forget":
      if (!m.released.length) return "Nothing is old enough to be forgotten.";
      return "Forget " + steps(film, m.released[0][2], m.released[m.released.length - 1][2])
        + ": no later window reaches back so far, and the place is used again.";
    default: {
      const old = [...s.tapes.values()].filter((held) => held.version < s.version).length;
      const note = old === 0 ? " No tape waits, so the old weights are not needed."
        : film.keepsWeights ? " " + plural(old, "tape waits", "tapes wait") + " that older weights made: these weights are kept."
        : " " + plural(old, "tape waits", "tapes wait") + " that older weights made and the new ones will reverse: an approximation.";
      return "The optimizer changes the weights, and the sums start again at zero." + note;
    }
  }
}

class Panel {
  constructor(film) {
    this.film = film;
    this.root = document.getElementById("film").content.firstElementChild.cloneNode(true);
    document.getElementById("films").append(this.root);
    const find = (selector) => this.root.querySelector(selector);
    // a spec may go on in the next line after a comma or a colon
    find("h2").append(...film.title.split(/(?<=[,:])/).flatMap((part) => [part, document.createElement("wbr")]));
    this.caption = find(".caption");
    this.scroll = find(".scroll");
    this.buffers = find(".buffers");
    this.terms = find(".terms");
    this.grids = find(".grids");
    this.codeTitle = find(".code h3");
    this.code = find("pre");
    this.bar = { now: find(".now"), peak: find(".peak") };
    this.counters = Object.fromEntries([...this.root.querySelectorAll("[data-counter]")].map((node) => [node.dataset.counter, node]));
    this.shown = -1;
    this.end = replay(film, film.moments.length);
    this.most = { tape: 0, slot: 0, far: 0 };
    for (const moment of film.moments) {
      for (const [what, number, of, place] of moment[4]) {
        if (what === 0) this.most.tape = Math.max(this.most.tape, place + 1);
        if (what === 1) this.most.slot = Math.max(this.most.slot, place + 1);
        if (what === 2) this.most.far = Math.max(this.most.far, number + 1);
      }
      if (moment[6] !== null) this.most.tape = Math.max(this.most.tape, moment[6] + 1);
    }
    this.draw();
  }

  draw() {
    const T = this.film.starts[this.film.starts.length - 1];
    const left = 46, room = (this.scroll.clientWidth - left - 24) / T;
    const step = Math.max(T <= 16 ? 40 : 34, Math.min(58, room));
    this.step = step; this.left = left;
    const width = left + T * step + 20;
    const svg = make("svg:svg", { width, height: 236, viewBox: `0 0 ${width} 236`, role: "img" }, this.scroll);
    this.title = make("svg:title", {}, svg);
    const defs = make("svg:defs", {}, svg);
    for (const kind of ["plain", "forward", "again", "reverse"]) {
      const marker = make("svg:marker", { id: `${this.film.id}-${kind}`, viewBox: "0 0 8 8", refX: 7, refY: 4, markerWidth: 7,
        markerHeight: 7, markerUnits: "userSpaceOnUse", orient: "auto-start-reverse" }, defs);
      make("svg:path", { d: "M0 0L8 4L0 8z", fill: kind === "plain" ? "var(--line)" : `var(--${kind})` }, marker);
    }
    this.x = (t) => left + step / 2 + t * step;
    const radius = Math.min(17, step / 2 - 6);
    this.parts = [];
    make("svg:text", { x: 18, y: 100 }, svg, "h₀");
    const chunks = this.film.starts.length - 1;
    for (let chunk = 0; chunk < chunks; chunk++) {
      for (let t = this.film.starts[chunk]; t < this.film.starts[chunk + 1]; t++) {
        const x = this.x(t), before = t === 0 ? 28 : this.x(t - 1) + radius + 1;
        const part = { chunk };
        part.W = make("svg:line", { x1: before, x2: x - radius - 2, y1: 100, y2: 100, class: "arrow" }, svg);
        part.U = make("svg:line", { x1: x, x2: x, y1: 150, y2: 100 + radius + 3, class: "arrow" }, svg);
        part.V = make("svg:line", { x1: x, x2: x, y1: 100 - radius - 1, y2: 51, class: "arrow" }, svg);
        part.o = make("svg:circle", { cx: x, cy: 36, r: Math.min(13, radius), class: "node" }, svg);
        make("svg:text", { x, y: 36 }, svg, "o");
        part.h = make("svg:circle", { cx: x, cy: 100, r: radius, class: "node" }, svg);
        make("svg:text", { x, y: 100 }, svg, "h");
        make("svg:rect", { x: x - 11, y: 150, width: 22, height: 22, rx: 4, class: "node" }, svg);
        make("svg:text", { x, y: 161 }, svg, "x");
        make("svg:text", { x, y: 185, class: "small" }, svg, String(t + 1));
        this.parts.push(part);
      }
      const from = this.film.starts[chunk], to = this.film.starts[chunk + 1];
      if (to - from > 1) {
        make("svg:path", { d: `M${this.x(from) - 12} 196v4H${this.x(to - 1) + 12}v-4`, class: "arrow" }, svg);
      }
    }
    this.marks = make("svg:g", {}, svg);
  }

  show(count) {
    if (count === this.shown) return;
    this.shown = count;
    const film = this.film, s = replay(film, count), m = s.moment;
    this.caption.textContent = caption(film, s);
    this.network(s, m);
    this.memory(s, m);
    this.gradients(s, m);
    this.source(m);
  }

  network(s, m) {
    const running = m && (m.kind === "forward" || m.kind === "tape"), back = m && m.kind === "reverse";
    const colour = back ? "reverse" : s.again ? "again" : "forward";
    this.parts.forEach((part, t) => {
      const here = m && (running || back) && part.chunk === m.chunk;
      let look = "node";
      if (s.tapes.has(part.chunk)) look += " held";
      else if (s.reversed.has(part.chunk)) look += " done";
      else if (s.ran.has(part.chunk)) look += " gone";
      part.h.setAttribute("class", here ? look + " now " + colour : look);
      part.o.setAttribute("class", here && back && m.counts ? "node now reverse" : "node");
      const point = (line, lit) => {
        line.setAttribute("class", lit ? "arrow " + colour : "arrow");
        const marker = `url(#${this.film.id}-${lit ? colour : "plain"})`;
        if (lit && back) { line.setAttribute("marker-start", marker); line.removeAttribute("marker-end"); }
        else { line.setAttribute("marker-end", marker); line.removeAttribute("marker-start"); }
      };
      point(part.W, here); point(part.U, here); point(part.V, here && back && m.counts);
    });
    this.marks.replaceChildren();
    const at = (chunk) => this.film.starts[chunk] === 0 ? 18 : this.x(this.film.starts[chunk] - 1);
    for (const held of s.slots.values()) {
      const x = at(held.chunk), y = 212;
      make("svg:path", { d: `M${x} ${y - 8}L${x + 8} ${y}L${x} ${y + 8}L${x - 8} ${y}z`, class: "saved" }, this.marks);
      make("svg:text", { x: x + 16, y, class: "small" }, this.marks, String(held.number + 1));
    }
    const x = at(s.position);
    make("svg:path", { d: `M${x} 122l-6 9h12z`, class: "state" }, this.marks);
    make("svg:text", { x, y: 139, class: "small" }, this.marks, "state");
    this.title.textContent = this.describe(s);
    if (m && (running || back)) {
      const middle = this.x(film_start(this.film, m.chunk)) - this.scroll.clientWidth / 2;
      if (this.scroll.scrollWidth > this.scroll.clientWidth) this.scroll.scrollLeft = middle;
    }
  }

  describe(s) {
    const list = (chunks) => chunks.length ? chunks.sort((a, b) => a - b).map((chunk) => steps(this.film, chunk, chunk)).join(", ") : "none";
    return "An unrolled network of " + this.parts.length + " steps. Tapes held: " + list([...s.tapes.keys()])
      + ". States saved: " + ([...s.slots.values()].map((held) => stateBefore(this.film, held.chunk)).join(", ") || "none")
      + ". Reversed: " + list([...s.reversed.keys()]) + ".";
  }

  memory(s, m) {
    const film = this.film, values = { now: s.now, peak: s.peak, forward: s.forward, reverse: s.reverse, updates: s.updates, action: s.action };
    for (const [name, node] of Object.entries(this.counters)) {
      node.dataset.value = values[name];
      node.textContent = name === "now" || name === "peak" ? bytes(values[name])
        : name === "action" ? values.action + " of " + film.actions : String(values[name]);
    }
    this.bar.now.style.width = 100 * s.now / data.most + "%";
    this.bar.peak.style.width = 100 * s.peak / data.most + "%";
    this.buffers.replaceChildren();
    const fresh = new Set((m ? m.made : []).map((buffer) => (buffer[0] === 0 ? "t" : "s") + buffer[1]));
    const row = (label, size, kind, find) => {
      if (!size) return;
      const line = make("div", { class: "row" }, this.buffers);
      make("span", {}, line, label);
      for (let place = 0; place < size; place++) {
        const held = find(place);
        const cell = make("div", { class: `cell ${kind}${held ? " full" : ""}` }, line);
        if (!held) { cell.append(m && kind === "tape" && m.passing === place ? "…" : " "); continue; }
        if (fresh.has((kind === "tape" ? "t" : "s") + held.number)) cell.classList.add("fresh");
        const from = film.starts[held.chunk], to = film.starts[held.chunk + 1];
        let text = kind !== "tape" ? "h" + from : to - from === 1 ? String(to) : from + 1 + "–" + to;
        if (kind === "tape" && film.updates && held.version !== undefined) text += " v" + held.version;
        make("span", { style: "width:auto;color:inherit" }, cell, text);
        if (film.values) strip(cell, film.values.states[held.run - 1]);
      }
    };
    const tapes = [...s.tapes.values()], slots = [...s.slots.values()];
    row(`Tapes, by step${film.updates ? " and version of the weights" : ""}, ${bytes(film.bytes.tape)} each`, this.most.tape, "tape", (place) => tapes.find((held) => held.place === place));
    row(`Saved states in RAM, ${bytes(film.bytes.snapshot)} each`, this.most.slot, "snapshot",
      (place) => slots.find((held) => held.kind === "snapshot" && held.place === place));
    row(`Saved states in the medium (${film.medium})`, this.most.far, "snapshot",
      (place) => slots.find((held) => held.kind === "far" && held.number === place));
  }

  gradients(s, m) {
    const film = this.film;
    this.terms.textContent = s.terms === 0 ? "Nothing is in the sums."
      : "Each gradient is one array, however long the sequence: the sum of " + plural(s.terms, "term") + " so far, one for each reversed step."
    if (film.updates) this.terms.textContent += " The weights are version " + s.version + "."
      + (film.keepsWeights && s.versionsPeak ? " Older versions are kept while a tape waits that they made." : "");
    if (!film.values) return;
    this.grids.replaceChildren();
    const sums = s.terms === 0 ? null : film.values.sums[s.sweeps - 1];
    const fresh = m && m.kind === "reverse";
    const before = fresh && s.terms > film.starts[m.chunk + 1] - film.starts[m.chunk] ? film.values.sums[s.sweeps - 2] : null;
    film.values.names.forEach((name, n) => {
      const size = film.values.shapes[n], most = film.values.most[n] || 1;
      const figure = make("figure", {}, this.grids);
      grid(figure, size, sums && sums[n], most, "d" + name);
      make("figcaption", {}, figure, "d" + name);
      if (!fresh) return;
      const term = sums[n].map((value, i) => value - (before ? before[n][i] : 0));
      grid(figure, size, term, most, "the term of d" + name);
      const dz = name.endsWith("b") && film.starts[m.chunk + 1] - film.starts[m.chunk] === 1 ? ": dz" : "";
      make("figcaption", {}, figure, "added now" + dz);
    });
  }

  source(m) {
    const [number, at] = (m && m.line) || [m ? this.sourceShown : 0, -1], source = this.film.sources[number];
    if (!source) this.codeTitle.textContent = "The schedule's code cannot be read";
    else if (this.sourceShown !== number) {
      this.sourceShown = number;
      this.codeTitle.textContent = "The schedule: " + source.name;
      this.code.replaceChildren(...source.lines.map((text) => make("span", {}, null, text || " ")));
    }
    this.mark(at);
  }

  mark(at) {
    [...this.code.children].forEach((line, n) => line.classList.toggle("at", n === at));
    const line = this.code.children[at];
    if (line) this.code.scrollTop = line.offsetTop - this.code.offsetTop - this.code.clientHeight / 2;
  }
}

function film_start(film, chunk) { return film.starts[Math.min(chunk, film.starts.length - 2)]; }

// A small array as a grid of shades; zero where there is none.
function grid(parent, [rows, columns], values, most, label) {
  const size = 11;
  const svg = make("svg:svg", { width: columns * size, height: rows * size, role: "img",
    "aria-label": `${label}, ${rows} by ${columns}` + (values ? "" : ", zero") }, parent);
  for (let i = 0; i < rows * columns; i++) {
    const value = values ? values[i] : 0;
    const cell = make("svg:rect", { x: (i % columns) * size, y: Math.floor(i / columns) * size, width: size - 1,
      height: size - 1, fill: value < 0 ? "var(--low)" : "var(--high)", stroke: "var(--line)", "stroke-width": 0.5,
      "fill-opacity": Math.min(1, Math.abs(value) / most).toFixed(2) }, svg);
    make("svg:title", {}, cell, value.toPrecision(3));
  }
}

function strip(parent, values) {
  if (!values) return;
  const size = 5, svg = make("svg:svg", { width: values.length * size, height: size, "aria-hidden": "true" }, parent);
  values.forEach((value, n) => make("svg:rect", { x: n * size, width: size - 0.5, height: size,
    fill: value < 0 ? "var(--low)" : "var(--high)", "fill-opacity": Math.min(1, 0.1 + Math.abs(value)).toFixed(2) }, svg));
}

// One clock for all films: a tick is a moment of work at which at least one of them goes on.
function clock() {
  const keys = new Map();
  films.forEach((film, which) => {
    let time = 0, order = 0;
    film.moments.forEach(([k, action, chunk], n) => {
      const key = time + ":" + order;
      if (!keys.has(key)) keys.set(key, { time, order, counts: [] });
      keys.get(key).counts[which] = n + 1;
      const length = film.starts[chunk + 1] - film.starts[chunk];
      const work = k < 2 ? length : k === 2 ? 2 * length : 0;
      if (work) { time += work; order = 0; } else order += 1;
    });
  });
  const ticks = [...keys.values()].sort((a, b) => a.time - b.time || a.order - b.order);
  const shown = films.map(() => 0);
  return [shown.slice(), ...ticks.map((tick) => { tick.counts.forEach((count, n) => { shown[n] = count; }); return shown.slice(); })];
}

const panels = films.map((film) => new Panel(film));
document.getElementById("films").classList.toggle("two", films.length > 1);
const ticks = clock();
const by = (id) => document.getElementById(id);
const slider = by("slider");
slider.max = ticks.length - 1;
let position = 0, timer = null;

function go(to) {
  position = Math.max(0, Math.min(ticks.length - 1, to));
  slider.value = position;
  by("where").textContent = position ? `moment ${position} of ${ticks.length - 1}` : "before the first moment";
  slider.setAttribute("aria-valuetext", by("where").textContent);
  panels.forEach((panel, n) => panel.show(ticks[position][n]));
  document.body.dataset.position = position;
}
function pause() {
  clearInterval(timer);
  timer = null;
  by("play").textContent = "Play";
  panels.forEach((panel) => panel.caption.setAttribute("aria-live", "polite"));
}
function play() {
  if (position === ticks.length - 1) go(0);
  panels.forEach((panel) => panel.caption.setAttribute("aria-live", "off"));
  by("play").textContent = "Pause";
  timer = setInterval(() => { go(position + 1); if (position === ticks.length - 1) pause(); }, 1000 / Number(by("speed").value));
}
function toggle() { if (timer === null) play(); else pause(); }
function faster(by_) {
  const speed = by("speed");
  speed.selectedIndex = Math.max(0, Math.min(speed.options.length - 1, speed.selectedIndex + by_));
  if (timer !== null) { pause(); play(); }
}
const acts = { first: () => go(0), back: () => go(position - 1), next: () => go(position + 1), last: () => go(ticks.length - 1) };
for (const [id, act] of Object.entries(acts)) by(id).addEventListener("click", () => { pause(); act(); });
by("play").addEventListener("click", toggle);
by("speed").addEventListener("change", () => faster(0));
slider.addEventListener("input", () => { pause(); go(Number(slider.value)); });
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const on = event.target.tagName;
  if (on === "SELECT" || (on === "INPUT" && event.key !== " ")) return;
  const keys = { ArrowLeft: acts.back, ArrowRight: acts.next, Home: acts.first, End: acts.last };
  if (event.key === " ") { if (on === "BUTTON") return; event.preventDefault(); toggle(); }
  else if (event.key === "+" || event.key === "=") faster(1);
  else if (event.key === "-") faster(-1);
  else if (keys[event.key] && !(event.target.tabIndex === 0 && event.target.scrollWidth > event.target.clientWidth)) {
    event.preventDefault(); pause(); keys[event.key]();
  }
});
function paint(dark) {
  document.documentElement.dataset.theme = dark ? "dark" : "light";
  by("theme").textContent = dark ? "Light" : "Dark";
}
const dark = matchMedia("(prefers-color-scheme: dark)");
paint(dark.matches);
dark.addEventListener("change", () => paint(dark.matches));
by("theme").addEventListener("click", () => paint(document.documentElement.dataset.theme !== "dark"));
go(Number(new URLSearchParams(location.search).get("moment")) || 0);
