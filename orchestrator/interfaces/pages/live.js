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
  // A browser opens few connections to one server: a page that nobody looks at gives its own back.
  window.follow = (heard) => {
    let source = null, over = false, missed = false;
    const end = (text, look) => { over = true; source.close(); say(text, look); };
    const connect = () => {
      source = new EventSource(address);
      source.addEventListener("open", () => { say("● live", "good"); if (missed && heard.changed) heard.changed(); missed = false; });
      source.addEventListener("error", () => { missed = true; say("○ not live: no answer from the server", "faint"); });
      source.addEventListener("end", () => end("", ""));
      source.addEventListener("problem", (event) => end(JSON.parse(event.data), "bad"));
      for (const [name, take] of Object.entries(heard)) source.addEventListener(name, (event) => take(event.data));
    };
    document.addEventListener("visibilitychange", () => {
      if (over) return;
      if (document.visibilityState === "visible") { if (source.readyState === EventSource.CLOSED) connect(); }
      else { missed = true; source.close(); say("○ paused", "faint"); }
    });
    connect();
  };
})();
