// Runs before the first paint, so that a page never flashes in the wrong theme. The server has set
// the class already where the person chose a theme; else the system's one counts.
(() => {
  if (/(?:^|; )mist_theme=/.test(document.cookie)) return;
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  document.documentElement.classList.toggle("dark", dark);
})();
