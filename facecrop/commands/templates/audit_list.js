// Small building blocks, pictures, and a list of which only the rows in view exist.
const byId = (id) => document.getElementById(id);
const number = (value) => value.toLocaleString("en");
const percent = (share) => `${Math.round(100 * share)} %`;
const words = (text) => String(text).replaceAll("_", " ");

// All text goes in as text: nothing from the data is ever parsed as markup.
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

// Strips of pictures: unpacked block by block when they come into view, and forgotten again.
const KEPT_BLOCKS = 6;
const KEPT_STRIPS = 200;
const blocks = new Map();
const strips = new Map();
function newest(map, key, most, drop) {
  const value = map.get(key);
  map.delete(key);
  map.set(key, value);
  if (map.size <= most) return value;
  const [oldest, gone] = map.entries().next().value;
  map.delete(oldest);
  drop?.(gone);
  return value;
}
// Returns {url, places}; null while the page is still being read.
function strip(place) {
  if (!strips.has(place)) {
    const block = Math.floor(place / data.block);
    if (!blocks.has(block)) {
      const packed = byId(`strips-${block}`);
      // What follows a block says that the block is there to its end.
      if (!packed || (document.readyState === "loading" && !packed.nextElementSibling)) return null;
      blocks.set(block, JSON.parse(packed.textContent));
    }
    const [base64, places] = newest(blocks, block, KEPT_BLOCKS)[place % data.block];
    strips.set(place, { url: base64 && url(base64), places, count: places.filter((one) => one !== null).length });
  }
  return newest(strips, place, KEPT_STRIPS, (gone) => gone.url && URL.revokeObjectURL(gone.url));
}
function url(base64) {
  const bytes = Uint8Array.from(atob(base64), (char) => char.charCodeAt(0));
  return URL.createObjectURL(new Blob([bytes], { type: "image/webp" }));
}
// One picture of a strip, as an image of its own.
function picture(place, tile, alt) {
  const found = strip(place);
  const at = found?.places[tile] ?? null;
  if (!found?.url || at === null) return null;
  const image = make("img", { src: found.url, alt, decoding: "async", draggable: "false" });
  image.style.objectPosition = `${found.count > 1 ? (100 * at) / (found.count - 1) : 0}% 0`;
  return image;
}

// Rows are of one height, so that where each is needs no measuring: ten thousand are as quick as ten.
const list = byId("list");
const BEYOND = 4; // rows kept above and below the view
const rows = new Map(); // place in `found` -> element
let found = []; // numbers of the cards that fit the filters, in their order
let current = -1; // place in `found`
let rowHeight = 1;
let frame = 0;
let lastTop = 0;
let hurried = 0; // while rows fly by, pictures wait

function layout() {
  rowHeight = parseFloat(getComputedStyle(list).getPropertyValue("--row")) * parseFloat(getComputedStyle(document.documentElement).fontSize);
  byId("spacer").style.height = `${found.length * rowHeight}px`;
  for (const row of rows.values()) row.remove();
  rows.clear();
  draw();
}
function draw() {
  frame = 0;
  if (Math.abs(list.scrollTop - lastTop) > list.clientHeight / 2) {
    clearTimeout(hurried);
    hurried = setTimeout(() => { hurried = 0; fillRows(); }, 80);
  }
  lastTop = list.scrollTop;
  const first = Math.max(0, Math.floor(list.scrollTop / rowHeight) - BEYOND);
  const last = Math.min(found.length, Math.ceil((list.scrollTop + list.clientHeight) / rowHeight) + BEYOND);
  for (const [place, row] of rows) {
    if ((place < first || place >= last) && place !== current) {
      row.remove();
      rows.delete(place);
    }
  }
  let after = byId("spacer").firstElementChild;
  for (let place = first; place < last; place++) {
    if (!rows.has(place)) rows.set(place, byId("spacer").insertBefore(row(place), after));
    after = rows.get(place).nextElementSibling;
  }
  if (current >= 0 && current < found.length && !rows.has(current)) rows.set(current, byId("spacer").appendChild(row(current)));
}
// Rows that came without their picture get it.
function fillRows() {
  for (const [place, element] of rows) if (element.querySelector(".strip.waiting")) redraw(place);
}
const later = () => { frame ||= requestAnimationFrame(draw); };
function redraw(place) {
  if (!rows.has(place)) return;
  const fresh = row(place);
  rows.get(place).replaceWith(fresh);
  rows.set(place, fresh);
}

const title = (card) => card.profile || "the dataset";
const open = (card) => card.issues.filter((issue) => !issue.known && !outcome(issue, card));
const severityOf = (card) => (card.issues.some((issue) => issue.severity === "error") ? "error" : "warning");
function state(card) {
  if (open(card).length) return null;
  const outcomes = new Set(card.issues.map((issue) => outcome(issue, card)).filter(Boolean));
  if (!outcomes.size) return ["known", "accepted before"];
  if (outcomes.has("set")) return ["set", "corrected"];
  return outcomes.has("aside") ? ["aside", "set aside"] : ["correct", "correct"];
}

function row(place) {
  const card = data.cards[found[place]];
  const [kind, said] = state(card) ?? [null, null];
  const issue = card.issues[0];
  const shown = !card.records.length ? { url: null } : hurried ? null : strip(card.strip);
  const more = card.issues.length - 1;
  const element = make("div", {
    role: "option", id: `row-${found[place]}`, class: `row ${kind ?? ""}`, "aria-setsize": found.length, "aria-posinset": place + 1,
    "aria-selected": String(place === current),
  },
    make("div", { class: "row-head" }, make("span", { class: `dot ${severityOf(card)}`, title: severityOf(card) }), make("span", { class: "path" }, title(card)),
      said ? make("span", { class: `badge ${kind}` }, said) : make("span", { class: "score" }, make("span", { class: "hidden" }, "score "), issue.score?.toFixed(2) ?? "0.00")),
    shown?.url ? make("img", { class: "strip", src: shown.url, alt: "", decoding: "async", draggable: "false" })
      : make("div", { class: `strip nothing ${shown ? "" : "waiting"}` }, shown ? "no pictures" : ""),
    make("p", { class: "row-reason" }, make("b", {}, titleOf(issue.check)), " ", issue.reason, more ? make("span", { class: "more" }, ` +${more}`) : null));
  element.style.transform = `translateY(${place * rowHeight}px)`;
  element.dataset.place = place;
  return element;
}
const checks = new Map(data.checks.map((check) => [check.name, check]));
const titleOf = (name) => words(name).replaceAll("-", " ");

function reveal() {
  const top = current * rowHeight, bottom = top + rowHeight;
  if (top < list.scrollTop) list.scrollTop = top;
  if (bottom > list.scrollTop + list.clientHeight) list.scrollTop = bottom - list.clientHeight;
}
