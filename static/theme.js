// Runs before the first paint, so that a page never flashes in the wrong theme. The server has set
// the class already where the person chose light or dark; else the system's theme counts, now and
// when it changes. Choosing works without this file too: each choice is a form.
(() => {
  const root = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: dark)");
  const chosen = () => /(?:^|; )mist_theme=(light|dark)/.exec(document.cookie)?.[1] ?? "system";
  const apply = () => {
    const theme = chosen();
    root.classList.toggle("dark", theme === "system" ? system.matches : theme === "dark");
    for (const button of document.querySelectorAll("[data-theme-choice] button")) {
      button.setAttribute("aria-pressed", button.value === theme);
    }
    dispatchEvent(new Event("mist:theme"));
  };
  const choose = (theme) => {
    const age = theme === "system" ? 0 : 31536000;
    document.cookie = `mist_theme=${theme};path=/;max-age=${age};samesite=lax`;
    apply();
  };
  if (chosen() === "system") root.classList.toggle("dark", system.matches);
  system.addEventListener("change", apply);

  document.addEventListener("click", (event) => {
    if (event.target.closest("[data-theme-toggle]")) choose(root.classList.contains("dark") ? "light" : "dark");
  });
  document.addEventListener("submit", (event) => {
    if (!event.target.matches("[data-theme-choice]") || !event.submitter) return;
    event.preventDefault();
    choose(event.submitter.value);
  });
})();
