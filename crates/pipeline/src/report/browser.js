"use strict";
// Operates the page like a user and records the result.
const found = { errors: [] };
addEventListener("error", event => found.errors.push(event.message));

// Scrolls an element into view; returns its center and the element under the pointer there.
function meet(element) {
  element.scrollIntoView({ block: "center", inline: "center" });
  const box = element.getBoundingClientRect();
  const clientX = box.left + box.width / 2, clientY = box.top + box.height / 2;
  return [document.elementFromPoint(clientX, clientY), { clientX, clientY, bubbles: true }];
}

function rest(element, more) {
  const [met, where] = meet(element);
  met.dispatchEvent(new PointerEvent("pointermove", { ...where, ...more }));
  if (tip.hidden) return "";
  const text = line => [...line.children].map(part => part.textContent).join(" ");
  return [tip.firstChild.textContent, ...[...tip.querySelectorAll("div")].map(text)].join("|");
}

function click(element) {
  const [met, where] = meet(element);
  met.dispatchEvent(new MouseEvent("click", where));
}

const plot = title => document.querySelector(`svg[aria-label="${title}"]`);
const mark = (title, index) => plot(title).querySelectorAll(".series [data-v]")[index];
const shown = () => [...document.querySelectorAll(".series[data-series]:not([data-series=''])")]
  .filter(series => getComputedStyle(series).display !== "none").length;
const names = () => [...document.querySelectorAll("tbody tr")].map(row => row.cells[0].textContent).join("|");

addEventListener("load", () => {
  try {
    found.width = innerWidth;
    found["too wide by"] = document.documentElement.scrollWidth - document.documentElement.clientWidth;
    found["loaded from elsewhere"] = performance.getEntriesByType("resource").filter(entry => !entry.name.startsWith("data:")).length;
    found.curves = rest(mark("First", 1));
    found.points = rest(mark("Points", 1));
    found.bars = rest(mark("Bars", 0));
    const matrix = document.querySelector("img.matrix"), data = matrix.dataset;
    matrix.scrollIntoView({ block: "center" });
    const box = matrix.getBoundingClientRect(), scale = box.width / matrix.naturalWidth;
    const middle = cell => (cell + 0.5) * Number(data.cell);
    const where = { clientX: box.left + (Number(data.left) + middle(2)) * scale, clientY: box.top + middle(1) * scale };
    found.matrix = rest(matrix, where);
    matrix.dispatchEvent(new PointerEvent("pointerleave"));
    found.left = tip.hidden ? "" : tip.textContent;
    found.shown = shown();
    const key = plot("First").querySelector(".key[data-series=none]");
    click(key);
    found["shown without none"] = shown();
    found["curves without none"] = rest(mark("Second", 4));
    click(key);
    found["shown again"] = shown();
    found["as it was"] = names();
    const heads = document.querySelectorAll("th button");
    click(heads[1]);
    found.rising = names();
    click(heads[1]);
    found.falling = names();
    click(heads[0]);
    found["by name"] = names();
    const link = document.querySelector("a.csv").href;
    found.saved = decodeURIComponent(link.slice(link.indexOf(",") + 1)).split("\n")[0];
  } catch (error) {
    found.errors.push(String(error.stack));
  }
  const text = document.createElement("pre");
  text.id = "found";
  text.textContent = JSON.stringify(found);
  document.body.append(text);
});
