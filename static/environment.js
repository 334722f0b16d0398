// The table of variables: a value is shown in its row, and a list of many can be narrowed down.
// Without this file a value comes with a page of its own, and the list is read as it is.
(() => {
  const hidden = new WeakMap(); // Cell → what it held before its value was shown.

  const reveal = async (button, form) => {
    const cell = button.closest("td");
    button.setAttribute("aria-busy", "true");
    try {
      const answer = await fetch(button.formAction, {
        method: "POST",
        body: new FormData(form),
        headers: { "HX-Request": "true" },
        redirect: "error",
      });
      const elsewhere = answer.headers.get("HX-Redirect"); // To confirm who it is, or to log in.
      if (elsewhere) {
        location.assign(elsewhere);
        return;
      }
      if (answer.status !== 200) throw new Error(`HTTP ${answer.status}`);
      const html = await answer.text();
      button.removeAttribute("aria-busy");
      hidden.set(cell, [...cell.childNodes]);
      cell.innerHTML = html;
      cell.querySelector("[data-hide]").focus();
    } catch {
      location.reload(); // Logged out, or gone: the page says which.
    }
  };
  // Before the listener that marks every sent form: this one stays on the page.
  addEventListener("submit", (event) => {
    if (event.target.id !== "reveal" || !event.submitter) return;
    event.preventDefault();
    reveal(event.submitter, event.target);
  }, { capture: true });
  document.addEventListener("click", (event) => {
    const link = event.target.closest("[data-hide]");
    const cell = link?.closest("td");
    if (!cell || !hidden.has(cell)) return;
    event.preventDefault();
    cell.replaceChildren(...hidden.get(cell));
    cell.querySelector("button").focus();
  });

  document.addEventListener("input", (event) => {
    const field = event.target.closest("[data-filter]");
    if (!field) return;
    const rows = [...document.querySelectorAll(`${field.dataset.filter} tbody tr`)];
    const words = field.value.trim().toLowerCase();
    let count = 0;
    for (const row of rows) {
      row.hidden = !row.cells[0].textContent.toLowerCase().includes(words);
      if (!row.hidden) count += 1;
    }
    const state = document.querySelector("[data-filter-count]");
    if (state) state.textContent = words ? `${count} of ${rows.length}` : "";
  });
})();
