"use strict";
// All calls of a run over time, on one canvas: each a bar in a lane of its own for as long as it took, so that calls
// that went on at once stand above each other. Its words are in the tree beside it, which keys lead through.
window.timeline = (canvas, choose) => {
  const GAP = 1, MAX_BAR = 11;
  const MAX_LANES = 120; // more do not fit; a call beyond them shares a lane
  let calls = [], total = 1, nLanes = 1, selected = -1, found = [];
  let base = document.createElement("canvas"); // what does not change when another call is chosen

  const load = (newCalls, newTotal) => {
    calls = newCalls; total = newTotal;
    nLanes = putIntoLanes();
    canvas.setAttribute("aria-label", `Calls over time, at most ${nLanes} at once`);
    canvas.style.height = `${Math.max(22, Math.min(96, nLanes * (MAX_BAR + GAP)))}px`;
    draw();
  };
  // The first lane that is free when the call begins: the fewest lanes that hold all (interval partitioning).
  const putIntoLanes = () => {
    const ends = [];
    for (const call of [...calls].sort((a, b) => a.at - b.at)) {
      let lane = ends.findIndex((end) => end <= call.at);
      if (lane < 0) lane = ends.length < MAX_LANES ? ends.length : ends.indexOf(Math.min(...ends));
      ends[lane] = Math.max(ends[lane] || 0, endOf(call));
      call.lane = lane;
    }
    return Math.max(1, ends.length);
  };
  const endOf = (call) => call.ms === null || call.ms === undefined ? total : call.at + call.ms;

  const draw = () => {
    const scale = window.devicePixelRatio || 1, { width, height } = canvas.getBoundingClientRect();
    if (!width) return;
    for (const one of [canvas, base]) { one.width = Math.round(width * scale); one.height = Math.round(height * scale); }
    const pen = base.getContext("2d"), colour = colours(), hits = new Set(found);
    for (const [at, call] of calls.entries()) {
      pen.fillStyle = found.length && !hits.has(at) ? colour.faint : colour[call.tone];
      pen.fillRect(...placeOf(call));
    }
    // Once more, so that nothing covers what failed.
    pen.fillStyle = colour.bad;
    for (const call of calls) if (call.tone === "bad") pen.fillRect(...placeOf(call));
    mark();
  };
  const mark = () => {
    const pen = canvas.getContext("2d"), call = calls[selected];
    pen.clearRect(0, 0, canvas.width, canvas.height);
    pen.drawImage(base, 0, 0);
    if (!call) return;
    const [left, top, width, height] = placeOf(call);
    pen.strokeStyle = colours().chosen;
    pen.lineWidth = 2 * (window.devicePixelRatio || 1);
    pen.strokeRect(left, top, Math.max(width, 3), Math.max(height, 3));
  };
  const placeOf = (call) => {
    const lane = canvas.height / nLanes, gap = lane > 4 ? GAP : 0;
    const left = canvas.width * call.at / total, right = canvas.width * endOf(call) / total;
    return [Math.min(left, canvas.width - 2), call.lane * lane, Math.max(1.5, right - left - gap), lane - gap];
  };
  const colours = () => {
    const style = getComputedStyle(document.documentElement), of = (name) => style.getPropertyValue(name).trim();
    return { good: of("--good-bar"), bad: of("--bad-bar"), busy: of("--busy-bar"), faint: of("--faint-bar"), chosen: of("--accent") };
  };

  // The call at a place, or the nearest one in that lane; later ones first, as they are drawn above.
  const callAt = (event) => {
    const box = canvas.getBoundingClientRect();
    const x = (event.clientX - box.left) / box.width * total, lane = Math.floor((event.clientY - box.top) / box.height * nLanes);
    let best = -1, least = total * 0.02;
    for (const [at, call] of calls.entries()) {
      if (call.lane !== lane) continue;
      const away = Math.max(call.at - x, x - endOf(call), 0);
      if (away <= least) { best = at; least = away; }
    }
    return best;
  };
  canvas.addEventListener("click", (event) => { const at = callAt(event); if (at >= 0) choose(at); });
  canvas.addEventListener("mousemove", (event) => {
    const at = callAt(event);
    canvas.title = at < 0 ? "" : calls[at].label;
    canvas.style.cursor = at < 0 ? "" : "pointer";
  });
  addEventListener("resize", draw);
  addEventListener("theme", draw);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  return {
    load,
    choose: (at) => { selected = at; mark(); },
    found: (among) => { const isSame = !among.length && !found.length; found = among; if (!isSame) draw(); },
  };
};
