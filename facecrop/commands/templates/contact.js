"use strict";
(() => {
  const PAGE = 48; // cards built at a time
  const KEPT_BLOCKS = 8; // blocks of pictures kept unpacked
  const REACH = 0.25; // how far beyond the picture a crop is shown, as a share of its longer side
  const RANK = { fallback: 0, reject: 1, pending: 2, ok: 3 };

  const byId = (id) => document.getElementById(id);
  const { records, texts, notSeen, blockSize, files } = JSON.parse(byId("data").textContent);
  const packed = document.querySelectorAll("script.pictures");
  const unpacked = new Map();
  const filters = { status: "", reason: "", detector: "", search: "" };
  let order = "doubt";
  let found = [];
  let built = 0;
  let open = -1;

  // All text goes in as text: nothing from the data is ever parsed as markup.
  const make = (tag, attributes = {}, ...children) => fill(document.createElement(tag), attributes, children);
  const draw = (tag, attributes = {}, ...children) =>
    fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
  function fill(element, attributes, children) {
    for (const [name, value] of Object.entries(attributes)) {
      if (value !== null && value !== undefined) element.setAttribute(name, value);
    }
    element.append(...children.filter((child) => child !== null));
    return element;
  }

  function pictures(record) {
    if (record.picture === undefined) return [null, null];
    const block = Math.floor(record.picture / blockSize);
    if (!unpacked.has(block)) {
      unpacked.set(block, JSON.parse(packed[block].textContent));
      if (unpacked.size > KEPT_BLOCKS) unpacked.delete(unpacked.keys().next().value);
    }
    return unpacked.get(block)[record.picture % blockSize].map((data) => data && `data:image/jpeg;base64,${data}`);
  }

  // The source and what was found in it.
  function layer(name, shape, attributes, extra = {}) {
    return draw("g", { class: `layer ${name}`, ...extra },
      draw(shape, { ...attributes, class: "under" }), draw(shape, attributes));
  }
  const rect = ([x0, y0, x1, y1]) => ({ x: x0, y: y0, width: x1 - x0, height: y1 - y0 });

  function viewBox({ width, height, crop }) {
    const reach = REACH * Math.max(width, height);
    const [x0, y0, x1, y1] = crop ?? [0, 0, width, height];
    const left = Math.max(Math.min(0, x0), -reach), top = Math.max(Math.min(0, y0), -reach);
    const right = Math.min(Math.max(width, x1), width + reach), bottom = Math.min(Math.max(height, y1), height + reach);
    const border = 0.02 * Math.max(right - left, bottom - top);
    return [left - border, top - border, right - left + 2 * border, bottom - top + 2 * border].join(" ");
  }

  function sourceView(record, data) {
    if (!data || !record.width) return nothing(record.absent ?? "picture left out to keep this page usable");
    const { width, height, face, person, crop, landmarks, outline, rotation } = record;
    const picture = draw("svg", { viewBox: viewBox(record), role: "img", "aria-label": description(record) },
      draw("image", { href: data, width, height, preserveAspectRatio: "none" }));
    if (outline) picture.append(layer("matte", "path", { d: outline }));
    if (person) picture.append(layer("person", "rect", rect(person)));
    if (crop) {
      const turn = rotation && `rotate(${rotation} ${(crop[0] + crop[2]) / 2} ${(crop[1] + crop[3]) / 2})`;
      picture.append(layer("crop", "rect", rect(crop), { transform: turn || null }));
    }
    if (face) picture.append(layer(record.guessed ? "face guessed" : "face", "rect", rect(face)));
    if (landmarks) {
      const radius = 0.008 * Math.max(width, height);
      picture.append(draw("g", { class: "layer landmarks" },
        ...landmarks.map(([cx, cy]) => draw("circle", { cx, cy, r: radius }))));
    }
    return picture;
  }

  function description(record) {
    const parts = ["source picture"];
    if (record.face) parts.push(record.guessed ? "guessed face box" : "face box");
    if (record.landmarks) parts.push("landmarks");
    if (record.person) parts.push("person box");
    if (record.outline) parts.push("outline of the matte");
    if (record.crop) parts.push("crop box");
    return parts.length > 1 ? `${parts[0]} with ${parts.slice(1).join(", ")}` : parts[0];
  }

  function nothing(text) {
    return make("div", { class: "absent" },
      draw("svg", { viewBox: "0 0 26 32", "aria-hidden": "true" },
        draw("rect", { x: 1, y: 1, width: 24, height: 30, rx: 2.5 }), draw("path", { d: "M1 31 25 1" })),
      make("span", {}, text));
  }

  function cropView(record, data) {
    if (data) return make("img", { src: data, alt: "crop" });
    if (record.image && record.picture === undefined) return nothing("left out here");
    return nothing(record.image ? "the crop cannot be read" : "no crop");
  }

  function pair(record) {
    const [source, crop] = pictures(record);
    return make("div", { class: "pair" },
      make("div", { class: "stage" }, sourceView(record, source)),
      make("div", { class: "stage" }, cropView(record, crop)));
  }

  // What is known of a record, in words.
  function facts(record) {
    const percent = (share) => `${(100 * share).toFixed(share < 0.1 ? 1 : 0)} %`;
    const known = [
      ["detector", record.detector],
      ["score", record.score?.toFixed(2)],
      ["faces", record.faces],
      ["persons", record.persons],
      ["person score", record.personScore?.toFixed(2)],
      ["matte", record.coverage === undefined ? undefined : percent(record.coverage)],
      ["turned", record.rotation === undefined ? undefined : `${record.rotation}°`],
      ["size", record.width ? `${record.width} × ${record.height}` : undefined],
    ].filter(([, value]) => value !== undefined);
    return make("dl", { class: "facts" },
      ...known.map(([name, value]) => make("div", {}, make("dt", {}, name), make("dd", {}, String(value)))));
  }

  function about(record, title) {
    const reason = record.reason ? (texts[record.reason] ?? record.reason) : "";
    return make("div", { class: "about" }, title,
      make("p", { class: "state" }, make("span", { class: `badge ${record.status}` }, record.status), reason, " ",
        record.reason ? make("code", {}, record.reason) : null),
      facts(record));
  }

  function card(record, number) {
    const title = make("h3", { class: "path" }, record.path);
    const view = make("button", { type: "button", class: "view", "aria-label": `Enlarge ${record.path}` }, pair(record));
    view.addEventListener("click", () => enlarge(number));
    return make("li", {}, make("article", { class: "card", "data-status": record.status }, view, about(record, title)));
  }

  // Cards are built as the reader comes to them.
  const watcher = new IntersectionObserver((entries) => entries.some((entry) => entry.isIntersecting) && build(), {
    rootMargin: "1500px",
  });
  function build() {
    const next = found.slice(built, built + PAGE);
    byId("cards").append(...next.map((record, number) => card(record, built + number)));
    built += next.length;
    byId("more").hidden = built >= found.length;
    watcher.unobserve(byId("more"));
    if (built < found.length) watcher.observe(byId("more")); // told again if it is still in view
  }

  const tests = {
    status: (record) => !filters.status || record.status === filters.status,
    reason: (record) => !filters.reason || record.reason === filters.reason,
    detector: (record) => !filters.detector || record.detector === filters.detector,
    search: (record) => !filters.search || record.path.toLowerCase().includes(filters.search.toLowerCase()),
  };
  const fits = (record, but) => Object.keys(tests).every((name) => name === but || tests[name](record));
  const orders = {
    doubt: (a, b) => RANK[a.status] - RANK[b.status],
    path: () => 0,
    score: (a, b) => (a.score ?? 2) - (b.score ?? 2),
  };

  function count(name) {
    const counts = new Map();
    for (const record of records) {
      const value = record[name];
      if (value !== undefined) counts.set(value, (counts.get(value) ?? 0) + (fits(record, name) ? 1 : 0));
    }
    return counts;
  }

  function showStatuses() {
    const counts = count("status");
    const all = [...counts.values()].reduce((sum, one) => sum + one, 0);
    const values = [["", "all", all], ...["ok", "fallback", "reject", "pending"]
      .filter((status) => counts.has(status)).map((status) => [status, status, counts.get(status)])];
    const had = byId("status").contains(document.activeElement);
    byId("status").replaceChildren(...values.map(([value, text, number]) => {
      const input = make("input", { type: "radio", name: "status", value });
      input.checked = value === filters.status;
      return make("label", {}, input, text, " ", make("span", {}, number.toLocaleString("en")));
    }));
    if (had) byId("status").querySelector(":checked")?.focus();
  }

  function showOptions(name, describe) {
    const counts = [...count(name)].sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1));
    byId(name).replaceChildren(make("option", { value: "" }, "all"), ...counts.map(([value, number]) =>
      make("option", { value }, `${describe(value)} (${number.toLocaleString("en")})`)));
    byId(name).value = filters[name];
    byId(name).disabled = counts.length === 0;
  }

  function show() {
    showStatuses();
    showOptions("reason", (slug) => (texts[slug] ? `${slug}: ${texts[slug]}` : slug));
    showOptions("detector", (label) => (notSeen[label] ? `${label}: ${notSeen[label]}` : label));
    found = records.filter((record) => fits(record)).sort(orders[order]);
    built = 0;
    byId("cards").replaceChildren();
    byId("none").hidden = found.length > 0;
    byId("reset").hidden = !Object.values(filters).some(Boolean);
    byId("found").textContent = `${found.length.toLocaleString("en")} of ${records.length.toLocaleString("en")} records`;
    build();
  }

  // Filters live in the address too, so that a view can be linked to and survives a reload.
  function remember() {
    const set = Object.entries(filters).filter(([, value]) => value);
    try {
      history.replaceState(null, "", set.length ? `#${new URLSearchParams(set)}` : location.pathname);
    } catch {
      return; // some browsers forbid it for local files
    }
  }
  function recall() {
    const given = new URLSearchParams(location.hash.slice(1));
    if (![...given.keys()].some((name) => name in filters)) return false;
    for (const name of Object.keys(filters)) filters[name] = given.get(name) ?? "";
    byId("search").value = filters.search;
    return true;
  }

  function enlarge(number) {
    open = number;
    const record = found[open];
    const more = record.image && files
      ? make("a", { class: "more", href: `../${record.image.split("/").map(encodeURIComponent).join("/")}`, target: "_blank", rel: "noopener" }, "Open the crop in full size")
      : null;
    byId("large-title").textContent = record.path;
    byId("place").textContent = `${open + 1} of ${found.length}`;
    byId("before").disabled = open === 0;
    byId("after").disabled = open === found.length - 1;
    byId("large-body").replaceChildren(pair(record), about(record, ""), ...(more ? [more] : []));
    if (!byId("large").open) byId("large").showModal();
  }
  function step(by) {
    const next = open + by;
    if (next < 0 || next >= found.length) return;
    while (built <= next) build();
    enlarge(next);
  }
  byId("large").addEventListener("close", () => byId("cards").children[open]?.querySelector(".view").focus());
  byId("large").addEventListener("click", (event) => event.target === byId("large") && byId("large").close());
  byId("close").addEventListener("click", () => byId("large").close());
  byId("before").addEventListener("click", () => step(-1));
  byId("after").addEventListener("click", () => step(1));

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (byId("large").open) {
      if (event.key === "ArrowLeft") step(-1);
      if (event.key === "ArrowRight") step(1);
    } else if (event.key === "/" && !/^(INPUT|SELECT)$/.test(document.activeElement.tagName)) {
      event.preventDefault();
      byId("search").focus();
    }
  });
  const change = () => { remember(); show(); };
  byId("status").addEventListener("change", (event) => { filters.status = event.target.value; change(); });
  for (const name of ["reason", "detector"]) {
    byId(name).addEventListener("change", (event) => { filters[name] = event.target.value; change(); });
  }
  byId("search").addEventListener("input", (event) => { filters.search = event.target.value.trim(); change(); });
  byId("order").addEventListener("change", (event) => { order = event.target.value; show(); });
  byId("tools").addEventListener("submit", (event) => event.preventDefault());
  byId("reset").addEventListener("click", (event) => {
    event.preventDefault(); // order and layers stay
    for (const name of Object.keys(filters)) filters[name] = "";
    byId("search").value = "";
    change();
    byId("search").focus();
  });
  for (const box of document.querySelectorAll("[data-layer]")) {
    const apply = () => document.documentElement.classList.toggle(`no-${box.dataset.layer}`, !box.checked);
    box.addEventListener("change", apply);
    apply(); // a browser may restore boxes after a reload
  }
  byId("more").addEventListener("click", build);
  window.addEventListener("hashchange", () => {
    if (recall()) { show(); byId("records").focus(); byId("records").scrollIntoView(); }
  });
  recall();
  show();
})();
