// Follows a run: asks for what is new, once a second, and hands it to the views.
"use strict";
const PAUSE = 1000, WAIT = 3000;
const { views, together, add } = window.ratchetViews;
const blank = document.getElementById("view");
const grid = document.querySelector(".views");
const headline = document.getElementById("headline");
const known = new Map();
let version = -1;

async function look() {
  let answer;
  try {
    answer = await fetch(`/views.json?after=${version}`);
    if (answer.status === 200) take(await answer.json());
  } catch { return gone(); }
  for (const view of views.values()) view.tell();
  setTimeout(look, PAUSE);
}

function gone() {
  const bar = document.getElementById("gone");
  bar.hidden = false;
  document.documentElement.dataset.gone = "yes";
  setTimeout(async () => { try { await fetch("/views.json"); location.reload(); } catch { gone(); } }, WAIT);
}

function take(now) {
  version = now.version;
  headline.textContent = now.headline;
  document.documentElement.dataset.ended = String(now.ended);
  document.getElementById("waiting").hidden = now.ended || now.views.some(view => view.pictures.length);
  document.getElementById("nothing").hidden = !now.ended || now.views.length > 0;
  for (const [name, view] of views) if (!now.views.some(each => each.name === name)) { view.article.remove(); views.delete(name); }
  for (const each of now.views) update(views.get(each.name) ?? made(each.name), each);
  together.take();
}

function made(name) {
  const article = blank.content.firstElementChild.cloneNode(true);
  article.dataset.name = name;
  article.querySelector("h3 b").textContent = name;
  article.querySelector(".stage").setAttribute("aria-label", name);
  article.querySelector("input").setAttribute("aria-label", `step of ${name}`);
  grid.append(article);
  return add(article);
}

/** Gives a view its words and pictures; a picture that it has already stays the same object, and isn't drawn anew. */
function update(view, now) {
  view.article.querySelector(".told").textContent = now.told;
  listed(view.article.querySelector(".said"), now.sentences);
  view.article.querySelector(".problems").hidden = !now.problems.length;
  listed(view.article.querySelector(".problems ul"), now.problems);
  const pictures = now.pictures.map(picture => known.get(picture.url) ?? picture);
  for (const picture of pictures) known.set(picture.url, picture);
  view.take(pictures);
}

function listed(list, texts) {
  list.replaceChildren(...texts.map(text => {
    const item = document.createElement("li");
    item.textContent = text;
    return item;
  }));
}

look();
