// Copyright 2026 Individual Contributor: verl-medgrpo authors
// SPDX-License-Identifier: Apache-2.0
// RUN (index.js) has one entry per group in columns; STEPS[n] (steps/n.js) has the texts of a step, loaded when needed.
"use strict";
const PAGE = 100, get = id => document.getElementById(id);
const FIELDS = ["from", "to", "source", "task", "low", "high"];
let found = [], page = 0, chosen = null, card = 0;

function make(tag, attributes, ...children) {
  const drawing = ["svg", "image", "rect"].includes(tag);
  const node = drawing ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value); else node.setAttribute(name, value);
  }
  // Texts become text nodes: an answer cannot write markup.
  node.append(...children.filter(child => child !== null).map(child => (child.nodeType ? child : String(child))));
  return node;
}
const source = at => RUN.pairs[RUN.pair[at]][0], task = at => RUN.pairs[RUN.pair[at]][1];
const mean = at => RUN.rewards[at].reduce((sum, value) => sum + value, 0) / RUN.rewards[at].length / 1000;
const number = (value, digits = 3) => (value === null || value === undefined ? "–" : value.toFixed(digits));
// From red to green by reward, told apart by lightness too.
const color = reward => `hsl(${Math.round(120 * Math.min(1, Math.max(0, reward)))} 60% ${Math.round(62 - 25 * Math.min(1, Math.max(0, reward)))}%)`;

function filter() {
  const value = id => get(id).value, bound = (id, none) => (value(id) === "" ? none : Number(value(id)));
  const from = bound("from", -Infinity), to = bound("to", Infinity), only = get("unparsed").checked;
  const low = bound("low", -Infinity) * 1000, high = bound("high", Infinity) * 1000, ranged = value("low") + value("high") !== "";
  const pairs = RUN.pairs.map(([s, t]) => (!value("source") || s === value("source")) && (!value("task") || t === value("task")));
  found = [];
  for (let at = 0; at < RUN.step.length; at++) {
    if (RUN.step[at] < from || RUN.step[at] > to || !pairs[RUN.pair[at]] || (only && !RUN.unparsed[at])) continue;
    if (ranged && !RUN.rewards[at].some(reward => reward >= low && reward <= high)) continue;
    found.push(at);
  }
  page = 0;
  list();
}

function list() {
  const answers = found.reduce((sum, at) => sum + RUN.rewards[at].length, 0);
  get("count").textContent = `${found.length} of ${RUN.step.length} groups, ${answers} answers; ${PAGE} a page, page ${page + 1} of ${Math.max(1, Math.ceil(found.length / PAGE))}`;
  get("rows").replaceChildren(...found.slice(page * PAGE, (page + 1) * PAGE).map(row));
  get("back").disabled = page === 0;
  get("next").disabled = (page + 1) * PAGE >= found.length;
}

function row(at) {
  const dots = make("td", {class: "t dots"}, ...RUN.rewards[at].map(reward => make("i", {style: `background: ${color(reward / 1000)}`, title: number(reward / 1000)})));
  return make("tr", {"data-at": at, class: at === chosen ? "chosen" : "", onclick: () => open(at)},
    make("td", null, RUN.step[at]), make("td", {class: "t"}, source(at)), make("td", {class: "t"}, task(at)),
    make("td", {class: "t"}, RUN.questions[RUN.prompt[at]]), make("td", null, number(mean(at))), dots,
    make("td", {class: RUN.unparsed[at] ? "bad" : ""}, RUN.unparsed[at] || ""));
}

function open(at) {
  chosen = at;
  card = 0;
  for (const line of get("rows").children) line.className = Number(line.dataset.at) === at ? "chosen" : "";
  const step = RUN.step[at];
  if (STEPS[step]) return show(at);
  // Only the last few steps are kept.
  const kept = Object.keys(STEPS);
  if (kept.length > 8) delete STEPS[kept[0]];
  document.body.append(make("script", {src: `steps/${step}.js`, onload: event => (event.target.remove(), chosen === at && show(at)), onerror: () => get("group").replaceChildren(make("p", {class: "bad"}, `steps/${step}.js cannot be read: run medgrpo browse again`))}));
}

function show(at) {
  const group = STEPS[RUN.step[at]][RUN.place[at]];
  get("group").replaceChildren(make("div", null,
    make("p", {class: "soft"}, `step ${RUN.step[at]} · ${source(at)} · ${task(at)}`), make("h2", {id: "question"}, group.question),
    make("p", {class: "truth"}, "reference: ", group.truth.text), frames(group), timeline(group),
    make("div", {class: "cards"}, ...group.answers.map((answer, place) => answerCard(at, answer, place))), history(at)));
}

function frames(group) {
  if (!group.frames) return make("p", {class: "soft"}, "Several rows have this question and reference, or none: the clip is not known.");
  const times = group.frames.map((_, place) => (group.fps ? place / group.fps : null));
  return make("div", {class: "frames"}, ...group.frames.map((path, place) => {
    const [width, height] = [group.width || 160, group.height || 90];
    const picture = make("svg", {viewBox: `0 0 ${width} ${height}`}, make("image", {href: path, width, height}));
    for (const [boxes, ink] of [[group.truth.boxes, "var(--truth)"], [group.answers[card].boxes, "var(--answer)"]]) {
      for (const [time, box] of Object.entries(boxes)) {
        // A box belongs to the frame that is nearest to its time.
        if (Math.min(group.frames.length - 1, Math.round(Number(time) * group.fps)) !== place) continue;
        picture.append(make("rect", {x: Math.min(box[0], box[2]), y: Math.min(box[1], box[3]), width: Math.abs(box[2] - box[0]), height: Math.abs(box[3] - box[1]), fill: "none", stroke: ink, "stroke-width": width / 60}));
      }
    }
    return make("figure", null, picture, make("figcaption", null, times[place] === null ? "" : `${number(times[place], 1)} s`));
  }));
}

function timeline(group) {
  if (!group.fps || ![group.truth, ...group.answers].some(text => text.spans.length)) return null;
  const length = group.frames.length / group.fps;
  const bar = (text, ink, title) => make("div", {class: "bar", title}, ...text.spans.map(([start, end]) => {
    const [left, right] = [Math.min(length, Math.max(0, start)), Math.min(length, Math.max(0, end))];
    return make("i", {style: `left: ${100 * left / length}%; width: ${Math.max(0.6, 100 * (right - left) / length)}%; background: ${ink}`});
  }));
  return make("div", {id: "timeline"}, bar(group.truth, "var(--truth)", "reference"), ...group.answers.map(answer => bar(answer, "var(--answer)", number(answer.reward))));
}

function answerCard(at, answer, place) {
  const parts = Object.entries(answer.parts).map(([name, value]) => make("tr", null, make("td", {class: "t"}, name), make("td", null, number(value))));
  const pick = () => { card = place; show(at); };
  return make("div", {class: place === card ? "card chosen" : "card", onclick: pick},
    make("b", {style: `color: ${color(answer.reward)}`}, `reward ${number(answer.reward)}`),
    make("span", {class: "soft"}, answer.advantage === null ? "" : ` · advantage ${number(answer.advantage, 2)}`),
    answer.parsed === false ? make("span", {class: "bad"}, " · unreadable") : null,
    make("p", null, answer.text), parts.length ? make("table", null, ...parts) : null);
}

function history(at) {
  const same = [];
  for (let other = 0; other < RUN.step.length; other++) if (RUN.prompt[other] === RUN.prompt[at]) same.push(other);
  return make("p", {class: "steps", id: "history"}, "This prompt over the steps (mean reward): ",
    ...same.map(other => make("a", {onclick: () => open(other), style: other === at ? "font-weight: 700" : ""}, `${RUN.step[other]} (${number(mean(other), 2)})`)));
}

function start() {
  get("title").textContent = `Answers of ${RUN.run}`;
  document.title = get("title").textContent;
  if (RUN.report) { get("report").href = RUN.report; get("report").hidden = false; }
  for (const [id, place] of [["source", 0], ["task", 1]]) {
    const names = [...new Set(RUN.pairs.map(pair => pair[place]))].sort();
    get(id).replaceChildren(make("option", {value: ""}, "all"), ...names.map(name => make("option", {value: name}, name)));
  }
  get("filters").addEventListener("input", filter);
  get("filters").addEventListener("submit", event => event.preventDefault());
  get("all").addEventListener("click", () => { FIELDS.forEach(id => (get(id).value = "")); get("unparsed").checked = false; filter(); });
  get("back").addEventListener("click", () => { page--; list(); });
  get("next").addEventListener("click", () => { page++; list(); });
  filter();
}
start();
