"use strict";
// Draws a run. All of it comes from models and skills: it is put in as text, never as markup.
(() => {
  const MANY = 400, FOLD_LINES = 24, OVERSCAN = 12;
  const $ = (id) => document.getElementById(id);
  const FINE = new Set(["ok", "unverified"]), NOT_MADE = new Set(["not_run", "budget"]);

  let ROW = 28; // pixels, as the style has it: more where fingers point
  let run, calls, byId, shown = [], selected = 0, open = new Set(), found = [], words = "", total = 1;

  // ---- small things ----
  const make = (tag, attributes = {}, ...children) => {
    const one = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name.startsWith("on")) one.addEventListener(name.slice(2), value);
      else if (value !== false && value !== null && value !== "") one.setAttribute(name, value);
    }
    one.append(...children.filter((child) => child !== null && child !== ""));
    return one;
  };
  const count = (n, noun) => `${n.toLocaleString("en")} ${noun}${n === 1 ? "" : "s"}`;
  const money = (usd) => !usd ? "" : usd >= 1 ? `$${usd.toFixed(2)}` : usd >= 0.00005 ? `$${usd.toFixed(4)}` : "<$0.0001";
  const time = (ms) => {
    if (ms === null || ms === undefined) return "";
    if (ms < 0.95) return ms ? `${ms.toFixed(1)} ms` : "0 ms";
    if (ms < 999.5) return `${Math.round(ms)} ms`;
    if (ms < 59950) return `${(ms / 1000).toFixed(1)} s`;
    const seconds = Math.round(ms / 1000), minutes = Math.floor(seconds / 60);
    return minutes < 60 ? `${minutes} min ${String(seconds % 60).padStart(2, "0")} s` : `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, "0")} min`;
  };
  const tone = (outcome) => outcome === null ? "busy" : FINE.has(outcome) ? "good" : NOT_MADE.has(outcome) ? "faint" : "bad";
  const sign = (outcome) => ({ busy: "…", good: "✓", faint: "○", bad: "✗" })[tone(outcome)];
  const cost = (usd, tokens) => money(usd) || (tokens ? `${tokens.toLocaleString("en")} t` : "");
  const whole = (text) => typeof text === "string" ? text : `${text.head}\n${text.tail}`;
  const dot = (...parts) => parts.filter(Boolean).join(" · ");

  // ---- data ----
  const load = (data, changed = null) => {
    const isFirst = !run, before = calls && calls[selected] ? calls[selected].id : "";
    run = data; calls = data.calls; byId = new Map();
    calls.forEach((call, at) => {
      call.at_row = at; call.depth = call.id.split(".").length - 1; call.children = []; call.text = null; call.tone = tone(call.outcome);
      byId.set(call.id, call);
      const parent = byId.get(call.id.slice(0, call.id.lastIndexOf(".")));
      if (call.id.includes(".") && parent) { parent.children.push(at); call.parent = parent.at_row; }
    });
    total = calls.reduce((most, call) => Math.max(most, call.at + (call.ms || 0)), Math.max(1, 1000 * (run.seconds || 0)));
    if (isFirst) {
      unfoldFirst();
      const wanted = wantedCall();
      selected = wanted ? wanted.at_row : 0;
    } else selected = (byId.get(before) || { at_row: 0 }).at_row;
    head(); lanes.load(calls, total); outcome(); list(); search(words);
    if (calls.length && (!changed || changed.has(calls[selected].id))) detail();
    if (calls.length) lanes.choose(selected);
    if (isFirst && calls.length) reveal(selected);
  };
  const wantedCall = () => byId.get(location.hash.slice(1));
  // A small run is unfolded whole; of a large one the first two levels, and the ways to what failed.
  const unfoldFirst = () => {
    for (const call of calls) {
      if (calls.length <= MANY || (call.depth < 1)) open.add(call.id);
      if (tone(call.outcome) === "bad") for (let up = call.parent; up !== undefined; up = calls[up].parent) open.add(calls[up].id);
    }
  };
  const list = () => {
    shown = [];
    for (let at = 0; at < calls.length;) {
      shown.push(at);
      const call = calls[at];
      at = call.children.length && !open.has(call.id) ? after(at) : at + 1;
    }
    shown.forEach((at, row) => { calls[at].row = row; });
    $("space").style.height = `${shown.length * ROW}px`;
    paint();
  };
  const after = (at) => { let next = at + 1; while (next < calls.length && calls[next].depth > calls[at].depth) next += 1; return next; };
  const isShown = (at) => { for (let up = calls[at].parent; up !== undefined; up = calls[up].parent) if (!open.has(calls[up].id)) return false; return true; };

  // ---- the head ----
  const head = () => {
    const state = run.status === "answered" ? "ok" : run.status === "running" ? null : run.status === "suspended" ? null : "error";
    $("mark").textContent = sign(state); $("mark").className = `mark ${tone(state)}`;
    $("workflow").textContent = run.workflow;
    $("status").textContent = run.status; $("status").className = `badge ${tone(state)}`;
    const spent = run.spent, nBad = calls.filter((call) => call.tone === "bad").length;
    const sums = [["took", time((run.seconds || 0) * 1000)], ["cost", money(spent.usd)], ["tokens", spent.tokens ? spent.tokens.toLocaleString("en") : ""],
      ["model requests", spent.calls ? spent.calls.toLocaleString("en") : ""], ["calls", calls.length.toLocaleString("en")], ["calls failed", nBad ? nBad.toLocaleString("en") : ""]];
    $("sums").replaceChildren(...sums.filter(([, text]) => text).map(([name, text]) => make("div", { class: name === "calls failed" ? "bad" : "" }, make("dt", {}, name), make("dd", {}, text))));
    $("facts").textContent = dot(
      run.strategy ? `${run.status === "answered" ? "answered by" : "last tried"} ${run.strategy}` : "", run.models.join(", "), run.environment && `environment ${run.environment}`, run.executor && `executor ${run.executor}`,
      (run.started || "").slice(0, 16).replace("T", " "), run.run);
    document.querySelector(".split").hidden = !calls.length;
    $("lanes").hidden = calls.length < 2;
    $("axis").replaceChildren(make("span", {}, "0"), make("span", {}, time(total)));
  };
  const outcome = () => {
    const box = $("outcome"), problems = [], waits = [];
    if (run.message) problems.push([run.message, null]);
    else if (run.status === "crashed") problems.push([`Its process ended without a word. “orchestrate resume ${run.run}” goes on from here.`, null]);
    if (run.status === "suspended") {
      const needs = run.needs.map((need) => make("li", {}, `It waits for: ${line(need)}`));
      waits.push(make("ul", { class: "going" }, ...needs, make("li", {}, `Once that is there, “orchestrate resume ${run.run}” goes on.`)));
    }
    for (const call of calls) for (const check of call.checks || []) if (!check.passed) problems.push([`check “${check.name}”: ${whole(check.message)}`, call]);
    for (const call of calls) if (tone(call.outcome) === "bad" && call.depth) problems.push([`${call.name}: ${whole(call.error || call.outcome)}`, call]);
    box.replaceChildren(...waits);
    if (!calls.length) box.append(make("p", { class: "going" }, "No call is on record."));
    if (run.status === "running" && !document.body.dataset.live) box.append(make("p", { class: "going" }, "… The run goes on. This is how far it was when the page was written."));
    if (problems.length) {
      const item = ([text, call]) => make("li", {}, make("span", { class: "bad" }, "✗"), call ? make("button", { type: "button", onclick: () => choose(call.at_row, true) }, line(text)) : line(text));
      const more = problems.slice(6);
      box.append(make("div", { class: "problems" }, make("ul", {}, ...problems.slice(0, 6).map(item)),
        more.length ? make("details", {}, make("summary", {}, `${more.length.toLocaleString("en")} more`), make("ul", {}, ...more.slice(0, 200).map(item))) : null));
    }
    if (run.answer !== null) {
      const text = whole(run.answer), isShort = text.split("\n").length <= 14 && text.length < 900;
      box.append(make("details", { class: "answer", open: isShort ? "open" : false }, make("summary", {}, make("strong", {}, "Answer"), " ", make("span", { class: "brief" }, line(text).slice(0, 200))), value(run.answer)));
    }
    const most = dearest();
    if (most) {
      box.append(make("p", { class: "most" }, run.spent.usd || run.spent.tokens ? "Dearest call: " : "Slowest call: ",
        make("button", { type: "button", onclick: () => choose(most.at_row, true) }, most.label), " ", make("span", { class: "faint" }, dot(cost(most.usd, most.tokens), time(most.ms)))));
    }
  };
  const dearest = () => {
    const more = (a, b) => (a.usd || 0) - (b.usd || 0) || (a.tokens || 0) - (b.tokens || 0) || (a.ms || 0) - (b.ms || 0);
    return calls.slice(1).reduce((most, call) => most === null || more(call, most) > 0 ? call : most, null);
  };
  const line = (text) => { const flat = text.replace(/\s+/g, " "); return flat.length > 240 ? `${flat.slice(0, 240)}…` : flat; };

  // ---- the list of calls: rows in view only ----
  const paint = () => {
    const tree = $("tree"), first = Math.max(0, Math.floor(tree.scrollTop / ROW) - OVERSCAN);
    const last = Math.min(shown.length, Math.ceil((tree.scrollTop + tree.clientHeight) / ROW) + OVERSCAN);
    const hits = new Set(found);
    $("space").replaceChildren(...shown.slice(first, last).map((at, place) => rowOf(at, first + place, hits)));
    tree.setAttribute("aria-activedescendant", `call-${calls.length ? calls[selected].id : ""}`);
  };
  const rowOf = (at, row, hits) => {
    const call = calls[at], isOpen = open.has(call.id), has = call.children.length > 0;
    const bar = make("i", { class: tone(call.outcome), title: dot(`from ${time(call.at) || "0"}`, time(call.ms)) });
    bar.style.left = `${Math.min(99.5, 100 * call.at / total)}%`;
    bar.style.width = `${Math.max(0.4, Math.min(100, 100 * (call.ms === null ? total - call.at : call.ms) / total))}%`;
    const what = make("span", { class: "what" },
      make("span", { class: "fold", onclick: (event) => { event.stopPropagation(); turn(at); } }, has ? (isOpen ? "▾" : "▸") : ""),
      make("span", { class: `sign ${tone(call.outcome)}` }, sign(call.outcome)), make("span", { class: "name", title: call.label }, call.label));
    what.style.paddingLeft = `${Math.min(call.depth, 12) * 16}px`;
    const one = make("div", {
      class: `row${hits.has(at) ? " hit" : ""}`, role: "treeitem", id: `call-${call.id}`, "aria-level": call.depth + 1,
      "aria-selected": String(at === selected), "aria-expanded": has ? String(isOpen) : false, onclick: () => choose(at, narrow()),
    }, what, make("span", { class: "bar" }, bar), costOf(call), make("span", { class: "num" }, time(call.ms)));
    one.style.top = `${row * ROW}px`;
    return one;
  };
  const costOf = (call) => {
    const one = make("span", { class: "num share" }, cost(call.usd, call.tokens)), top = calls[0];
    one.style.setProperty("--part", `${Math.min(100, 100 * (top.usd ? (call.usd || 0) / top.usd : top.tokens ? (call.tokens || 0) / top.tokens : 0))}%`);
    return one;
  };
  const narrow = () => matchMedia("(max-width: 860px)").matches;
  const turn = (at) => { const id = calls[at].id; if (open.has(id)) open.delete(id); else open.add(id); list(); };
  const reveal = (at) => {
    for (let up = calls[at].parent; up !== undefined; up = calls[up].parent) open.add(calls[up].id);
    list();
    const tree = $("tree"), top = calls[at].row * ROW;
    if (top < tree.scrollTop + ROW || top > tree.scrollTop + tree.clientHeight - 2 * ROW) tree.scrollTop = top - tree.clientHeight / 3;
    paint();
  };
  const choose = (at, read = false) => {
    selected = at;
    lanes.choose(at);
    if (isShown(at)) { const tree = $("tree"), top = calls[at].row * ROW; if (top < tree.scrollTop) tree.scrollTop = top; else if (top > tree.scrollTop + tree.clientHeight - ROW) tree.scrollTop = top - tree.clientHeight + ROW; paint(); } else reveal(at);
    detail();
    if (!narrow() && $("detail").getBoundingClientRect().top < 0) $("detail").scrollIntoView();
    try { history.replaceState(null, "", `#${calls[at].id}`); } catch { /* some viewers keep no address */ }
    if (read) { $("detail").focus({ preventScroll: true }); if (narrow()) $("detail").scrollIntoView(); }
  };

  // ---- one call ----
  const value = (text, language = "") => {
    if (text === "" || text === undefined || text === null) return make("pre", { class: language }, make("span", { class: "cut" }, "nothing"));
    if (typeof text === "string") return make("pre", { class: language }, ...marked(text));
    const cut = dot(`${(text.n - text.head.length - text.tail.length).toLocaleString("en")} of ${text.n.toLocaleString("en")} characters left out`);
    return make("pre", { class: language }, ...marked(text.head), "\n", make("span", { class: "cut" }, `[${cut}${text.blob ? "; " : ""}`,
      text.blob ? make("a", { href: text.blob }, "all of it") : "", "]"), "\n", ...marked(text.tail));
  };
  const marked = (text) => {
    if (words.length < 2) return [text];
    const low = text.toLowerCase(), pieces = [];
    let from = 0;
    for (let at = low.indexOf(words); at >= 0 && pieces.length < 400; at = low.indexOf(words, from)) {
      pieces.push(text.slice(from, at), make("mark", {}, text.slice(at, at + words.length)));
      from = at + words.length;
    }
    return [...pieces, text.slice(from)];
  };
  const code = (pieces, cls) => make("pre", { class: cls }, ...pieces.flatMap((piece) => typeof piece === "string" ? marked(piece) : [make("span", { class: piece[1] === "num" ? "codenum" : piece[1] }, ...marked(piece[0]))]));
  // A long text is folded, unless it has what is searched for.
  const folded = (text) => {
    const all = whole(text), title = `${count(all.split("\n").length, "line")}, ${count(text.n || all.length, "character")}`;
    return make("details", { open: hasWords(all) ? "open" : false }, make("summary", {}, title), value(text));
  };
  const hasWords = (text) => words.length > 1 && text.toLowerCase().includes(words);
  const isBrief = (text) => { const all = whole(text || ""); return all.length < 1600 && all.split("\n").length <= FOLD_LINES; };

  const detail = () => {
    const call = calls[selected], box = $("detail"), parts = [];
    const path = [];
    for (let up = call.parent; up !== undefined; up = calls[up].parent) path.unshift(up);
    parts.push(make("button", { type: "button", class: "back", onclick: () => { $("tree").scrollIntoView({ block: "center" }); $("tree").focus(); } }, "↑ calls"));
    parts.push(make("p", { class: "path" }, ...path.flatMap((at) => [make("button", { type: "button", onclick: () => choose(at) }, calls[at].name), " › "]), `call ${call.id}`));
    parts.push(make("h2", {}, make("span", { class: tone(call.outcome) }, `${sign(call.outcome)} `), call.name));
    const figures = [(call.outcome || (run.status === "running" ? "running" : "not finished")).replace("_", " "), time(call.ms), call.calls ? count(call.calls, "model request") : "", call.tokens ? `${call.tokens.toLocaleString("en")} tokens` : "", money(call.usd),
      call.model || "", call.node ? `on ${call.node}` : "", call.strategy ? `strategy ${call.strategy}` : "", call.children.length ? `${count(call.children.length, "call")} made` + (call.calls ? ", counted in" : "") : "", `began at ${time(call.at) || "0"}`];
    parts.push(make("p", { class: "figures" }, ...figures.filter(Boolean).map((text) => make("span", {}, text))));
    if (call.error) parts.push(make("div", { class: "error" }, ...marked(whole(call.error))));
    const checks = [...(call.checks || [])].sort((a, b) => a.passed - b.passed);
    if (checks.length) parts.push(make("h3", {}, "Checks"), ...checks.map((check) => make("p", { class: "check" }, make("span", { class: check.passed ? "good" : "bad" }, check.passed ? "✓" : "✗"), make("span", {}, check.name + (check.passed ? "" : `: ${whole(check.message)}`)))));
    if (call.diverged) parts.push(make("h3", {}, "Otherwise than on record"), ...call.diverged.map((text) => make("p", {}, text)));
    if (call.arguments) parts.push(make("h3", {}, call.depth ? "Arguments" : "Inputs"), isBrief(call.arguments) ? value(call.arguments) : folded(call.arguments));
    if (call.outcome !== null && !call.error && call.depth) parts.push(make("h3", {}, "Result"), isBrief(call.value) ? value(call.value) : folded(call.value));
    if (call.children.length) parts.push(make("h3", {}, "Where it went"), whereItWent(call));
    if (call.printed) parts.push(make("h3", {}, "Printed"), value(call.printed));
    if ((call.turns || []).length || (call.cells || []).length) parts.push(make("h3", {}, "What it did"), ...turns(call));
    if (!call.depth && run.source.length) parts.push(make("h3", {}, "Workflow"), make("details", {}, make("summary", {}, "as it was when the run began"), code(run.source, "")));
    box.replaceChildren(...parts);
  };
  // What a call and all below it took, by what was called: each call's own cost, without that of its calls.
  const whereItWent = (call) => {
    const kinds = new Map(), end = after(call.at_row);
    for (let at = call.at_row; at < end; at += 1) {
      const one = calls[at], own = (name) => Math.max(0, (one[name] || 0) - one.children.reduce((sum, child) => sum + (calls[child][name] || 0), 0));
      const kind = kinds.get(one.name) || { name: one.name, n: 0, failed: 0, usd: 0, tokens: 0, ms: 0 };
      kind.n += 1; kind.failed += one.tone === "bad"; kind.usd += own("usd"); kind.tokens += own("tokens"); kind.ms += one.ms || 0;
      kinds.set(one.name, kind);
    }
    const of = call.usd ? "usd" : call.tokens ? "tokens" : "ms";
    const rows = [...kinds.values()].sort((a, b) => b[of] - a[of]), all = rows.reduce((sum, kind) => sum + kind[of], 0) || 1;
    const row = (kind) => {
      const bar = make("i");
      bar.style.width = `${100 * kind[of] / all}%`;
      return make("tr", {}, make("td", {}, make("button", { type: "button", title: "search for it", onclick: () => lookFor(kind.name) }, kind.name)), make("td", { class: "part" }, bar),
        make("td", { class: "num" }, count(kind.n, "call")), make("td", { class: "num bad" }, kind.failed ? `${kind.failed.toLocaleString("en")} failed` : ""),
        make("td", { class: "num" }, cost(kind.usd, kind.tokens)), make("td", { class: "num" }, time(kind.ms)));
    };
    return make("table", { class: "went" }, ...rows.slice(0, 12).map(row), rows.length > 12 ? make("tr", {}, make("td", { colspan: 6 }, `and ${rows.length - 12} more`)) : null);
  };
  const turns = (call) => {
    const boxes = [], made = new Map();
    for (const at of call.children) { const key = calls[at].during; made.set(key, [...(made.get(key) || []), at]); }
    const cellsOf = (place) => (call.cells || []).map((cell, number) => [cell, number]).filter(([cell]) => cell.turn === place);
    if (cellsOf(-1).length) boxes.push(make("div", { class: "turn" }, ...cellsOf(-1).map(([cell, number]) => cellBox(cell, made.get(number)))));
    (call.turns || []).forEach((one, place) => {
      const asked = one.model !== "";
      const title = dot(one.attempt > 1 || call.turns.some((other) => other.attempt > 1) ? `attempt ${one.attempt}` : "", one.strategy, asked ? `turn ${one.number}` : "", one.model,
        one.tokens_in ? `${one.tokens_in.toLocaleString("en")} tokens in, ${one.tokens_out.toLocaleString("en")} out` : "", money(one.usd), time(one.ms));
      boxes.push(make("div", { class: "turn" }, make("p", {}, title),
        one.problem ? make("div", { class: "error" }, one.problem) : null,
        one.messages.length ? make("details", {}, make("summary", {}, count(one.messages.length, "new message") + " to the model"), make("div", {}, ...one.messages.map((message) => make("div", {}, make("p", { class: "faint" }, message.role), value(message.text))))) : null,
        one.reply !== null && asked ? make("details", { open: hasWords(whole(one.reply)) && !(call.cells || []).some((cell) => cell.turn === place) ? "open" : false }, make("summary", {}, "its reply, as it came"), value(one.reply)) : null,
        ...cellsOf(place).map(([cell, number]) => cellBox(cell, made.get(number)))));
    });
    return boxes;
  };
  const cellBox = (cell, made = []) => make("div", { class: "cell" },
    make("p", { class: "caption" }, dot(`cell ${cell.number}`, time(cell.ms), cell.answered ? "answered" : "")),
    code(cell.source, "source"), cell.output ? value(cell.output, "output") : null,
    cell.error && !whole(cell.output || "").includes(cell.error) ? make("div", { class: "error" }, cell.error) : null,
    made.length ? make("p", { class: "chips" }, ...made.slice(0, 12).map((at) => make("button", { type: "button", onclick: () => choose(at) }, `${sign(calls[at].outcome)} ${calls[at].name}`)), made.length > 12 ? make("span", {}, `and ${count(made.length - 12, "call")} more`) : null) : null);

  // ---- search ----
  const textOf = (call) => {
    if (call.text === null) {
      const cells = (call.cells || []).flatMap((cell) => [...cell.source.map((piece) => typeof piece === "string" ? piece : piece[0]), whole(cell.output || ""), cell.error]);
      const said = (call.turns || []).flatMap((one) => [whole(one.reply || ""), one.problem]);
      call.text = [call.id, call.label, call.name, call.outcome, call.model, call.node, whole(call.error || ""), whole(call.arguments || ""), whole(call.value || ""), whole(call.printed || ""), cells.join(""), ...said].join("\n").toLowerCase();
    }
    return call.text;
  };
  // Makes ready what is searched while nothing else is to do, so that the first search waits for it no more than others.
  const makeReady = (at = 0) => requestIdleCallback((idle) => {
    while (at < calls.length && idle.timeRemaining() > 1) { textOf(calls[at]); at += 1; }
    if (at < calls.length) makeReady(at);
  });
  const search = (typed) => {
    words = typed.trim().toLowerCase();
    found = words ? calls.map((_, at) => at).filter((at) => textOf(calls[at]).includes(words)) : [];
    lanes.found(found);
    $("found").textContent = words ? (found.length ? count(found.length, "call") : "nothing") : "";
    paint();
  };
  const next = (among, step) => {
    if (!among.length) return;
    const ahead = step > 0 ? among.find((at) => at > selected) : [...among].reverse().find((at) => at < selected);
    choose(ahead === undefined ? among[step > 0 ? 0 : among.length - 1] : ahead);
  };

  // ---- keys ----
  const moves = {
    ArrowDown: () => step(1), j: () => step(1), ArrowUp: () => step(-1), k: () => step(-1),
    PageDown: () => step(15), PageUp: () => step(-15), Home: () => choose(shown[0]), End: () => choose(shown[shown.length - 1]),
    ArrowRight: () => { const call = calls[selected]; if (call.children.length && !open.has(call.id)) turn(selected); else if (call.children.length) choose(call.children[0]); },
    ArrowLeft: () => { const call = calls[selected]; if (call.children.length && open.has(call.id)) turn(selected); else if (call.parent !== undefined) choose(call.parent); },
    Enter: () => choose(selected, true), "/": () => $("search").focus(), "?": () => $("keys").showModal(), t: () => window.turnTheme(),
    n: () => next(found, 1), p: () => next(found, -1),
    f: () => next(calls.filter((call) => tone(call.outcome) === "bad" || (call.checks || []).some((check) => !check.passed)).map((call) => call.at_row), 1),
    c: () => { const most = dearest(); if (most) choose(most.at_row); },
    Escape: () => $("tree").focus(),
  };
  const step = (by) => choose(shown[Math.max(0, Math.min(shown.length - 1, calls[selected].row + by))]);
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || $("keys").open || !calls.length) return;
    if (event.target === $("search")) {
      if (event.key === "Enter") { event.preventDefault(); next(found, event.shiftKey ? -1 : 1); }
      else if (event.key === "Escape") { $("search").value = ""; search(""); $("tree").focus(); }
      return;
    }
    if (!isShown(selected)) reveal(selected);
    const inText = $("detail").contains(event.target) && ["PageDown", "PageUp", "Home", "End", "ArrowDown", "ArrowUp", "Enter"].includes(event.key);
    const isButton = event.target.closest("button, summary, a") && ["Enter", " "].includes(event.key);
    if (moves[event.key] && !inText && !isButton) { event.preventDefault(); moves[event.key](); }
  });
  let waiting = 0;
  const searched = () => { search($("search").value); if (found.length) next(found.includes(selected) ? [selected] : found, 1); else if (calls.length) detail(); };
  const lookFor = (text) => { $("search").value = text; searched(); };
  $("search").addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(searched, calls.length > 2000 ? 40 : 0); });
  $("help").addEventListener("click", () => $("keys").showModal());
  $("keys").addEventListener("close", () => document.activeElement === $("search") || $("tree").focus({ preventScroll: true })); // else its button keeps the next key
  $("tree").addEventListener("scroll", paint, { passive: true });
  const measure = () => { ROW = matchMedia("(pointer: coarse)").matches ? 40 : 28; };
  addEventListener("resize", () => { measure(); list(); });
  addEventListener("hashchange", () => { const call = wantedCall(); if (call) choose(call.at_row); });

  const lanes = window.timeline($("lanes"), (at) => choose(at));
  measure();
  load(JSON.parse($("data").textContent));
  performance.mark("drawn");
  if (window.requestIdleCallback) makeReady();
  // What is told of a run that goes on: its head, and the calls that changed.
  const placed = (a, b) => { const x = a.id.split("."), y = b.id.split("."); for (let n = 0; n < Math.min(x.length, y.length); n += 1) if (x[n] !== y[n]) return x[n] - y[n]; return x.length - y.length; };
  const merge = (data) => {
    const all = new Map(calls.map((call) => [call.id, call])), changed = new Set(data.calls.map((call) => call.id));
    for (const call of data.calls) {
      if (!all.has(call.id) && all.size <= MANY) open.add(call.id);
      all.set(call.id, call);
    }
    data.calls = [...all.values()].sort(placed);
    load(data, changed);
  };
  if (window.follow) window.follow({ run: (text) => merge(JSON.parse(text)) });
})();
