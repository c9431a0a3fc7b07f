// Memory: what the memory is: its facts, its journal, how much it would hold.
"use strict";

const FORMS = { working: "a working memory: documents can be added and forgotten", sums: "published as sums", solved: "published solved" };
let memoryAsked = null;

// What the service says of its memory; asked once.
function memoryTold() {
  memoryAsked = memoryAsked || ask("/v1/memory").catch((error) => { memoryAsked = null; throw error; });
  return memoryAsked;
}

function bytesTold(bytes) {
  const units = ["bytes", "kB", "MB", "GB", "TB"];
  const power = Math.min(units.length - 1, Math.max(0, Math.floor(Math.log10(Math.max(bytes, 1)) / 3)));
  return `${(bytes / 1000 ** power).toFixed(power ? 1 : 0)} ${units[power]}`;
}

async function showMemory() {
  try {
    const told = await memoryTold();
    document.title = `${told.model} – memo-dist`;
    byId("name").textContent = told.model;
    const size = `${count(told.tokens, "token", "tokens")} of ${count(told.documents, "document", "documents")}`;
    byId("summary").textContent = `A memory of ${size}. It says what it holds, word for word, or nothing.`;
    byId("max-tokens").max = told.limits.max_tokens;
    byId("least").min = told.windows[0] + 1;
    byId("least").max = told.windows[told.windows.length - 1] + 1;
    const facts = {
      "What it is": FORMS[told.form] || told.form,
      Tokens: told.tokens.toLocaleString("en"),
      Documents: told.documents.toLocaleString("en"),
      "On disk": `${bytesTold(told.bytes_on_disk)}, ${(told.bytes_on_disk / Math.max(1, told.tokens)).toFixed(1)} bytes a token`,
      Load: told.load == null ? null : `${told.load.toPrecision(3)} associations for each number in its matrices`,
      "Looks back": `from ${told.windows[0]} to ${told.windows[told.windows.length - 1]} words and other characters`,
      Vocabulary: told.vocab_size.toLocaleString("en"),
      Digest: told.digest,
    };
    const rows = Object.entries(facts).filter(([, value]) => value !== null);
    byId("facts").replaceChildren(...rows.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]));
    byId("journal").replaceChildren(...told.journal.map(journalTold));
    if (told.windows_held) byId("plots").replaceChildren(decidedPlot(told));
    else showCapacity();
  } catch (error) {
    byId("summary").replaceChildren(failed(error));
  }
}

function journalTold(entry) {
  const names = entry.inputs.slice(0, 3).flatMap((name, place) => [place ? ", " : " ", make("bdi", {}, name)]);
  const more = entry.inputs.length > 3 ? ` and ${entry.inputs.length - 3} more` : "";
  const counts = ["files", "skipped", "replaced", "empty"].filter((name) => entry[name]).map((name) => `${entry[name].toLocaleString("en")} ${name}`);
  const when = make("time", { datetime: entry.when, class: "pale" }, new Date(entry.when).toLocaleString());
  return make("li", {}, make("strong", {}, entry.action), ...names, more, counts.length ? ` (${counts.join(", ")})` : "", " ", when);
}

async function showCapacity() {
  byId("plots").replaceChildren(make("p", { class: "pale" }, "Working out how much it would hold …"));
  try {
    const told = await ask("/v1/memory/capacity");
    byId("plots").replaceChildren(...(told.curve.length ? [capacityPlot(told), answeredPlot(told.answered)] : []));
  } catch (error) {
    byId("plots").replaceChildren(failed(error));
  }
}

// ---- plots: SVG of 400 x 230 ----
const [WIDE, HIGH, LEFT, BELOW, TOP] = [400, 230, 44, 34, 14];

function drawn(name, settings, ...inside) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(settings)) element.setAttribute(key, value);
  element.append(...inside);
  return element;
}

// A figure whose y axis is a share from 0 to 1.
function plot(told, caption, ...inside) {
  const y = (share) => TOP + (1 - share) * (HIGH - TOP - BELOW);
  const axis = [0, 0.5, 1].flatMap((share) => [
    drawn("line", { class: "axis", x1: LEFT, x2: WIDE - 4, y1: y(share), y2: y(share) }),
    drawn("text", { x: LEFT - 6, y: y(share) + 4, "text-anchor": "end" }, `${share * 100}%`),
  ]);
  const svg = drawn("svg", { viewBox: `0 0 ${WIDE} ${HIGH}`, role: "img", "aria-label": told }, ...axis, ...inside.flatMap((one) => one(y)));
  return make("figure", {}, svg, make("figcaption", {}, caption));
}

function shortNumber(number) {
  const [unit, size] = number >= 1e9 ? [" G", 1e9] : number >= 1e6 ? [" M", 1e6] : number >= 1e3 ? [" k", 1e3] : ["", 1];
  return `${Number((number / size).toPrecision(2))}${unit}`;
}

function capacityPlot({ curve, now }) {
  const logs = curve.map((one) => Math.log(one.tokens));
  const x = (tokens) => LEFT + ((Math.log(tokens) - logs[0]) / (logs[logs.length - 1] - logs[0])) * (WIDE - LEFT - 12);
  const told = `It now recalls ${percent(now.recall)} from its matrices; with ten times the text it would recall ${percent(curve[curve.length - 1].recall)}.`;
  return plot(told, `How much it would hold: the share of next tokens that its matrices tell, by the tokens that it holds. ${told}`, (y) => [
    drawn("polyline", { class: "line", points: curve.map((one) => `${x(one.tokens)},${y(one.recall)}`).join(" ") }),
    drawn("circle", { class: "dot", r: 5, cx: x(now.tokens), cy: y(now.recall) }),
    drawn("text", { class: "strong", x: x(now.tokens) - 4, y: y(now.recall) + 20, "text-anchor": "end" }, `now, ${shortNumber(now.tokens)}`),
    ...[curve[0], curve[curve.length - 1]].map((one, end) =>
      drawn("text", { x: x(one.tokens), y: HIGH - 14, "text-anchor": end ? "end" : "start" }, `${shortNumber(one.tokens)} tokens`)),
  ]);
}

// Bars side by side: rows of [label, share, another share or null].
function bars(rows) {
  const step = (WIDE - LEFT - 4) / rows.length;
  return (y) => rows.flatMap(([label, share, second], place) => {
    const left = LEFT + place * step;
    const several = second === null ? [share] : [share, second];
    const wide = (step * 0.8) / several.length;
    return [
      ...several.map((one, at) => drawn("rect", { class: at ? "bar-2" : "bar", x: left + step * 0.1 + at * wide, width: Math.max(1, wide - 1), y: y(one), height: Math.max(0.5, y(0) - y(one)) })),
      drawn("text", { x: left + step / 2, y: HIGH - 18, "text-anchor": "middle" }, label),
    ];
  });
}

function answeredPlot(answered) {
  const told = answered.map((one) => `${one.window}: ${percent(one.exact)} by counting, ${percent(one.matrices)} from its matrices`).join("; ");
  return plot(`Words of the prompt, and how often the next token is right. ${told}.`,
    "How often the next token is right, by the words of the prompt: by counting what follows (first bar), from its matrices (second).",
    bars(answered.map((one) => [String(one.window), one.exact, one.matrices])));
}

function decidedPlot(told) {
  const sum = Math.max(1, told.windows_held.reduce((all, one) => all + one, 0));
  const rows = told.windows.map((window, place) => [String(window), told.windows_held[place] / sum, null]);
  const few = percent(rows[0][1]);
  return plot(`${few} of what it holds is told by ${told.windows[0]} words; the rest needs more.`,
    `What it takes to tell the next token: the share of the places it holds, by the words and other characters before them. ${few} are told by ${told.windows[0]}. It is exact: nothing is lost by its size.`,
    bars(rows));
}

showMemory();
