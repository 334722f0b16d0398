// The log pane: follows the end of a log and takes what its feed streams.
(() => {
  const LINES_MAX = 5000; // In the page; the whole log is a link away.
  const body = document.querySelector("[data-log-body]");
  if (!body) return;

  let following = true;
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
    if (!isOver()) say(on ? "Following the log" : "Held. Scroll to the end to follow");
  };
  const isBuild = "offset" in body.dataset;
  const isOver = () => !isBuild || document.querySelector("#deployment-state[data-over]") !== null;

  if (body) {
    // A finished log is read from its first lines, a running one from its end.
    const startsAtEnd = body.hasAttribute("data-log-end") || (isBuild && !isOver());
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

  document.addEventListener("mist:connected", () => {
    if (!isOver()) say(following ? "Following the log" : "Held. Scroll to the end to follow");
  });
  document.addEventListener("mist:disconnected", () => {
    if (!isOver()) say("Connection lost. Trying again");
  });
  document.addEventListener("mist:parts", () => {
    if (!isBuild || !isOver()) return;
    body.querySelector("[data-log-tail]")?.remove();
    say("Ended");
  });

  if (!isBuild) return;

  let offset = Number(body.dataset.offset);
  let number = Number(body.dataset.number);

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

  Mist.feed("log", {
    query: () => ({ offset, number }),
    take,
    poll: async () => {
      const answer = await fetch(`${body.dataset.chunk}?offset=${offset}&number=${number}`);
      if (answer.ok) take(await answer.json());
    },
  });
})();
