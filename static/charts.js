// Time series with uPlot. The numbers come from the page's data address and then, each second, over
// its WebSocket; colours come from CSS variables, so that charts follow the theme.
(() => {
  const FIELDS = ["cpu", "memory", "received", "sent", "read", "written", "tasks"]; // As the server sends them.
  const HEIGHT_OF_TEXT = 11;
  const REFRESH_EVERY = 15000; // Without a WebSocket there is something new as often as this.

  // A page that came before the first numbers shows them when they are there.
  const empty = document.querySelector("[data-plots-wait]");
  const wait = async () => {
    const answer = await fetch(empty.dataset.plotsWait).catch(() => null);
    if (answer?.ok && (await answer.json()).columns.at.length) location.reload();
    else setTimeout(wait, 5000);
  };
  if (empty) setTimeout(wait, 5000);

  const frame = document.querySelector("[data-plots]");
  if (!frame) return;
  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const NBSP = "\u00a0";

  // -------------------------------------------------------------------------------------- numbers
  // The rules of `planning.py`: the same number has the same words in charts and table.

  const scaled = (kib, units) => {
    let value = kib;
    let place = 0;
    while (value >= 999.5 && place < units.length - 1) { value /= 1024; place += 1; }
    const digits = value > 0 && value < 99.95 && place > 0 && value !== Math.round(value) ? 1 : 0;
    return `${value.toFixed(digits)}${NBSP}${units[place]}`;
  };
  const UNITS = {
    percent: { of: (v, limit) => (v / limit) * 100, text: (v) => `${v > 0 && v < 9.95 ? v.toFixed(1) : v.toFixed(0)}%` },
    size: { of: (v) => v, text: (v) => scaled(v, ["KB", "MB", "GB", "TB"]) },
    rate: { of: (v) => v / 1024, text: (v) => scaled(v, ["KB/s", "MB/s", "GB/s"]) },
    load: { of: (v) => v / 100, text: (v) => v.toFixed(2) },
    count: { of: (v) => v, text: String },
  };
  // Steps that are round in their own unit: 256 MB, 5 GB, 20 %.
  const roundSteps = (unit, top) => {
    const binary = unit === "size" || unit === "rate";
    let base = 1;
    if (binary) while (top / base >= 1000) base *= 1024;
    const raw = top / base / 4;
    const ten = 10 ** Math.floor(Math.log10(raw || 1));
    const powers = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512].find((p) => p >= raw * 0.99);
    const step = binary && raw >= 10 ? powers : [1, 2, 2.5, 5, 10].find((m) => m * ten >= raw * 0.99) * ten;
    return (step || raw || 0.25) * base;
  };

  // ------------------------------------------------------------------------------------- the data

  let data = null;
  let plots = [];
  const points = () => data.columns.at;
  const append = (at, values) => {
    const last = points().at(-1);
    if (last !== undefined && at <= last) return;
    points().push(at);
    FIELDS.forEach((name, n) => data.columns[name].push(values === null ? null : values[n]));
    data.begin = at - data.seconds;
    const old = points().findIndex((time) => time >= data.begin);
    if (old > 0) for (const column of Object.values(data.columns)) column.splice(0, old);
  };
  const load = async () => {
    const answer = await fetch(frame.dataset.plots, { headers: { Accept: "application/json" } });
    if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
    data = await answer.json();
  };

  // ------------------------------------------------------------------------------------ the words

  const label = document.querySelector("[data-plot-time]");
  const rangeText = label?.textContent;
  const stamp = (time) => {
    const text = new Date(time * 1000).toISOString();
    return data.seconds > 86400 ? `${text.slice(0, 10)} ${text.slice(11, 16)}` : text.slice(11, 19);
  };
  const when = (index) => {
    if (label) label.textContent = index == null ? rangeText : `At ${stamp(points()[index])} UTC`;
  };
  const clock = (time) => new Date(time * 1000).toISOString().slice(11, 16);
  const day = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", timeZone: "UTC" });
  const axisTimes = (times) => times.map((time) =>
    data.seconds > 86400 || time % 86400 === 0 ? day.format(time * 1000) : clock(time));

  class Plot {
    constructor(canvas) {
      this.canvas = canvas;
      this.fields = canvas.dataset.fields.split(" ");
      this.unit = UNITS[canvas.dataset.plot];
      this.limit = Number(canvas.dataset.limit);
      this.outputs = [...canvas.closest(".plot").querySelectorAll("[data-plot-value]")];
      this.rest = this.outputs.map((output) => output.textContent); // What the server rendered.
      this.index = null;
    }
    value(raw) { return raw == null ? null : this.unit.of(raw, this.limit); }
    series() { return this.fields.map((name) => data.columns[name].map((raw) => this.value(raw))); }
    get cap() { return this.limit ? this.unit.of(this.limit, this.limit) : 0; }
    range(most) {
      const top = Math.max(this.cap, most * (this.cap ? 1 : 1.1));
      const least = { percent: 100, size: 1024, rate: 4, load: 1 }[this.canvas.dataset.plot];
      return [0, Math.max(top, this.cap ? 0 : least)];
    }
    // Numbers of the cursor's place, or of now.
    show(index) {
      this.index = index;
      this.outputs.forEach((output, k) => {
        const raw = index == null ? undefined : data.columns[this.fields[k]][index];
        output.textContent = index == null ? this.rest[k] : raw == null ? "–" : this.unit.text(this.value(raw));
      });
    }
    now() {
      this.rest = this.fields.map((name) => {
        const raw = data.columns[name].at(-1);
        return raw == null ? "–" : this.unit.text(this.value(raw));
      });
      if (this.index == null) this.show(null);
    }
    draw(look) {
      this.chart?.destroy();
      const colours = [css("--chart-1"), css("--chart-2")];
      const { text, grid, font } = look;
      const steps = (chart, axis, least, most) => {
        const step = this.cap && this.cap === most ? most / 4 : roundSteps(this.canvas.dataset.plot, most);
        const found = [];
        for (let at = 0; at <= most * 1.001; at += step) found.push(at);
        return found;
      };
      this.chart = new uPlot({
        width: this.canvas.clientWidth,
        height: this.canvas.clientHeight,
        legend: { show: false },
        padding: [10, 8, 0, 0],
        tzDate: (time) => uPlot.tzDate(new Date(time * 1e3), "Etc/UTC"),
        cursor: { sync: { key: "mist" }, y: false, points: { size: 7, width: 2 }, drag: { x: false, y: false } },
        scales: { x: { range: () => [data.begin, data.begin + data.seconds] }, y: { range: (_, least, most) => this.range(most ?? 0) } },
        axes: [
          { stroke: text, font, size: 24, gap: 5, space: 72, grid: { show: false }, ticks: { show: false }, values: (_, times) => axisTimes(times) },
          { stroke: text, font, size: 62, gap: 6, space: 34, grid: { stroke: grid, width: 1 }, ticks: { show: false }, splits: steps, values: (_, values) => values.map((value) => this.axisText(value)) },
        ],
        series: [{}, ...this.fields.map((_, k) => ({
          stroke: colours[k],
          width: 1.5,
          points: { show: points().length < 3, size: 4 },
          fill: this.fields.length === 1 ? colours[k].replace(/\)$/, " / 0.12)") : undefined,
        }))],
        hooks: {
          setCursor: [(chart) => { this.show(chart.cursor.idx); when(chart.cursor.idx); }],
          draw: [(chart) => this.marks(chart, text)],
        },
      }, [points(), ...this.series()], this.canvas);
    }
    axisText(value) {
      if (this.canvas.dataset.plot === "percent") return `${Math.round(value)}%`;
      return this.canvas.dataset.plot === "load" ? String(+value.toFixed(2)) : this.unit.text(value);
    }
    // The limit's line on top, a line where a deployment went live.
    marks(chart, colour) {
      const { ctx, bbox } = chart;
      const ratio = devicePixelRatio;
      const line = (x1, y1, x2, y2, dash) => {
        ctx.setLineDash(dash.map((length) => length * ratio));
        ctx.beginPath();
        ctx.moveTo(x1, y1);
        ctx.lineTo(x2, y2);
        ctx.stroke();
      };
      ctx.save();
      ctx.lineWidth = ratio;
      ctx.textAlign = "left";
      ctx.textBaseline = "alphabetic";
      ctx.strokeStyle = ctx.fillStyle = colour;
      ctx.font = `${HEIGHT_OF_TEXT * ratio}px 'Geist Variable', system-ui, sans-serif`;
      if (this.cap) {
        const y = Math.round(chart.valToPos(this.cap, "y", true)) + 0.5 * ratio;
        line(bbox.left, y, bbox.left + bbox.width, y, [4, 4]);
      }
      let free = -Infinity;
      for (const [at, number] of data.deployments) {
        const x = Math.round(chart.valToPos(at, "x", true));
        if (x < bbox.left || x > bbox.left + bbox.width) continue;
        line(x, bbox.top, x, bbox.top + bbox.height, [2, 3]);
        const name = `#${number}`;
        const width = ctx.measureText(name).width + 10 * ratio;
        if (x < free || x + width > bbox.left + bbox.width) continue;
        ctx.fillText(name, x + 5 * ratio, bbox.top + (this.cap ? 19 : 13) * ratio);
        free = x + width;
      }
      ctx.restore();
    }
    update() {
      this.chart?.setData([points(), ...this.series()]);
      this.now();
    }
  }

  const draw = () => {
    if (!data) return;
    const look = {
      text: css("--muted-foreground"),
      grid: css("--chart-grid"),
      font: `${HEIGHT_OF_TEXT}px 'Geist Variable', system-ui, sans-serif`,
    };
    plots.forEach((plot) => plot.draw(look));
  };
  // The table goes along, but for averages: the points of a minute that somebody watched are four
  // or sixty.
  const tell = (row) => {
    const unit = UNITS[row.dataset.unit];
    const limit = plots.find((plot) => plot.fields.includes(row.dataset.row))?.limit;
    const column = data.columns[row.dataset.row];
    const known = column.filter((raw) => raw !== null);
    const set = (name, raw) => {
      row.querySelector(`[data-${name}]`).textContent = raw == null ? "–" : unit.text(unit.of(raw, limit));
    };
    set("now", column.at(-1));
    set("least", known.length ? Math.min(...known) : null);
    set("most", known.length ? Math.max(...known) : null);
  };
  const update = () => {
    for (const plot of plots) plot.update();
    // Of longer ranges only the server knows the peaks.
    if (data.live) document.querySelectorAll("[data-row]").forEach(tell);
  };

  // ------------------------------------------------------------------------------------ going live

  // A page that is not seen draws nothing; it catches up when it is seen again.
  let stale = false;
  const take = ({ at, values }) => {
    if (!data?.live) return;
    append(at, values);
    if (document.hidden) stale = true;
    else update();
  };
  let asked = 0;
  const poll = async () => {
    if (!data || Date.now() - asked < REFRESH_EVERY) return;
    asked = Date.now();
    await load();
    update();
  };
  window.Mist?.feed("metrics", { take, poll });
  document.addEventListener("visibilitychange", () => {
    if (stale && !document.hidden) { stale = false; update(); }
  });
  let connected = false;
  document.addEventListener("mist:connected", async () => {
    // What was missed while the connection was gone is in the database.
    if (connected) { await load().then(update, () => {}); }
    connected = true;
  });

  const begin = async () => {
    plots = [...frame.querySelectorAll("[data-plot]")].map((canvas) => new Plot(canvas));
    if (!plots.length) return;
    await load();
    draw();
  };
  begin().then(() => document.fonts?.ready).then(draw, () => {
    if (label) label.textContent = "The numbers could not be loaded";
  });
  addEventListener("mist:theme", draw);
  let resizing;
  addEventListener("resize", () => { clearTimeout(resizing); resizing = setTimeout(draw, 120); });
})();
