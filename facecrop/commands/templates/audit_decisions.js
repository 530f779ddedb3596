// What was decided: kept in the browser (or by the server that sent the page), undone step by step,
// and written as a manifest. All text goes in and out as text.
const data = JSON.parse(document.getElementById("data").textContent);
const people = new Map(Object.entries(data.people));
const COLUMNS = ["profile", "name", "field", "was", "now", "reason", "source", "confidence"];
const STORE = `facecrop-audit:${data.dataset.id}`;
const MOST_UNDO = 500;
const keyOf = (profile, name, field) => JSON.stringify([profile, name ?? "", field]);

const decided = { set: new Map(), correct: new Map() }; // [profile, name, field] -> {was, now, …}; issue key -> {…}
const touched = new Set(); // profiles that anything was ever set for: all others need no look at their labels
let notes = new Map(); // profile -> text
let undone = []; // steps that can be undone, the newest last
let reviewer = "";
let served = null; // what keeps decisions when a server sent the page

const stamp = () => ({ time: new Date().toISOString().replace(/\.\d+/, ""), by: reviewer });

function isKey(text) { // what another program, or another version, saved is looked at before it is used
  try {
    const parts = JSON.parse(text);
    return parts.length === 3 && parts.every((part) => typeof part === "string");
  } catch {
    return false;
  }
}

// One step: changes are [map, key, value or null]; the card is where an undo leads back to.
function step(card, changes) {
  const old = changes.map(([map, key]) => [map, key, decided[map].get(key) ?? null]);
  write(changes);
  undone.push({ card, old });
  if (undone.length > MOST_UNDO) undone.shift();
  keep();
}
function write(changes) {
  for (const [map, key, value] of changes) {
    decided[map].delete(key);
    if (value !== null) decided[map].set(key, value);
    if (map === "set") touched.add(JSON.parse(key)[0]);
  }
}
function undo() {
  const last = undone.pop();
  if (!last) return null;
  write([...last.old].reverse());
  keep();
  return last.card;
}

// What is said of a person or a picture as things are, and as they were decided.
const given = (profile, record, field) =>
  field === "keep" ? (record?.aside ? "no" : "yes") : String((record ?? people.get(profile))?.[field] ?? "");
function decision(profile, record, field) {
  const value = decided.set.get(keyOf(profile, record?.name, field));
  // A decision about labels that have changed since is not held on to.
  return value && [value.was, value.now].includes(given(profile, record, field)) ? value : null;
}

// Changes that make a label so; back to what is given is no decision.
function setting(profile, record, field, now, reason) {
  const was = given(profile, record, field);
  const changes = [["set", keyOf(profile, record?.name, field), now === was ? null : { was, now, reason, ...stamp() }]];
  const instead = { age: "age_group", age_group: "age" }[field];
  if (instead) changes.push(["set", keyOf(profile, null, instead), null]);
  return changes;
}

function isAside(profile, record) {
  return [record, null].some((one) => decision(profile, one, "keep")?.now === "no");
}

const owners = (card) => (card.owners ??= [card.profile, ...new Set(card.records.flatMap((record) => record.profile ?? []))]);

// How an issue of a card was decided: "correct", "aside", "set", or null if it still is open.
function outcome(issue, card) {
  if (decided.correct.has(issue.key)) return "correct";
  if (!card.profile || !owners(card).some((profile) => touched.has(profile))) return null;
  const all = card.records.map((record) => [record.profile ?? card.profile, record]);
  const about = issue.records ? issue.records.map((number) => all[number]) : all.filter(([, record]) => !record.profile);
  if (decision(card.profile, null, "keep")) return "aside";
  if (about.length && about.every(([profile, record]) => isAside(profile, record))) return "aside";
  const agesOf = (profile) => decision(profile, null, "age") || decision(profile, null, "age_group");
  const wanted = issue.proposals?.flatMap((one) => targets(one, card));
  const said = wanted?.length
    ? wanted.some(([profile, record, field]) => decision(profile, record, field) || (field.startsWith("age") && agesOf(profile)))
    // What proposes nothing is settled by any label, but not by one that something else proposed.
    : !card.issues.some((one) => one.proposals) && about.some(([profile, record]) =>
        decision(profile, record, "mask") || decision(profile, null, "gender") || agesOf(profile));
  return said ? "set" : null;
}

// What a proposal would set: [profile, record or null, field, value].
function targets(proposal, card) {
  const named = (name) => card.records.find((record) => !record.profile && (record.stem ?? record.name) === name) ?? null;
  if (proposal.name === undefined) return [[card.profile, null, proposal.field, proposal.now]];
  const [one, other] = [named(proposal.name), proposal.other === undefined ? null : named(proposal.other)];
  if (!one || (proposal.other !== undefined && !other)) return [];
  if (!other) return [[card.profile, one, proposal.field, proposal.now]];
  return [[card.profile, one, "mask", given(card.profile, other, "mask")], [card.profile, other, "mask", given(card.profile, one, "mask")]];
}

// What the manifest says. Where the labels changed since a decision was made, it is left out.
function standing() {
  return [...decided.set].map(([key, value]) => [...JSON.parse(key), value]).filter(([profile, name, field, value]) => {
    const record = name ? recordsOf.get(profile)?.get(name) : null;
    // Who is not on this page any more is not held back: relabel knows whether it still fits.
    if (!people.has(profile) || record === undefined) return true;
    return decision(profile, record, field) && given(profile, record, field) !== value.now;
  });
}
function corrections() {
  const rows = standing().map(([profile, name, field, { was, now, reason, by, time }]) => ({
    profile, name, field, was, now, reason: notes.get(profile) || reason || "",
    source: `review${by ? ` by ${by}` : ""} at ${time}`, confidence: "reviewed",
  }));
  const order = (row) => JSON.stringify([row.profile, row.name, row.field]);
  return rows.sort((a, b) => (order(a) < order(b) ? -1 : 1));
}
const recordsOf = new Map();
for (const card of data.cards) {
  for (const record of card.records) {
    const profile = record.profile ?? card.profile;
    if (!recordsOf.has(profile)) recordsOf.set(profile, new Map());
    recordsOf.get(profile).set(record.name, record);
  }
}

// No cell is taken for a formula by a spreadsheet; facecrop takes the apostrophe off again.
const cell = (text) => (/^'*[=+\-@\t\r]/.test(text) ? `'${text}` : text);
const quoted = (text) => (/[",;\t\r\n]|^\s|\s$/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
const manifest = () =>
  [COLUMNS, ...corrections().map((row) => COLUMNS.map((name) => row[name]))]
    .map((row) => row.map((text) => quoted(cell(String(text)))).join(",") + "\n").join("");

// All of it: for another browser, for the server, and `accepted` as facecrop's own accepted.json has it.
function everything() {
  const rows = [...decided.correct].map(([key, { check, about, by, reason }]) => ({ key, check, about, reviewer: by, reason: reason || "correct as given" }));
  return { format: 1, dataset: data.dataset.id, reviewer, accepted: rows, set: [...decided.set], correct: [...decided.correct], notes: [...notes] };
}
function take(saved) {
  const pairs = (list, fits) => new Map((Array.isArray(list) ? list : []).filter((one) => typeof one?.[0] === "string" && fits(one[1], one[0])));
  const said = (value) => typeof value?.time === "string";
  decided.set = pairs(saved?.set, (value, key) => said(value) && typeof value.was === "string" && typeof value.now === "string" && isKey(key));
  decided.correct = pairs(saved?.correct, said);
  touched.clear();
  for (const key of decided.set.keys()) touched.add(JSON.parse(key)[0]);
  notes = pairs(saved?.notes, (value) => typeof value === "string");
  const step = (one) => Array.isArray(one?.old) && one.old.every((change) => decided[change?.[0]] && typeof change[1] === "string");
  undone = Array.isArray(saved?.undone) ? saved.undone.filter(step) : [];
  reviewer = typeof saved?.reviewer === "string" ? saved.reviewer : "";
}

function warn(text) {
  document.getElementById("warning").textContent = text;
  document.getElementById("warning").hidden = !text;
}
function keep() {
  if (served) return void served.send();
  try {
    localStorage.setItem(STORE, JSON.stringify({ ...everything(), accepted: undefined, undone }));
    warn("");
  } catch {
    warn("This browser does not keep what you decide: save the manifest before you close the page.");
  }
}
function recall() {
  try {
    take(JSON.parse(localStorage.getItem(STORE) ?? "{}"));
  } catch {
    take({});
  }
}

// `facecrop audit --serve` keeps decisions in files beside the dataset; a copy on another server does not.
async function askServer() {
  if (!location.protocol.startsWith("http")) return;
  const answer = await fetch("../review").catch(() => null);
  const saved = answer?.ok ? await answer.json().catch(() => null) : null;
  if (saved?.kept !== "facecrop") return;
  let sending = false, again = false, revision = saved.revision;
  served = {
    async send() {
      if (sending) return void (again = true);
      sending = true;
      do {
        again = false;
        const body = JSON.stringify({ revision, corrections: corrections(), decisions: everything() });
        const reply = await fetch("../review", { method: "POST", headers: { "Content-Type": "application/json" }, body }).catch(() => null);
        if (reply?.ok) revision = (await reply.json()).revision;
        const why = reply && !reply.ok ? await reply.text().catch(() => "") : "the server does not answer";
        warn(reply?.ok ? "" : `Not saved: ${why}`);
      } while (again);
      sending = false;
    },
  };
  take(saved.decisions);
}
