"use strict";
// What the page does beyond tables: the tree's upper part, search, the matrix, sorting. Names go in
// as text only, never as markup.
(() => {
  const data = JSON.parse(document.getElementById("values").textContent);
  const { names, totals, clusters, starts, columns, counts, forks, branches, rowHeight } = data;
  const nClasses = names.length;
  const byId = (id) => document.getElementById(id);
  const clusterOf = new Int32Array(nClasses);
  clusters.forEach((cluster, rank) => clusterOf.fill(rank, cluster.start, cluster.stop));

  // Characters as a reader sees them, so that none is cut in two.
  const atoms = (text) =>
    window.Intl && Intl.Segmenter
      ? Array.from(new Intl.Segmenter().segment(text), (part) => part.segment)
      : Array.from(text);
  const shortened = (text, length) => {
    const all = atoms(text);
    if (all.length <= length) return text;
    const tail = Math.floor(((length - 1) * 2) / 5);
    return all.slice(0, length - 1 - tail).join("") + "…" + all.slice(all.length - tail).join("");
  };
  const bdi = (text) => {
    const element = document.createElement("bdi");
    element.dir = "auto";
    element.textContent = text;
    return element;
  };
  const number = (value) => value.toLocaleString("en");

  // ---- the tree ----

  const upper = byId("upper");
  const details = clusters.map((_, rank) => byId(`cluster-${rank}`));
  const svg = (tag, attributes, parent) => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const key in attributes) element.setAttribute(key, attributes[key]);
    parent.append(element);
    return element;
  };

  function drawUpper() {
    if (!upper || !branches.length) return;
    const width = upper.getBoundingClientRect().width;
    const top = upper.getBoundingClientRect().top;
    const nodes = branches.map(([x, row], rank) => {
      const summary = details[rank].firstElementChild.getBoundingClientRect();
      const open = details[rank].open;
      const y = open ? summary.bottom - top + rowHeight * (row + 0.5) : (summary.top + summary.bottom) / 2 - top;
      return { x: x * width, y, open };
    });
    upper.replaceChildren();
    nodes.forEach((node, rank) => {
      if (node.open) return;
      const size = clusters[rank].stop - clusters[rank].start;
      const half = size > 1 ? Math.min(14, 2 + 1.6 * Math.sqrt(size)) : 0;
      const group = svg("g", { class: `k${/k(\d)/.exec(details[rank].className)[1]}` }, upper);
      const d = half
        ? `M${node.x} ${node.y}L${width} ${node.y - half}V${node.y + half}Z`
        : `M${node.x} ${node.y}H${width}`;
      svg("path", { d, class: half ? "wedge" : "stem" }, group);
    });
    for (const [x, children] of forks) {
      const below = children.map((child) => nodes[child]);
      const ys = below.map((node) => node.y);
      const left = x * width;
      const lines = below.map((node) => `M${left} ${node.y}H${node.x}`);
      svg("path", { d: `M${left} ${Math.min(...ys)}V${Math.max(...ys)}${lines.join("")}` }, upper);
      nodes.push({ x: left, y: (Math.min(...ys) + Math.max(...ys)) / 2 });
    }
    const root = nodes[nodes.length - 1];
    if (forks.length) svg("path", { d: `M${root.x} ${root.y}h-6` }, upper);
  }

  for (const element of details) element.addEventListener("toggle", drawUpper);
  byId("tree-tools").hidden = false;
  const openAll = (open) => () => {
    for (const element of details) element.open = open;
  };
  byId("open-all").addEventListener("click", openAll(true));
  byId("close-all").addEventListener("click", openAll(false));

  function show(place) {
    const row = byId(`class-${place}`);
    details[clusterOf[place]].open = true;
    for (const other of document.querySelectorAll(".here")) other.classList.remove("here");
    row.classList.add("here");
    row.scrollIntoView({ block: "center" });
    row.focus({ preventScroll: true });
    mark(place);
  }
  function follow(hash) {
    const [, kind, place] = /^#(class|pairs)-(\d+)$/.exec(hash) || [];
    if (kind === "class" && place < nClasses) show(Number(place));
    if (kind === "pairs" && place < clusters.length) byId(`pairs-${place}`).open = true;
    return kind === "class";
  }
  document.addEventListener("click", (event) => {
    const link = event.target.closest('a[href^="#"]');
    if (link && follow(link.hash)) {
      event.preventDefault();
      history.replaceState(null, "", link.hash);
    }
  });
  window.addEventListener("hashchange", () => follow(location.hash));

  // ---- search ----

  const query = byId("query");
  const hits = byId("hits");
  const plain = (text) => text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();
  const searchable = names.map(plain);
  const MOST = 12;
  let active = -1;
  byId("search").hidden = false;

  function matches(text) {
    const words = plain(text).split(/\s+/).filter(Boolean);
    if (!words.length) return [];
    const found = [];
    for (let place = 0; place < nClasses; place++) {
      if (words.every((word) => searchable[place].includes(word))) found.push(place);
    }
    const first = words[0];
    return found.sort((a, b) => searchable[b].startsWith(first) - searchable[a].startsWith(first) || a - b);
  }
  function search() {
    const found = matches(query.value);
    const asked = query.value.trim() !== "";
    hits.replaceChildren();
    found.slice(0, MOST).forEach((place, position) => {
      const item = document.createElement("li");
      item.id = `hit-${position}`;
      item.setAttribute("role", "option");
      item.dataset.place = place;
      item.title = names[place];
      const cluster = document.createElement("span");
      cluster.append(bdi(clusters[clusterOf[place]].name));
      item.append(bdi(shortened(names[place], 44)), cluster);
      hits.append(item);
    });
    if (asked && found.length !== hits.children.length) more(`${number(found.length - MOST)} more`);
    if (asked && !found.length) more("no such name");
    hits.hidden = !asked;
    query.setAttribute("aria-expanded", String(asked));
    byId("found").textContent = asked ? `${number(found.length)} of ${number(nClasses)} found` : "";
    activate(found.length ? 0 : -1);
  }
  function more(text) {
    const item = document.createElement("li");
    item.className = "more";
    item.textContent = text;
    hits.append(item);
  }
  function activate(position) {
    const options = hits.querySelectorAll("[role=option]");
    active = options.length ? (position + options.length) % options.length : -1;
    options.forEach((option, at) => option.setAttribute("aria-selected", String(at === active)));
    if (active >= 0) {
      options[active].scrollIntoView({ block: "nearest" });
      query.setAttribute("aria-activedescendant", options[active].id);
    } else query.removeAttribute("aria-activedescendant");
  }
  function close() {
    hits.hidden = true;
    query.setAttribute("aria-expanded", "false");
  }
  function choose(option) {
    close();
    show(Number(option.dataset.place));
  }
  query.addEventListener("input", search);
  query.addEventListener("focus", () => query.value && search());
  query.addEventListener("blur", () => setTimeout(close, 150));
  query.addEventListener("keydown", (event) => {
    const steps = { ArrowDown: 1, ArrowUp: -1 };
    if (event.key in steps && !hits.hidden) activate(active + steps[event.key]);
    else if (event.key === "Enter" && active >= 0 && !hits.hidden) choose(hits.children[active]);
    else if (event.key === "Escape") close();
    else return;
    event.preventDefault();
  });
  hits.addEventListener("mousedown", (event) => event.preventDefault());
  hits.addEventListener("click", (event) => {
    const option = event.target.closest("[role=option]");
    if (option) choose(option);
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "/" && !/^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName)) {
      event.preventDefault();
      query.focus();
    }
  });

  // ---- the matrix ----

  const canvas = byId("cells");
  const pen = canvas.getContext("2d");
  const tip = byId("tip");
  const readout = byId("readout");
  const zoom = byId("zoom");
  const LABEL = 9; // pixels of a cell from which classes are named
  let view = { rows: [0, nClasses], columns: [0, nClasses] };
  let frame = null; // where the cells are, in pixels of the page
  let cursor = null;
  let marked = -1;
  byId("matrix").hidden = false;

  const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const channels = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
  const mixed = (stops, share) => {
    const at = Math.min(Math.max(share, 0), 1) * (stops.length - 1);
    const low = Math.min(Math.floor(at), stops.length - 2);
    return `rgb(${stops[low].map((value, i) => Math.round(value + (stops[low + 1][i] - value) * (at - low)))})`;
  };
  function countOf(row, column) {
    let low = starts[row];
    let high = starts[row + 1];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (columns[middle] < column) low = middle + 1;
      else high = middle;
    }
    return low < starts[row + 1] && columns[low] === column ? counts[low] : 0;
  }
  const rate = (row, count) => (totals[row] ? count / totals[row] : 0);

  function visible() {
    const found = [];
    for (let row = view.rows[0]; row < view.rows[1]; row++) {
      for (let entry = starts[row]; entry < starts[row + 1]; entry++) {
        const column = columns[entry];
        if (column < view.columns[0] || column >= view.columns[1] || column === row) continue;
        found.push([row, column, rate(row, counts[entry]), counts[entry]]);
      }
    }
    return found.sort((a, b) => a[2] - b[2]); // the strongest are drawn over their neighbours
  }

  function layOut() {
    const width = canvas.parentElement.clientWidth;
    const nRows = view.rows[1] - view.rows[0];
    const nColumns = view.columns[1] - view.columns[0];
    const most = Math.min(170, Math.max(64, width * 0.24));
    const named = (width - most) / Math.max(nColumns, nRows) >= LABEL;
    pen.font = "12px system-ui, sans-serif";
    const longest = (texts) => Math.min(most, 14 + Math.max(...texts.map((text) => pen.measureText(text).width)));
    const left = longest(named ? names.slice(...view.rows) : clusters.map((cluster) => cluster.name));
    const cell = Math.min((width - left - 2) / Math.max(nColumns, nRows), 64);
    const top = named ? Math.min(110, longest(names.slice(...view.columns))) : 4;
    frame = { left, top, cell, named, width, height: top + cell * nRows + 6, nRows, nColumns };
  }

  function draw() {
    layOut();
    const scale = window.devicePixelRatio || 1;
    canvas.width = Math.round(frame.width * scale);
    canvas.height = Math.round(frame.height * scale);
    canvas.style.height = `${frame.height}px`;
    pen.setTransform(scale, 0, 0, scale, 0, 0);
    const { left, top, cell, nRows, nColumns } = frame;
    pen.fillStyle = color("--panel");
    pen.fillRect(left, top, cell * nColumns, cell * nRows);
    const x = (column) => left + (column - view.columns[0]) * cell;
    const y = (row) => top + (row - view.rows[0]) * cell;
    const stops = ["--cell-0", "--cell-1", "--cell-2"].map((name) => channels(color(name)));
    const size = Math.max(cell, 1.6);
    const inset = cell > 6 ? 0.5 : 0;
    pen.fillStyle = color("--own");
    for (let row = Math.max(view.rows[0], view.columns[0]); row < Math.min(view.rows[1], view.columns[1]); row++) {
      pen.fillRect(x(row), y(row), size - inset, size - inset);
    }
    const cells = visible();
    const most = cells.length ? cells[cells.length - 1][2] : 1;
    pen.font = `${Math.min(12, cell * 0.42)}px system-ui, sans-serif`;
    pen.textAlign = "center";
    pen.textBaseline = "middle";
    for (const [row, column, share, count] of cells) {
      const level = Math.sqrt(share / most);
      pen.fillStyle = mixed(stops, level);
      pen.fillRect(x(column), y(row), size - inset, size - inset);
      if (cell >= 22) {
        pen.fillStyle = level > 0.55 ? color("--page") : color("--ink");
        pen.fillText(number(count), x(column) + cell / 2, y(row) + cell / 2);
      }
    }
    drawClusters(x, y);
    drawLabels(x, y);
    drawMarks(x, y);
    drawLegend(stops, most);
    listStrongest(cells);
  }

  function listStrongest(cells) {
    const items = cells.slice(-10).reverse().map(([row, column, , count]) => {
      const item = document.createElement("li");
      const button = document.createElement("button");
      const pair = document.createElement("span");
      const figure = document.createElement("i");
      const arrow = document.createElement("span");
      button.type = "button";
      arrow.className = "arrow";
      arrow.textContent = " → ";
      pair.append(bdi(shortened(names[row], 22)), arrow, bdi(shortened(names[column], 22)));
      pair.title = `${names[row]} → ${names[column]}`;
      figure.textContent = `${number(count)} of ${number(totals[row])}`;
      button.append(pair, figure);
      button.addEventListener("click", () => {
        zoomTo(clusterOf[row], clusterOf[column]);
        read([row, column]);
      });
      item.append(button);
      return item;
    });
    byId("strongest").replaceChildren(...items);
  }

  function drawClusters(x, y) {
    const { left, top, cell, nRows, nColumns } = frame;
    pen.save();
    pen.beginPath();
    pen.rect(left - 1, top - 1, cell * nColumns + 2, cell * nRows + 2);
    pen.clip();
    pen.strokeStyle = color("--outline");
    pen.lineWidth = 1;
    for (const { start, stop } of clusters) {
      pen.strokeRect(x(start), y(start), (stop - start) * cell, (stop - start) * cell);
    }
    pen.restore();
  }

  const fitted = (text, width) => {
    if (pen.measureText(text).width <= width) return text;
    let length = Math.min(atoms(text).length, Math.ceil(width / 3));
    while (length > 2 && pen.measureText(shortened(text, length)).width > width) length--;
    return shortened(text, length);
  };

  function drawLabels(x, y) {
    const { left, top, cell, named } = frame;
    pen.textBaseline = "middle";
    pen.direction = "ltr";
    if (!named) {
      pen.font = "11px system-ui, sans-serif";
      pen.fillStyle = color("--soft");
      pen.textAlign = "right";
      let free = -Infinity;
      for (const { name, start, stop } of clusters) {
        const from = Math.max(start, view.rows[0]);
        const to = Math.min(stop, view.rows[1]);
        const middle = (y(from) + y(to)) / 2;
        if (to <= from || middle < free) continue;
        pen.fillText(fitted(name, left - 12), left - 8, middle);
        free = middle + 13;
      }
      return;
    }
    pen.font = `${Math.min(12, Math.max(8, cell * 0.8))}px system-ui, sans-serif`;
    for (let row = view.rows[0]; row < view.rows[1]; row++) {
      pen.fillStyle = color(row === marked ? "--ink" : "--soft");
      pen.textAlign = "right";
      pen.fillText(fitted(names[row], left - 12), left - 8, y(row) + cell / 2);
    }
    for (let column = view.columns[0]; column < view.columns[1]; column++) {
      pen.save();
      pen.translate(x(column) + cell / 2, top - 7);
      pen.rotate(-Math.PI / 2);
      pen.fillStyle = color(column === marked ? "--ink" : "--soft");
      pen.textAlign = "left";
      pen.fillText(fitted(names[column], top - 12), 0, 0);
      pen.restore();
    }
  }

  function drawMarks(x, y) {
    const { left, top, cell, nRows, nColumns } = frame;
    pen.strokeStyle = color("--ink");
    pen.lineWidth = 1;
    pen.globalAlpha = 0.55;
    const size = Math.max(cell, 2);
    if (marked >= view.rows[0] && marked < view.rows[1]) pen.strokeRect(left, y(marked), cell * nColumns, size);
    if (marked >= view.columns[0] && marked < view.columns[1]) pen.strokeRect(x(marked), top, size, cell * nRows);
    pen.globalAlpha = 1;
    if (cursor && document.activeElement === canvas) {
      pen.lineWidth = 2;
      pen.strokeRect(x(cursor[1]) - 1, y(cursor[0]) - 1, Math.max(cell, 4) + 2, Math.max(cell, 4) + 2);
    }
  }

  function drawLegend(stops, most) {
    const legend = byId("legend");
    legend.replaceChildren("0 ");
    for (let step = 1; step <= 5; step++) {
      const swatch = document.createElement("i");
      swatch.style.background = mixed(stops, step / 5);
      legend.append(swatch);
    }
    legend.append(` ${(100 * most).toFixed(most < 0.1 ? 1 : 0)} % of the row`);
  }

  function mark(place) {
    marked = place;
    draw();
  }

  // What a cell says, as elements: names keep their own direction.
  function said(row, column) {
    const count = countOf(row, column);
    const line = document.createElement("b");
    const detail = document.createElement("div");
    const own = row === column;
    line.append(bdi(shortened(names[row], 60)), own ? "" : data.multilabel ? " → also " : " → ");
    if (!own) line.append(bdi(shortened(names[column], 60)));
    const of = `${number(count)} of ${number(totals[row])} samples`;
    const share = totals[row] ? ` (${(100 * rate(row, count)).toFixed(1)} %)` : "";
    const what = own ? (data.multilabel ? " found" : " right") : data.multilabel ? "" : " taken for it";
    detail.textContent = of + what + share;
    const back = own ? "" : `the other way round ${number(countOf(column, row))}`;
    const parts = [line, detail];
    if (back) {
      const other = document.createElement("div");
      other.textContent = back;
      parts.push(other);
    }
    return parts;
  }

  function cellAt(event) {
    const box = canvas.getBoundingClientRect();
    const column = view.columns[0] + Math.floor((event.clientX - box.left - frame.left) / frame.cell);
    const row = view.rows[0] + Math.floor((event.clientY - box.top - frame.top) / frame.cell);
    const inside = row >= view.rows[0] && row < view.rows[1] && column >= view.columns[0] && column < view.columns[1];
    return inside ? nearest(row, column) : null;
  }
  // Where cells are smaller than what one can point at, the strongest nearby is meant.
  function nearest(row, column) {
    const reach = Math.floor(2.5 / frame.cell);
    let best = [row, column];
    let strongest = 0;
    for (let r = Math.max(row - reach, view.rows[0]); r <= Math.min(row + reach, view.rows[1] - 1); r++) {
      for (let entry = starts[r]; entry < starts[r + 1]; entry++) {
        const c = columns[entry];
        if (c === r || Math.abs(c - column) > reach || rate(r, counts[entry]) <= strongest) continue;
        best = [r, c];
        strongest = rate(r, counts[entry]);
      }
    }
    return reach > 0 ? best : [row, column];
  }

  function point(event) {
    const cell = cellAt(event);
    tip.hidden = !cell;
    if (!cell) return;
    tip.replaceChildren(...said(...cell));
    const box = tip.getBoundingClientRect();
    const x = Math.min(event.clientX + 14, window.innerWidth - box.width - 8);
    const below = event.clientY + 18 + box.height < window.innerHeight;
    tip.style.left = `${Math.max(x, 8)}px`;
    tip.style.top = `${below ? event.clientY + 18 : event.clientY - box.height - 12}px`;
  }
  function read(cell) {
    readout.replaceChildren(...said(...cell).flatMap((part) => [part.tagName === "B" ? part : part.textContent, " · "]).slice(0, -1));
  }
  function zoomTo(rowCluster, columnCluster) {
    const whole = { start: 0, stop: nClasses };
    const rows = rowCluster === null ? whole : clusters[rowCluster];
    const across = columnCluster === null ? whole : clusters[columnCluster];
    view = { rows: [rows.start, rows.stop], columns: [across.start, across.stop] };
    zoom.value = rowCluster !== null && rowCluster === columnCluster ? String(rowCluster) : "";
    byId("zoom-out").disabled = rowCluster === null;
    cursor = null;
    tip.hidden = true;
    draw();
  }
  const zoomed = () => view.rows[1] - view.rows[0] < nClasses || view.columns[1] - view.columns[0] < nClasses;
  const zoomOut = () => zoomTo(null, null);
  function zoomIn([row, column]) {
    if (!zoomed() && clusters.length > 1) zoomTo(clusterOf[row], clusterOf[column]);
  }

  canvas.addEventListener("pointermove", point);
  canvas.addEventListener("pointerdown", point);
  canvas.addEventListener("pointerleave", () => (tip.hidden = true));
  canvas.addEventListener("click", (event) => {
    const cell = cellAt(event);
    if (!cell) return;
    read(cell);
    if (event.pointerType !== "touch") zoomIn(cell);
  });
  canvas.addEventListener("keydown", (event) => {
    const steps = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
    const held = ([low, high], value) => Math.min(Math.max(value, low), high - 1);
    if (event.key in steps) {
      const [down, right] = steps[event.key];
      const [row, column] = cursor || [view.rows[0] - down, view.columns[0] - right];
      cursor = [held(view.rows, row + down), held(view.columns, column + right)];
      read(cursor);
      draw();
    } else if (event.key === "Enter" && cursor) zoomIn(cursor);
    else if (event.key === "Escape") zoomOut();
    else return;
    event.preventDefault();
  });
  canvas.addEventListener("focus", draw);
  canvas.addEventListener("blur", draw);
  zoom.addEventListener("change", () => (zoom.value === "" ? zoomOut() : zoomTo(Number(zoom.value), Number(zoom.value))));
  byId("zoom-out").addEventListener("click", zoomOut);

  // ---- sorting ----

  const table = byId("cluster-table");
  table.querySelectorAll("thead th:not(.plain)").forEach((head, position) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const up = head.getAttribute("aria-sort") === "descending" || (position === 0 && !head.hasAttribute("aria-sort"));
      for (const other of table.querySelectorAll("thead th")) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const value = (row) => Number(row.children[position].dataset.value);
      const rows = [...table.tBodies[0].rows].sort((a, b) => (up ? 1 : -1) * (value(a) - value(b)));
      table.tBodies[0].append(...rows);
    });
  });

  // ---- drawn anew where the page changes ----

  function redraw() {
    drawUpper();
    draw();
  }
  redraw();
  window.addEventListener("resize", redraw);
  for (const media of ["(prefers-color-scheme: dark)", "print"]) {
    window.matchMedia(media).addEventListener("change", redraw);
  }
  if (location.hash) follow(location.hash);
})();
