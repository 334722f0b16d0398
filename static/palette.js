// The command palette: finds things and commands as one types. What is found, and for whom, the
// server says. Without this file its trigger leads to the search page, which shows the same.
(() => {
  const palette = document.getElementById("palette");
  if (!palette) return;
  const PAUSE = 80; // Milliseconds without a key before the server is asked.
  const SKELETON_AFTER = 200;
  const VISITS = "mist_visits";
  const VISITS_MAX = 12;
  const input = palette.querySelector("input[role=combobox]");
  const list = document.getElementById("palette-list");
  const state = palette.querySelector("[data-palette-state]");
  const skeleton = palette.querySelector("[data-palette-skeleton]");
  const act = palette.querySelector("[data-palette-act]");
  const isMac = /Mac|iPhone|iPad/.test(navigator.platform);

  // -------------------------------------------------------------------------------------- visits

  const visits = () => {
    try {
      const kept = JSON.parse(localStorage.getItem(VISITS) ?? "[]");
      return Array.isArray(kept) ? kept.filter((path) => typeof path === "string") : [];
    } catch {
      return [];
    }
  };
  try {
    // Addresses only: what they lead to, the server says to who may see it.
    const here = location.pathname;
    const others = visits().filter((path) => path !== here);
    localStorage.setItem(VISITS, JSON.stringify([here, ...others].slice(0, VISITS_MAX)));
  } catch {
    // A browser that keeps nothing has no recent pages.
  }

  // ------------------------------------------------------------------------------------- results

  const options = () => [...list.querySelectorAll('a[role="option"]')];
  const selected = () => list.querySelector('[aria-selected="true"]');
  const select = (option) => {
    selected()?.setAttribute("aria-selected", "false");
    if (!option) {
      input.removeAttribute("aria-activedescendant");
      return;
    }
    option.setAttribute("aria-selected", "true");
    input.setAttribute("aria-activedescendant", option.id);
    // The heading of a group comes into view with its first line.
    const first = option.previousElementSibling?.id.startsWith("palette-");
    (first ? option.previousElementSibling : option).scrollIntoView({ block: "nearest" });
    option.scrollIntoView({ block: "nearest" });
  };
  const show = (html) => {
    list.innerHTML = html;
    options().forEach((option, index) => { option.id = `palette-option-${index}`; });
    list.scrollTop = 0;
    select(options()[0]);
    state.textContent = list.querySelector("[data-palette-count]")?.textContent ?? "";
  };

  let asked = 0; // Of several answers only the one to the last question counts.
  let answered = 0;
  let timer = null;
  let request = null;
  let chosen = null; // Enter was pressed before the answer came.
  const ask = async () => {
    const mine = ++asked;
    request?.abort();
    request = new AbortController();
    const query = new URLSearchParams({ q: input.value, here: location.pathname });
    if (!input.value.trim()) for (const path of visits().slice(0, 8)) query.append("recent", path);
    const wait = setTimeout(() => {
      if (!options().length) list.replaceChildren(skeleton.content.cloneNode(true));
      list.setAttribute("aria-busy", "true");
    }, SKELETON_AFTER);
    try {
      const answer = await fetch(`${palette.dataset.source}?${query}`, {
        headers: { "HX-Request": "true" },
        signal: request.signal,
      });
      if (mine !== asked) return;
      if (answer.headers.has("HX-Redirect")) {
        location.assign(answer.headers.get("HX-Redirect"));
        return;
      }
      if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
      const html = await answer.text();
      if (mine !== asked) return;
      answered = mine;
      show(html);
      if (chosen) open(selected(), chosen.elsewhere);
      chosen = null;
    } catch (error) {
      if (error.name === "AbortError" || mine !== asked) return;
      chosen = null;
      list.replaceChildren();
      state.textContent = "Mist does not answer. Type to try again";
    } finally {
      clearTimeout(wait);
      if (mine === asked) list.removeAttribute("aria-busy");
    }
  };
  const askSoon = () => {
    asked += 1;
    clearTimeout(timer);
    timer = setTimeout(ask, PAUSE);
  };

  // --------------------------------------------------------------------------------------- opening

  const open = (option, elsewhere) => {
    if (!option) return;
    if (option.hasAttribute("data-posts")) {
      act.action = option.href;
      close();
      act.requestSubmit();
    } else if (option.hasAttribute("data-confirm")) {
      close();
      document.dispatchEvent(new CustomEvent("mist:ask", { detail: option.href }));
    } else if (elsewhere) {
      window.open(option.href, "_blank", "noopener");
    } else {
      close();
      location.assign(option.href);
    }
  };
  const close = () => {
    palette.close();
    // Where nothing had the focus before, it would stay here until the next frame, and take keys.
    if (document.activeElement === input) input.blur();
  };
  const start = () => {
    if (palette.open) return;
    input.value = "";
    list.replaceChildren();
    state.textContent = "";
    palette.showModal();
    input.focus();
    ask();
  };
  palette.addEventListener("close", () => {
    clearTimeout(timer);
    request?.abort();
    asked += 1;
    chosen = null;
  });

  // ---------------------------------------------------------------------------------------- events

  document.addEventListener("keydown", (event) => {
    const mod = isMac ? event.metaKey : event.ctrlKey;
    if (!mod || event.altKey || event.shiftKey || event.key.toLowerCase() !== "k") return;
    event.preventDefault();
    if (palette.open) close();
    else if (!document.querySelector("dialog[open]")) start();
  });
  document.addEventListener("click", (event) => {
    const trigger = event.target.closest("[data-search]");
    if (!trigger || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    start();
  });
  palette.addEventListener("click", (event) => {
    if (event.target === palette || event.target.closest("[data-palette-close]")) {
      close();
      return;
    }
    const option = event.target.closest('a[role="option"]');
    if (!option || event.defaultPrevented) return;
    const elsewhere = event.ctrlKey || event.metaKey;
    if (elsewhere && !option.hasAttribute("data-posts") && !option.hasAttribute("data-confirm")) return;
    event.preventDefault();
    event.stopPropagation();
    open(option, false);
  });
  list.addEventListener("pointermove", (event) => {
    const option = event.target.closest('a[role="option"]');
    if (option && option !== selected()) {
      selected()?.setAttribute("aria-selected", "false");
      option.setAttribute("aria-selected", "true");
      input.setAttribute("aria-activedescendant", option.id);
    }
  });
  input.addEventListener("input", askSoon);
  input.addEventListener("keydown", (event) => {
    if (event.isComposing) return;
    const all = options();
    const at = all.indexOf(selected());
    const moves = {
      ArrowDown: () => all[(at + 1) % all.length],
      ArrowUp: () => all[(at - 1 + all.length) % all.length],
      PageDown: () => all[Math.min(at + 8, all.length - 1)],
      PageUp: () => all[Math.max(at - 8, 0)],
    };
    if (event.key in moves) {
      event.preventDefault();
      if (all.length) select(moves[event.key]());
    } else if (event.key === "Escape") {
      event.preventDefault();
      close();
    } else if (event.key === "Enter") {
      event.preventDefault();
      const elsewhere = event.ctrlKey || event.metaKey;
      if (answered === asked) open(selected(), elsewhere);
      else chosen = { elsewhere };
    }
  });

  if (isMac) {
    for (const key of document.querySelectorAll(".search-trigger .kbd")) key.textContent = "⌘ K";
    palette.querySelector("[data-mod-enter]").textContent = "⌘ Enter";
  }
})();
