// Marks what is right of each suspect, and gives the corrections as a file.
"use strict";
const audit = JSON.parse(document.getElementById("audit").textContent);
const articles = [...document.querySelectorAll(".suspect")];
const marks = new Map();
const told = document.getElementById("told");
const download = document.getElementById("download");
let saved = "";

/** A suspect's mark: {kind: keep, suggested, other or out, label}, or nothing. */
function mark(index, kind, label) {
  const suspect = audit.suspects[index], before = marks.get(index);
  const right = kind === "suggested" ? suspect.suggested : kind === "out" ? null : label;
  if (!kind || (before && before.kind === kind && before.label === right)) marks.delete(index);
  else marks.set(index, { kind, label: right });
  show(index);
}

function show(index) {
  const article = articles[index], found = marks.get(index), select = article.querySelector("select");
  if (found) article.dataset.mark = found.kind;
  else delete article.dataset.mark;
  for (const button of article.querySelectorAll("button")) button.setAttribute("aria-pressed", String(found?.kind === button.dataset.mark));
  if (found?.kind === "other") fill(select, audit.suspects[index]);
  select.value = found?.kind === "other" ? found.label : "";
  select.classList.toggle("chosen", found?.kind === "other");
  tell();
}

function tell() {
  const found = corrections(), kept = [...marks.values()].filter(each => each.kind === "keep").length;
  const out = found.filter(each => each.label === null).length;
  const parts = [`${found.length - out} corrected`, `${out} left out`, `${kept} right as they are`, `${articles.length - marks.size} not looked at`];
  told.textContent = marks.size ? `${parts.join(", ")}.` : "Nothing is marked yet.";
  download.disabled = !found.length;
}

/** What differs from the labels that are given, in the order of the page. */
function corrections() {
  return [...marks].sort(([one], [other]) => one - other).filter(([, found]) => found.kind !== "keep")
    .map(([index, found]) => ({ place: audit.suspects[index].place, given: audit.suspects[index].given, label: found.label }));
}

function written() {
  return `${JSON.stringify({ ...audit.file, corrections: corrections() }, null, 1)}\n`;
}

/** The classes, when somebody is about to choose: of many suspects and classes they would be too many at once. */
function fill(select, suspect) {
  if (select.length > 1) return;
  for (const [name, told] of audit.classes) if (name !== suspect.given) select.add(new Option(told, name));
}

function go(index) {
  articles[index]?.focus();
}

const keys = {
  Enter: index => { mark(index, "suggested"); go(index + 1); },
  k: index => { mark(index, "keep"); go(index + 1); },
  x: index => { mark(index, "out"); go(index + 1); },
  u: index => mark(index),
  o: index => { const select = articles[index].querySelector("select"); fill(select, audit.suspects[index]); select.focus(); },
  ArrowDown: index => go(index + 1),
  ArrowUp: index => go(index - 1),
};

for (const [index, article] of articles.entries()) {
  const select = article.querySelector("select"), suspect = audit.suspects[index];
  for (const button of article.querySelectorAll("button")) button.addEventListener("click", () => mark(index, button.dataset.mark));
  for (const event of ["focus", "pointerdown"]) select.addEventListener(event, () => fill(select, suspect));
  select.addEventListener("change", () => (select.value ? mark(index, "other", select.value) : mark(index)));
  article.addEventListener("keydown", event => {
    if (event.target !== article || event.ctrlKey || event.metaKey || event.altKey || !Object.hasOwn(keys, event.key)) return;
    event.preventDefault();
    keys[event.key](index);
  });
}

for (const image of document.querySelectorAll(".look img")) {
  // Of few pixels each is to be seen.
  const sharpen = () => image.classList.toggle("small", image.naturalHeight > 0 && image.naturalHeight < 100);
  image.addEventListener("load", sharpen);
  sharpen();
}

download?.addEventListener("click", () => {
  const text = written(), link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "application/json" }));
  link.download = `corrections-${audit.file.pipeline}-${audit.file.channel}-${audit.file.audit}.json`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  saved = text;
});

addEventListener("beforeunload", event => { if (corrections().length && saved !== written()) event.preventDefault(); });
document.documentElement.dataset.ready = "yes";
