// Shows the pictures of views: one of each at a time, by a slider over training steps, played, or as they come.
"use strict";
const page = JSON.parse(document.getElementById("views-page").textContent);
const dark = matchMedia("(prefers-color-scheme: dark)");
const still = matchMedia("(prefers-reduced-motion: reduce)");
// Playing takes so many milliseconds in all, and a picture stays between the least and the most of them.
const PLAYED = 20000, LEAST = 90, MOST = 700;
// An enlarged view, from this width on; and what a document's axes and legend take beside its plot.
const LARGE = 600, BESIDE = 170;

// ------------------------------------------------------------------------------------------------------------ drawing

/** What Vega may load: nothing; a picture that a document holds itself is no address. */
const loader = {
  load: async uri => { throw new Error(`it loads ${String(uri).slice(0, 80)}; a view's data stand in its document`); },
  sanitize: async (uri, options) => {
    if (/^data:image\/(png|jpeg|gif|webp|svg\+xml)[;,]/i.test(uri) && options?.context !== "href") return { href: uri };
    throw new Error(`it names ${String(uri).slice(0, 80)}; nothing is loaded here`);
  },
  http: async () => { throw new Error("nothing is loaded here"); },
  file: async () => { throw new Error("nothing is loaded here"); },
};

/** Draws a picture into an element of its own; the caller puts it in its place. */
async function drawn(picture, stage, isLarge) {
  if (picture.kind === "image") return image(picture);
  if (picture.kind === "vega") return vega(picture, stage, isLarge);
  throw new Error(picture.why || "it can't be shown");
}

async function image(picture) {
  const found = new Image();
  found.alt = picture.alt;
  found.src = picture.data ?? picture.url;
  try { await found.decode(); } catch { throw new Error(await refused(picture) || "this browser can't show it"); }
  const [width, height] = [found.naturalWidth || 300, found.naturalHeight || 150];
  const longest = Math.max(width, height), { below, to } = page.enlarge;
  const isSmall = picture.pixels && longest < below, times = isSmall ? Math.floor(to / longest) : 1;
  // Of a large one, a plot say, which may be shown smaller than it is, pixels aren't the point.
  if (isSmall) found.classList.add("pixels");
  return { element: found, width: width * times, height: height * times, scales: true };
}

/** A Vega-Lite document on a canvas, in the colours of the page; expressions are interpreted, not compiled. */
async function vega(picture, stage, isLarge) {
  const spec = picture.data ?? await fetched(picture.url);
  const place = document.createElement("div");
  place.className = "vega offstage";
  stage.append(place);
  const looks = dark.matches ? "dark" : "light";
  const embedded = embedding(looks, isLarge ? stage.clientWidth : 0);
  try {
    const { view, finalize } = await window.vegaEmbed(place, structuredClone(spec), embedded);
    const canvas = place.querySelector("canvas");
    // Its own size has a style only where the screen's pixels are finer than the page's.
    const width = parseFloat(canvas.style.width) || canvas.width, height = parseFloat(canvas.style.height) || canvas.height;
    pointed(view, canvas, width);
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", picture.alt);
    return { element: place, width: spec.width === "container" ? 0 : width, height, free: finalize, view };
  } catch (error) {
    place.remove();
    throw error;
  }
}

/** How vega-embed draws; across: how wide a document without a width of its own is, with its axes and legend. */
function embedding(looks, across) {
  const config = structuredClone(page.themes[looks]);
  if (across > LARGE) Object.assign(config.view, { continuousWidth: across - BESIDE, continuousHeight: Math.min(across / 2, innerHeight * 0.6) });
  return {
    mode: "vega-lite", ast: true, actions: false, renderer: "canvas", defaultStyle: false, hover: false, loader,
    config, tooltip: { theme: looks }, logLevel: 1,
  };
}

/** Points at what is under the pointer also where the picture is shown smaller than it was drawn. */
function pointed(view, canvas, width) {
  const handler = view._handler;
  if (!handler?.pick || !handler._origin) return;
  handler.pickEvent = event => {
    const box = canvas.getBoundingClientRect(), [left, top] = handler._origin;
    const times = width / box.width;
    const [x, y] = [(event.clientX - box.left) * times, (event.clientY - box.top) * times];
    return handler.pick(handler._scene, x, y, x - left, y - top);
  };
}

/** Why a picture's address has none. */
async function refused(picture) {
  if (picture.data) return "";
  const answer = await fetch(picture.url);
  return answer.ok ? "" : answer.text();
}

async function fetched(url) {
  const answer = await fetch(url);
  if (!answer.ok) throw new Error(await answer.text());
  return answer.json();
}

// ------------------------------------------------------------------------------------------------------------- slider

/** A slider over places in a list, with a button that plays it. */
class Player {
  constructor(element, shows) {
    this.slider = element.querySelector("input");
    this.button = element.querySelector(".play");
    this.label = element.querySelector(".label");
    this.shows = shows;
    this.playing = null;
    this.slider.addEventListener("input", () => { this.pause(); this.shows(this.place, true); });
    this.slider.addEventListener("keydown", event => { if (event.key === " ") { event.preventDefault(); this.toggle(); } });
    this.button.addEventListener("click", () => this.toggle());
  }

  get place() { return Number(this.slider.value); }

  get last() { return Number(this.slider.max); }

  /** So many places there are now. */
  grown(count) {
    this.slider.max = String(Math.max(0, count - 1));
    this.slider.disabled = this.button.disabled = count < 2;
  }

  /** Stands at a place, and says so. */
  stand(place, step, when) {
    this.slider.value = String(place);
    const told = [`step ${step.toLocaleString("en-US")}`, when].filter(Boolean);
    this.slider.setAttribute("aria-valuetext", [...told, `${place + 1} of ${this.last + 1}`].join(", "));
    this.label.querySelector("b").textContent = told[0];
    this.label.querySelector("span").textContent = when ?? "";
  }

  toggle() { if (this.playing) this.pause(); else this.play(); }

  pause() {
    clearTimeout(this.playing);
    this.playing = null;
    this.tell();
  }

  play() {
    if (this.button.disabled) return;
    if (this.place >= this.last) this.shows(0, true);
    this.playing = setTimeout(() => this.next(), this.pace);
    this.tell();
  }

  /** The next picture, once the last is there; a slow one is waited for. */
  async next() {
    const playing = this.playing;
    await this.shows(this.place + 1, true);
    if (this.playing !== playing) return;
    if (this.place >= this.last) this.pause(); else this.playing = setTimeout(() => this.next(), this.pace);
  }

  get pace() {
    const each = Math.min(MOST, Math.max(LEAST, PLAYED / (this.last + 1)));
    return still.matches ? Math.max(MOST, each) : each;
  }

  tell() {
    this.button.textContent = this.playing ? "❚❚" : "▶";
    this.button.setAttribute("aria-label", this.playing ? "pause" : "play");
  }

  /** Moves as the slider's own keys would. */
  key(event) {
    const by = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -10, PageUp: 10, Home: -Infinity, End: Infinity }[event.key];
    if (event.altKey || event.ctrlKey || event.metaKey || (by === undefined && event.key !== " ")) return;
    event.preventDefault();
    if (by === undefined) return this.toggle();
    this.pause();
    this.shows(Math.min(this.last, Math.max(0, this.place + by)), true);
  }
}

// -------------------------------------------------------------------------------------------------------------- views

/** One view: its stage holds one picture, which changes only when the next one has been drawn. */
class View {
  constructor(article) {
    this.article = article;
    this.name = article.dataset.name;
    this.stage = article.querySelector(".stage");
    this.pictures = [];
    this.isLarge = false;
    this.unreserved();
    this.wanted = this.shown = null;
    this.visible = this.moved = false;
    this.player = new Player(article.querySelector(".controls"), (place, byHand) => this.show(place, byHand));
    this.stage.addEventListener("keydown", event => this.player.key(event));
    article.querySelector(".larger").addEventListener("click", event => {
      this.isLarge = article.classList.toggle("large");
      event.currentTarget.setAttribute("aria-pressed", String(this.isLarge));
      this.unreserved();
      this.redraw();
    });
    seen.observe(article);
  }

  /** Takes the list of its pictures as it is now, and follows the newest unless the reader has gone elsewhere. */
  take(pictures) {
    const before = this.pictures[this.place];
    this.pictures = pictures;
    for (const picture of pictures) picture.alt = `${this.name} at step ${picture.step}`;
    this.player.grown(pictures.length);
    this.article.querySelector(".controls").hidden = !pictures.length;
    if (!pictures.length) return;
    const kept = before && this.moved ? pictures.findIndex(picture => picture.step >= before.step) : -1;
    this.show(kept < 0 ? pictures.length - 1 : kept, false);
  }

  get place() { return this.player.place; }

  /** Wants a place's picture; resolves when the stage shows it, or a later one that was wanted since. */
  show(place, byHand) {
    if (byHand) this.moved = place < this.pictures.length - 1;
    this.wanted = this.pictures[place];
    this.player.stand(place, this.wanted.step, when(this.wanted));
    return this.work();
  }

  /** Says again how old its picture is. */
  tell() {
    if (this.wanted) this.player.stand(this.place, this.wanted.step, when(this.wanted));
  }

  redraw() {
    this.shown = null;
    return this.work();
  }

  work() {
    if (!this.visible || !this.wanted) return Promise.resolve();
    this.working ??= this.draw().finally(() => {
      this.working = null;
      // Another may have been wanted after the last look.
      if (this.shown !== this.wanted) return this.work();
    });
    return this.working;
  }

  /** Draws what is wanted until nothing else is: of many that a slider passes, those that there is time for. */
  async draw() {
    while (this.visible && this.shown !== this.wanted) {
      const picture = this.shown = this.wanted;
      try { this.put(await drawn(picture, this.stage, this.isLarge)); } catch (error) { this.put(sorry(picture, error)); }
      draws += 1;
    }
  }

  put(found) {
    const isWider = this.isLarge && found.width > this.article.clientWidth;
    this.stage.classList.toggle("wider", isWider);
    if (isWider) this.scroll(found); else this.fit(found);
    found.element.classList.remove("offstage");
    this.drawn?.free?.();
    this.stage.replaceChildren(found.element);
    this.drawn = found;
  }

  /** No wider than its place. */
  fit(found) {
    const grows = this.isLarge && found.scales;
    if (found.height) this.reserve(found.width, found.height, grows);
    const share = `${100 * found.width / this.width}%`;
    if (found.width) found.element.style.width = grows ? share : `min(100%, ${found.width}px, ${share})`;
  }

  /** As wide as it is, on a narrow screen: what is written in it could hardly be read otherwise. */
  scroll(found) {
    this.height = Math.max(found.height, this.height);
    this.stage.style.cssText = `min-height: ${this.height}px`;
    found.element.style.width = `${found.width}px`;
  }

  /** Room for the largest picture so far, so that nothing below moves while others come. */
  reserve(width, height, grows) {
    [this.width, this.height] = [Math.max(width, this.width), Math.max(height, this.height)];
    const fit = Math.min(this.height, 3 * this.width), most = grows ? `calc(85vh * ${this.width / fit})` : `${this.width}px`;
    this.stage.style.aspectRatio = width ? `${this.width} / ${fit}` : "auto";
    this.stage.style.maxWidth = width ? most : "";
    this.stage.style.minHeight = width ? "" : `${this.height}px`;
  }

  /** The room that the page knows of before anything is drawn. */
  unreserved() {
    const known = this.isLarge ? {} : this.stage.dataset;
    [this.width, this.height] = [Number(known.width) || 0, Number(known.height) || 0];
    if (this.isLarge) this.stage.removeAttribute("style");
  }
}

/** What stands where a picture can't be shown. */
function sorry(picture, error) {
  const element = document.createElement("p");
  element.className = "sorry";
  element.textContent = `The picture of step ${picture.step} can't be shown: ${String(error?.message ?? error).slice(0, 300)}`;
  return { element };
}

/** When a picture was drawn: how long ago; in a report, how long after the run began. */
function when(picture) {
  const at = Date.parse(picture.at), start = Date.parse(page.start);
  if (Number.isNaN(at)) return "";
  if (page.live) return `${duration((Date.now() - at) / 1000)} ago`;
  const clock = `${new Date(at).toISOString().slice(11, 19)} UTC`;
  return at >= start ? `${duration((at - start) / 1000)} after the start, ${clock}` : clock;
}

function duration(seconds) {
  const whole = Math.max(0, Math.round(seconds)), two = number => String(number).padStart(2, "0");
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${two(whole % 60)} s`;
  return `${Math.floor(whole / 3600)} h ${two(Math.floor(whole % 3600 / 60))} min`;
}

// ----------------------------------------------------------------------------------------------------------- together

const views = new Map();
let draws = 0;

const seen = new IntersectionObserver(entries => {
  for (const entry of entries) {
    const view = views.get(entry.target.dataset.name);
    if (!view) continue;
    view.visible = entry.isIntersecting;
    view.work();
  }
}, { rootMargin: "200px" });

/** One slider for all views: each shows its newest picture of that step or before. */
const together = {
  element: document.getElementById("together"),
  steps: [],
  moved: false,

  take() {
    const before = this.steps[this.player.place];
    this.steps = [...new Set([...views.values()].flatMap(view => view.pictures.map(picture => picture.step)))].sort((a, b) => a - b);
    this.element.hidden = views.size < 2 || this.steps.length < 2;
    if (!this.steps.length) return;
    this.player.grown(this.steps.length);
    const place = this.moved ? Math.max(0, this.steps.findIndex(step => step >= before)) : this.steps.length - 1;
    this.player.stand(place, this.steps[place], "");
  },

  show(place) {
    const step = this.steps[place];
    this.moved = place < this.steps.length - 1;
    this.player.stand(place, step, "");
    return Promise.all([...views.values()].filter(view => view.pictures.length).map(view => {
      view.player.pause();
      const after = view.pictures.findIndex(picture => picture.step > step);
      const shown = view.show(after < 0 ? view.pictures.length - 1 : Math.max(0, after - 1), true);
      // Also one whose newest picture this is stays there, when others come.
      view.moved = this.moved;
      return shown;
    }));
  },
};
together.player = new Player(together.element, place => together.show(place));

function add(article) {
  const view = new View(article);
  views.set(view.name, view);
  return view;
}

/** The pictures that the page holds; the first and the last stand in its markup, for readers without scripts. */
function held(article) {
  const pictures = JSON.parse(document.getElementById(`pictures-${article.dataset.name}`).textContent);
  const end = name => article.querySelector(`.${name} img`)?.src;
  const [first, last] = [pictures[0], pictures.at(-1)];
  if (last?.kind === "image") last.data ??= end("last");
  if (first?.kind === "image") first.data ??= end("first");
  return pictures;
}

for (const article of document.querySelectorAll("article.view")) {
  const pictures = held(article);
  add(article).take(pictures);
}
together.take();
dark.addEventListener("change", () => { for (const view of views.values()) view.redraw(); });
window.ratchetViews = {
  views, together, add,
  state: () => ({ draws, working: [...views.values()].some(view => view.working) }),
};
