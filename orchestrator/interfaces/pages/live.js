"use strict";
// Follows what the server tells of the page's matter, and says beside the title whether it still does.
(() => {
  const address = document.body.dataset.live;
  if (!address) return;
  const say = (text, look) => {
    let state = document.getElementById("state");
    if (!state) {
      state = document.createElement("output");
      state.id = "state";
      document.querySelector(".tools").prepend(state);
    }
    state.textContent = text;
    state.className = look;
  };
  window.follow = (heard) => {
    const source = new EventSource(address);
    source.addEventListener("open", () => say("● live", "good"));
    source.addEventListener("error", () => say("○ not live: no answer from the server", "faint"));
    source.addEventListener("end", () => { source.close(); say("", ""); });
    source.addEventListener("problem", (event) => { source.close(); say(JSON.parse(event.data), "bad"); });
    for (const [name, take] of Object.entries(heard)) source.addEventListener(name, (event) => take(event.data));
  };
})();
