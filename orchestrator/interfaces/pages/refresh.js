"use strict";
// Puts the page as it is now in the place of the one that is shown, without moving the reader.
(() => {
  if (!window.follow) return;
  const each = (root, selector) => [...root.querySelectorAll(selector)];
  let busy = false, again = false;
  const renew = async () => {
    if (busy) { again = true; return; }
    busy = true;
    try {
      const reply = await fetch(location.pathname, { cache: "no-store", redirect: "error" });
      if (reply.ok) show(new DOMParser().parseFromString(await reply.text(), "text/html").getElementById("live"));
    } catch { /* the next change tries again */ }
    busy = false;
    if (again) { again = false; renew(); }
  };
  const show = (next) => {
    const now = document.getElementById("live"), tools = now.querySelector(".tools"), focused = document.activeElement;
    if (now.querySelector("main").innerHTML === next.querySelector("main").innerHTML) return;
    const address = focused && now.contains(focused) ? focused.getAttribute("href") : null;
    each(next, "details").forEach((one, at) => { one.open = !!(each(now, "details")[at] || {}).open; });
    const places = each(now, ".wide").map((one) => [one.scrollLeft, one.scrollTop]);
    next.querySelector(".tools").replaceWith(tools);
    now.replaceWith(document.adoptNode(next));
    each(next, ".wide").forEach((one, at) => { if (places[at]) [one.scrollLeft, one.scrollTop] = places[at]; });
    const same = address && each(next, "a").find((one) => one.getAttribute("href") === address);
    if (same) same.focus({ preventScroll: true });
  };
  window.follow({ changed: renew });
})();
