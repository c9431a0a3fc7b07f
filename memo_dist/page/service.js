// Service: questions to the service that answered this page. The key is kept as long as the page is open.
"use strict";

let serviceKey = "";

class ServiceError extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

// The JSON of an answer; ServiceError with what the service says is wrong.
async function ask(path, body, signal) {
  const headers = { ...(body && { "Content-Type": "application/json" }), ...(serviceKey && { Authorization: `Bearer ${serviceKey}` }) };
  let answer;
  try {
    answer = await fetch(path, { method: body ? "POST" : "GET", headers, body: body && JSON.stringify(body), signal });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ServiceError("The service does not answer. Is it still running?", 0);
  }
  const told = await answer.json().catch(() => null);
  if (answer.status === 401) {
    byId("key-form").hidden = false;
    byId("key").focus();
  }
  if (!answer.ok || told === null) {
    const message = told && told.error && told.error.message;
    throw new ServiceError(message || `The service answered with ${answer.status}.`, answer.status);
  }
  return told;
}

byId("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  serviceKey = byId("key").value.trim();
  byId("key-form").hidden = true;
  showMemory();
});

function failed(error) {
  return make("p", { class: "error", role: "alert" }, error.message);
}
