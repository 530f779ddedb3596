// What keys and buttons do to the card that is shown.
function settle(card, changes, text) {
  if (!changes.length) return void says("nothing to change");
  const wasOpen = open(card).length;
  const held = byId("detail").contains(document.activeElement) && document.activeElement.id !== "note";
  menu = null;
  step(data.cards.indexOf(card), changes);
  const next = wasOpen && !open(card).length && current < found.length - 1;
  redraw(current);
  progress();
  if (next) go(current + 1, true);
  else shown();
  if (held) byId("detail").focus({ preventScroll: true }); // the button that had the focus is gone
  says(`${title(card)}: ${text}${next ? `; next: ${title(cardNow())}` : ""}`);
}
function markCorrect(card, issues, yes = true) {
  const reason = notes.get(subject(card)) ?? "";
  const about = (issue) => card.records[issue.records?.[0] ?? -1]?.path || card.profile || issue.reason;
  settle(card, issues.map((issue) => ["correct", issue.key, yes ? { check: issue.check, about: about(issue), reason, ...stamp() } : null]), yes ? "correct as given" : "not decided");
}
function accept(card, issues) {
  const taken = new Set();
  const changes = issues.flatMap((issue) => (issue.proposals ?? []).flatMap((proposal) => targets(proposal, card).flatMap(([profile, record, field, now]) => {
    const key = keyOf(profile, record?.name, field);
    if (taken.has(key)) return []; // the surer finding has said it
    taken.add(key);
    return setting(profile, record, field, now, `${issue.check}: ${issue.reason}`);
  })));
  settle(card, changes, "as the audit proposes");
}
const why = (card, fields) => {
  const issue = card.issues.find((one) => one.proposals?.some((proposal) => fields.includes(proposal.field))) ?? card.issues[0];
  return `${issue.check}: ${issue.reason}`;
};
function choosePicture(place) {
  const card = cardNow();
  if (place >= (card?.records.length ?? 0)) return;
  chosen = chosen === place ? null : place;
  showDetail();
  const record = card.records[place];
  says(chosen === null ? "no picture chosen" : `picture ${place + 1}, ${record.name}, mask ${record.mask ?? "unknown"}`);
}
function ask(title, options, input) {
  menu = { title, options, input };
  showDetail();
  input?.focus();
  says(`${title}: ${options.map(([text], n) => `${n + 1} ${text}`).join(", ")}`);
}
function closeMenu() {
  menu = null;
  showDetail();
}
function pickOption(n) {
  const option = menu?.options[n];
  if (!option) return;
  menu = null;
  option[1]();
}
const setPerson = (card, field, now) => settle(card, setting(subject(card), null, field, now, why(card, [field])), `${words(field)} ${now}`);
function askYears(card) {
  const input = make("input", { type: "number", min: "0", max: "120", step: "1", "aria-label": "Age in years", inputmode: "numeric" });
  const done = () => {
    if (!/^\d{1,3}$/.test(input.value) || Number(input.value) > 120) return void says("an age is a whole number of years from 0 to 120");
    setPerson(card, "age", String(Number(input.value)));
    list.focus({ preventScroll: true });
  };
  input.addEventListener("keydown", (event) => { if (event.key === "Enter") { event.preventDefault(); done(); } });
  ask("Age in years", [["set", done]], input);
}
// The picture that is meant: the chosen one, the only doubted one, or the one that is asked for.
function withPicture(card, title, then, among = () => true) {
  const about = [...new Set(card.issues.flatMap((issue) => issue.records ?? []))];
  if (chosen !== null && among(card.records[chosen])) return then(chosen);
  if (about.length === 1 && among(card.records[about[0]])) return then(about[0]);
  const places = card.records.map((_, place) => place).filter((place) => among(card.records[place]));
  if (!places.length) return void says("no picture for it");
  ask(title, places.map((place) => [card.records[place].name, () => then(place)]));
}
const act = (key) => {
  const card = cardNow();
  if (key === "u") {
    const back = undo();
    if (back === null) return void says("nothing to undo");
    if (found.includes(back)) go(found.indexOf(back), true);
    layout();
    shown();
    progress();
    return void says(`undone: ${title(data.cards[back] ?? {})}`);
  }
  if (!card) return;
  if (key === " ") return markCorrect(card, open(card).length ? open(card) : card.issues);
  if (key === "p") return accept(card, card.issues.filter((issue) => !issue.known));
  if (!card.profile || !people.has(subject(card))) return void says("this is about no single person");
  const profile = (place) => card.records[place].profile ?? card.profile;
  if (key === "g") ask("Gender", data.words.gender.map((word) => [word, () => setPerson(card, "gender", word)]));
  if (key === "a") ask("Age group", [...data.words.age_group.map((word) => [word, () => setPerson(card, "age_group", word)]), ["in years …", () => askYears(card)]]);
  if (key === "m") {
    withPicture(card, "Mask of which picture?", (place) => ask(`Mask of ${card.records[place].name}`, data.words.mask.map((word) =>
      [word, () => settle(card, setting(profile(place), card.records[place], "mask", word, why(card, ["mask"])), `mask of ${card.records[place].name} ${word}`)])));
  }
  if (key === "s") {
    const proposal = card.issues.flatMap((issue) => issue.proposals ?? []).find((one) => one.other !== undefined);
    if (proposal && chosen === null) {
      const changes = targets(proposal, card).flatMap(([owner, record, field, now]) => setting(owner, record, field, now, why(card, ["mask"])));
      return settle(card, changes, `${proposal.name} and ${proposal.other} swapped`);
    }
    withPicture(card, "Swap which picture?", (one) => withOther(card, one, profile), (record) => !record.profile && record.mask);
  }
  if (key === "x") {
    const all = [`the whole person`, () => settle(card, setting(subject(card), null, "keep", "no", why(card, ["keep"])), "set aside")];
    const about = chosen !== null ? [chosen] : [...new Set(card.issues.flatMap((issue) => issue.records ?? []))];
    if (!about.length) return all[1]();
    const names = about.length === 1 ? card.records[about[0]].name : `the ${about.length} pictures in doubt`;
    ask("Set aside", [[names, () => settle(card, about.flatMap((place) => setting(profile(place), card.records[place], "keep", "no", why(card, ["keep"]))), `${names} set aside`)], all]);
  }
};
function withOther(card, one, profile) {
  const others = card.records.map((_, place) => place).filter((place) => !card.records[place].profile && card.records[place].mask && card.records[place].mask !== card.records[one].mask);
  if (!others.length) return void says("no other picture has another mask label");
  ask(`Swap ${card.records[one].name} with`, others.map((place) => [card.records[place].name, () => settle(card,
    [[one, place], [place, one]].flatMap(([to, from]) => setting(profile(to), card.records[to], "mask", card.records[from].mask, why(card, ["mask"]))),
    `${card.records[one].name} and ${card.records[place].name} swapped`)]));
}
