// Parts: elements made of plain text, and the keys that move among them. Nothing on this page reads markup.
"use strict";

// An element with attributes, listeners (on...) and what is inside: elements, and texts, which stay texts.
function make(name, settings = {}, ...inside) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(settings)) {
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else element.setAttribute(key, value);
  }
  element.append(...inside.filter((one) => one !== null && one !== undefined));
  return element;
}

function byId(id) {
  return document.getElementById(id);
}

function count(number, one, several) {
  return `${number.toLocaleString("en")} ${number === 1 ? one : several}`;
}

// A share as people read it; never "100%" of what is less.
function percent(share) {
  if (share >= 1 || share <= 0) return share >= 1 ? "100%" : "0%";
  const digits = [0, 1, 2, 3].find((one) => Number((share * 100).toFixed(one)) < 100 && Number((share * 100).toFixed(one)) > 0);
  return digits === undefined ? (share > 0.5 ? "over 99.999%" : "under 0.001%") : `${(share * 100).toFixed(digits)}%`;
}

// "in a.txt, b.txt and 3 more"; each name by itself, whichever way it is written.
function documentsTold(documents, number) {
  if (!documents || !documents.length) return make("span", { class: "pale" }, "the memory does not say in which document");
  const names = documents.flatMap((name, place) => [place ? ", " : "", make("bdi", {}, name)]);
  const more = number - documents.length;
  return make("span", {}, "in ", ...names, more > 0 ? ` and ${more.toLocaleString("en")} more` : "");
}

// One stop for the Tab key among many elements; arrows, Home and End move, Enter and Space choose, as a click does.
function roving(box, kind, choose) {
  let chosen = null;
  const all = () => Array.from(box.querySelectorAll(kind));
  const go = (element) => {
    if (!element) return;
    box.querySelectorAll("[tabindex='0']").forEach((one) => one.setAttribute("tabindex", "-1"));
    element.setAttribute("tabindex", "0");
    element.focus();
  };
  const take = (element) => {
    if (chosen) chosen.classList.remove("chosen");
    chosen = element;
    element.classList.add("chosen");
    choose(element);
  };
  box.addEventListener("click", (event) => {
    const element = event.target.closest(kind);
    if (!element || String(getSelection())) return;
    go(element);
    take(element);
  });
  box.addEventListener("keydown", (event) => {
    const element = event.target.closest(kind);
    if (!element) return;
    const there = all();
    const at = there.indexOf(element);
    const to = { ArrowRight: at + 1, ArrowDown: at + 1, ArrowLeft: at - 1, ArrowUp: at - 1, Home: 0, End: there.length - 1 };
    if (event.key in to) go(there[to[event.key]]);
    else if (event.key === "Enter" || event.key === " ") take(element);
    else return;
    event.preventDefault();
  });
}
