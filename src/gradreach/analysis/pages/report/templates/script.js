"use strict";
(() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];

  // Tables: a click on a column's head sorts by it, a second one the other way round; what has no value stays below.
  const value = (cell) => {
    const text = cell.textContent.trim();
    const found = /^−?[\d,]*\.?\d+(e[−+]?\d+)?(?![\w.])/.exec(text);
    return found ? Number(found[0].replaceAll(",", "").replaceAll("−", "-")) : text.startsWith("–") ? "" : text;
  };
  const compare = (a, b) =>
    typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b), "en", { numeric: true });
  const sort = (button) => {
    const head = button.closest("th");
    const up = head.getAttribute("aria-sort") !== "ascending";
    const body = head.closest("table").tBodies[0];
    for (const other of head.parentNode.cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
    const rows = [...body.rows].map((row) => [value(row.cells[head.cellIndex]), row]);
    rows.sort(([a], [b]) => (a === "") - (b === "") || (up ? compare(a, b) : compare(b, a)));
    body.append(...rows.map(([, row]) => row));
  };
  const STEPS = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };
  // The heads of a table are one stop of the tab key; arrows go from one to the next.
  const alongHeads = (button, event) => {
    const buttons = all("th button", button.closest("tr"));
    const next = buttons[buttons.indexOf(button) + STEPS[event.key]];
    if (!next || event.key === "ArrowUp" || event.key === "ArrowDown") return;
    for (const each of buttons) each.tabIndex = each === next ? 0 : -1;
    next.focus();
    event.preventDefault();
  };

  // Values: shown beside what is pointed at, tapped or reached by arrow keys, with the runs that they rest on.
  const tooltip = document.getElementById("tooltip");
  const tips = ".tip, td[title], td[data-runs], .winners [title]";
  for (const part of all(tips)) {
    const title = part.querySelector(":scope > title");
    const text = title ? title.textContent : part.title;
    part.dataset.tip = text;
    if (!title) part.removeAttribute("title");
    else {
      part.setAttribute("aria-label", text);
      title.remove();
    }
  }
  const runs = (part) => {
    const ids = part.closest("[data-ids]")?.dataset.ids.split(" ") ?? [];
    const ranges = (part.dataset.runs ?? "").split(" ").filter(Boolean).map((range) => range.split("-").map(Number));
    return ranges.flatMap(([low, high = low]) => ids.slice(low, high + 1)).join(" ");
  };
  const tell = (part) => [part.dataset.tip, runs(part)].filter(Boolean).join("; runs ");
  const near = (x, y) => {
    for (const [dx, dy] of [[0, 0], [3, 0], [-3, 0], [0, 3], [0, -3], [5, 5], [-5, -5], [5, -5], [-5, 5]]) {
      const part = document.elementFromPoint(x + dx, y + dy)?.closest("[data-tip]");
      if (part) return part;
    }
    return null;
  };
  const show = (part, x, y) => {
    tooltip.hidden = !part;
    if (!part) return;
    tooltip.textContent = tell(part);
    const { width, height } = tooltip.getBoundingClientRect();
    const above = y - height - 12;
    tooltip.style.left = `${Math.max(8, Math.min(x + 12, innerWidth - width - 8))}px`;
    tooltip.style.top = `${above > 8 ? above : y + 16}px`;
  };
  const leave = () => {
    for (const part of all(".tip.here")) part.classList.remove("here");
    show(null);
  };
  const alongPoints = (picture, event) => {
    const points = all(".tip", picture);
    const at = points.findIndex((part) => part.classList.contains("here"));
    const next = points[at < 0 ? (STEPS[event.key] > 0 ? 0 : points.length - 1) : at + STEPS[event.key]];
    event.preventDefault();
    if (!next) return;
    leave();
    next.classList.add("here");
    next.scrollIntoView({ block: "nearest", inline: "nearest" });
    const box = next.getBoundingClientRect();
    requestAnimationFrame(() => show(next, box.left + box.width / 2, box.top));
  };
  for (const kind of ["pointermove", "pointerdown"]) {
    document.addEventListener(kind, (event) => show(near(event.clientX, event.clientY), event.clientX, event.clientY));
  }
  document.addEventListener("scroll", () => { if (!document.querySelector(".tip.here")) show(null); }, { capture: true, passive: true });
  document.addEventListener("focusout", leave);
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") leave();
    if (!(event.key in STEPS)) return;
    if (event.target.matches(".picture")) alongPoints(event.target, event);
    else if (event.target.matches("th button")) alongHeads(event.target, event);
  });
  document.addEventListener("click", (event) => {
    const button = event.target.closest("table.sortable th button");
    if (button) sort(button);
  });

  // A box that scrolls is a stop of the tab key, so that arrow keys can scroll it; one that does not is skipped.
  const boxes = () => {
    for (const box of all(".scroll")) {
      const scrolls = box.scrollWidth > box.clientWidth;
      for (const [name, said] of [["tabindex", "0"], ["role", "group"], ["aria-label", box.dataset.name]]) {
        if (scrolls) box.setAttribute(name, said);
        else box.removeAttribute(name);
      }
    }
  };
  addEventListener("resize", boxes);
  document.addEventListener("toggle", boxes, { capture: true });
  boxes();

  // Finding: an experiment stays where its head has all words, or one of its figures and tables has; those then open.
  const found = document.getElementById("found");
  const words = (element) => element.textContent.toLowerCase();
  let index = null;
  const read = () =>
    all(".experiment").map((section) => ({
      section,
      rest: section.querySelector(".rest"),
      head: `${section.id} ${section.id.replaceAll("_", " ")} ${words(section.querySelector(".head"))} ${words(section.querySelector(".caveats"))}`,
      parts: all(".find", section).map((part) => ({ part, text: words(part) })),
    }));
  const filter = (query) => {
    index ??= read();
    const asked = query.toLowerCase().split(/\s+/).filter(Boolean);
    const has = (text) => asked.every((word) => text.includes(word));
    const counts = { experiment: 0, figure: 0, table: 0 };
    for (const { section, rest, head, parts } of index) {
      const whole = has(head);
      const hits = parts.filter(({ text }) => whole || has(`${head} ${text}`));
      for (const { part } of parts) part.hidden = true;
      for (const { part } of hits) {
        part.hidden = false;
        counts[part.dataset.kind] += 1;
      }
      section.hidden = !whole && !hits.length;
      counts.experiment += !section.hidden;
      rest.open = asked.length > 0 && !whole && hits.some(({ part }) => rest.contains(part));
    }
    const said = Object.entries(counts).map(([kind, count]) => `${count} ${kind}${count === 1 ? "" : "s"}`);
    found.textContent = said.join(", ");
  };
  document.getElementById("search").addEventListener("input", (event) => filter(event.target.value));

  // A link into what is folded or was not found opens it.
  const open = () => {
    const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!target) return;
    if (target.closest("[hidden]")) {
      document.getElementById("search").value = "";
      filter("");
    }
    target.closest("details")?.setAttribute("open", "");
    target.scrollIntoView();
  };
  addEventListener("hashchange", open);
  open();

  // On a phone the list of claims is folded: the first experiment stands within a screen and a half.
  if (matchMedia("(max-width: 40rem)").matches) for (const each of all(".lines")) each.open = false;

  // On paper nothing is folded.
  let opened = [];
  addEventListener("beforeprint", () => {
    opened = all("details:not([open])");
    for (const each of opened) each.open = true;
  });
  addEventListener("afterprint", () => {
    for (const each of opened) each.open = false;
  });
})();
