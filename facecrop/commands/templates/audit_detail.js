// One card in full: pictures, given against predicted, what is doubted, whom to compare with.
let chosen = null; // number of the chosen picture
let menu = null; // {title, options: [[text, function]], input?} while a digit is waited for

const AXES = ["gender", "age_group"];
const subject = (card) => (chosen === null ? card.profile : card.records[chosen]?.profile ?? card.profile);
const argmax = (shares) => shares.indexOf(Math.max(...shares));

function described(profile) {
  const person = people.get(profile);
  if (!person) return "";
  return [person.gender ?? "gender unknown", person.age_group ?? "age unknown", person.age === undefined || person.age === null ? null : `${person.age} years`].filter(Boolean).join(" · ");
}

function figure(card, record, place) {
  const profile = record.profile ?? card.profile;
  const now = decision(profile, record, "mask")?.now;
  const aside = isAside(profile, record) || record.aside;
  const guess = record.p && argmax(record.p);
  const predicted = record.p && `${data.words.mask[guess]} ${percent(record.p[guess])}`;
  const doubted = record.p && data.words.mask[guess] !== record.mask;
  const about = card.issues.some((issue) => issue.records?.includes(place) && issue.records.length < card.records.length);
  const says = [`picture ${place + 1}`, record.name, record.profile ? `of ${record.profile}` : null, `mask ${record.mask ?? "unknown"}`,
    predicted ? `predicted ${predicted}` : null, now ? `set to ${now}` : null, aside ? "set aside" : null, about ? "doubted" : null].filter(Boolean).join(", ");
  const image = picture(card.strip, place, "");
  if (image && record.image) sharpen(image, record.image);
  const button = make("button", { type: "button", class: "picture", "aria-pressed": String(chosen === place), "aria-label": says },
    image ?? make("span", { class: "absent" }, record.reason ? words(record.reason) : "no picture"),
    place < 9 ? make("kbd", { "aria-hidden": "true" }, String(place + 1)) : null,
    aside ? make("span", { class: "over" }, "set aside") : null);
  button.addEventListener("click", () => choosePicture(place));
  return make("figure", { class: `${about ? "about" : ""} ${aside ? "is-aside" : ""} ${record.profile ? "foreign" : ""}` }, button,
    make("figcaption", {}, make("span", { class: "path" }, record.name),
      record.profile ? make("span", { class: "path whose" }, record.profile) : null,
      make("span", { class: "labels" }, make("span", { class: now ? "was" : "" }, record.mask ?? "unknown"), now ? make("b", { class: "now" }, ` → ${now}`) : null),
      predicted ? make("span", { class: doubted ? "predicted differs" : "predicted" }, predicted) : null));
}
// The crop beside this page, if it is there, takes the place of the small picture.
function sharpen(image, path) {
  const crop = new Image();
  crop.addEventListener("load", () => {
    image.src = crop.src;
    image.classList.add("whole");
  });
  crop.src = `../${path.split("/").map(encodeURIComponent).join("/")}`;
}

function bars(axis, profile) {
  const person = people.get(profile);
  const shares = person.p?.[axis];
  const now = decision(profile, null, axis)?.now;
  const years = axis === "age_group" ? decision(profile, null, "age")?.now : null;
  const label = axis === "gender" ? "Gender" : "Age";
  const says = shares ? data.words[axis].map((word, n) => `${word} ${percent(shares[n])}`).join(", ") : "";
  return make("div", { class: "axis" }, make("h3", {}, label),
    make("p", { class: "labels" }, make("span", { class: "quiet" }, "given "), make("b", { class: now || years ? "was" : "" }, person[axis] ?? "unknown"),
      axis === "age_group" && person.age !== null ? make("span", { class: "quiet" }, ` ${person.age} years`) : null,
      now || years ? make("b", { class: "now" }, ` → ${now ?? `${years} years`}`) : null),
    shares ? make("div", { class: "bars", role: "img", "aria-label": `predicted: ${says}` }, data.words[axis].map((word, n) => {
      const fill = make("span", { class: "fill" });
      fill.style.width = `${100 * shares[n]}%`;
      return make("div", { class: `bar ${word === person[axis] ? "given" : ""} ${n === argmax(shares) ? "best" : ""}` },
        make("span", { class: "word" }, word), make("span", { class: "track" }, fill), make("span", { class: "share" }, percent(shares[n])));
    })) : make("p", { class: "quiet" }, data.dataset.run ? "not predicted" : "no run, no prediction"));
}

function shownProposal(proposal, card) {
  if (proposal.other !== undefined) return `swap ${proposal.name} and ${proposal.other}`;
  const [[profile, record, field] = []] = targets(proposal, card);
  if (!field) return `${words(proposal.field)} ${proposal.now}`;
  if (field === "keep") return `set aside ${record ? record.name : "the person"}`;
  return `${record ? `${record.name}: ` : ""}${words(field)} ${given(profile, record, field) || "unknown"} → ${proposal.now}`;
}

function finding(issue, card) {
  const check = checks.get(issue.check);
  const how = outcome(issue, card);
  const said = { correct: "correct as given", set: "corrected", aside: "set aside" }[how] ?? (issue.known ? "accepted before" : null);
  const facts = Object.entries(issue.facts ?? {}).map(([name, value]) =>
    make("div", {}, make("dt", {}, words(name)), make("dd", {}, typeof value === "number" ? String(Number(value.toPrecision(3))) : String(value))));
  const correct = make("button", { type: "button" }, how === "correct" ? "Not decided" : "Correct as given");
  correct.addEventListener("click", () => markCorrect(card, [issue], how !== "correct"));
  const propose = issue.proposals?.length ? make("button", { type: "button" }, issue.proposals.map((one) => shownProposal(one, card)).join("; ")) : null;
  propose?.addEventListener("click", () => accept(card, [issue]));
  const score = issue.score ?? 0;
  const meter = make("span", { class: "level", "aria-hidden": "true" }, make("span"));
  meter.firstChild.style.width = `${100 * score}%`;
  return make("li", { class: `finding ${how ?? (issue.known ? "known" : "")}` },
    make("div", { class: "finding-head" }, make("span", { class: `badge ${issue.severity}` }, issue.severity), make("h3", {}, titleOf(issue.check)),
      data.baseline && !issue.known ? make("span", { class: "badge new" }, "new") : null,
      said ? make("span", { class: `badge ${how ?? "known"}` }, said) : null,
      make("span", { class: "score", title: "how sure the check is" }, meter, make("span", { class: "hidden" }, "score "), score.toFixed(2))),
    make("p", { class: "reason" }, issue.reason, issue.more ? make("span", { class: "quiet" }, ` (and ${number(issue.more)} more)`) : null),
    facts.length ? make("dl", { class: "facts" }, facts) : null,
    make("p", { class: "row" }, propose, correct, check?.cure ? make("span", { class: "quiet cure" }, check.cure) : null));
}

// Whom to compare with: of the doubted label, the class that is proposed or predicted, and the given one.
function comparison(card) {
  for (const issue of card.issues) {
    for (const proposal of issue.proposals ?? []) {
      const axis = proposal.field === "age" ? "age_group" : proposal.field;
      const word = proposal.field === "age" ? proposal.group : proposal.now;
      const record = card.records.find((one) => !one.profile && (one.stem ?? one.name) === proposal.name);
      if (proposal.other !== undefined || !data.examples[axis]?.[word]) continue;
      return { axis, word, given: (record ?? people.get(card.profile))?.[axis], shares: axis === "mask" ? record?.p : people.get(card.profile)?.p?.[axis] };
    }
  }
  for (const axis of AXES) {
    const person = people.get(card.profile), shares = person?.p?.[axis];
    const word = shares && data.words[axis][argmax(shares)];
    if (shares && word !== person[axis]) return { axis, word, given: person[axis], shares };
  }
  return null;
}
function neighbours(card) {
  const about = card.profile && comparison(card);
  if (!about) return null;
  const row = (word) => {
    const share = about.shares?.[data.words[about.axis].indexOf(word)] ?? 1;
    const near = (data.examples[about.axis]?.[word] ?? []).filter((one) => one.profile !== card.profile)
      .sort((a, b) => Math.abs(a.p - share) - Math.abs(b.p - share)).slice(0, 5);
    if (!near.length) return null;
    return make("div", {}, make("h3", {}, "Others labelled ", make("b", {}, word), word === about.given ? make("span", { class: "quiet" }, " as this one is") : null),
      make("ul", { class: "others" }, near.map((one) => make("li", {}, picture(one.strip, 0, `${one.profile}, ${word} ${percent(one.p)}`) ?? make("span", { class: "absent" }, "no picture"),
        make("span", { class: "quiet" }, percent(one.p))))));
  };
  const shown = [row(about.word), about.given && about.given !== about.word ? row(about.given) : null].filter(Boolean);
  return shown.length ? make("section", { class: "compare", "aria-label": "People to compare with" }, shown) : null;
}

const ACTIONS = [
  [" ", "space", "Correct", "correct as given"], ["p", "p", "As proposed"], ["g", "g", "Gender"], ["a", "a", "Age"], ["m", "m", "Mask"],
  ["s", "s", "Swap", "swap masks"], ["x", "x", "Set aside"], ["u", "u", "Undo"],
];
function actions(card) {
  if (menu) {
    const options = menu.options.map(([text, act], n) => {
      const button = make("button", { type: "button", class: "option", "aria-keyshortcuts": String(n + 1) }, n < 9 ? make("kbd", {}, String(n + 1)) : null, ` ${text}`);
      button.addEventListener("click", () => pickOption(n));
      return button;
    });
    const cancel = make("button", { type: "button", "aria-keyshortcuts": "Escape" }, make("kbd", {}, "esc"), " back");
    cancel.addEventListener("click", closeMenu);
    return make("div", { class: "actions asking", role: "group", "aria-label": menu.title }, make("b", {}, menu.title), menu.input ?? null, options, cancel);
  }
  return make("div", { class: "actions", role: "group", "aria-label": "Decide" }, ACTIONS.map(([key, shown, text, long]) => {
    const off = (key === "p" && !card.issues.some((issue) => issue.proposals)) || (key === "u" && !undone.length) || (!card.profile && "gamsx".includes(key));
    const button = make("button", { type: "button", "aria-keyshortcuts": key === " " ? "Space" : key, "aria-label": long ?? null, disabled: off }, text, " ", make("kbd", { "aria-hidden": "true" }, shown));
    button.addEventListener("click", () => act(key));
    return button;
  }));
}

function showDetail() {
  const pane = byId("detail");
  const card = data.cards[found[current]];
  const at = pane.scrollTop;
  const typing = document.activeElement?.id === "note";
  if (!card) return void pane.replaceChildren();
  const profile = subject(card);
  const before = make("button", { type: "button", "aria-label": "Previous", disabled: current === 0 }, "↑");
  const after = make("button", { type: "button", "aria-label": "Next", disabled: current === found.length - 1 }, "↓");
  const back = make("button", { type: "button", class: "back" }, "← List");
  before.addEventListener("click", () => go(current - 1));
  after.addEventListener("click", () => go(current + 1));
  back.addEventListener("click", () => read(false));
  const note = make("input", { id: "note", autocomplete: "off", maxlength: "300", placeholder: "becomes the reason in the manifest" });
  note.value = notes.get(profile) ?? "";
  note.addEventListener("change", () => { if (note.value.trim()) notes.set(profile, note.value.trim()); else notes.delete(profile); keep(); });
  const person = people.has(profile) && card.profile;
  pane.replaceChildren(
    make("div", { class: "detail-head" }, back, make("div", {}, make("h2", { class: "path" }, title(card)),
      make("p", { class: "quiet" }, card.profile ? described(card.profile) : "about no single record", people.get(card.profile)?.pictures > card.records.length ? ` · ${card.records.length} of ${number(people.get(card.profile).pictures)} pictures` : null)),
      make("div", { class: "place" }, before, make("span", {}, `${number(current + 1)} of ${number(found.length)}`), after)),
    ...[card.records.length ? make("div", { class: "pictures" }, card.records.map((record, place) => figure(card, record, place))) : null,
      make("div", { class: "columns" },
        make("ul", { class: "findings", "aria-label": "Findings" }, card.issues.map((issue) => finding(issue, card))),
        person ? make("section", { class: "given", "aria-label": "Given against predicted" },
          profile === card.profile ? null : make("p", { class: "path quiet" }, profile), AXES.map((axis) => bars(axis, profile)), neighbours(card)) : null),
      make("label", { class: "note" }, "Note ", make("kbd", {}, "n"), " ", note),
      actions(card)].filter(Boolean));
  pane.scrollTop = at;
  if (typing) byId("note").focus();
}
