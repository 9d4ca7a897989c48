// What the tests want to know of a report page, as JSON in the element #found, in place of the page.
const inside = (inner, outer) => inner.left >= outer.left - 1 && inner.right <= outer.right + 1
    && inner.top >= outer.top - 1 && inner.bottom <= outer.bottom + 1;
const place = element => element.getBoundingClientRect();
const boxes = [...document.querySelectorAll(".box")];
const rects = boxes.map(box => place(box.querySelector("rect")));
const luminance = colour => {
  const [r, g, b] = colour.match(/[0-9.]+/g).map(v => v / 255).map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const contrast = element => {
  let back = element;
  while (getComputedStyle(back).backgroundColor === "rgba(0, 0, 0, 0)") back = back.parentElement;
  const [one, other] = [getComputedStyle(element).color, getComputedStyle(back).backgroundColor].map(luminance);
  return (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
};
const texts = [...document.querySelectorAll("h1, h2, p, td, th, code, .pill, .tile span, .bars span, .bars em, label, summary")]
    .filter(element => element.textContent.trim() && element.checkVisibility());
document.body.innerHTML = "<pre id=found>" + JSON.stringify({
  wide: document.documentElement.scrollWidth - window.innerWidth,
  states: boxes.map(box => box.dataset.state),
  textsInTheirBoxes: boxes.every((box, i) => [...box.querySelectorAll("text")].every(text => inside(place(text), rects[i]))),
  overlapping: rects.filter((one, i) => rects.some((other, j) => j > i && one.left < other.right && other.left < one.right
      && one.top < other.bottom && other.top < one.bottom)).length,
  markersInside: [...document.querySelectorAll(".figure")].every(figure =>
      [...figure.querySelectorAll(".dot, .range, .tick")].every(mark => place(mark).left >= place(figure).left - 8
          && place(mark).right <= place(figure).right + 8)),
  labelsInside: [...document.querySelectorAll("section .figure label")].every(label =>
      place(label).left >= place(label.closest("section")).left && place(label).right <= place(label.closest("section")).right),
  labelsOverlapping: [...document.querySelectorAll(".figure")].filter(figure => {
    const labels = [...figure.querySelectorAll("label")].map(place);
    return labels.some((one, i) => labels.some((other, j) => j > i && one.left < other.right && other.left < one.right
        && one.top < other.bottom - 1 && other.top < one.bottom - 1));
  }).length,
  background: getComputedStyle(document.body).backgroundColor,
  faint: texts.filter(element => contrast(element) < 4.5).map(element => element.textContent.trim().slice(0, 40)),
  alerts: document.querySelectorAll("script").length,
  requests: performance.getEntriesByType("resource").map(entry => entry.name),
}).replaceAll("<", "&lt;") + "</pre>";
