// Polling that rests while nobody looks, and uploads that show how far they are. Every page works without it.
"use strict";

document.addEventListener("htmx:beforeRequest", (event) => {
  if (document.hidden && event.target.hasAttribute("data-poll")) event.preventDefault();
});

// A session that is over answers with the page to log in, which is no part of this one.
document.addEventListener("htmx:beforeSwap", (event) => {
  if (!new URL(event.detail.xhr.responseURL).pathname.endsWith("/login/")) return;
  event.detail.shouldSwap = false;
  location.reload();
});

document.addEventListener("submit", (event) => {
  const form = event.target;
  const input = form.matches("form[data-upload]") && form.querySelector('input[type="file"]');
  if (!input || !input.files.length) return;
  event.preventDefault();
  const line = form.querySelector("[data-upload-state]");
  const [bar, text] = [line.querySelector("progress"), line.querySelector("span")];
  const button = form.querySelector('[type="submit"]');
  const say = (words) => { line.hidden = false; text.textContent = words; };
  const stop = (words) => { bar.hidden = true; button.disabled = false; say(words); };
  const bytes = (number) => number.toLocaleString("en") + " bytes";
  if (input.files[0].size > Number(form.dataset.most)) {
    return stop(`The file has ${bytes(input.files[0].size)}; at most ${bytes(Number(form.dataset.most))} are taken (GATEWAY_MAX_UPLOAD_BYTES).`);
  }
  const request = new XMLHttpRequest();
  request.upload.addEventListener("progress", (sent) => {
    bar.value = sent.total ? (100 * sent.loaded) / sent.total : 0;
    say(sent.loaded < sent.total ? `${bytes(sent.loaded)} of ${bytes(sent.total)}` : "It is there, and is being kept.");
  });
  request.addEventListener("error", () => stop("The connection broke. Send it again."));
  request.addEventListener("load", () => {
    if (request.status < 300 && request.responseURL !== location.href.split("#")[0]) return location.assign(request.responseURL);
    if (!(request.getResponseHeader("Content-Type") || "").startsWith("text/html")) return stop(request.responseText.slice(0, 500));
    const page = new DOMParser().parseFromString(request.responseText, "text/html").querySelector("#content-main");
    if (!page) return stop(`The gateway answered ${request.status}.`);
    document.querySelector("#content-main").replaceWith(page);
    page.querySelector(".errors input, .errors select")?.focus();
  });
  bar.hidden = false;
  button.disabled = true;
  say("");
  request.open("POST", form.action);
  request.send(new FormData(form));
});
