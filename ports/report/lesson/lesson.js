// The lesson's page in motion: the slider, the example that is followed, and the breaks.
// It computes nothing: it shows numbers that the run has certified, from the data in the page.
"use strict";

const data = JSON.parse(document.getElementById("data-of-the-lesson").textContent);
const shown = { position: 0, example: data.followed, broken: "" };

const all = (selector, within = document) => [...within.querySelectorAll(selector)];

// --- Numbers, as digits.py writes them ---

function written(number) {
  if (number === 0) return "0";
  return Math.abs(number) >= 1e-4 ? number.toPrecision(17) : number.toExponential(16);
}

// What a number shares with the reference's, and the rest from the first other digit on.
function compared(got, expected) {
  const text = written(got), reference = written(expected);
  let same = 0;
  while (same < text.length && text[same] === reference[same]) same += 1;
  return [text.slice(0, same), text.slice(same)];
}

function bytes(base64) {
  return Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0)).buffer;
}

// The float64 number that is so many numbers away. In this order the negative ones run backwards.
function moved(number, away) {
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, number);
  const lowest = -(2n ** 63n);
  const turned = (bits) => (bits < 0n ? lowest - bits : bits);
  view.setBigInt64(0, turned(turned(view.getBigInt64(0)) + BigInt(away)));
  return view.getFloat64(0);
}

// The numbers of a quantity at one step are put together when they are first shown.
function unpacked(numbers) {
  if (!(numbers.values instanceof Float64Array)) {
    numbers.values = new Float64Array(bytes(numbers.values));
    for (const own of Object.values(numbers.ports)) {
      if (own.problem) continue;
      const away = new Int8Array(bytes(own.away));
      own.values = numbers.values.map((value, i) => own.others[i] ?? moved(value, away[i]));
    }
  }
  return numbers;
}

// --- Showing ---

function numberLine(index, [same, other]) {
  const line = document.createElement("li");
  const label = line.appendChild(document.createElement("span"));
  label.className = "index";
  label.textContent = index.length ? `[${index.join(", ")}]` : "";
  line.append(" ");
  const digits = line.appendChild(document.createElement("span"));
  digits.className = "digits";
  digits.append(same);
  if (other) digits.appendChild(document.createElement("mark")).textContent = other;
  return line;
}

function stepOf(part) {
  return data.positions[shown.position][part] ?? 0;
}

function showCell(cell) {
  const { part, quantity, of } = cell.dataset;
  const numbers = unpacked(data.parts[part].numbers[quantity][stepOf(part)]);
  const own = numbers.ports[of], list = cell.querySelector(".numbers");
  if (!list) return; // it disagrees, and says so
  const columns = numbers.indices.length;
  const row = numbers.byExample ? shown.example : 0;
  list.replaceChildren(...numbers.indices.map((index, k) => {
    const expected = numbers.values[row * columns + k];
    const digits = own ? compared(own.values[row * columns + k], expected) : [written(expected), ""];
    return numberLine(numbers.byExample ? [row, ...index] : index, digits);
  }));
  cell.querySelector("img").src = own ? own.map : numbers.heat;
  if (own) {
    all(".share", cell).forEach((line, k) => {
      line.querySelector(".bar > span").style.width = `${100 * own.shares[k]}%`;
      line.querySelector("b").textContent = twoDigits(own.shares[k]);
    });
  }
}

// As Python's "%.2g".
function twoDigits(share) {
  return share === 0 ? "0" : share >= 1e-4 ? String(Number(share.toPrecision(2))) : share.toExponential(1);
}

function showCells(which = () => true) {
  all(".cell").filter(which).forEach(showCell);
}

function showFigures() {
  for (const plane of all(".plane svg")) {
    const { part } = plane.dataset;
    plane.querySelector("image")?.setAttribute("href", data.parts[part].maps[stepOf(part)]);
  }
  for (const figure of all("figure.loss")) {
    const now = data.parts[figure.dataset.model].now[stepOf(figure.dataset.model)];
    for (const what of ["step", "loss", "accuracy"]) {
      all(`[data-${what}]`, figure).forEach((place) => { place.textContent = now[what]; });
    }
    markStep(figure.querySelector("svg"), Number(now.step) + 1);
  }
  for (const place of all("[data-now]")) {
    place.textContent = data.parts[place.dataset.now].now[stepOf(place.dataset.now)].step;
  }
}

// A line in a chart whose axis is logarithmic, at a number on it.
function markStep(svg, number) {
  const [low, high, start, end] = ["low", "high", "start", "end"].map((name) => Number(svg.dataset[name]));
  const x = start + (Math.log(number / low) / Math.log(high / low)) * (end - start);
  const { height } = svg.viewBox.baseVal;
  let line = svg.querySelector(".step-line");
  if (!line) {
    line = svg.appendChild(document.createElementNS(svg.namespaceURI, "line"));
    line.setAttribute("class", "step-line");
  }
  for (const [name, value] of [["x1", x], ["x2", x], ["y1", 12], ["y2", height - 46]]) {
    line.setAttribute(name, value);
  }
}

function moveTo(position) {
  shown.position = position;
  document.documentElement.dataset.position = position;
  showCells();
  showFigures();
}

function follow(example, focus = false) {
  const last = all(".plane")[0].querySelectorAll(".point").length - 1;
  shown.example = Math.min(Math.max(example, 0), last);
  document.getElementById("example").value = shown.example;
  for (const point of all(".point")) {
    const is = Number(point.dataset.example) === shown.example;
    if (is === point.classList.contains("followed")) continue;
    point.classList.toggle("followed", is);
    point.setAttribute("aria-selected", is);
    point.tabIndex = is ? 0 : -1;
    if (is && focus && point.ownerSVGElement === focus) point.focus();
  }
  showCells((cell) => data.parts[cell.dataset.part].numbers[cell.dataset.quantity][0].byExample);
}

// --- Breaks ---

function breakIt(name) {
  shown.broken = name;
  const broken = data.breaks[name];
  for (const button of all("[data-break]")) {
    button.setAttribute("aria-pressed", button.dataset.break === name);
  }
  all(".break").forEach((article) => article.classList.toggle("chosen", article.id === `break-${name}`));
  for (const cell of all(".cell")) {
    const { part, quantity, of } = cell.dataset;
    const hit = broken && part === broken.model && of === broken.port && broken.states[quantity];
    if (hit) cell.dataset.state = hit;
    else delete cell.dataset.state;
  }
  const note = document.getElementById("broken-now");
  note.hidden = !broken;
  if (broken) {
    note.firstElementChild.textContent = `✗ ${name}`;
    const rung = document.getElementById(`rung-${broken.port}`);
    if (rung) rung.checked = true;
  }
}

// --- Hands ---

document.querySelector(".controls").addEventListener("submit", (event) => event.preventDefault());
document.getElementById("step").addEventListener("input", (event) => moveTo(event.target.valueAsNumber));
document.getElementById("example").addEventListener("change", (event) => {
  follow(Math.round(event.target.valueAsNumber || 0));
});
document.getElementById("break").addEventListener("click", (event) => {
  const button = event.target.closest("[data-break]");
  if (button) breakIt(button.dataset.break);
});

const KEYS = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1, PageDown: 10, PageUp: -10, Home: -1e9, End: 1e9 };

for (const svg of all(".plane svg")) {
  const pick = (event) => {
    const point = event.target.closest(".point");
    if (point) follow(Number(point.dataset.example));
  };
  svg.addEventListener("pointerover", pick);
  svg.addEventListener("click", pick);
  svg.addEventListener("focusin", pick);
  svg.addEventListener("keydown", (event) => {
    if (!(event.key in KEYS)) return;
    event.preventDefault();
    follow(shown.example + KEYS[event.key], svg);
  });
}

for (const radio of all("input[name=language]")) {
  radio.addEventListener("change", () => {
    document.documentElement.lang = radio.id.replace("language-", "");
  });
}

showFigures();
