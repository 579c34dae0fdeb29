"use strict";
(() => {
  // Tables: a click on a column's head sorts by it, a second one the other way round; what has no value stays below.
  const compare = (a, b) => {
    const [x, y] = [Number(a), Number(b)];
    return Number.isNaN(x) || Number.isNaN(y) ? a.localeCompare(b, "en", { numeric: true }) : x - y;
  };
  const sort = (button) => {
    const head = button.closest("th");
    const up = head.getAttribute("aria-sort") !== "ascending";
    const key = (row) => row.cells[head.cellIndex].dataset.key ?? row.cells[head.cellIndex].textContent.trim();
    const body = head.closest("table").tBodies[0];
    for (const other of head.parentNode.cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
    const rows = [...body.rows].map((row) => [key(row), row]);
    rows.sort(([a], [b]) => (a === "") - (b === "") || (up ? compare(a, b) : compare(b, a)));
    body.append(...rows.map(([, row]) => row));
  };

  // Values: shown beside what is pointed at, tapped or reached by the keyboard.
  const tooltip = document.getElementById("tooltip");
  for (const part of document.querySelectorAll(".tip")) {
    const title = part.querySelector(":scope > title");
    part.dataset.tip = title ? title.textContent : part.title;
    if (title) title.remove();
    else part.removeAttribute("title");
  }
  const near = (x, y) => {
    for (const [dx, dy] of [[0, 0], [3, 0], [-3, 0], [0, 3], [0, -3], [5, 5], [-5, -5], [5, -5], [-5, 5]]) {
      const part = document.elementFromPoint(x + dx, y + dy)?.closest(".tip");
      if (part) return part;
    }
    return null;
  };
  const show = (part, x, y) => {
    tooltip.hidden = !part;
    if (!part) return;
    tooltip.textContent = part.dataset.tip;
    const { width, height } = tooltip.getBoundingClientRect();
    const above = y - height - 12;
    tooltip.style.left = `${Math.max(8, Math.min(x + 12, innerWidth - width - 8))}px`;
    tooltip.style.top = `${above > 8 ? above : y + 16}px`;
  };
  document.addEventListener("pointermove", (event) => show(near(event.clientX, event.clientY), event.clientX, event.clientY));
  document.addEventListener("pointerdown", (event) => show(near(event.clientX, event.clientY), event.clientX, event.clientY));
  document.addEventListener("scroll", () => show(null), { capture: true, passive: true });
  document.addEventListener("focusin", (event) => {
    const part = event.target.closest(".tip");
    const box = part?.getBoundingClientRect();
    show(part, box?.left, box?.top);
  });
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") show(null); });
  document.addEventListener("click", (event) => {
    const button = event.target.closest("table.sortable th button");
    if (button) sort(button);
  });
  if (matchMedia("(max-width: 72rem)").matches) document.querySelector("nav details").open = false;
})();
