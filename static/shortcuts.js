// Keyboard shortcuts. Which there are, and where they lead, stands in the help sheet: each of its
// lines names its keys. Single keys can be switched off on the account page (WCAG 2.1.4).
(() => {
  const sheet = document.getElementById("shortcuts");
  if (!sheet || document.body.dataset.shortcuts === "off") return;
  const SEQUENCE_MS = 1500; // Between the two keys of a sequence.
  const lines = new Map();
  for (const line of sheet.querySelectorAll("[data-keys]")) lines.set(line.dataset.keys, line);
  const begins = (keys) => [...lines.keys()].some((known) => known.startsWith(`${keys} `));

  const isTyping = (target) =>
    target instanceof Element &&
    target.closest("input:not([type=checkbox], [type=radio]), textarea, select, [contenteditable]") !== null;

  const find = () => {
    const field = [...document.querySelectorAll("main input[type=search]")].find((f) => f.checkVisibility());
    if (field) { field.focus(); field.select(); }
    else document.querySelector("[data-search]")?.click();
  };
  const create = (line) => {
    const target = document.querySelector("main [data-create]");
    if (!target) { location.assign(line.href); return; }
    if (target.matches("summary")) {
      target.parentElement.open = true;
      target.parentElement.querySelector("input:not([type=hidden]), textarea")?.focus();
    } else if (target.matches("input")) target.focus();
    else target.click();
  };
  const actions = {
    find,
    create,
    sheet: () => (sheet.open ? sheet.close() : sheet.showModal()),
  };

  let first = "";
  let timer = null;
  const forget = () => {
    clearTimeout(timer);
    first = "";
  };
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.isComposing || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Shift" || isTyping(event.target)) return;
    const open = document.querySelector("dialog[open]");
    if (open && open !== sheet) return;
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const keys = first ? `${first} ${key}` : key;
    forget();
    if (begins(keys)) {
      first = keys;
      timer = setTimeout(forget, SEQUENCE_MS);
      return;
    }
    const line = lines.get(keys);
    if (!line) return;
    event.preventDefault();
    if (line.dataset.do !== "sheet" && sheet.open) sheet.close();
    if (line.dataset.do) actions[line.dataset.do](line);
    else location.assign(line.href);
  });
  sheet.addEventListener("click", (event) => {
    if (event.target === sheet) sheet.close();
    const line = event.target.closest("[data-do]");
    if (!line) return;
    event.preventDefault();
    sheet.close();
    if (line.dataset.do !== "sheet") actions[line.dataset.do](line);
  });
})();
