// Filters, keys, and what they do.
const filters = { search: "", check: "", class: "", status: "open", score: 0, order: "score" };
const NEUTRAL = { ...filters };
const says = (text) => { byId("said").textContent = text; };
const cardNow = () => data.cards[found[current]];

// What a card can be searched and filtered by; made once.
const searchable = data.cards.map((card) => [card.profile, ...card.records.map((record) => record.path), ...card.issues.map((issue) => issue.reason)].join("\n").toLowerCase());
function classesOf(card) {
  const person = people.get(card.profile);
  const about = new Set(card.issues.flatMap((issue) => issue.records ?? []));
  const masks = card.records.filter((_, place) => !about.size || about.has(place)).map((record) => `mask:${record.mask}`);
  return [`gender:${person?.gender}`, `age_group:${person?.age_group}`, ...masks];
}
const tests = {
  search: (card, n) => !filters.search || searchable[n].includes(filters.search),
  check: (card) => !filters.check || card.issues.some((issue) => issue.check === filters.check),
  class: (card) => !filters.class || classesOf(card).includes(filters.class),
  status: (card) => filters.status === "all" || { null: "open", known: "known" }[state(card)?.[0] ?? null] === filters.status
    || (filters.status === "decided" && card.issues.some((issue) => outcome(issue, card))),
  score: (card) => !filters.score || card.issues.some((issue) => (issue.score ?? 0) >= filters.score && (!filters.check || issue.check === filters.check)),
};
const orders = {
  score: () => 0,
  severity: (a, b) => Number(severityOf(b) === "error") - Number(severityOf(a) === "error"),
  check: (a, b) => (a.issues[0].check < b.issues[0].check ? -1 : Number(a.issues[0].check > b.issues[0].check)),
  profile: (a, b) => (a.profile < b.profile ? -1 : Number(a.profile > b.profile)),
};

function filter(stay) {
  found = [];
  data.cards.forEach((card, n) => { if (Object.values(tests).every((test) => test(card, n))) found.push(n); });
  found.sort((a, b) => orders[filters.order](data.cards[a], data.cards[b]));
  current = found.length ? Math.max(0, found.indexOf(stay)) : -1;
  chosen = menu = null;
  byId("none").hidden = found.length > 0;
  const narrowed = Object.keys(NEUTRAL).some((name) => filters[name] !== NEUTRAL[name] && name !== "order");
  byId("none").textContent = narrowed ? "Nothing fits these filters." : data.cards.length ? "Everything is decided. Save the manifest." : "The audit found nothing to show here.";
  byId("reset").hidden = !narrowed;
  byId("active").textContent = narrowed ? "· active" : "";
  byId("found").textContent = `${number(found.length)} of ${number(data.cards.length)} ${data.cards.length === 1 ? "entry" : "entries"}`;
  list.scrollTop = Math.max(0, current) * rowHeight > list.scrollTop + list.clientHeight ? current * rowHeight : stay === undefined ? 0 : list.scrollTop;
  layout();
  if (current >= 0) reveal();
  byId("detail").scrollTop = 0;
  shown();
  progress();
}
function shown() {
  list.setAttribute("aria-activedescendant", current >= 0 ? `row-${found[current]}` : "");
  draw();
  showDetail();
}
const all = data.cards.reduce((sum, card) => sum + card.issues.filter((issue) => !issue.known).length, 0);
function progress() {
  const left = data.cards.reduce((sum, card) => sum + open(card).length, 0);
  byId("meter").setAttribute("aria-valuemax", all);
  byId("meter").setAttribute("aria-valuenow", all - left);
  byId("meter").firstElementChild.style.width = `${all ? (100 * (all - left)) / all : 100}%`;
  const count = standing().length;
  byId("progress").textContent = `${number(all - left)} of ${number(all)} decided, ${number(count)} correction${count === 1 ? "" : "s"}`;
}
function go(place, quietly) {
  if (place < 0 || place >= found.length) return void says(place < 0 ? "this is the first" : "this is the last");
  const old = current;
  current = place;
  chosen = menu = null;
  redraw(old);
  reveal();
  redraw(current);
  byId("detail").scrollTop = 0;
  shown();
  const card = cardNow();
  if (!quietly) says(`${current + 1} of ${found.length}: ${title(card)}; ${described(card.profile)}; ${card.issues.map((issue) => `${titleOf(issue.check)}: ${issue.reason}`).join("; ")}`);
}
function read(on) {
  document.body.classList.toggle("reading", on);
  if (on) byId("detail").focus();
  else { list.focus(); layout(); if (current >= 0) reveal(); later(); }
}

// Files.
function save(name, text, type) {
  const link = make("a", { href: URL.createObjectURL(new Blob([text], { type })), download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
function saveManifest() {
  const count = corrections().length;
  if (!count) return void says("there is no correction to save yet");
  save("review.csv", manifest(), "text/csv");
  says(`${count} corrections saved as review.csv`);
}
async function load(file) {
  const saved = await file.text().then(JSON.parse).catch(() => null);
  if (saved?.dataset !== data.dataset.id) return warn(`${file.name} holds no decisions about this dataset.`);
  take(saved);
  keep();
  byId("reviewer").value = reviewer;
  filter();
}

// Keys. What is typed into a field, or presses a button, stays there.
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || byId("help").open) return;
  const at = document.activeElement;
  const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(at.tagName);
  if (event.key === "Escape") {
    if (menu) { closeMenu(); list.focus({ preventScroll: true }); }
    else if (typing) { event.preventDefault(); list.focus({ preventScroll: true }); } // a search would be cleared
    else if (document.body.classList.contains("reading")) read(false);
    else if (chosen !== null) choosePicture(chosen);
    return;
  }
  if (typing || ((event.key === " " || event.key === "Enter") && /^(BUTTON|SUMMARY|A)$/.test(at.tagName))) return;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const keys = {
    j: () => go(current + 1), ArrowDown: () => go(current + 1), k: () => go(current - 1), ArrowUp: () => go(current - 1),
    Home: () => go(0), End: () => go(found.length - 1), PageDown: () => go(Math.min(found.length - 1, current + 10)), PageUp: () => go(Math.max(0, current - 10)),
    "/": () => { byId("filters").open = true; read(false); byId("search").focus(); }, "?": () => byId("help").showModal(), e: saveManifest,
    z: () => says(byId("detail").classList.toggle("zoomed") ? "larger pictures" : "smaller pictures"), n: () => byId("note")?.focus(),
    Enter: () => wide.matches || read(true),
  };
  if (/^[1-9]$/.test(key)) menu ? pickOption(Number(key) - 1) : choosePicture(Number(key) - 1);
  else if (keys[key] && !(at.id === "detail" && /^(Page|Home|End)/.test(key))) keys[key]();
  else if (" pgamsxu".includes(key) && !event.repeat) act(key);
  else return;
  event.preventDefault();
});

list.addEventListener("scroll", later, { passive: true });
list.addEventListener("click", (event) => {
  const place = event.target.closest(".row")?.dataset.place;
  if (place === undefined) return;
  go(Number(place));
  if (matchMedia("(width < 62rem)").matches) read(true);
});
for (const [name, set] of [["search", (value) => value.trim().toLowerCase()], ["check", String], ["class", String], ["status", String], ["order", String], ["score", Number]]) {
  byId(name).addEventListener(name === "search" || name === "score" ? "input" : "change", () => {
    filters[name] = set(byId(name).value);
    byId("least").textContent = filters.score.toFixed(2);
    remember();
    filter();
  });
}
byId("tools").addEventListener("submit", (event) => event.preventDefault());
byId("reset").addEventListener("click", (event) => {
  event.preventDefault();
  Object.assign(filters, NEUTRAL, { order: filters.order });
  showFilters();
  remember();
  filter();
  byId("search").focus();
});
// A view survives a reload and can be linked to.
function remember() {
  const set = Object.entries(filters).filter(([name, value]) => value !== NEUTRAL[name]);
  try {
    history.replaceState(null, "", set.length ? `#${new URLSearchParams(set)}` : location.href.split("#")[0]);
  } catch {
    return; // some browsers forbid it for local files
  }
}
function recallFilters() {
  const linked = new URLSearchParams(location.hash.slice(1));
  for (const name of Object.keys(filters)) filters[name] = linked.has(name) ? linked.get(name) : NEUTRAL[name];
  filters.score = Number(filters.score) || 0;
  filters.search = filters.search.toLowerCase();
  if (!orders[filters.order]) filters.order = NEUTRAL.order;
}
function showFilters() {
  for (const name of Object.keys(filters)) {
    byId(name).value = filters[name];
    if (byId(name).selectedIndex === -1) byId(name).value = filters[name] = NEUTRAL[name];
  }
  byId("least").textContent = filters.score.toFixed(2);
}
function fillFilters() {
  const option = (value, text) => make("option", { value }, text);
  byId("check").replaceChildren(option("", "all"), ...data.checks.filter((check) => check.shown).map((check) => option(check.name, `${check.title} (${number(check.found)})`)));
  byId("class").replaceChildren(option("", "all"), ...Object.entries(data.words).map(([axis, all]) =>
    make("optgroup", { label: words(axis) }, all.map((word) => option(`${axis}:${word}`, word)))));
}

byId("export").addEventListener("click", saveManifest);
byId("help-open").addEventListener("click", () => byId("help").showModal());
byId("reviewer").addEventListener("change", () => { reviewer = byId("reviewer").value.trim(); keep(); });
byId("save-all").addEventListener("click", () => save("review.json", JSON.stringify(everything(), null, 1), "application/json"));
byId("load-all").addEventListener("change", (event) => event.target.files[0] && load(event.target.files[0]));
byId("forget").addEventListener("click", () => {
  step(found[current] ?? 0, ["set", "correct"].flatMap((map) => [...decided[map].keys()].map((key) => [map, key, null])));
  byId("help").close();
  filter();
  says("all decisions are forgotten; undo brings them back");
});
window.addEventListener("storage", (event) => { // decided in another tab
  if (event.key !== STORE || served) return;
  recall();
  layout();
  shown();
  progress();
});
window.addEventListener("hashchange", () => { recallFilters(); showFilters(); filter(); });
let width = 0;
new ResizeObserver(() => { if (list.clientWidth !== width) { width = list.clientWidth; layout(); } else later(); }).observe(list);
const wide = matchMedia("(width >= 62rem)");
const unfold = () => { byId("filters").open = wide.matches; };
wide.addEventListener("change", unfold);

async function start() {
  unfold();
  fillFilters();
  recall();
  await askServer();
  byId("reviewer").value = reviewer;
  byId("kept").textContent = served ? "Decisions are kept beside the dataset, in audit/review.csv and audit/review.json; what is correct as given is accepted at once."
    : "Decisions are kept in this browser. Save them as a manifest, review.csv, when you are done.";
  recallFilters();
  showFilters();
  filter();
  if (wide.matches) list.focus({ preventScroll: true });
  document.documentElement.dataset.ready = "";
}
// Pictures that come after this script in the file are shown as soon as they are read.
const refresh = () => {
  fillRows();
  if (!menu && document.activeElement.id !== "note" && byId("detail").querySelector(".absent")) showDetail();
};
if (document.readyState === "loading") {
  const timer = setInterval(refresh, 200);
  document.addEventListener("DOMContentLoaded", () => { clearInterval(timer); refresh(); });
}
start();
