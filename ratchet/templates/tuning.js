// Links the pictures of a tuning report: what is held by a brush in one is picked in all, and in the table.
"use strict";
const page = JSON.parse(document.getElementById("page").textContent);
const dark = matchMedia("(prefers-color-scheme: dark)");
const views = new Map();
const brushes = new Map();
const visible = new Set();
let picked = null, pointed = null, waiting = false, settled = false, redrawn = 0, late = 0;

// ---------------------------------------------------------------------------------------------------------- brushing

/** The trials that a brush holds: those with a row of the panel's inside; null where there is no brush. */
function held(panel, brush) {
  const sides = Object.entries(brush).map(([field, ends]) => [field, Math.min(...ends), Math.max(...ends)]);
  if (!sides.length) return null;
  const rows = page.data[panel.brushed];
  if (panel.key === "parallel") return crossing(rows, brush);
  const inside = row => sides.every(([field, low, high]) => row[field] >= low && row[field] <= high);
  return new Set(rows.filter(inside).map(row => row.i));
}

/** The lines that pass a brush on each of the parallel axes that it covers; on the nearest, where it covers none. */
function crossing(rows, brush) {
  const [left, right] = [Math.min(...brush.axis), Math.max(...brush.axis)];
  const [low, high] = [Math.min(...brush.at), Math.max(...brush.at)];
  const nearest = Math.round((left + right) / 2);
  const covers = axis => (axis >= left && axis <= right) || (Math.ceil(left) > right && axis === nearest);
  const found = new Set(rows.filter(row => covers(row.axis)).map(row => row.i));
  for (const row of rows) if (covers(row.axis) && !(row.at >= low && row.at <= high)) found.delete(row.i);
  return found;
}

/** Picks what all brushes hold together. */
function pick() {
  const sets = [...brushes.values()];
  picked = sets.length ? {} : null;
  if (sets.length) for (const i of sets[0]) if (sets.every(set => set.has(i))) picked[i] = true;
  redraw();
}

/** Draws what has changed since, once a frame: what can be seen now, all else when the pointer rests. */
function redraw() {
  settled = false;
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(async () => {
    waiting = false;
    await follow(key => visible.has(key));
    redrawn += 1;
    tell();
    clearTimeout(late);
    late = setTimeout(rest, 80);
  });
}

/** Tells the pictures of these panels what is picked and pointed at. */
function follow(whose) {
  const keys = page.panels.filter(panel => panel.brushed && views.has(panel.key) && whose(panel.key)).map(panel => panel.key);
  return Promise.all(keys.map(key => views.get(key).signal("picked", picked).signal("pointed", pointed).runAsync()));
}

async function rest() {
  await follow(() => true);
  for (const [i, row] of lines) {
    row.hidden = picked !== null && !picked[i];
    row.classList.toggle("pointed", i === pointed);
  }
  settled = true;
}

/** Forgets all brushes. */
function clear() {
  for (const [key, view] of views) {
    if (!brushes.has(key)) continue;
    for (const side of ["brush_x", "brush_y"]) try { view.signal(side, [0, 0]); } catch { /* it has none there */ }
    view.runAsync();
  }
  brushes.clear();
  for (const job of document.querySelectorAll(".job")) job.setAttribute("aria-pressed", "false");
  pick();
}

// ------------------------------------------------------------------------------------------------------------- table

const table = document.querySelector("#trials tbody");
const lines = new Map([...table.rows].map(row => [Number(row.dataset.i), row]));

/** Says how many are picked. */
function tell() {
  const bar = document.getElementById("picked");
  bar.hidden = !picked;
  bar.querySelector("b").textContent = `${picked ? Object.keys(picked).length : page.trials} of ${page.trials} trials`;
}

/** Sorts by a column; by the same one again the other way round. */
function sort(heading) {
  const column = heading.cellIndex;
  const down = heading.getAttribute("aria-sort") === "ascending";
  for (const other of heading.parentNode.cells) other.removeAttribute("aria-sort");
  heading.setAttribute("aria-sort", down ? "descending" : "ascending");
  const key = row => row.cells[column].dataset.n;
  const compare = (one, other) => {
    const [a, b] = [key(one), key(other)];
    if (a === undefined && b === undefined) return one.cells[column].textContent.localeCompare(other.cells[column].textContent);
    if (a === undefined || b === undefined) return a === undefined ? 1 : -1;
    return (Number(a) - Number(b)) * (down ? -1 : 1);
  };
  table.append(...[...table.rows].sort(compare));
}

// ------------------------------------------------------------------------------------------------------------ drawing

/** Draws a panel in its place, in the colours of the page. */
async function draw(panel) {
  const datasets = {};
  for (const [, name] of JSON.stringify(panel.spec).matchAll(/"name":"(\w+)"/g)) if (page.data[name]) datasets[name] = page.data[name];
  const spec = { ...panel.spec, datasets: structuredClone(datasets), width: "container", height: panel.height };
  const config = page.themes[dark.matches ? "dark" : "light"];
  const place = document.getElementById(`panel-${panel.key}`);
  views.get(panel.key)?.finalize();
  const tooltip = { theme: dark.matches ? "dark" : "light", formatTooltip: tip };
  const { view } = await window.vegaEmbed(place, spec, { actions: false, renderer: "canvas", config, tooltip });
  views.set(panel.key, view);
  if (!panel.brushed) return;
  view.addSignalListener("brush", (_name, brush) => {
    const found = held(panel, brush);
    if (found) brushes.set(panel.key, found); else brushes.delete(panel.key);
    pick();
  });
  view.addEventListener("mousemove", (_event, item) => point(item?.datum?.i));
  view.addEventListener("mouseout", () => point());
}

/** What a tip says: of a trial all that is known, of a bar how many it counts. */
function tip(value, html) {
  if (!("trial" in value)) return html(value);
  const told = [["status", value.status], [page.names.metric, value.objective ?? value.value], ["trained", value.took]];
  page.names.hyperparameters.forEach((name, at) => told.push([name, value[`v${at}`]]));
  const lines = told.filter(([, each]) => each !== undefined).map(([name, each]) => `<tr><td class="key">${html(name)}</td><td class="value">${html(each)}</td></tr>`);
  return `<h2>${html(value.trial)}</h2><table>${lines.join("")}</table>`;
}

function point(i = null) {
  if (i === pointed) return;
  pointed = i;
  redraw();
}

const watch = new IntersectionObserver(entries => {
  for (const entry of entries) {
    const key = entry.target.id.replace("panel-", "");
    if (entry.isIntersecting) visible.add(key); else visible.delete(key);
  }
});

async function drawAll() {
  brushes.clear();
  await Promise.all(page.panels.map(draw));
  pick();
  document.documentElement.dataset.drawn = String(Number(document.documentElement.dataset.drawn || 0) + 1);
}

for (const panel of document.querySelectorAll(".panel")) watch.observe(panel);
dark.addEventListener("change", drawAll);
document.addEventListener("keydown", event => { if (event.key === "Escape") clear(); });
document.getElementById("all").addEventListener("click", clear);
for (const heading of document.querySelectorAll("#trials thead th")) heading.addEventListener("click", () => sort(heading));
for (const [i, row] of lines) row.addEventListener("mouseenter", () => point(i));
table.addEventListener("mouseleave", () => point());
for (const job of document.querySelectorAll("button.job")) job.addEventListener("click", () => {
  const on = job.getAttribute("aria-pressed") !== "true";
  for (const other of document.querySelectorAll("button.job")) other.setAttribute("aria-pressed", String(on && other === job));
  const [first, last] = job.dataset.trials.split("-").map(Number);
  if (on) brushes.set("job", new Set([...lines.keys()].filter(i => i >= first && i < last))); else brushes.delete("job");
  pick();
});
window.tuning = { views, state: () => ({ picked, pointed, redrawn, settled, brushes: [...brushes.keys()] }) };
drawAll();
