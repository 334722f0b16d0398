// Passkeys: a form with data-passkey gets from data-options what the browser is to make or to sign,
// and sends the answer. Where a browser cannot do it, the form stays hidden or says so.
(() => {
  const able = window.isSecureContext && "PublicKeyCredential" in window
    && !/^[\d.]+$|^\[/.test(location.hostname); // Passkeys belong to a name.

  const bytes = (text) => {
    const plain = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
    return Uint8Array.from(plain, (letter) => letter.charCodeAt(0));
  };
  const text = (buffer) => buffer && btoa(String.fromCharCode(...new Uint8Array(buffer)))
    .replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");

  const asked = ({ publicKey }) => {
    const keys = (list) => list?.map((key) => ({ ...key, id: bytes(key.id) }));
    const options = { ...publicKey, challenge: bytes(publicKey.challenge) };
    if (publicKey.user) options.user = { ...publicKey.user, id: bytes(publicKey.user.id) };
    if (publicKey.excludeCredentials) options.excludeCredentials = keys(publicKey.excludeCredentials);
    if (publicKey.allowCredentials) options.allowCredentials = keys(publicKey.allowCredentials);
    return { publicKey: options };
  };

  const answered = (credential) => {
    const { response } = credential;
    const said = { clientDataJSON: text(response.clientDataJSON) };
    for (const part of ["attestationObject", "authenticatorData", "signature", "userHandle"]) {
      if (response[part]) said[part] = text(response[part]);
    }
    return JSON.stringify({
      type: credential.type,
      id: credential.id,
      rawId: text(credential.rawId),
      response: said,
      clientExtensionResults: credential.getClientExtensionResults(),
    });
  };

  const run = async (form) => {
    const answer = await fetch(form.dataset.options, {
      method: "POST",
      headers: { "X-CSRFToken": form.elements.csrfmiddlewaretoken.value, "HX-Request": "true" },
      redirect: "error",
    });
    const elsewhere = answer.headers.get("HX-Redirect");
    if (elsewhere) {
      location.assign(elsewhere);
      return;
    }
    if (answer.status === 429) {
      throw new Error(`Too many tries. Wait ${answer.headers.get("Retry-After")} s, then try again.`);
    }
    if (answer.status !== 200) throw new Error("Mist did not answer. Load the page again.");
    const options = asked(await answer.json());
    const make = form.dataset.passkey === "make";
    const credential = await navigator.credentials[make ? "create" : "get"](options);
    form.elements.credential.value = answered(credential);
    form.submit();
  };

  const problem = (error) => {
    if (error.name === "NotAllowedError") return "Nothing was chosen, or it took too long. Try again.";
    if (error.name === "InvalidStateError") return "This device has a passkey for you already.";
    return error.name === "Error" ? error.message : "The browser could not use a passkey here.";
  };

  for (const form of document.querySelectorAll("[data-passkey]")) {
    const none = form.querySelector("[data-passkey-none]");
    if (!able) {
      if (none) none.hidden = false;
      continue;
    }
    form.hidden = false;
  }
  // Before the listener that marks every sent form: this one stays on the page for a while.
  addEventListener("submit", async (event) => {
    const form = event.target;
    if (!form.dataset.passkey || !able) return;
    event.preventDefault();
    const button = event.submitter ?? form.querySelector("button");
    const said = form.querySelector("[data-passkey-problem]");
    button.setAttribute("aria-busy", "true");
    said.hidden = true;
    try {
      await run(form);
    } catch (error) {
      said.textContent = problem(error);
      said.hidden = false;
      button.removeAttribute("aria-busy");
    }
  }, { capture: true });
})();
