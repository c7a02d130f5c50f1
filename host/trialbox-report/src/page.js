"use strict";
(() => {
  const root = document.documentElement, tip = document.getElementById("tip"), dialog = document.getElementById("record");
  const records = JSON.parse(document.getElementById("records").textContent);
  const table = document.getElementById("table"), body = table.tBodies[0], status = document.getElementById("shown");
  const heads = [...table.tHead.rows[0].cells].map((cell) => cell.textContent);
  const plots = [...document.querySelectorAll("svg.plot")];
  const rows = [...body.rows];
  root.classList.add("has-script");

  // The trials of a plot: number and place. A trial starts with an absolute M in the path of its kind.
  const marks = new Map();
  const marksOf = (plot) => {
    if (marks.has(plot)) return marks.get(plot);
    const found = [];
    for (const path of plot.querySelectorAll("path[data-t]")) {
      let trial = 0;
      const numbers = path.dataset.t.split(" ").map((step) => (trial += +step));
      path.getAttribute("d").split(/(?=M)/).forEach((d, index) => {
        const points = path.classList.contains("curve") ? d.slice(1).split("L") : [d.slice(1)];
        for (const point of points) {
          const [x, y] = point.match(/-?[\d.]+/g).map(Number);
          found.push({ trial: numbers[index], x, y });
        }
      });
    }
    marks.set(plot, found);
    return found;
  };

  const describe = (trial) => {
    const row = document.getElementById("t" + trial);
    if (!row) return "trial " + trial;
    const cells = [...row.cells].map((cell, index) => [heads[index], cell.textContent.trim()]);
    return cells.filter(([, text]) => text).slice(0, 12).map(([head, text]) => head + " " + text).join("\n");
  };

  const clear = () => document.querySelectorAll(".found-mark").forEach((mark) => mark.remove());
  const highlight = (trial) => {
    clear();
    for (const plot of plots) {
      for (const mark of marksOf(plot).filter((mark) => mark.trial === trial)) {
        const ring = document.createElementNS(plot.namespaceURI, "circle");
        ring.setAttribute("class", "found-mark");
        ring.setAttribute("cx", mark.x);
        ring.setAttribute("cy", mark.y);
        ring.setAttribute("r", 6);
        plot.append(ring);
      }
    }
  };
  const show = (trial, x, y) => {
    tip.textContent = describe(trial);
    tip.hidden = false;
    tip.style.left = Math.max(8, Math.min(x + 14, innerWidth - tip.offsetWidth - 8)) + "px";
    tip.style.top = Math.max(8, Math.min(y + 14, innerHeight - tip.offsetHeight - 8)) + "px";
    highlight(trial);
  };
  const hide = () => {
    tip.hidden = true;
    clear();
  };

  const open = (trial) => {
    const row = document.getElementById("t" + trial);
    const list = dialog.querySelector("dl");
    const lines = row ? [...row.cells].map((cell, index) => [heads[index], cell.textContent.trim()]).slice(1) : [];
    dialog.querySelector("h2").textContent = "Trial " + trial;
    list.replaceChildren();
    const known = new Set();
    for (const [head, text] of [...lines, ...(records[trial] || [])]) {
      if (!text || known.has(head + "\n" + text)) continue;
      known.add(head + "\n" + text);
      const [term, value] = [document.createElement("dt"), document.createElement("dd")];
      term.textContent = head;
      value.textContent = text;
      list.append(term, value);
    }
    dialog.querySelector("code").textContent = records[""] + " " + trial;
    dialog.showModal();
  };

  for (const plot of plots) {
    const box = plot.parentElement;
    let current = -1;
    const nearest = (event) => {
      const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(plot.getScreenCTM().inverse());
      let best = null, least = 144;
      for (const mark of marksOf(plot)) {
        const distance = (mark.x - at.x) ** 2 + (mark.y - at.y) ** 2;
        if (distance < least) [best, least] = [mark, distance];
      }
      return best;
    };
    plot.addEventListener("pointermove", (event) => {
      const mark = nearest(event);
      if (mark) show(mark.trial, event.clientX, event.clientY);
      else hide();
    });
    plot.addEventListener("pointerleave", hide);
    plot.addEventListener("click", (event) => {
      const mark = nearest(event);
      if (mark) open(mark.trial);
    });
    box.addEventListener("keydown", (event) => {
      const trials = [...new Set(marksOf(plot).map((mark) => mark.trial))].sort((a, b) => a - b);
      if (!trials.length) return;
      const steps = { ArrowRight: 1, ArrowLeft: -1, Home: -Infinity, End: Infinity };
      if (event.key in steps) {
        current = Math.max(0, Math.min(trials.length - 1, current + steps[event.key]));
        const mark = marksOf(plot).find((mark) => mark.trial === trials[current]);
        const at = new DOMPoint(mark.x, mark.y).matrixTransform(plot.getScreenCTM());
        show(trials[current], at.x, at.y);
        event.preventDefault();
      } else if (event.key === "Enter" && current >= 0) open(trials[current]);
      else if (event.key === "Escape") hide();
    });
    box.addEventListener("blur", hide);
  }

  // The table: sorting, filtering, opening.
  const count = () => {
    const n = rows.filter((row) => !row.hidden).length;
    status.textContent = n < rows.length ? n + " of " + rows.length + " shown" : "";
  };
  let words = "", chosen = null;
  const filter = () => {
    for (const row of rows) {
      const fits = !chosen || chosen.has(+row.id.slice(1));
      row.hidden = !fits || !row.textContent.toLowerCase().includes(words);
    }
    count();
  };
  document.getElementById("filter").addEventListener("input", (event) => {
    words = event.target.value.toLowerCase();
    filter();
  });
  const units = { ms: 1e-3, s: 1, min: 60, h: 3600, d: 86400 };
  const key = (text) => {
    const times = [...text.matchAll(/([\d.]+) (ms|s|min|h|d)\b/g)];
    if (times.length) return times.reduce((sum, [, n, unit]) => sum + n * units[unit], 0);
    if (text === "inf" || text === "-inf") return text === "inf" ? Infinity : -Infinity;
    return text !== "" && !isNaN(text) ? +text : text;
  };
  [...table.tHead.rows[0].cells].forEach((head, index) => {
    head.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const keyed = rows.map((row) => [key(row.cells[index].textContent.trim()), row]);
      keyed.sort(([a], [b]) => {
        // Cells without a value come last in either direction.
        if (a === "" || b === "") return (a === "") - (b === "");
        const order = typeof a === typeof b ? (a < b ? -1 : +(a > b)) : typeof a === "number" ? -1 : 1;
        return down ? -order : order;
      });
      body.append(...keyed.map(([, row]) => row));
    });
  });
  body.addEventListener("click", (event) => {
    const row = event.target.closest("tr");
    if (row && !String(getSelection())) open(+row.id.slice(1));
  });
  for (const row of rows) row.cells[0].tabIndex = -1;
  body.addEventListener("keydown", (event) => {
    const row = event.target.closest("tr");
    if (event.key === "Enter") open(+row.id.slice(1));
    const next = { ArrowDown: "nextElementSibling", ArrowUp: "previousElementSibling" }[event.key];
    if (next && row[next]) {
      row[next].cells[0].focus();
      event.preventDefault();
    }
  });
  table.parentElement.addEventListener("keydown", (event) => {
    if (event.target === table.parentElement && event.key === "ArrowDown" && rows.length) {
      body.rows[0].cells[0].focus();
      event.preventDefault();
    }
  });

  // Brushing: a range on an axis of the parallel coordinates keeps the lines through all ranges.
  for (const plot of plots.filter((plot) => plot.querySelector(".brush"))) {
    const lines = [], ranges = new Map(), boxes = new Map();
    const split = () => {
      for (const path of [...plot.querySelectorAll("path.curve[data-t]")]) {
        let trial = 0;
        const numbers = path.dataset.t.split(" ").map((step) => (trial += +step));
        path.getAttribute("d").split(/(?=M)/).forEach((d, index) => {
          const line = path.cloneNode();
          line.removeAttribute("data-t");
          line.setAttribute("d", d);
          path.before(line);
          const points = d.slice(1).split("L").map((point) => point.split(" ").map(Number));
          lines.push({ line, trial: numbers[index], points });
        });
        marksOf(plot);
        path.remove();
      }
    };
    const apply = () => {
      const kept = new Set();
      for (const { line, trial, points } of lines) {
        const fits = [...ranges].every(([x, [top, bottom]]) =>
          points.some((point) => Math.abs(point[0] - x) < 0.2 && point[1] >= top && point[1] <= bottom));
        line.classList.toggle("faint", !fits);
        if (fits) kept.add(trial);
      }
      chosen = ranges.size ? kept : null;
      filter();
    };
    const axes = [...plot.querySelectorAll(".brush")].map((axis) => axis.getAttribute("d").match(/-?[\d.]+/g).map(Number));
    const place = (event) => new DOMPoint(event.clientX, event.clientY).matrixTransform(plot.getScreenCTM().inverse());
    let dragged = null;
    plot.addEventListener("pointerdown", (event) => {
      const at = place(event), axis = axes.find(([x]) => Math.abs(x - at.x) < 10);
      if (!axis) return;
      if (!lines.length) split();
      dragged = { axis, from: at.y };
      plot.setPointerCapture(event.pointerId);
      event.preventDefault();
    });
    plot.addEventListener("pointermove", (event) => {
      if (!dragged) return;
      const to = place(event).y, [x] = dragged.axis;
      const [top, bottom] = [Math.min(dragged.from, to), Math.max(dragged.from, to)];
      if (!boxes.has(x)) {
        const box = document.createElementNS(plot.namespaceURI, "rect");
        box.setAttribute("class", "brushed");
        plot.append(box);
        boxes.set(x, box);
      }
      const box = boxes.get(x);
      for (const [name, value] of Object.entries({ x: x - 8, y: top, width: 16, height: bottom - top })) box.setAttribute(name, value);
      ranges.set(x, [top, bottom]);
      apply();
    });
    plot.addEventListener("pointerup", () => {
      if (!dragged) return;
      const [x] = dragged.axis, range = ranges.get(x);
      // A click on an axis removes its range.
      if (!range || range[1] - range[0] < 3) {
        ranges.delete(x);
        boxes.get(x)?.remove();
        boxes.delete(x);
        apply();
      }
      dragged = null;
    });
  }
})();
