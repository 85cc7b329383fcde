"use strict";
// Shows values under the pointer; a click on a legend hides a condition, a click on a header sorts.
const tip = document.getElementById("tip");

// Each line: color or null, name, value.
function show(event, head, lines) {
  tip.replaceChildren();
  const title = document.createElement("strong");
  title.textContent = head;
  tip.append(title);
  for (const [color, name, value] of lines) {
    const line = document.createElement("div"), left = document.createElement("span"), right = document.createElement("span");
    if (color) {
      const key = document.createElement("span");
      key.className = "key-color";
      key.style.background = color;
      left.append(key);
    }
    left.append(name);
    right.textContent = value;
    line.append(left, right);
    tip.append(line);
  }
  tip.hidden = false;
  const box = tip.getBoundingClientRect(), gap = 14;
  const left = event.clientX + gap + box.width > innerWidth ? event.clientX - gap - box.width : event.clientX + gap;
  const top = event.clientY + gap + box.height > innerHeight ? event.clientY - gap - box.height : event.clientY + gap;
  tip.style.left = Math.max(4, left) + "px";
  tip.style.top = Math.max(4, top) + "px";
}

function hide(plot) {
  tip.hidden = true;
  plot.querySelectorAll(".near").forEach(mark => mark.classList.remove("near"));
}

function place(mark) {
  const of = name => Number(mark.getAttribute(name));
  return mark.tagName === "rect" ? [of("x") + of("width") / 2, of("y")] : [of("cx"), of("cy")];
}

function hover(plot, event) {
  hide(plot);
  const inverse = plot.getScreenCTM().inverse();
  const pointer = new DOMPoint(event.clientX, event.clientY).matrixTransform(inverse);
  const marks = [...plot.querySelectorAll(".series:not(.off) [data-v]")].map(mark => [mark, place(mark)]);
  const alongX = plot.dataset.kind === "x";
  const away = ([x, y]) => alongX ? Math.abs(x - pointer.x) : Math.hypot(x - pointer.x, y - pointer.y);
  const nearest = marks.reduce((best, mark) => !best || away(mark[1]) < away(best[1]) ? mark : best, null);
  if (!nearest || away(nearest[1]) > (alongX ? 60 : 24)) return;
  const chosen = alongX ? marks.filter(mark => Math.abs(mark[1][0] - nearest[1][0]) < 0.5) : [nearest];
  chosen.forEach(mark => mark[0].classList.add("near"));
  const axis = plot.dataset.axis;
  show(event, `${axis} ${nearest[0].dataset.x}`, chosen.map(([mark]) => {
    const series = mark.parentElement;
    return [series.getAttribute("fill"), series.dataset.series || plot.getAttribute("aria-label"), mark.dataset.v];
  }));
}

for (const plot of document.querySelectorAll("svg.plot")) {
  plot.addEventListener("pointermove", event => hover(plot, event));
  plot.addEventListener("pointerdown", event => hover(plot, event));
  plot.addEventListener("pointerleave", () => hide(plot));
}

// A click shows or hides a condition in all figures.
function toggle(name) {
  for (const part of document.querySelectorAll(".series, .key")) {
    if (part.dataset.series !== name) continue;
    const off = part.classList.toggle("off");
    if (part.classList.contains("key")) part.setAttribute("aria-pressed", String(!off));
  }
}

for (const key of document.querySelectorAll(".key")) {
  key.setAttribute("role", "button");
  key.setAttribute("tabindex", "0");
  key.setAttribute("aria-pressed", "true");
  key.addEventListener("click", () => toggle(key.dataset.series));
  key.addEventListener("keydown", event => {
    if (event.key !== "Enter" && event.key !== " ") return;
    event.preventDefault();
    toggle(key.dataset.series);
  });
}

// The numbers of a matrix are those of its CSV: names in the first line and column.
for (const image of document.querySelectorAll("img.matrix[data-size]")) {
  const link = image.parentElement.querySelector("a.csv");
  let rows = null;
  image.addEventListener("pointermove", event => {
    const box = image.getBoundingClientRect(), scale = image.naturalWidth / box.width;
    const cell = Number(image.dataset.cell), size = Number(image.dataset.size);
    const column = Math.floor(((event.clientX - box.left) * scale - Number(image.dataset.left)) / cell);
    const row = Math.floor((event.clientY - box.top) * scale / cell);
    if (!link || column < 0 || column >= size || row < 0 || row >= size) {
      tip.hidden = true;
      return;
    }
    rows = rows || decodeURIComponent(link.href.slice(link.href.indexOf(",") + 1)).trim().split("\n").map(line => line.split(","));
    show(event, `image ${row + 1} and image ${column + 1}`, [[null, "similarity", rows[row + 1][column + 1]]]);
  });
  image.addEventListener("pointerleave", () => { tip.hidden = true; });
}

function sorted(table, column, down) {
  const text = row => row.cells[column].textContent.trim();
  const first = text => { const found = text.match(/^[-+]?\d+(\.\d+)?(e[-+]?\d+)?/i); return found ? Number(found[0]) : null; };
  const missing = text => text === "–" || text === "";
  const rows = [...table.tBodies[0].rows];
  const known = rows.filter(row => !missing(text(row)));
  const numeric = column > 0 && known.some(row => first(text(row)) !== null);
  const absent = row => missing(text(row)) || (numeric && first(text(row)) === null);
  return rows.sort((a, b) => {
    // Cells without a number come last in both orders.
    if (absent(a) || absent(b)) return absent(a) - absent(b);
    const order = numeric ? first(text(a)) - first(text(b)) : text(a).localeCompare(text(b), "en", { numeric: true });
    return down ? -order : order;
  });
}

for (const table of document.querySelectorAll("table")) {
  [...table.tHead.rows[0].cells].forEach((head, column) => head.firstElementChild.addEventListener("click", () => {
    const down = head.getAttribute("aria-sort") === "ascending";
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    table.tBodies[0].append(...sorted(table, column, down));
  }));
}
