// The gallery's page. Pairs come as scripts, since a page opened as a file may not fetch. Everything that a model or a
// person wrote reaches the page as text, never as markup.
"use strict";

const gallery = (() => {
  const CARDS_AT_ONCE = 40;
  const REVIEWER = "stablellava reviewer";
  const VERDICTS = [
    ["", "All", () => true],
    ["kept", "Kept", (pair) => pair.verdict === "kept"],
    ["rejected", "Rejected", (pair) => pair.verdict === "rejected"],
    ["borderline", "Borderline", (pair) => pair.borderline],
    ["reviewed", "Reviewed", (pair) => pair.reviewed],
    ["mine", "Decided here", (pair) => pair.id in decisions],
  ];
  const at = (id) => document.getElementById(id);
  const number = (count) => count.toLocaleString("en");

  let batches = [];      // the manifest's batches, each with its pairs once they are loaded
  let matching = [];     // the pairs that pass the filters, of the batches loaded so far
  let shown = 0;         // how many of them have cards
  let keptUnder = "";    // the key of this project's decisions: pages opened as files share one storage
  let decisions = byPair({});
  const chosen = { verdict: "", ability: "", reason: "", words: "" };

  // ---- loading ----

  function manifest(content) {
    keptUnder = `stablellava decisions ${content.project}`;
    decisions = byPair(remembered(keptUnder, {}));
    count();
    batches = content.batches.map((batch) => ({ ...batch, pairs: null, failed: false }));
    const total = sum(batches, (batch) => batch.kept + batch.rejected);
    const there = sum(batches, (batch) => batch.shown);
    const counts = {};
    for (const [name, here, all] of batches.flatMap((batch) => batch.reasons)) {
      counts[name] ||= [0, 0];
      counts[name][0] += here;
      counts[name][1] += all;
    }
    const reasons = Object.values(counts);
    const told = reasons.filter(([here]) => here).length;
    const every = told < reasons.length ? `${number(told)} of ${number(reasons.length)} reasons and notes` : "every reason and note";
    const verdicts =
      `${number(sum(batches, (batch) => batch.kept))} were kept and ` +
      `${number(sum(batches, (batch) => batch.rejected))} rejected, in ${number(batches.length)} batches.`;
    at("extent").textContent = there < total
      ? `${number(there)} of ${number(total)} pairs are shown: at most ${number(content.pairs_per_batch)} per batch, including ${every} ` +
        `and all pairs with human decisions. Of all pairs, ${verdicts} The command ` +
        "“stablellava gallery FOLDER” shows every pair."
      : `All ${number(total)} pairs are shown: ${verdicts}`;
    offer("ability", [...new Set(batches.map((batch) => batch.ability))].map((name) => [name, name]));
    const names = Object.keys(counts).sort((a, b) => counts[b][1] - counts[a][1]);
    const amount = ([here, all]) => (here < all ? `${number(here)} of ${number(all)}` : number(all));
    offer("reason", names.map((name) => [name, `${name} (${amount(counts[name])})`]));
    readAddress();
    refilter();
    loadNext();
  }

  function loadNext() {
    const waiting = batches.filter((batch) => !batch.pairs && !batch.failed);
    const next = waiting.find((batch) => batch.ability === chosen.ability) || waiting[0];
    if (!next) return describe();
    const script = document.createElement("script");
    script.src = `batches/${next.folder}/pairs.js`;
    script.onerror = () => {
      next.failed = true;
      loadNext();
    };
    script.onload = () => {
      script.remove();
      setTimeout(loadNext);
    };
    document.head.append(script);
  }

  function batch(folder, pairs) {
    const loaded = batches.find((other) => other.folder === folder);
    loaded.pairs = pairs;
    for (const pair of pairs) {
      pair.folder = folder;
      pair.text = [pair.id, ...pair.prompts, ...pair.turns.map((turn) => turn[1])].join("\n").toLowerCase();
    }
    matching.push(...pairs.filter(passes));
    fill();
    describe();
  }

  // ---- filtering ----

  function passes(pair) {
    const verdict = VERDICTS.find(([key]) => key === chosen.verdict) || VERDICTS[0];
    return (
      verdict[2](pair) &&
      (!chosen.ability || pair.ability === chosen.ability) &&
      (!chosen.reason || [...pair.reasons, ...pair.notes].some(([name]) => name === chosen.reason)) &&
      (!chosen.words || pair.text.includes(chosen.words.toLowerCase()))
    );
  }

  function refilter() {
    for (const button of at("verdicts").children) {
      button.setAttribute("aria-pressed", String(button.value === chosen.verdict));
    }
    at("ability").value = chosen.ability;
    at("reason").value = chosen.reason;
    at("words").value = chosen.words;
    matching = batches.flatMap((batch) => (batch.pairs || []).filter(passes));
    shown = 0;
    at("cards").replaceChildren();
    fill();
    describe();
  }

  function choose(change) {
    Object.assign(chosen, change);
    const address = new URLSearchParams(Object.entries(chosen).filter(([, value]) => value)).toString();
    try {
      history.replaceState(null, "", address ? `#${address}` : "#");
    } catch {
      // Some browsers refuse this to pages opened as files; the address is a convenience.
    }
    refilter();
  }

  function readAddress() {
    const asked = new URLSearchParams(location.hash.slice(1));
    for (const key of Object.keys(chosen)) chosen[key] = asked.get(key) || "";
    // A filter that this gallery does not have would hide everything.
    for (const id of ["ability", "reason"]) {
      if (![...at(id).options].some((option) => option.value === chosen[id])) chosen[id] = "";
    }
    if (!VERDICTS.some(([key]) => key === chosen.verdict)) chosen.verdict = "";
  }

  function describe() {
    const left = batches.filter((batch) => !batch.pairs && !batch.failed).length;
    const failed = batches.filter((batch) => batch.failed).map((batch) => `${batch.ability}|${batch.batch}`);
    at("status").textContent =
      `${number(matching.length)} ${matching.length === 1 ? "pair matches" : "pairs match"}` +
      (left ? `; ${number(left)} batches are still loading` : "") +
      (failed.length ? `; failed to load, reload the page: ${failed.join(", ")}` : "");
    at("status").dataset.complete = String(left === 0);
  }

  // ---- cards ----

  function fill() {
    const wanted = () => shown < matching.length && at("more").getBoundingClientRect().top < innerHeight * 2;
    while (wanted()) {
      at("cards").append(...matching.slice(shown, shown + CARDS_AT_ONCE).map(card));
      shown = Math.min(shown + CARDS_AT_ONCE, matching.length);
    }
  }

  function element(tag, text, className) {
    const made = document.createElement(tag);
    if (text !== undefined) made.textContent = text;
    if (className) made.className = className;
    return made;
  }

  function card(pair) {
    const made = element("article", undefined, pair.verdict);
    made.id = `pair-${pair.id}`;
    const several = pair.pictures.length > 1;
    if (several) made.classList.add("several");
    made.append(pictures(pair));
    const text = element("div");
    const marks = { count: 0, several };
    text.append(about(pair), ...pair.turns.map((said) => turn(said, marks)));
    made.append(text);
    const findings = element("ul", undefined, "findings");
    findings.append(
      ...pair.reasons.map((found) => finding(found, "reason")),
      ...pair.notes.map((found) => finding(found, "note")),
    );
    const below = innerWidth > 560 ? text : made;
    if (findings.children.length) below.append(findings);
    below.append(details(pair), decide(pair));
    return made;
  }

  function pictures(pair) {
    const box = element("div", undefined, "pictures");
    pair.pictures.forEach((name, index) => {
      const shown = name === null ? element("div", "no image", "missing") : element("img");
      if (name !== null) {
        shown.loading = "lazy";
        shown.decoding = "async";
        shown.alt = pair.prompts[index] || "";
        shown.src = `batches/${pair.folder}/${name}`;
      }
      if (pair.pictures.length === 1) return box.append(shown);
      const figure = element("figure");
      figure.append(shown, element("figcaption", `${index + 1}`));
      box.append(figure);
    });
    return box;
  }

  function about(pair) {
    const line = element("p", undefined, "about");
    line.append(element("span", pair.verdict, "badge"));
    if (pair.overruled) line.append(element("span", "overruled", "mark"));
    else if (pair.reviewed) line.append(element("span", "reviewed", "mark"));
    if (pair.borderline) line.append(element("span", "borderline", "mark"));
    line.append(element("span", `${pair.ability} · ${pair.kind} · ${pair.batch}`));
    return line;
  }

  function turn([speaker, value], marks) {
    const line = element("p", undefined, speaker === "gpt" ? "gpt" : "human");
    value.split("<image>").forEach((part, index) => {
      if (index) {
        marks.count += 1;
        const mark = element("span", marks.several ? `image ${marks.count}` : "image", "image-mark");
        line.append(line.textContent ? " " : "", mark, " ");
      }
      line.append(part.trim());
    });
    return line;
  }

  function finding([name, explanation], className) {
    const line = element("li", undefined, className);
    line.append(element("b", name), ` ${explanation}`);
    return line;
  }

  function details(pair) {
    const made = element("details");
    const several = pair.prompts.length > 1;
    made.append(element("summary", several ? "prompts and scores" : "prompt and scores"));
    pair.prompts.forEach((text, index) => {
      const prompt = element("p", several ? `${index + 1}: ` : undefined);
      prompt.append(element("code", text));
      made.append(prompt);
    });
    for (const [name, value, threshold, side, close] of pair.scores) {
      const line = element("p", `${name}: ${value === null ? "none" : +value.toFixed(3)}`, close ? "close-to" : "");
      if (threshold !== null) line.append(` (${side} ${threshold}${close ? ", close to it" : ""})`);
      made.append(line);
    }
    for (const [name, value] of [["expected", pair.expected], ["pair", pair.id]]) {
      if (value !== null) made.append(element("p", `${name}: ${value}`));
    }
    if (pair.repeats !== null) {
      const line = element("p", "repeats: ");
      const link = element("a", pair.repeats);
      link.href = `#${new URLSearchParams({ words: pair.repeats })}`;
      line.append(link);
      made.append(line);
    }
    return made;
  }

  // ---- decisions ----

  function decide(pair) {
    const box = element("div", undefined, "decide");
    const buttons = ["keep", "reject"].map((decision) => {
      const button = element("button", decision === "keep" ? "Keep" : "Reject");
      button.type = "button";
      button.onclick = () => record((decisions[pair.id] || {}).decision === decision ? null : decision);
      return [decision, button];
    });
    const note = element("input");
    note.placeholder = "why (optional)";
    note.setAttribute("aria-label", "Note");
    note.value = (decisions[pair.id] || {}).note || "";
    note.hidden = !(pair.id in decisions);
    note.oninput = () => {
      decisions[pair.id].note = note.value;
      remember(keptUnder, decisions);
    };
    const record = (decision) => {
      if (decision === null) delete decisions[pair.id];
      else decisions[pair.id] = { decision, note: note.value };
      remember(keptUnder, decisions);
      refresh();
      count();
    };
    const refresh = () => {
      const taken = (decisions[pair.id] || {}).decision;
      for (const [decision, button] of buttons) button.setAttribute("aria-pressed", String(taken === decision));
      note.hidden = taken === undefined;
    };
    refresh();
    box.append(...buttons.map(([, button]) => button), note);
    return box;
  }

  function count() {
    const made = Object.keys(decisions).length;
    at("decided").textContent = made ? `${number(made)} ${made === 1 ? "decision" : "decisions"}` : "Keep and Reject collect decisions.";
    document.querySelector("footer").classList.toggle("idle", !made);
  }

  function download() {
    const reviewer = at("reviewer").value.trim();
    if (!reviewer) {
      at("told").textContent = "Every decision records its reviewer: enter your name.";
      at("reviewer").focus();
      return;
    }
    at("told").textContent = "";
    const lines = Object.entries(decisions).map(([pair_id, { decision, note }]) =>
      JSON.stringify({ pair_id, decision, reviewer, note: note.trim() }));
    const link = element("a");
    link.href = URL.createObjectURL(new Blob([`${lines.join("\n")}\n`], { type: "application/jsonl" }));
    link.download = "decisions.jsonl";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  }

  // Without a prototype, so that no pair id is ever taken for one of its properties.
  function byPair(entries) {
    return Object.assign(Object.create(null), entries);
  }

  // Storage may be off, as in private windows; decisions then live as long as the page.
  function remembered(key, otherwise) {
    try {
      return JSON.parse(localStorage.getItem(key)) ?? otherwise;
    } catch {
      return otherwise;
    }
  }

  function remember(key, value) {
    try {
      localStorage.setItem(key, JSON.stringify(value));
    } catch {
      at("told").textContent = "This browser stores nothing for this page: download the decisions before you close it.";
    }
  }

  // ---- the page ----

  function sum(rows, count) {
    return rows.reduce((total, row) => total + count(row), 0);
  }

  function offer(id, options) {
    for (const [value, text] of options) at(id).append(new Option(text, value));
  }

  for (const [key, label] of VERDICTS) {
    const button = element("button", label);
    button.type = "button";
    button.value = key;
    button.onclick = () => choose({ verdict: key });
    at("verdicts").append(button);
  }
  at("ability").onchange = (event) => choose({ ability: event.target.value });
  at("reason").onchange = (event) => choose({ reason: event.target.value });
  at("words").oninput = (event) => choose({ words: event.target.value });
  at("reviewer").value = remembered(REVIEWER, "");
  at("reviewer").oninput = (event) => remember(REVIEWER, event.target.value);
  at("download").onclick = download;
  at("forget").onclick = () => {
    if (!confirm("Delete every decision made here?")) return;
    decisions = byPair({});
    remember(keptUnder, decisions);
    count();
    refilter();
  };
  addEventListener("hashchange", () => {
    readAddress();
    refilter();
  });
  addEventListener("resize", fill);
  addEventListener("scroll", fill, { passive: true });
  count();
  return { manifest, batch };
})();
