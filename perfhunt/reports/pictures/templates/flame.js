(function () {
  "use strict";
  function start(svg) {
    var width = 1200 - 20, letter = 7.23, pad = 10;
    var frames = Array.prototype.map.call(svg.querySelectorAll(".pf-frame"), function (g) {
      var d = g.dataset;
      return { g: g, rect: g.querySelector("rect"), text: g.querySelector("text"), name: d.n,
        x: +d.x, w: +d.w, depth: +d.d, part: d.p, title: g.querySelector("title").textContent };
    });
    var about = svg.querySelector(".pf-about"), found = svg.querySelector(".pf-found"), box = svg.querySelector("input");
    var resting = about.textContent, zoomed = null, selected = null;

    function fit(frame, pixels) {
      var room = Math.floor((pixels - 6) / letter);
      frame.text.textContent = room < 3 ? "" : frame.name.length <= room ? frame.name : frame.name.slice(0, room - 1) + "…";
    }
    function draw() {
      frames.forEach(function (frame) {
        var left = 0, span = 1, above = false;
        if (zoomed && zoomed.part === frame.part) {
          left = zoomed.x; span = zoomed.w;
          above = frame.depth < zoomed.depth && frame.x <= left + 1e-9 && frame.x + frame.w >= left + span - 1e-9;
        }
        var x = above ? 0 : (frame.x - left) / span, w = above ? 1 : frame.w / span;
        var gone = !above && zoomed && zoomed.part === frame.part &&
          (frame.depth < zoomed.depth || x + w < 1e-9 || x > 1 - 1e-9);
        frame.g.classList.toggle("pf-gone", !!gone);
        frame.g.classList.toggle("pf-above", above);
        if (gone) { return; }
        frame.rect.setAttribute("x", pad + x * width);
        frame.rect.setAttribute("width", Math.max(w * width, 0.3));
        frame.text.setAttribute("x", pad + x * width + 4);
        fit(frame, w * width);
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
        var inside = covered.some(function (c) {
          return c.part === frame.part && c.depth < frame.depth && c.x <= frame.x + 1e-9 && c.x + c.w >= frame.x + frame.w - 1e-9;
        });
        if (!inside) { covered.push(frame); share[frame.part] = (share[frame.part] || 0) + frame.w; }
      });
      if (match) { found.textContent = (100 * (share["0"] || 0)).toFixed(1) + " % matched"; }
    }
    function reset() { if (box) { box.value = ""; } search(""); zoom(null); select(null); svg.focus(); }
    function holds(outer, inner) { return outer.x <= inner.x + 1e-9 && outer.x + outer.w >= inner.x + inner.w - 1e-9; }
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
    frames.forEach(function (frame) {
      frame.g.addEventListener("click", function () { select(frame); zoom(frame); });
      frame.g.addEventListener("mouseenter", function () { show(frame); });
      frame.g.addEventListener("mouseleave", function () { show(selected); });
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
  Array.prototype.forEach.call(document.querySelectorAll(".pf-flame"), start);
})();
