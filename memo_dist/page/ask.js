// Ask: a prompt, its continuation token by token, what else could stand there, and where it stands.
"use strict";

const SHOWN = 400; // characters of a prompt that are repeated before its continuation
const WAY = 160; // characters of a continuation that can be chosen
const WAYS = 4; // continuations that are asked for
const SURE = [0.5, 0.9, 0.99, 0.999];
const STOPS = {
  length: "It goes on; ask for more.",
  end_of_document: "The document ends here.",
  stop_text: "It stops here.",
  abstained: "The memory is not sure how it goes on from here.",
};
const END = "<|end of document|>";

function sureClass(confidence) {
  return `sure-${SURE.filter((least) => confidence >= least).length}`;
}

function sureLegend() {
  const least = [...SURE].reverse().map((one) => make("span", { class: `swatch ${sureClass(one)}` }, percent(one)));
  return ["Sure by at least ", ...least, make("span", { class: "swatch sure-0" }, "less"), "."];
}

async function continued(event) {
  if (event) event.preventDefault();
  const [answer, button] = [byId("answer"), byId("ask-button")];
  const prompt = byId("prompt").value;
  button.disabled = true;
  try {
    const told = await ask("/v1/completions", {
      prompt,
      n: WAYS,
      logprobs: 5,
      max_tokens: Number(byId("max-tokens").value),
      min_confidence: Number(byId("min-confidence").value),
      from_start: byId("from-start").checked,
      exact_prompt: byId("exact-prompt").checked,
    });
    const ways = told.choices.filter((one, place) => !place || one.text);
    answer.replaceChildren(...shownAnswer(prompt, ways));
  } catch (error) {
    answer.replaceChildren(failed(error));
  } finally {
    button.disabled = false;
  }
}

function shownAnswer(typed, [best, ...others]) {
  const memo = best.memo;
  const prompt = memo.snapped ? memo.snapped.text : memo.corrected || typed;
  const said = best.text ? continuation(prompt, best) : null;
  return [
    readAs(memo),
    said,
    said ? make("div", { id: "step" }) : null,
    said ? make("p", { class: "help" }, "Choose a token to see how sure it is and what else could stand there. ", ...sureLegend()) : null,
    make("p", {}, stopTold(best)),
    memo.documents && memo.documents.length ? make("p", {}, "It stands ", documentsTold(memo.documents, memo.num_documents), ".") : null,
    said ? make("button", { type: "button", onclick: () => askWith(prompt + best.text) }, "Go on from here") : null,
    choices("It may also go on like this", waysOf(prompt, best, others)),
  ].filter(Boolean);
}

function stopTold(choice) {
  const reason = choice.memo.reason;
  if (reason) return (choice.text ? "It stops here: " : "Nothing is said: ") + reason.text.replace(/ \(\w+\)/g, "") + ".";
  if (choice.text) return STOPS[choice.memo.stop] || "";
  return "Nothing is said: the memory does not hold this, or not surely enough. Give more of the text, or other words of it.";
}

function readAs(memo) {
  if (memo.snapped && memo.snapped.changes.length) {
    const changes = memo.snapped.changes.map((one) => make("li", {}, make("del", {}, one.typed), " read as ", make("ins", {}, one.held)));
    return make("div", {}, make("p", {}, "The memory has it a little differently:"), make("ul", {}, ...changes));
  }
  return memo.corrected ? make("p", {}, "Read as: ", make("q", { dir: "auto" }, memo.corrected.slice(-SHOWN))) : null;
}

// The prompt's end, paler, and every token of the continuation, coloured by how sure it is.
function continuation(prompt, choice) {
  const confidences = choice.memo.confidences;
  const tokens = choice.logprobs.tokens.map((text, place) =>
    make("span", {
      class: `token ${sureClass(confidences[place])}`,
      role: "button",
      tabindex: place ? "-1" : "0",
      "aria-label": `${text.trim() || "white space"}, ${percent(confidences[place])} sure`,
      "data-place": place,
    }, text));
  const before = (prompt.length > SHOWN ? "…" : "") + prompt.slice(-SHOWN);
  const group = make("span", { role: "group", "aria-label": "The continuation; arrow keys move from token to token" }, ...tokens);
  roving(group, ".token", (token) => showStep(prompt, choice, Number(token.dataset.place)));
  return make("div", { class: "text", dir: "auto" }, make("span", { class: "typed" }, before), group);
}

// How sure one token is, and what else could stand in its place.
function showStep(prompt, choice, place) {
  const tokens = choice.logprobs.tokens;
  const before = prompt + tokens.slice(0, place).join("");
  const all = alternatives(choice, place);
  const own = all.find((one) => one.text === tokens[place]);
  const others = all.filter((one) => one !== own);
  byId("step").replaceChildren(
    make("p", { class: "panel" }, make("strong", {}, shownText(tokens[place])), `: it is ${percent(choice.memo.confidences[place])} sure that this stands in the memory`,
      own && own.more && others.length ? `; of what may stand here it is ${own.more}.` : ".",
      others.length ? "" : " Nothing else could stand here."),
    choices("Instead of it", others.map((one) => ({ ...one, prompt: before + one.text }))) || "",
  );
}

// [{text, more}], likeliest first; with counts where the memory counts.
function alternatives(choice, place) {
  const told = choice.memo.alternatives && choice.memo.alternatives[place];
  if (told && told.length) {
    return told.filter((one) => one.text).map((one) => ({
      text: one.text,
      more: [one.count ? count(one.count, "time", "times") : null, one.probability == null ? null : percent(one.probability)].filter(Boolean).join(", "),
    }));
  }
  const top = (choice.logprobs.top_logprobs && choice.logprobs.top_logprobs[place]) || {};
  return Object.entries(top)
    .filter(([text, log]) => text !== END && !/^token:\d+$/.test(text) && Math.exp(log) > 1e-4)
    .map(([text, log]) => ({ text, more: percent(Math.exp(log)) }));
}

function waysOf(prompt, best, others) {
  const rest = others.map((one) => ({ text: one.text, more: "", prompt: prompt + one.text, documents: one.memo }));
  const between = (best.memo.reason && best.memo.reason.between) || [];
  const more = between.map((one) => ({
    text: one.text,
    more: [one.count ? count(one.count, "time", "times") : null, percent(one.share)].filter(Boolean).join(", "),
    prompt: prompt + best.text + one.text,
  }));
  return [...rest, ...more];
}

// A text as a button shows it: its beginning, and white space alone as a programmer writes it.
function shownText(text, most = Infinity) {
  return text.trim() ? text.trim().slice(0, most) + (text.trim().length > most ? " …" : "") : JSON.stringify(text);
}

// Buttons, each of which asks with another prompt.
function choices(title, several) {
  if (!several.length) return null;
  const items = several.map((one) =>
    make("li", {},
      make("button", { type: "button", dir: "auto", onclick: () => askWith(one.prompt) }, shownText(one.text, WAY)),
      one.more ? make("span", { class: "more" }, one.more) : null,
      one.documents && one.documents.documents.length ? make("div", { class: "more" }, documentsTold(one.documents.documents, one.documents.num_documents)) : null));
  return make("div", {}, make("h3", {}, title), make("ul", { class: "choices" }, ...items));
}

function askWith(prompt) {
  byId("prompt").value = prompt;
  byId("prompt").focus();
  continued();
}

byId("ask-form").addEventListener("submit", continued);
byId("prompt").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) byId("ask-form").requestSubmit();
});
