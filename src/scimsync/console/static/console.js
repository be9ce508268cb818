"use strict";
// What htmx does not: a plan that is made is opened, and keys that a list is walked with.
document.addEventListener("htmx:sseClose", () => {
  const next = document.querySelector("a[data-next]");
  if (!next) return;
  if (next.dataset.next === "apply") next.focus(); else location.assign(next.href);
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  const drawer = document.getElementById("drawer");
  if (drawer && drawer.firstElementChild) { drawer.replaceChildren(); const last = document.querySelector("a.whom[data-open]"); if (last) last.focus(); }
});
document.addEventListener("htmx:beforeRequest", (event) => {
  if (!event.detail.elt.matches("a.whom")) return;
  for (const other of document.querySelectorAll("a.whom[data-open]")) delete other.dataset.open;
  event.detail.elt.dataset.open = "1";
});
document.addEventListener("htmx:afterSwap", (event) => {
  const drawer = event.target;
  if (drawer.id === "drawer" && drawer.firstElementChild) drawer.firstElementChild.focus();
});
