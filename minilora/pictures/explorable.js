"use strict";
// The page's state is a shape, a rank, the entries of A and B and a chosen cell of the product; everything else follows from it.
const data = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);
const range = (n) => [...Array(n).keys()];
const number = (value) => String(value).replace("-", "−"); // a real minus sign
const inBrackets = (value) => (value < 0 ? `(${number(value)})` : number(value));
const grouped = (value) => value.toLocaleString("en-US");
const percent = (share) => `${Math.round(100 * share)}%`;
let state;

// ---- arithmetic

const full = (d, k) => d * k;
const pair = (d, k, r) => r * (d + k);
const layer = (n) => range(state.d).map((i) => range(state.k).map((j) => state.A[i][n] * state.B[n][j])); // d x k
const cell = (i, j) => range(state.r).reduce((sum, n) => sum + state.A[i][n] * state.B[n][j], 0);
const product = () => range(state.d).map((i) => range(state.k).map((j) => cell(i, j))); // d x k

// Elimination without fractions (Bareiss 1968), in whole numbers of any size: the rank is exact.
function rankOf(matrix) {
  const rows = matrix.map((row) => row.map(BigInt));
  let rank = 0, previous = 1n;
  for (let column = 0; column < rows[0].length && rank < rows.length; column++) {
    const pivot = rows.findIndex((row, i) => i >= rank && row[column] !== 0n);
    if (pivot < 0) continue;
    [rows[rank], rows[pivot]] = [rows[pivot], rows[rank]];
    const top = rows[rank];
    for (let i = rank + 1; i < rows.length; i++) {
      const head = rows[i][column];
      rows[i] = rows[i].map((value, j) => (value * top[column] - head * top[j]) / previous);
    }
    previous = top[column];
    rank++;
  }
  return rank;
}

// The share of |update|^2 in the r largest singular values.
function held(values, r) {
  const squares = (some) => some.reduce((sum, value) => sum + value * value, 0);
  return squares(values.slice(0, r)) / squares(values);
}

// ---- colour

const isDark = matchMedia("(prefers-color-scheme: dark)");

function luminance(rgb) {
  const [r, g, b] = rgb.map((c) => (c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

// From orange over the ground to purple, zero in the middle; the number is black or white, whichever is easier to read.
function paint(element, value, limit) {
  const stops = data.stops[isDark.matches ? "dark" : "light"];
  const place = ((value / limit + 1) / 2) * (stops.length - 1);
  const from = Math.min(Math.floor(place), stops.length - 2);
  const rgb = stops[from].map((c, n) => Math.round(c + (place - from) * (stops[from + 1][n] - c)));
  element.style.background = `rgb(${rgb})`;
  element.style.color = (luminance(rgb) + 0.05) ** 2 > 0.0525 ? "#000" : "#fff"; // 0.0525 = 1.05 x 0.05: equal contrast to both
  element.textContent = number(value);
}

// ---- building: when the shape or the rank changes

function build() {
  const { d, k, r } = state;
  document.querySelector(".board").style.setProperty("--columns", r + k);
  byId("name-A").textContent = `A  ${d} × ${r}`;
  byId("name-B").textContent = `B  ${r} × ${k}`;
  byId("name-product").textContent = `A B  ${d} × ${k}`;
  cells("A", d, r, entry);
  cells("B", r, k, entry);
  cells("product", d, k, () => Object.assign(document.createElement("button"), { type: "button" }));
  byId("layers").innerHTML = range(r).map((n) =>
    `<table><caption>column ${n + 1} of A times row ${n + 1} of B</caption>` +
    `${`<tr>${"<td></td>".repeat(k)}</tr>`.repeat(d)}</table>`).join("");
  for (const id of ["r", "d", "k"]) {
    const slider = byId(id);
    if (id === "r") slider.max = Math.min(d, k);
    slider.value = state[id];
    slider.nextElementSibling.textContent = state[id];
  }
  update();
}

function cells(name, rows, columns, make) {
  const matrix = byId(name);
  matrix.style.setProperty("--n", columns);
  matrix.replaceChildren(...range(rows * columns).map((n) => {
    const element = make();
    element.classList.add("cell");
    Object.assign(element.dataset, { matrix: name, row: Math.floor(n / columns), column: n % columns });
    element.tabIndex = n ? -1 : 0; // one stop for Tab; the arrow keys go on from there
    return element;
  }));
}

function entry() {
  const element = document.createElement("div");
  element.className = "entry";
  element.setAttribute("role", "spinbutton");
  element.setAttribute("aria-valuemin", -data.limit);
  element.setAttribute("aria-valuemax", data.limit);
  return element;
}

// ---- updating: when a number or the chosen cell changes

function update() {
  const { d, k, r, chosen: [row, column] } = state;
  const values = product();
  const limit = Math.max(9, ...values.flat().map(Math.abs));
  for (const element of document.querySelectorAll(".entry")) {
    const { matrix, row: i, column: j } = element.dataset;
    const value = state[matrix][i][j];
    paint(element, value, limit);
    element.setAttribute("aria-label", `${matrix}, row ${+i + 1}, column ${+j + 1}`);
    element.setAttribute("aria-valuenow", value);
    element.classList.toggle("in-row", matrix === "A" && +i === row);
    element.classList.toggle("in-column", matrix === "B" && +j === column);
  }
  for (const element of byId("product").children) {
    const { row: i, column: j } = element.dataset;
    paint(element, values[i][j], limit);
    element.setAttribute("aria-label", `row ${+i + 1}, column ${+j + 1}: ${values[i][j]}`);
    element.classList.toggle("chosen", +i === row && +j === column);
  }
  [...byId("layers").children].forEach((table, n) => {
    layer(n).flat().forEach((value, at) => {
      const element = table.querySelectorAll("td")[at];
      paint(element, value, limit);
      element.classList.toggle("chosen", at === row * k + column);
    });
  });
  const terms = range(r).map((n) =>
    `<span class="row">${n ? inBrackets(state.A[row][n]) : number(state.A[row][n])}</span> × ` +
    `<span class="column">${inBrackets(state.B[n][column])}</span>`);
  byId("sum").innerHTML = `row ${row + 1}, column ${column + 1}:  ${terms.join(" + ")} = ${number(values[row][column])}`;
  showCounts(d, k, r, rankOf(values));
  showCurve(d, k, r);
  showSpectrum(r);
}

function showCounts(d, k, r, rank) {
  const saved = full(d, k) - pair(d, k, r);
  const rows = [
    ["A B written out: d k", `${d} × ${k} = ${full(d, k)}`],
    ["A and B: r (d + k)", `${r} × (${d} + ${k}) = ${pair(d, k, r)}`],
    [saved >= 0 ? "saved" : "more than written out", `${Math.abs(saved)} (${percent(Math.abs(saved) / full(d, k))})`],
    ["break-even rank: d k / (d + k)", ((d * k) / (d + k)).toFixed(2)],
    ["rank of A B", rank + (rank < r ? `, below r = ${r}` : "")],
  ];
  byId("counts").innerHTML = rows.map(([what, count]) => `<tr><th scope="row">${what}</th><td>${count}</td></tr>`).join("");
}

// ---- charts

function showCurve(d, k, r) {
  const most = Math.min(d, k), top = Math.max(pair(d, k, most), full(d, k));
  const x = (rank) => 40 + (rank / most) * 290, y = (count) => 140 - (count / top) * 115;
  const even = full(d, k) / (d + k), colour = pair(d, k, r) > full(d, k) ? "row" : "column";
  byId("curve").setAttribute("aria-label",
    `A line of r (d + k) numbers against rank r crosses d k = ${full(d, k)} at r = ${even.toFixed(2)}; at r = ${r} it is ${pair(d, k, r)}`);
  byId("curve").innerHTML =
    `<path d="M40 10V140H345" fill="none" stroke="var(--quiet)"/>` +
    `<path d="M40 ${y(full(d, k))}H330" stroke="var(--quiet)" stroke-dasharray="4 3"/>` +
    `<text x="335" y="${y(full(d, k)) + 4}">d k = ${full(d, k)}</text>` +
    `<path d="M${x(0)} ${y(0)}L${x(most)} ${y(pair(d, k, most))}" stroke="var(--ink)" stroke-width="2"/>` +
    `<path d="M${x(even)} ${y(full(d, k))}V140" stroke="var(--quiet)" stroke-dasharray="2 3"/>` +
    `<text x="${x(even) + 6}" y="${y(0) - 8}">${even.toFixed(2)}</text>` +
    `<text x="${x(most) + 10}" y="${y(pair(d, k, most)) + 4}">r (d + k)</text>` +
    range(most).map((n) => `<text x="${x(n + 1)}" y="157" text-anchor="middle">${n + 1}</text>`).join("") +
    `<text x="350" y="157">r</text>` +
    `<circle cx="${x(r)}" cy="${y(pair(d, k, r))}" r="6" fill="var(--${colour})"/>` +
    `<text x="${x(r) - 10}" y="${y(pair(d, k, r)) - 6}" text-anchor="end" font-weight="bold">${pair(d, k, r)}</text>`;
}

function showSpectrum(r) {
  const { full: values, lora } = data.update, top = lora[0];
  const x = (n) => 32 + n * (350 / values.length), y = (value) => 140 - (value / top) * 125;
  const dots = (some, radius, colour) => some.map((value, n) =>
    `<circle cx="${x(n + 0.5)}" cy="${y(value)}" r="${radius}" fill="var(--${n < r ? colour : "faint"})" stroke="var(--${colour})"/>`).join("");
  byId("spectrum").setAttribute("aria-label",
    `${values.length} singular values of full fine-tuning's update, from ${values[0]} down to ${values.at(-1)}, and ${lora.length} of LoRA's, ` +
    `from ${lora[0]} down to ${lora.at(-1)}; the first ${r} of each are filled`);
  byId("spectrum").innerHTML =
    `<path d="M32 10V140H385" fill="none" stroke="var(--quiet)"/>` +
    [0, 1, 2].map((value) => `<text x="26" y="${y(value) + 4}" text-anchor="end">${value}</text>`).join("") +
    `<text x="${x(lora.length + 1)}" y="${y(lora[2])}" style="fill: var(--row)">LoRA, rank ${lora.length}</text>` +
    `<text x="${x(30)}" y="${y(values[14]) - 6}" style="fill: var(--column)">full fine-tuning, ${values.length} directions</text>` +
    [1, 8, 24, 48, 72, 96].map((n) => `<text x="${x(n - 0.5)}" y="157" text-anchor="middle">${n}</text>`).join("") +
    dots(values, 2.5, "column") + dots(lora, 4, "row");
  const { d, k } = data.update;
  byId("held").innerHTML = `The first <b>${r}</b> singular values hold <b class="row">${percent(held(lora, r))}</b> of LoRA's |update|² and ` +
    `<b class="column">${percent(held(values, r))}</b> of full fine-tuning's. For that matrix, ${d} × ${k}, a pair of rank ${r} has ` +
    `${grouped(pair(d, k, r))} numbers in place of ${grouped(full(d, k))}.`;
}

// ---- hands: sliders, dragging, arrow keys

function change(matrix, row, column, value) {
  state[matrix][row][column] = Math.max(-data.limit, Math.min(data.limit, value));
  update();
}

function choose(row, column) {
  state.chosen = [row, column];
  update();
}

function reshape(id, value) {
  state[id] = value;
  state.r = Math.min(state.r, state.d, state.k);
  state.chosen = [Math.min(state.chosen[0], state.d - 1), Math.min(state.chosen[1], state.k - 1)];
  build();
}

function focusOn(element) {
  for (const other of element.parentElement.children) other.tabIndex = other === element ? 0 : -1;
  element.focus();
}

for (const id of ["r", "d", "k"]) byId(id).addEventListener("input", (event) => reshape(id, Number(event.target.value)));
byId("again").addEventListener("click", start);
isDark.addEventListener("change", update);

let drag = null;
document.addEventListener("pointerdown", (event) => {
  const element = event.target.closest(".entry");
  if (!element) return;
  event.preventDefault(); // no selection of text
  focusOn(element);
  element.setPointerCapture(event.pointerId);
  const { matrix, row, column } = element.dataset;
  drag = { matrix, row, column, y: event.clientY, value: state[matrix][row][column] };
});
document.addEventListener("pointermove", (event) => {
  if (drag) change(drag.matrix, drag.row, drag.column, drag.value + Math.round((drag.y - event.clientY) / 14));
});
for (const name of ["pointerup", "pointercancel"]) document.addEventListener(name, () => { drag = null; });

for (const name of ["pointerover", "focusin"]) {
  byId("product").addEventListener(name, (event) => {
    const { row, column } = event.target.dataset;
    if (row !== undefined) choose(+row, +column);
  });
}

document.addEventListener("keydown", (event) => {
  const element = event.target.closest(".cell");
  if (!element) return;
  const { matrix, row, column } = element.dataset;
  const others = [...element.parentElement.children], at = others.indexOf(element);
  const width = matrix === "A" ? state.r : state.k, isEntry = matrix !== "product";
  const moves = { ArrowLeft: -1, ArrowRight: 1, ...(isEntry ? {} : { ArrowUp: -width, ArrowDown: width }) };
  const turns = isEntry ? { ArrowUp: 1, ArrowDown: -1 } : {};
  if (event.key in turns) change(matrix, row, column, state[matrix][row][column] + turns[event.key]);
  else if (event.key in moves && others[at + moves[event.key]]) focusOn(others[at + moves[event.key]]);
  else return;
  event.preventDefault();
});

function start() {
  state = { ...structuredClone(data.start), chosen: [0, 0] };
  build();
}

start();
