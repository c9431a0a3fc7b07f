// File: a traced text that stands in this page as data.
"use strict";

function showTraced(told) {
  const places = [0];
  for (const character of told.text) places.push(places[places.length - 1] + character.length);
  const spans = told.spans.map((span) => ({ ...span, start: places[span.start], stop: places[span.stop] }));
  const view = passagesView(byId("passages"));
  view.append(told.text, 0, spans);
  view.finish();
  byId("name").textContent = told.title;
  byId("trace-told").textContent = heldTold(view, told.text.length);
}

showTraced(JSON.parse(byId("traced").textContent));
