// Live pages. One WebSocket a page brings the parts of it that have changed, and what its feeds
// stream (log lines, numbers). Where no WebSocket comes through, the same is asked for by HTTP.
// Pages read and work without this file.
(() => {
  const WAIT_FIRST = 500; // Milliseconds before connecting again; doubled each time.
  const WAIT_MOST = 15000;
  const POLL_EVERY = 2000; // While there is no WebSocket.
  const WAIT_ANSWER = 15000; // For the answer to a form, when the page is found to be gone meanwhile.
  const LOST_AFTER = 2500; // Before the page says that it has lost Mist.
  const GONE = 4404; // What the page shows is gone, or not for this person any more.
  const place = document.querySelector("[data-live]");
  const feeds = new Map();

  // Scripts that come after this one add their feeds before the page connects:
  //   query() → what the server is told at each connection, take(message) ← what it streams,
  //   poll() → asks over HTTP while there is no WebSocket.
  const feed = (name, handlers) => feeds.set(name, handlers);
  let socket = null;
  const say = (name, message) => {
    if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify({ [name]: message }));
  };
  window.Mist = { feed, say };

  // --------------------------------------------------------------------------------------- times

  const NBSP = "\u00a0";
  const words = (seconds) => {
    const whole = Math.floor(seconds);
    if (whole < 60) return `${whole}${NBSP}s`;
    if (whole < 3600) return `${Math.floor(whole / 60)}${NBSP}min ${whole % 60}${NBSP}s`;
    return `${Math.floor(whole / 3600)}${NBSP}h ${Math.floor((whole % 3600) / 60)}${NBSP}min`;
  };
  // The rules of the template filter `ago`; a day and more does not change while one looks.
  const ago = (then) => {
    const seconds = Math.floor((Date.now() - then) / 1000);
    if (seconds < 1) return "now";
    if (seconds < 60) return `${seconds}${NBSP}s ago`;
    if (seconds < 3600) return `${Math.floor(seconds / 60)}${NBSP}min ago`;
    if (seconds < 86400) return `${Math.floor(seconds / 3600)}${NBSP}h ago`;
    return null;
  };
  const clocks = new WeakMap();
  const tick = () => {
    for (const element of document.querySelectorAll("[data-elapsed]")) {
      const given = element.dataset.elapsed;
      let clock = clocks.get(element);
      if (clock?.given !== given) {
        clock = { given, began: performance.now() - 1000 * Number(given) };
        clocks.set(element, clock);
      }
      element.textContent = words((performance.now() - clock.began) / 1000);
    }
    for (const element of document.querySelectorAll("time[data-ago]")) {
      const text = ago(Date.parse(element.dateTime));
      if (text !== null && text !== element.textContent) element.textContent = text;
    }
  };
  tick();
  setInterval(tick, 1000);

  if (!place) return;

  // Cards that the server draws each second come by HTTP while there is no WebSocket.
  feed("metrics", {
    take: () => {},
    poll: async () => {
      for (const card of document.querySelectorAll("[data-meter]")) {
        const answer = await fetch(card.dataset.meter, { headers: { "HX-Request": "true" } });
        if (answer.ok) show(await answer.text());
      }
    },
  });

  // --------------------------------------------------------------------------------------- parts

  const byUser = new Set(["open", "aria-pressed", "data-wrap", "data-ts"]);
  const morphing = {
    morphStyle: "outerHTML",
    ignoreActiveValue: true,
    callbacks: {
      // What a person has opened or switched on stays as it is.
      beforeAttributeUpdated: (name) => !byUser.has(name),
      // So does a form that somebody has begun to fill in, and what a feed has filled.
      beforeNodeMorphed: (old, fresh) =>
        !(old.nodeType === 1 && (old.matches("[data-keep]") || fresh.matches?.("[data-stub]"))),
    },
  };
  const show = (html) => {
    const template = document.createElement("template");
    template.innerHTML = html;
    for (const part of [...template.content.children]) {
      const old = part.id && document.getElementById(part.id);
      if (!old) continue;
      Idiomorph.morph(old, part, morphing);
      const now = document.getElementById(part.id);
      if (now) window.htmx?.process(now);
    }
    tick();
    document.dispatchEvent(new Event("mist:parts"));
  };

  // -------------------------------------------------------------------------------- what is known

  const lost = document.querySelector("[data-live-lost]");
  let known = Date.now();
  const heard = () => {
    known = Date.now();
    if (lost) lost.hidden = true;
  };
  const missed = () => {
    if (!lost || !lost.hidden || Date.now() - known < LOST_AFTER) return;
    lost.querySelector("[data-live-known]").textContent = new Date(known).toTimeString().slice(0, 5);
    lost.hidden = false;
  };

  // ---------------------------------------------------------------------------------------- gone

  const address = place.dataset.live;
  let leaving = false;
  addEventListener("beforeunload", () => { leaving = true; });
  // Logged out, or what the page shows is gone: the server says which. A form that is on its way
  // may be what ended it, and its answer says more. Never a reload, which would send a form again.
  const gone = () => setTimeout(() => location.replace(address), leaving ? WAIT_ANSWER : 0);

  // ------------------------------------------------------------------------------------- polling

  const poll = async () => {
    const headers = { "HX-Request": "true" };
    const answer = await fetch(address, { headers, redirect: "manual" });
    if (answer.status === 404 || answer.headers.has("HX-Redirect") || answer.type === "opaqueredirect") {
      gone();
      return;
    }
    if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
    show(await answer.text());
    for (const handlers of feeds.values()) await handlers.poll?.();
  };
  let polling = false;
  const pollOnce = async () => {
    if (polling) return;
    polling = true;
    try {
      await poll();
      heard();
    } catch {
      missed();
    }
    polling = false;
  };
  let poller = null;
  const startPolling = () => {
    poller ??= setInterval(() => { if (!document.hidden) pollOnce(); }, POLL_EVERY);
  };
  const stopPolling = () => {
    clearInterval(poller);
    poller = null;
  };

  // ---------------------------------------------------------------------------------- connection

  let wait = WAIT_FIRST;
  const connect = () => {
    const query = new URLSearchParams({ path: address });
    for (const [name, handlers] of feeds) {
      for (const [key, value] of Object.entries(handlers.query?.() ?? {})) query.set(`${name}.${key}`, value);
    }
    const scheme = location.protocol === "https:" ? "wss:" : "ws:";
    socket = new WebSocket(`${scheme}//${location.host}/ws/page/?${query}`);
    let wasOpen = false;
    socket.addEventListener("open", () => {
      wasOpen = true;
      wait = WAIT_FIRST;
      stopPolling();
      heard();
      document.dispatchEvent(new Event("mist:connected"));
    });
    socket.addEventListener("message", (event) => {
      for (const [name, message] of Object.entries(JSON.parse(event.data))) {
        if (name === "html") show(message);
        else feeds.get(name)?.take(message);
      }
    });
    socket.addEventListener("close", (event) => {
      if (event.code === GONE) {
        gone();
        return;
      }
      if (wasOpen) known = Date.now();
      document.dispatchEvent(new Event("mist:disconnected"));
      startPolling();
      setTimeout(pollOnce, WAIT_FIRST);
      setTimeout(connect, wait * (0.75 + Math.random() / 2));
      wait = Math.min(WAIT_MOST, wait * 2);
    });
  };
  // The scripts after this one have added their feeds by then.
  addEventListener("DOMContentLoaded", connect);
})();
