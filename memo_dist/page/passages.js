// Passages: a text with what a memory holds of it coloured, by document; a part of the text at a time.
"use strict";

const HUES = 6;
const LISTED = 200; // passages in the table
const CHANGES = 12; // differences that are told of a passage

// A view in `box`. Spans are {start, stop, documents, num_documents}, places in UTF-16 units of the whole text.
function passagesView(box) {
  const spans = [];
  const hues = new Map();
  const legend = make("ul", { class: "legend", "aria-label": "Documents and their colours" });
  const shown = make("div", { class: "text", dir: "auto", tabindex: "0", role: "region", "aria-label": "The text" });
  const panel = make("p", { class: "panel", "aria-live": "polite" });
  const list = make("div", {});
  box.replaceChildren(legend, shown, panel, list);
  roving(shown, "mark", (mark) => tell(Number(mark.dataset.place)));

  function hueOf(documents) {
    if (!documents.length) return "hue-other";
    const name = documents[0];
    if (!hues.has(name)) {
      hues.set(name, hues.size < HUES ? `hue-${hues.size}` : "hue-other");
      if (hues.size <= HUES) {
        legend.append(make("li", {}, make("span", { class: `swatch ${hues.get(name)}` }, make("bdi", {}, name))));
      } else if (hues.size === HUES + 1) {
        legend.append(make("li", {}, make("span", { class: "swatch hue-other" }, "other documents")));
      }
    }
    return hues.get(name);
  }

  function tell(place) {
    const span = spans[place];
    const changes = (span.changes || []).map((one) => `“${one.typed}” for “${one.held}”`);
    const more = changes.length > CHANGES ? ` and ${changes.length - CHANGES} more` : "";
    const differs = changes.slice(0, CHANGES).join(", ") + more;
    panel.replaceChildren(
      make("strong", {}, `Passage ${place + 1} of ${spans.length}: `),
      `${count(span.words, "word", "words")}, `,
      documentsTold(span.documents, span.num_documents),
      differs ? `; here it says ${differs}` : "",
    );
  }

  function go(place) {
    const mark = shown.querySelector(`mark[data-place="${place}"]`);
    mark.scrollIntoView({ block: "center" });
    shown.querySelectorAll("mark[tabindex='0']").forEach((one) => one.setAttribute("tabindex", "-1"));
    mark.setAttribute("tabindex", "0");
    mark.focus();
    mark.click();
  }

  // The next piece of the text, which begins at `from` of the whole.
  function append(text, from, found) {
    let at = 0;
    for (const span of found) {
      const [start, stop] = [span.start - from, span.stop - from];
      const inside = text.slice(start, stop);
      const settings = {
        class: hueOf(span.documents) + (span.changes && span.changes.length ? " near" : ""),
        tabindex: spans.length ? "-1" : "0",
        "data-place": spans.length,
      };
      shown.append(text.slice(at, start), make("mark", settings, inside));
      spans.push({ ...span, text: inside, words: (inside.match(/\S+/g) || []).length });
      at = stop;
    }
    shown.append(text.slice(at));
  }

  // All was appended: the passages as a table, for whoever reads by ear or wants an overview.
  function finish() {
    if (!spans.length) return;
    const rows = spans.slice(0, LISTED).map((span, place) =>
      make(
        "tr",
        {},
        make("td", {}, make("button", { type: "button", onclick: () => go(place) }, `Passage ${place + 1}`)),
        make("td", {}, span.words.toLocaleString("en")),
        make("td", {}, documentsTold(span.documents, span.num_documents)),
        make("td", { dir: "auto" }, span.text.trim().split(/\s+/).slice(0, 8).join(" ").slice(0, 80) + " …"),
      ),
    );
    const heads = ["Passage", "Words", "Where", "Begins"].map((one) => make("th", { scope: "col" }, one));
    const all = spans.length > LISTED ? `The first ${LISTED} passages` : "All passages";
    list.replaceChildren(
      make("details", {}, make("summary", {}, all),
        make("table", {}, make("thead", {}, make("tr", {}, ...heads)), make("tbody", {}, ...rows))),
    );
  }

  return { append, finish, spans };
}

// The UTF-16 unit at which each character of a text begins, as the service counts characters.
function utf16Places(text) {
  const places = [0];
  for (const character of text) places.push(places[places.length - 1] + character.length);
  return places;
}

// The passages of an answer; one that is held nearly takes those in it that are held.
function spansTold(told) {
  return joined([...told.spans, ...(told.near || [])]);
}

// Passages that overlap or touch are one; in the documents that both stand in, or in either if there are none.
function joined(spans) {
  const whole = [];
  for (const span of [...spans].sort((a, b) => a.start - b.start || b.stop - a.stop)) {
    const last = whole[whole.length - 1];
    if (!last || span.start > last.stop) {
      whole.push({ ...span });
      continue;
    }
    const both = last.documents.filter((name) => span.documents.includes(name));
    const either = [...new Set([...last.documents, ...span.documents])].sort();
    const number = Math.min(last.num_documents, span.num_documents);
    last.documents = both.length ? both : either;
    last.num_documents = both.length ? Math.max(both.length, number) : Math.max(either.length, last.num_documents);
    last.changes = distinct([...(last.changes || []), ...(span.changes || [])]);
    last.stop = Math.max(last.stop, span.stop);
  }
  return whole;
}

function distinct(changes) {
  return [...new Map(changes.map((one) => [JSON.stringify(one), one])).values()];
}

// A share of a text, in words.
function heldTold(view, length) {
  const held = view.spans.reduce((sum, span) => sum + span.stop - span.start, 0);
  if (!view.spans.length) return "The memory holds no passage of this text.";
  const share = percent(length ? held / length : 0);
  return `The memory holds ${share} of this text, in ${count(view.spans.length, "passage", "passages")}.`;
}
