// Asks before something is lost. A link with data-confirm leads to a page with the question; here
// the same question comes in a dialog. Whatever goes wrong, the link is followed.
(() => {
  const dialog = document.getElementById("confirm");
  if (!dialog) return;
  let opener = null;

  const ask = async (address, from) => {
    let answer;
    try {
      answer = await fetch(address, { headers: { "HX-Request": "true" }, redirect: "error" });
    } catch {
      answer = null;
    }
    if (answer?.status !== 200) {
      location.assign(address);
      return;
    }
    opener = from;
    dialog.innerHTML = await answer.text();
    dialog.showModal();
  };

  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-confirm]");
    if (link && !event.defaultPrevented && !event.ctrlKey && !event.metaKey && !event.shiftKey) {
      event.preventDefault();
      ask(link.href, link);
    }
    // Its own button, or a click beside the panel.
    if (event.target === dialog || event.target.closest("#confirm [data-dialog-close]")) {
      event.preventDefault();
      dialog.close();
    }
  });
  document.addEventListener("mist:ask", (event) => ask(event.detail, document.activeElement));
  dialog.addEventListener("close", () => {
    // A menu that held the link is closed by now: then its button gets the focus.
    const menu = opener?.closest("[popover]");
    const button = menu && document.querySelector(`[popovertarget="${menu.id}"]`);
    (button ?? opener)?.focus();
    dialog.replaceChildren();
  });
})();
