// The log pane: a window of a log that may be far longer than the page. New lines come through the
// page's socket; lines outside of the window are fetched when somebody scrolls or jumps there.
(() => {
  const MOST = 3000; // Lines in the page at once.
  const STEP = 1000; // Lines that are fetched at once.
  const KEPT = 20000; // Lines of a container's output that are held for scrolling back.
  const TAKEN_EVERY = 65536; // Characters after which the server is told how far this page is.
  const FOUND_MOST = 10000;
  const log = document.querySelector("[data-log]");
  const body = log?.querySelector("[data-log-body]");
  if (!body) return;
  const $ = (selector) => log.querySelector(selector);
  const isBuild = body.dataset.logBody === "build";
  const streams = "place" in body.dataset;

  // --------------------------------------------------------------------------------------- lines

  const make = (name, className, text) => {
    const element = document.createElement(name);
    if (className) element.className = className;
    if (text !== undefined) element.textContent = text;
    return element;
  };

  // The same rules as apps/deployments/ansi.py: colours become classes, other controls go.
  const ESCAPE = /\x1b\[([0-9;]*)m|\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b.|[\x00-\x08\x0b-\x1f\x7f]/g;
  const CONTROL = /[\x00-\x08\x0b-\x1f\x7f]/;
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
    if (!CONTROL.test(raw)) { element.textContent = raw; return; }
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

  // A line is [number, time, stage, level, text]; of a container's output the first is its place
  // and the third its stream, and the page counts by itself.
  const draw = (number, [id, time, kind, level, text]) => {
    if (kind === "rule") {
      const rule = make("li", "ln-rule", text);
      rule.dataset.n = number;
      return rule;
    }
    const item = make("li", "ln");
    item.dataset.n = number;
    if (level) item.dataset.level = level;
    item.id = isBuild ? `L${number}` : `T${id}`;
    const link = make("a", "ln-no", number);
    link.href = `#${item.id}`;
    link.tabIndex = -1;
    item.append(link, make("time", "ln-ts", new Date(time).toISOString().slice(11, 19)));
    if (kind === "err") {
      item.dataset.stream = "err";
      const mark = make("abbr", "ln-err", "err");
      mark.title = "Written to standard error";
      item.append(mark);
    }
    const message = make("code", "ln-msg");
    paint(message, text);
    item.append(message);
    if (query) markLine(message);
    return item;
  };

  // -------------------------------------------------------------------------------------- window

  // The page holds the lines first to last, without a gap; the log has lines up to total.
  const drawn = [...body.querySelectorAll("li")];
  drawn.forEach((item, index) => { item.dataset.n ??= isBuild ? item.id.slice(1) : index + 1; });
  let first = drawn.length ? Number(drawn[0].dataset.n) : 1;
  let last = drawn.length ? Number(drawn.at(-1).dataset.n) : 0;
  let total = isBuild ? Number(body.dataset.total) : last;
  let held = []; // Lines of an output: the newest ones, up to `total`.
  if (!streams && isBuild) total = Math.max(total, last);
  const itemOf = (number) => body.querySelector(`[data-n="${number}"]`);
  const count = () => last - first + 1;

  const lists = () => [...body.querySelectorAll("ol")];
  const newList = (stage) => {
    const list = make("ol");
    if (!isBuild) return [list, list];
    const section = make("section");
    section.dataset.logStage = stage;
    if (stage) {
      if (!document.getElementById(`stage-${stage}`)) section.id = `stage-${stage}`;
      section.append(make("h3", "log-stage", body.dataset[`name${stage}`] || stage));
    }
    section.append(list);
    return [section, list];
  };
  const stageOf = (list) => (isBuild ? list.parentElement.dataset.logStage : "");
  const tail = () => body.querySelector("[data-log-tail]");

  const append = (lines) => {
    if (!lines.length) return;
    let list = lists().at(-1);
    for (const line of lines) {
      const stage = isBuild ? line[2] : "";
      if (!list || stageOf(list) !== stage) {
        const [outer, inner] = newList(stage);
        if (tail()) tail().before(outer); else body.append(outer);
        list = inner;
      }
      last += 1;
      list.append(draw(last, line));
    }
  };
  const prepend = (lines) => {
    let list = lists()[0];
    for (const line of lines.toReversed()) {
      const stage = isBuild ? line[2] : "";
      if (!list || stageOf(list) !== stage) {
        const [outer, inner] = newList(stage);
        const top = lists()[0];
        if (top) (isBuild ? top.parentElement : top).before(outer);
        else if (tail()) tail().before(outer);
        else body.append(outer);
        list = inner;
      }
      first -= 1;
      list.prepend(draw(first, line));
    }
  };
  const drop = (item) => {
    const list = item.parentElement;
    item.remove();
    if (!list.children.length) (isBuild ? list.parentElement : list).remove();
  };
  const trimTop = () => {
    while (count() > MOST) { drop(lists()[0].firstElementChild); first += 1; }
  };
  const trimBottom = () => {
    while (count() > MOST) { drop(lists().at(-1).lastElementChild); last -= 1; }
  };
  const empty = (before) => {
    for (const list of lists()) (isBuild ? list.parentElement : list).remove();
    first = before + 1;
    last = before;
  };

  const note = $("[data-log-earlier]");
  const showCounts = () => {
    if (note) {
      note.hidden = first <= 1;
      note.querySelector("span").textContent = `${first - 1} earlier lines`;
    }
    const sum = $("[data-log-total]");
    if (sum) sum.textContent = total;
    const fresh = $("[data-log-new]");
    if (fresh) {
      const missed = following ? 0 : total - seen;
      fresh.hidden = missed <= 0;
      fresh.querySelector("span").textContent = missed === 1 ? "1 new line" : `${missed} new lines`;
    }
  };

  // Lines of the log from number `from` on; those of a build log come from the server.
  const get = async (from) => {
    if (!isBuild) {
      const begin = total - held.length + 1;
      return from < begin ? [] : held.slice(from - begin, from - begin + STEP);
    }
    const answer = await fetch(`${body.dataset.chunk}?line=${from}`);
    if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
    return (await answer.json()).lines.slice(0, STEP);
  };

  // One after the other: each piece of work moves the window.
  let working = 0;
  let work = Promise.resolve();
  const load = (piece) => {
    working += 1;
    work = work.then(piece).catch(() => say("Lines could not be fetched. Scroll to try again")).then(() => {
      working -= 1;
      showCounts();
    });
    return work;
  };
  const loadIfIdle = (piece) => (working ? work : load(piece));
  const loadEarlier = () => loadIfIdle(async () => {
    const from = Math.max(1, first - STEP);
    const wanted = first - from;
    if (wanted < 1) return;
    const lines = (await get(from)).slice(0, wanted);
    if (lines.length !== wanted) return;
    const height = body.scrollHeight;
    prepend(lines);
    body.scrollTop += body.scrollHeight - height;
    trimBottom();
  });
  const loadLater = () => loadIfIdle(async () => {
    while (last < total) {
      const lines = (await get(last + 1)).slice(0, total - last);
      if (!lines.length) return;
      append(lines);
      const extra = count() - MOST;
      if (extra > 0) {
        const grown = body.scrollHeight;
        trimTop();
        body.scrollTop -= grown - body.scrollHeight;
      }
      if (!following) return;
    }
  });

  // ----------------------------------------------------------------------------------- following

  const say = (text) => {
    const state = $("[data-log-state]");
    if (state && text) state.textContent = text;
  };
  const isOver = () => !streams || (isBuild && document.querySelector("#deployment-state[data-over]") !== null);
  let following = streams && !location.hash && (!isBuild || !isOver());
  let seen = total; // Lines when following ended.
  let wasSetAt = -1; // Where this script scrolled to: such scrolling is nobody's wish.
  const toEnd = () => {
    body.scrollTop = body.scrollHeight;
    wasSetAt = body.scrollTop;
  };
  const atEnd = () => body.scrollHeight - body.scrollTop - body.clientHeight < 24;
  const tell = () => {
    if (!isOver()) say(following ? "Following the log" : "Held. Scroll to the end to follow");
  };
  const follow = async (on) => {
    if (on !== following) {
      following = on && streams;
      seen = total;
      $("[data-log-follow]")?.setAttribute("aria-pressed", following);
      tell();
    }
    if (!on) { showCounts(); return; }
    if (last < total) await goTo(total, false);
    toEnd();
    showCounts();
  };
  body.addEventListener("scroll", () => {
    if (body.scrollTop === wasSetAt) return;
    if (body.scrollTop < 600 && first > 1) loadEarlier();
    const below = body.scrollHeight - body.scrollTop - body.clientHeight;
    if (below < 600 && last < total) loadLater();
    if (!streams || isOver()) return;
    const end = atEnd() && last >= total;
    if (end !== following) follow(end);
  }, { passive: true });
  // A short log that is over is read from its first line, any other from its end.
  if (following || body.hasAttribute("data-log-end") || (first > 1 && !location.hash)) toEnd();
  addEventListener("resize", () => { if (following) toEnd(); });

  // --------------------------------------------------------------------------------- place of one

  const highlight = (item) => {
    body.querySelector("[data-target]")?.removeAttribute("data-target");
    if (!item) return;
    item.dataset.target = "";
    item.scrollIntoView({ block: "center" });
    wasSetAt = body.scrollTop;
  };
  const goTo = async (number, isTarget = true) => {
    if (number < 1 || number > total) return;
    if (number < first || number > last) {
      const from = Math.max(1, number - STEP / 2);
      await load(async () => {
        const lines = await get(from);
        if (!lines.length) return;
        empty(from - 1);
        append(lines.slice(0, total - from + 1));
      });
    }
    if (isTarget) {
      following = false;
      $("[data-log-follow]")?.setAttribute("aria-pressed", "false");
      highlight(itemOf(number));
      tell();
    }
  };
  const goToHash = () => {
    const found = location.hash.match(/^#L(\d{1,9})$/);
    if (found && isBuild) goTo(Number(found[1]));
    else if (location.hash.startsWith("#T")) highlight(document.getElementById(location.hash.slice(1)));
  };
  addEventListener("hashchange", goToHash);
  if (location.hash) goToHash();

  // -------------------------------------------------------------------------------------- search

  let query = "";
  let hits = []; // Numbers of lines.
  let hit = -1;
  function markLine(message) {
    const walk = document.createTreeWalker(message, NodeFilter.SHOW_TEXT);
    const found = [];
    while (walk.nextNode()) {
      const text = walk.currentNode.data.toLowerCase();
      for (let at = text.indexOf(query); at >= 0; at = text.indexOf(query, at + query.length)) {
        found.push([walk.currentNode, at]);
      }
    }
    for (const [node, at] of found.reverse()) {
      const range = document.createRange();
      range.setStart(node, at);
      range.setEnd(node, at + query.length);
      range.surroundContents(document.createElement("mark"));
    }
  }
  const unmark = () => {
    for (const mark of [...body.querySelectorAll("mark")]) {
      const parent = mark.parentNode;
      mark.replaceWith(mark.textContent);
      parent.normalize();
    }
  };
  const find = async (text) => {
    if (isBuild) {
      const answer = await fetch(`${body.dataset.search}?q=${encodeURIComponent(text)}`);
      return answer.ok ? answer.json() : { lines: [], total: 0 };
    }
    const lines = [...body.querySelectorAll(".ln")].filter((item) =>
      item.querySelector(".ln-msg").textContent.toLowerCase().includes(text));
    return { lines: lines.map((item) => Number(item.dataset.n)), total: lines.length };
  };
  const showHit = async () => {
    const out = $("[data-log-count]");
    if (out) out.textContent = !query ? "" : hits.length ? `${hit + 1} of ${hits.total}` : "None";
    if (hit < 0) return;
    await goTo(hits[hit]);
    body.querySelector("mark[data-current]")?.removeAttribute("data-current");
    const mark = itemOf(hits[hit])?.querySelector("mark");
    if (mark) mark.dataset.current = "";
  };
  let asked = 0;
  const search = async (text) => {
    const mine = ++asked;
    unmark();
    query = text.length < 2 ? "" : text;
    hits = [];
    hit = -1;
    if (query) {
      const found = await find(query);
      if (mine !== asked) return;
      hits = found.lines.slice(0, FOUND_MOST);
      hits.total = found.total;
      hit = hits.length ? 0 : -1;
      for (const message of body.querySelectorAll(".ln-msg")) markLine(message);
    }
    await showHit();
  };
  const step = (by) => {
    if (!hits.length) return;
    hit = (hit + by + hits.length) % hits.length;
    showHit();
  };
  const form = $("[data-log-search]");
  let typed = null;
  form?.addEventListener("input", (event) => {
    clearTimeout(typed);
    const text = event.target.value.trim().toLowerCase();
    typed = setTimeout(() => search(text), 150);
  });
  form?.addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    event.preventDefault();
    step(event.shiftKey ? -1 : 1);
  });
  form?.addEventListener("submit", (event) => { if (!event.submitter?.matches("[data-log-filter]")) event.preventDefault(); });

  // ------------------------------------------------------------------------------------ controls

  const toggle = (button, name) => {
    log.dataset[name] = button.getAttribute("aria-pressed") === "true" ? "off" : "on";
    button.setAttribute("aria-pressed", log.dataset[name] === "on");
    if (following) toEnd();
  };
  for (const choice of log.querySelectorAll("[data-log-of]")) {
    choice.addEventListener("change", (event) => event.target.form.requestSubmit());
  }
  log.addEventListener("click", (event) => {
    const found = (selector) => event.target.closest(selector);
    let button;
    if ((button = found("[data-log-wrap]"))) toggle(button, "wrap");
    if ((button = found("[data-log-ts]"))) toggle(button, "ts");
    if (found("[data-log-follow]")) follow(!following);
    if (found("[data-log-new]")) follow(true);
    if (found("[data-log-next]")) step(1);
    if (found("[data-log-previous]")) step(-1);
    if ((button = found("[data-log-earlier] a")) && first > 1 && isBuild) {
      event.preventDefault();
      loadEarlier();
    }
  });

  if (!streams) return;

  // ---------------------------------------------------------------------------------- the stream

  let place = JSON.parse(body.dataset.place);
  let taken = 0;
  let unsaid = 0;
  let connection = 0;
  let waiting = []; // Lines that wait for the next drawing.
  let isDue = false;

  const show = () => {
    isDue = false;
    const lines = waiting;
    waiting = [];
    if (!lines.length) return;
    const isAttached = last === total;
    total += lines.length;
    if (!isBuild) {
      for (const line of lines) held.push(line);
      if (held.length > KEPT) held = held.slice(-KEPT);
    }
    body.querySelector("[data-log-none]")?.remove();
    if (isAttached && following) {
      if (lines.length >= MOST) empty(total - MOST);
      append(lines.slice(last - total));
      trimTop();
    } else if (isAttached && count() + lines.length <= MOST) {
      append(lines);
    }
    if (following) toEnd();
    showCounts();
  };
  const later = () => {
    if (isDue) return;
    isDue = true;
    // A page in the background draws nothing, but goes on taking lines.
    if (document.hidden) setTimeout(show, 250);
    else requestAnimationFrame(show);
  };
  const take = (frame) => {
    for (const line of frame.lines) {
      if (isBuild && line[0] <= total + waiting.length) continue;
      waiting.push(line);
      unsaid += line[4].length + 40;
    }
    place = { ...place, ...frame.place };
    later();
  };
  Mist.feed("log", {
    query: () => {
      connection += 1;
      taken = 0;
      unsaid = 0;
      return place;
    },
    take: (frame) => {
      taken += 1;
      take(frame);
      if (unsaid < TAKEN_EVERY) return;
      unsaid = 0;
      Mist.say("log", { taken });
    },
    poll: async () => {
      const mine = connection;
      const answer = await fetch(`${body.dataset.chunk}?${new URLSearchParams(place)}`);
      if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
      const frame = await answer.json();
      // A connection that began meanwhile was told the former place: it brings these lines too.
      if (mine === connection) take(frame.log ?? frame);
    },
  });
  document.addEventListener("mist:connected", tell);
  document.addEventListener("mist:disconnected", () => {
    if (!isOver()) say("Connection lost. Trying again");
  });
  document.addEventListener("mist:parts", () => {
    if (!isBuild || !isOver()) return;
    tail()?.remove();
    say("Ended");
  });
})();
