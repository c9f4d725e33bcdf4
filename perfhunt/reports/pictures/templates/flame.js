(function () {
  "use strict";
  var SVG = "http://www.w3.org/2000/svg";
  var WIDTH = 1200 - 20, LETTER = 7.23, PAD = 10, ROW = 19, LEAST = 4e-6, OWN = 2e-5, NARROWEST = 0.001;
  var OTHERS = { library: 1, runtime: 1, "native": 1 };

  // Places are shares of the whole with six digits: LEAST is more than the rounding of two edges, OWN than that of
  // a box and those on it.
  function read(g) {
    var d = g.dataset, rect = g.querySelector("rect"), title = g.querySelector("title").textContent;
    var kind = /^pf-([a-z]+)\d/.exec(rect.getAttribute("class") || "");
    return { g: g, rect: rect, text: g.querySelector("text"), name: d.n, x: +d.x, w: +d.w, depth: +d.d, part: d.p,
      title: title, place: title.split("\n")[0], kind: kind ? kind[1] : "", y: +rect.getAttribute("y") };
  }
  function holds(outer, inner) { return outer.x <= inner.x + LEAST && outer.x + outer.w >= inner.x + inner.w - LEAST; }

  // Every way from the root to where cost was spent, root left out, told from the boxes that are drawn.
  function stacks(frames) {
    var rows = [], ways = [];
    frames.forEach(function (f) { (rows[f.depth] = rows[f.depth] || []).push(f); f.own = f.w; });
    rows.forEach(function (row) { row.sort(function (a, b) { return a.x - b.x; }); });
    rows.slice(1).forEach(function (row, above) {
      var at = 0;
      row.forEach(function (f) {
        while (at < rows[above].length - 1 && !holds(rows[above][at], f)) { at += 1; }
        f.above = rows[above][at];
        f.above.own -= f.w;
      });
    });
    frames.forEach(function (f) {
      var way = [], at = f;
      if (f.own < OWN) { return; }
      for (; at.depth > 0; at = at.above) { way.unshift(at); }
      if (way.length) { ways.push({ way: way, weight: f.own }); }
    });
    return ways;
  }
  function folded(way) {
    var kept = [];
    way.forEach(function (f) {
      if (!OTHERS[f.kind]) { kept.push(f); return; }
      var last = kept[kept.length - 1];
      if (!last || !last.fold) { kept.push({ fold: true, name: "[library code]", place: "[library code]", kind: "library" }); }
    });
    return kept;
  }
  function stateOf(way) {
    var leaf = way[way.length - 1];
    return leaf.kind === "wait" ? leaf.name : "[runs]";
  }
  function grown(ways) {
    var root = { name: "all", place: "all", kind: "thread", total: 0, own: 0, below: new Map() };
    ways.forEach(function (one) {
      var node = root;
      root.total += one.weight;
      one.way.forEach(function (f) {
        var key = f.place + "\n" + f.kind, next = node.below.get(key);
        if (!next) {
          next = { name: f.name, place: f.place, kind: f.kind, shade: f.rect && f.rect.getAttribute("class"), total: 0, own: 0, below: new Map() };
          node.below.set(key, next);
        }
        next.total += one.weight;
        node = next;
      });
      node.own += one.weight;
    });
    return root;
  }

  function start(svg) {
    var around = svg.closest(".pf-box") || svg;
    var about = around.querySelector(".pf-about"), found = around.querySelector(".pf-found"), box = around.querySelector("input");
    var drawn = Array.prototype.map.call(svg.querySelectorAll(".pf-frame"), read);
    if (!drawn.length) { return; }
    var frames = drawn, ways = null, top = drawn[0].y, extra = null;
    var resting = about.textContent, zoomed = null, selected = null;
    var view = { invert: false, fold: false, worker: "", state: "" };
    var whole = +svg.dataset.whole || 0, unit = svg.dataset.unit || "";

    function fit(frame, pixels) {
      var room = Math.floor((pixels - 6) / LETTER);
      if (!frame.text) {
        if (room < 3) { return; }
        frame.text = document.createElementNS(SVG, "text");
        frame.text.setAttribute("y", frame.y + 13);
        frame.g.append(frame.text);
      }
      frame.text.textContent = room < 3 ? "" : frame.name.length <= room ? frame.name : frame.name.slice(0, room - 1) + "…";
    }
    function draw() {
      frames.forEach(function (frame) {
        var left = 0, span = 1, above = false;
        if (zoomed && zoomed.part === frame.part) {
          left = zoomed.x; span = zoomed.w;
          above = frame.depth < zoomed.depth && holds(frame, zoomed);
        }
        var x = above ? 0 : (frame.x - left) / span, w = above ? 1 : frame.w / span;
        var gone = !above && zoomed && zoomed.part === frame.part &&
          (frame.depth < zoomed.depth || frame.x + frame.w < left + LEAST || frame.x > left + span - LEAST);
        frame.g.classList.toggle("pf-gone", !!gone);
        frame.g.classList.toggle("pf-above", above);
        if (gone) { return; }
        frame.rect.setAttribute("x", PAD + x * WIDTH);
        frame.rect.setAttribute("width", Math.max(w * WIDTH, 0.3));
        fit(frame, w * WIDTH);
        if (frame.text) { frame.text.setAttribute("x", PAD + x * WIDTH + 4); }
      });
    }
    function zoom(frame) { zoomed = frame && frame.depth > 0 ? frame : null; draw(); }
    function show(frame) { about.textContent = frame ? frame.title.split("\n").join("  ·  ") : resting; }
    function select(frame) {
      if (selected) { selected.g.classList.remove("pf-on"); }
      selected = frame;
      if (frame) { frame.g.classList.add("pf-on"); }
      show(frame);
    }
    function search(pattern) {
      var match = null, share = {}, covered = [];
      found.textContent = "";
      if (pattern) {
        try { match = new RegExp(pattern, "i"); } catch (error) { found.textContent = "not a regular expression"; }
      }
      frames.forEach(function (frame) {
        var hit = !!match && frame.depth > 0 && match.test(frame.name);
        frame.g.classList.toggle("pf-hit", hit);
        if (!hit) { return; }
        var inside = covered.some(function (c) { return c.part === frame.part && c.depth < frame.depth && holds(c, frame); });
        if (!inside) { covered.push(frame); share[frame.part] = (share[frame.part] || 0) + frame.w; }
      });
      if (match) { found.textContent = (100 * (share["0"] || 0)).toFixed(1) + " % matched"; }
    }
    function cost(weight) {
      var value = weight * whole;
      return unit === "s" ? (value * 1000).toPrecision(3) + " ms/request" : value.toPrecision(3) + " " + unit;
    }
    function boxed(node, x, depth, scale, into) {
      var g = document.createElementNS(SVG, "g"), y = top + depth * ROW, w = node.total / scale;
      var title = document.createElementNS(SVG, "title"), rect = document.createElementNS(SVG, "rect");
      title.textContent = node.place + "\n" + cost(node.total) + ", " + (100 * w).toFixed(1) + "% of what is shown, " + cost(node.own) + " of it its own";
      rect.setAttribute("class", node.shade || "pf-" + node.kind + "0");
      rect.setAttribute("y", y); rect.setAttribute("height", ROW - 1); rect.setAttribute("rx", 1.5);
      g.setAttribute("class", "pf-frame");
      g.append(title, rect);
      extra.append(g);
      into.push({ g: g, rect: rect, y: y, name: node.name, x: x, w: w, depth: depth, part: "0", title: title.textContent });
      Array.from(node.below.values()).sort(function (a, b) { return a.name < b.name ? -1 : 1; }).forEach(function (child) {
        if (child.total / scale >= NARROWEST) { boxed(child, x, depth + 1, scale, into); }
        x += child.total / scale;
      });
    }
    function look() {
      var changed = view.invert || view.fold || view.worker || view.state;
      zoomed = null; select(null);
      if (extra) { extra.remove(); extra = null; }
      drawn.forEach(function (f) { f.g.classList.toggle("pf-away", !!changed); });
      frames = drawn;
      if (changed) {
        ways = ways || stacks(drawn);
        var kept = ways.filter(function (one) {
          return (!view.worker || one.way[0].name === view.worker) && (!view.state || stateOf(one.way) === view.state);
        }).map(function (one) {
          var way = view.fold ? folded(one.way) : one.way.slice();
          return { way: view.invert ? way.reverse() : way, weight: one.weight };
        });
        extra = document.createElementNS(SVG, "g");
        svg.append(extra);
        var root = grown(kept);
        frames = [];
        boxed(root, 0, 0, root.total || 1, frames);
        frames.forEach(listen);
      }
      draw();
      search(box ? box.value : "");
    }
    function reset() {
      if (box) { box.value = ""; }
      view = { invert: false, fold: false, worker: "", state: "" };
      around.querySelectorAll("[data-pf]").forEach(function (tool) {
        if (tool.tagName === "SELECT") { tool.value = ""; } else { tool.setAttribute("aria-pressed", "false"); }
      });
      look();
      svg.focus();
    }
    function toggle(what) {
      var tool = around.querySelector('[data-pf="' + what + '"]');
      if (!tool) { return; }
      view[what] = !view[what];
      tool.setAttribute("aria-pressed", String(view[what]));
      look();
    }
    function step(key) {
      if (!selected) { select(frames[0] || null); return; }
      var here = selected, same = frames.filter(function (f) { return f.part === here.part; }), next = null;
      if (key === "ArrowUp") { next = same.find(function (f) { return f.depth === here.depth - 1 && holds(f, here); }); }
      if (key === "ArrowDown") {
        next = same.filter(function (f) { return f.depth === here.depth + 1 && holds(here, f); })
          .sort(function (a, b) { return b.w - a.w; })[0];
      }
      if (key === "ArrowLeft" || key === "ArrowRight") {
        var row = same.filter(function (f) { return f.depth === here.depth; }).sort(function (a, b) { return a.x - b.x; });
        next = row[row.indexOf(here) + (key === "ArrowLeft" ? -1 : 1)];
      }
      if (next) { select(next); }
    }
    function listen(frame) {
      frame.g.addEventListener("click", function () { select(frame); zoom(frame); });
      frame.g.addEventListener("mouseenter", function () { show(frame); });
      frame.g.addEventListener("mouseleave", function () { show(selected); });
    }
    // A choice is offered where there are two or more to choose from.
    function choices(select, names) {
      var different = Array.from(new Set(names)).sort();
      if (different.length < 2) { select.remove(); return; }
      different.forEach(function (name) {
        var option = document.createElement("option");
        option.value = option.textContent = name;
        select.append(option);
      });
      select.addEventListener("change", function () { view[select.dataset.pf] = select.value; look(); });
    }
    drawn.forEach(listen);
    around.querySelectorAll("button[data-pf]").forEach(function (button) {
      button.addEventListener("click", function () { if (button.dataset.pf === "reset") { reset(); } else { toggle(button.dataset.pf); } });
    });
    around.querySelectorAll("select[data-pf]").forEach(function (select) {
      ways = ways || stacks(drawn);
      choices(select, ways.map(function (one) {
        return select.dataset.pf === "state" ? stateOf(one.way) : one.way[0].kind === "thread" ? one.way[0].name : "";
      }).filter(Boolean));
    });
    if (box) { box.addEventListener("input", function () { search(box.value); }); }
    svg.addEventListener("keydown", function (event) {
      if (event.key === "Escape") { reset(); event.preventDefault(); return; }
      if (event.target === box) { return; }
      if (event.key.indexOf("Arrow") === 0) { step(event.key); event.preventDefault(); }
      if (event.key === "Enter" && selected) { zoom(selected); }
    });
    var alone = document.documentElement === svg;
    document.addEventListener("keydown", function (event) {
      if (!box || event.target === box) { return; }
      var wanted = (event.ctrlKey || event.metaKey) && event.key === "f";
      if (wanted && (alone || svg.matches(":hover") || svg.contains(document.activeElement))) { box.focus(); event.preventDefault(); }
      if (alone && event.key === "Escape") { reset(); }
    });
    Array.prototype.forEach.call(document.querySelectorAll("[data-flame]"), function (link) {
      link.addEventListener("click", function () {
        box.value = "^" + link.dataset.flame.replace(/[.*+?^${}()|[\]\\]/g, "\\$&") + "\\b";
        search(box.value);
      });
    });
  }
  document.documentElement.classList.add("pf-scripted");
  Array.prototype.forEach.call(document.querySelectorAll(".pf-flame"), start);
})();
