// Small enhancements. Every page reads and works without this file. Listeners sit on the document,
// so that they also serve what HTMX swaps in.
(() => {
  const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];

  const copy = async (button) => {
    try {
      await navigator.clipboard.writeText(button.dataset.copy);
    } catch {
      return; // Browsers give the clipboard to secure pages only: then the text is there to select.
    }
    const label = button.getAttribute("aria-label");
    button.setAttribute("aria-label", "Copied");
    button.classList.add("text-success");
    setTimeout(() => {
      if (label) button.setAttribute("aria-label", label);
      else button.removeAttribute("aria-label");
      button.classList.remove("text-success");
    }, 1500);
  };

  const showPassword = (button) => {
    const field = button.parentElement.querySelector("input");
    const show = field.type === "password";
    field.type = show ? "text" : "password";
    button.setAttribute("aria-pressed", show);
    button.setAttribute("aria-label", show ? "Hide password" : "Show password");
  };

  document.addEventListener("click", (event) => {
    const found = (selector) => event.target.closest(selector);
    let button;
    if ((button = found("[data-copy]"))) copy(button);
    if ((button = found("[data-show-password]"))) showPassword(button);
    if ((button = found("[data-toast-close]"))) button.closest(".toast").remove();
    // Dialogs: browsers without invoker commands.
    if (!("commandForElement" in HTMLButtonElement.prototype)) {
      if ((button = found('[command="show-modal"]'))) {
        document.getElementById(button.getAttribute("commandfor"))?.showModal();
      }
    }
  });

  // A form is sent once, however often its button is pressed.
  document.addEventListener("submit", (event) => {
    const button = event.submitter;
    if (event.defaultPrevented || event.target.method !== "post" || !button) return;
    if (button.getAttribute("aria-busy") === "true") event.preventDefault();
    button.setAttribute("aria-busy", "true");
  });
  addEventListener("pageshow", (event) => {
    if (event.persisted) $$('button[aria-busy="true"]').forEach((b) => b.removeAttribute("aria-busy"));
  });

  // Tabs: bring the current one into view on phones.
  document.querySelector(".tabnav [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });

  // A message that all went well leaves by itself; others stay until closed.
  setTimeout(() => $$(".toast[data-brief]").forEach((toast) => toast.remove()), 7000);
})();
