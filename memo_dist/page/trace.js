// Trace: a text of any length, looked up part by part; what two parts say of where they overlap is put together.
"use strict";

const OVERLAP = 2000; // UTF-16 units: more than the longest passage that is asked for, in most texts
const BYTES_A_TOKEN = 4; // of most texts; parts of others are made smaller when they are refused
let stopTracing = null;

// Where a part that begins at `start` stops, so that it has no more bytes of UTF-8: at white space, if there is some.
function stopOf(text, start, mostBytes) {
  const bytes = new TextEncoder();
  let stop = Math.min(text.length, start + mostBytes);
  while (stop > start + 1 && bytes.encode(text.slice(start, stop)).length > mostBytes) stop -= Math.ceil((stop - start) / 8);
  if (stop >= text.length) return text.length;
  const space = text.slice(start, stop).search(/\s\S*$/);
  return space > (stop - start) / 2 ? start + space : whole(text, stop);
}

// Where the part after one of [start, stop) begins: so far back that no passage is lost between the two.
function nextOf(text, start, stop) {
  const back = Math.max(start + 1, stop - Math.min(OVERLAP, (stop - start) >> 1));
  const space = text.slice(back, stop).search(/\s/);
  return space >= 0 ? back + space : whole(text, back);
}

// A place that is not within a character.
function whole(text, place) {
  return /[\udc00-\udfff]/.test(text[place]) ? place + 1 : place;
}

// What the service says of a part, its places in UTF-16 units of the whole text.
function spansOf(told, part, from) {
  const places = utf16Places(part);
  return spansTold(told).map((span) => ({ ...span, start: from + places[span.start], stop: from + places[span.stop] }));
}

async function traced(event) {
  event.preventDefault();
  const text = byId("text").value;
  const [told, progress, button, stopButton] = ["trace-told", "trace-progress", "trace-button", "trace-stop"].map(byId);
  const view = passagesView(byId("passages"));
  stopTracing = new AbortController();
  [button.disabled, stopButton.hidden, progress.hidden, progress.value] = [true, false, false, 0];
  told.textContent = "Looking it up …";
  let [shown, waiting] = [0, []];
  try {
    const limits = (await memoryTold()).limits;
    let [start, most] = [0, Math.min(BYTES_A_TOKEN * limits.prompt_tokens, limits.body_bytes >> 3)];
    while (start < text.length) {
      const stop = stopOf(text, start, most);
      const part = text.slice(start, stop);
      const body = { text: part, least: Number(byId("least").value), fuzzy: byId("fuzzy").checked, tokens: false };
      try {
        waiting = joined([...waiting, ...spansOf(await ask("/v1/trace", body, stopTracing.signal), part, start)]);
      } catch (error) {
        if (error.status !== 400 || most <= limits.prompt_tokens) throw error;
        most = Math.max(limits.prompt_tokens, most >> 1); // it may have more tokens than the service takes
        continue;
      }
      // what the next part may still change is shown with it
      const sure = stop >= text.length ? text.length : Math.max(shown, stop - OVERLAP);
      const done = waiting.filter((span) => span.stop <= sure);
      const open = waiting.filter((span) => span.stop > sure);
      const until = Math.min(sure, ...open.map((span) => span.start));
      view.append(text.slice(shown, until), shown, done);
      [shown, waiting, progress.value] = [until, open, stop / text.length];
      start = stop >= text.length ? stop : nextOf(text, start, stop);
    }
    view.finish();
    told.textContent = text ? heldTold(view, text.length) : "There is no text to look up; paste one.";
  } catch (error) {
    if (error.name === "AbortError") told.textContent = "Stopped.";
    else told.replaceChildren(failed(error));
  } finally {
    [button.disabled, stopButton.hidden, progress.hidden] = [false, true, true];
  }
}

byId("trace-form").addEventListener("submit", traced);
byId("trace-stop").addEventListener("click", () => stopTracing.abort());
