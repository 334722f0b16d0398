// Live pages. A WebSocket brings nudges, upon which HTMX fetches the changed part of the page again,
// and, on a deployment's page, the lines of its build log. Pages read and work without this file.
(() => {
  const LINES_MAX = 5000; // In the page; the whole log is a link away.
  const NUDGE_EVERY = 300; // Milliseconds between two fetches of the changed part.
  const WAIT_FIRST = 500;
  const WAIT_MOST = 10000;
  const place = document.querySelector("[data-live]");
  const body = document.querySelector("[data-log-body]");

  // ---------------------------------------------------------------------------------- following

  let following = body !== null;
  const atEnd = () => body.scrollHeight - body.scrollTop - body.clientHeight < 24;
  const toEnd = () => { body.scrollTop = body.scrollHeight; };
  const say = (text) => {
    const state = document.querySelector("[data-log-state]");
    if (state) state.textContent = text;
  };
  const follow = (on) => {
    if (on === following) return;
    following = on;
    document.querySelector("[data-log-follow]")?.setAttribute("aria-pressed", on);
    if (place && !isOver()) say(on ? "Following the log" : "Held. Scroll to the end to follow");
  };
  const isOver = () => document.querySelector("#deployment-state[data-over]") !== null;

  if (body) {
    // A finished log is read from its first lines, a running one from its end.
    const startsAtEnd = body.hasAttribute("data-log-end") || place?.dataset.live.includes("/deployments/");
    if (startsAtEnd && !location.hash) toEnd();
    else following = false;
    body.addEventListener("scroll", () => follow(atEnd()), { passive: true });
    document.addEventListener("click", (event) => {
      if (!event.target.closest("[data-log-follow]")) return;
      if (following) follow(false);
      else { follow(true); toEnd(); }
    });
    // HTMX swaps lines inside the pane: what is selected stays, and so does the place.
    document.addEventListener("htmx:beforeSwap", (event) => {
      if (!body.contains(event.detail.target)) return;
      const selection = getSelection();
      if (!selection.isCollapsed && body.contains(selection.anchorNode)) event.detail.shouldSwap = false;
    });
    document.addEventListener("htmx:afterSettle", () => { if (following) toEnd(); });
  }

  // ------------------------------------------------------------------------------ running clocks

  const clocks = new WeakMap();
  const words = (seconds) => {
    const whole = Math.floor(seconds);
    if (whole < 60) return `${whole}\u00a0s`;
    if (whole < 3600) return `${Math.floor(whole / 60)}\u00a0min ${whole % 60}\u00a0s`;
    return `${Math.floor(whole / 3600)}\u00a0h ${Math.floor((whole % 3600) / 60)}\u00a0min`;
  };
  const tick = () => {
    for (const element of document.querySelectorAll("[data-elapsed]")) {
      if (!clocks.has(element)) clocks.set(element, performance.now() - 1000 * Number(element.dataset.elapsed));
      element.textContent = words((performance.now() - clocks.get(element)) / 1000);
    }
  };
  if (document.querySelector("[data-elapsed]")) setInterval(tick, 1000);

  if (!place) return;

  // -------------------------------------------------------------------------------------- nudges

  let nudged = 0;
  let waiting = null;
  const nudge = () => {
    if (waiting !== null) return;
    const pause = Math.max(0, nudged + NUDGE_EVERY - performance.now());
    waiting = setTimeout(() => {
      waiting = null;
      nudged = performance.now();
      window.htmx?.trigger(document.body, "mist:changed");
    }, pause);
  };
  document.addEventListener("htmx:afterSettle", () => {
    if (!body || !isOver()) return;
    body.querySelector("[data-log-tail]")?.remove();
    say("Ended");
  });

  // --------------------------------------------------------------------------------------- lines

  const hasLog = body !== null && "offset" in body.dataset;
  let offset = hasLog ? Number(body.dataset.offset) : 0;
  let number = hasLog ? Number(body.dataset.number) : 0;

  const make = (name, className, text) => {
    const element = document.createElement(name);
    if (className) element.className = className;
    if (text !== undefined) element.textContent = text;
    return element;
  };

  // The same rules as apps/deployments/ansi.py: colours become classes, other controls go.
  const ESCAPE = /\x1b\[([0-9;]*)m|\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b.|[\x00-\x08\x0b-\x1f\x7f]/g;
  const COLOURS = ["black", "red", "green", "yellow", "blue", "magenta", "cyan", "white"];
  const STYLES = { 1: "bold", 2: "dim", 4: "underline" };
  const applyCodes = (codes, look) => {
    const numbers = codes.slice(0, 60).split(";").map(Number);
    while (numbers.length) {
      const code = numbers.shift();
      if (code === 0) { look.colour = ""; look.styles.clear(); }
      else if (STYLES[code]) look.styles.add(STYLES[code]);
      else if (code === 22) { look.styles.delete("bold"); look.styles.delete("dim"); }
      else if (code === 24) look.styles.delete("underline");
      else if (code === 39) look.colour = "";
      else if ((code >= 30 && code <= 37) || (code >= 90 && code <= 97)) look.colour = COLOURS[code % 10];
      else if (code === 38 || code === 48) numbers.splice(0, numbers[0] === 5 ? 2 : 4);
    }
  };
  const paint = (element, raw) => {
    const text = raw.replace(/\r+$/, "").replace(/^.*\r/s, "");
    const look = { colour: "", styles: new Set() };
    let at = 0;
    const piece = (until) => {
      if (until <= at) return;
      const names = [...look.styles].sort().concat(look.colour || []).map((name) => `a-${name}`);
      const part = text.slice(at, until);
      element.append(names.length ? make("span", names.join(" "), part) : part);
    };
    for (const found of text.matchAll(ESCAPE)) {
      piece(found.index);
      at = found.index + found[0].length;
      if (found[1] !== undefined) applyCodes(found[1], look);
    }
    piece(text.length);
  };

  const listFor = (stage) => {
    const last = [...body.querySelectorAll("[data-log-stage]")].at(-1);
    if (last && last.dataset.logStage === stage) return last.querySelector("ol");
    const section = make("section");
    section.dataset.logStage = stage;
    const id = `stage-${stage}`;
    section.id = document.getElementById(id) ? `${id}-${number}` : id;
    const name = body.dataset[`name${stage}`];
    if (stage) section.append(make("h3", "log-stage", name || stage));
    section.append(make("ol"));
    const tail = body.querySelector("[data-log-tail]");
    if (tail) tail.before(section);
    else body.append(section);
    return section.querySelector("ol");
  };

  const addLine = ([line, time, stage, level, text]) => {
    const item = make("li", "ln");
    if (level) item.dataset.level = level;
    item.id = `L${line}`;
    const link = make("a", "ln-no", line);
    link.href = `#L${line}`;
    link.tabIndex = -1;
    const message = make("code", "ln-msg");
    paint(message, text);
    item.append(link, make("time", "ln-ts", new Date(time).toISOString().slice(11, 19)), message);
    listFor(stage).append(item);
  };

  const trim = () => {
    const lines = body.getElementsByClassName("ln");
    const before = body.scrollHeight;
    let gone = 0;
    while (lines.length > LINES_MAX) {
      const list = lines[0].parentElement;
      lines[0].remove();
      gone += 1;
      if (!list.children.length) list.parentElement.remove();
    }
    if (!gone) return;
    if (!following) body.scrollTop -= before - body.scrollHeight;
    const note = body.querySelector("[data-log-earlier]");
    note.hidden = false;
    note.querySelector("span").textContent = `${Number(lines[0].id.slice(1)) - 1} earlier lines are not shown here`;
  };

  // A frame that does not go on where the page is was asked for by an earlier connection.
  const take = (frame) => {
    const lines = frame.lines.filter((line) => line[0] > number);
    if (frame.number < number) return;
    for (const line of lines) addLine(line);
    offset = frame.offset;
    number = frame.number;
    trim();
    const total = document.querySelector("[data-log-total]");
    if (total) total.textContent = number;
    if (following) toEnd();
  };

  // ---------------------------------------------------------------------------------- connection

  let wait = WAIT_FIRST;
  // Networks that let no WebSocket through: each attempt that fails asks once over HTTP.
  const ask = async () => {
    nudge();
    if (!hasLog) return;
    try {
      const answer = await fetch(`${body.dataset.chunk}?offset=${offset}&number=${number}`);
      if (answer.ok) take(await answer.json());
    } catch {
      say("Connection lost. Trying again");
    }
  };
  const connect = () => {
    const scheme = location.protocol === "https:" ? "wss:" : "ws:";
    const query = hasLog ? `?offset=${offset}&number=${number}` : "";
    const socket = new WebSocket(`${scheme}//${location.host}${place.dataset.live}${query}`);
    socket.addEventListener("open", () => {
      wait = WAIT_FIRST;
      if (body && !isOver()) say(following ? "Following the log" : "Held. Scroll to the end to follow");
      nudge(); // Something may have changed between the page and this connection.
    });
    socket.addEventListener("message", (event) => {
      const message = JSON.parse(event.data);
      if (message.changed) nudge();
      if (message.lines && hasLog) take(message);
    });
    socket.addEventListener("close", () => {
      if (hasLog && !isOver()) say("Connection lost. Trying again");
      setTimeout(async () => {
        await ask();
        connect();
      }, wait * (0.75 + Math.random() / 2));
      wait = Math.min(WAIT_MOST, wait * 2);
    });
  };
  connect();
})();
