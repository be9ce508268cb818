"use strict";
(() => {
  const bar = document.getElementById("find"), query = document.getElementById("query"), count = document.getElementById("count");
  const items = [...document.querySelectorAll("[data-a]")].map((node) => ({ node, action: node.dataset.a, look: node.dataset.look === "1", text: "" }));
  const groups = [...document.querySelectorAll("[data-group]")].map((node) => ({ node, items: [...node.querySelectorAll("[data-a]")] }));
  const counted = { create: 1, update: 1, disable: 1, enable: 1, delete: 1, restore: 1, group: 1 };
  const total = items.filter((item) => item.action in counted).length;
  let ready = false;
  const chosen = () => document.querySelector("#find input[name=show]:checked").value;
  const fits = (item, show) => show === "all" || item.action === show || (show === "look" && item.look);
  const go = () => {
    if (!ready) { for (const item of items) item.text = item.node.textContent.toLowerCase(); ready = true; }
    const words = query.value.toLowerCase().split(/\s+/).filter(Boolean), show = chosen();
    let shown = 0;
    for (const item of items) {
      const hit = fits(item, show) && words.every((word) => item.text.includes(word));
      if (item.node.hidden === hit) item.node.hidden = !hit;
      if (hit && item.action in counted) shown += 1;
    }
    for (const fold of document.querySelectorAll(".finding details")) fold.open = words.length > 0;
    for (const group of groups) group.node.hidden = group.items.every((node) => node.hidden);
    count.textContent = words.length || show !== "all" ? `${shown.toLocaleString("en")} of ${total.toLocaleString("en")}` : "";
    document.getElementById("nothing").hidden = groups.some((group) => !group.node.hidden);
  };
  let waiting = 0;
  query.addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(go, items.length > 2000 ? 150 : 0); });
  bar.addEventListener("change", go);
  bar.hidden = false;
  const wanted = /^#q=(.*)$/.exec(location.hash);
  if (wanted) { query.value = decodeURIComponent(wanted[1]); go(); }
})();
