"use strict";
// Light or dark: as the system has it until somebody chooses; the choice is kept where the browser lets it.
(() => {
  const root = document.documentElement;
  const kept = () => { try { return localStorage.getItem("theme"); } catch { return null; } };
  const keep = (theme) => { try { localStorage.setItem("theme", theme); } catch { /* a page from a file may keep nothing */ } };
  if (kept()) root.dataset.theme = kept();
  window.turnTheme = () => {
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    keep(root.dataset.theme);
    dispatchEvent(new Event("theme"));
  };
  const button = document.getElementById("theme");
  if (button) button.addEventListener("click", window.turnTheme);
})();
