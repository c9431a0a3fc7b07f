// File: a traced text that stands in this page as data.
"use strict";

function showTraced(told) {
  const places = utf16Places(told.text);
  const spans = spansTold(told).map((span) => ({ ...span, start: places[span.start], stop: places[span.stop] }));
  const view = passagesView(byId("passages"));
  view.append(told.text, 0, spans);
  view.finish();
  byId("name").textContent = told.title;
  byId("trace-told").textContent = heldTold(view, told.text.length);
}

showTraced(JSON.parse(byId("traced").textContent));
