// Of one process whose inspector is open: closes it, and takes out what was put in, when no beat came for `patience` ms. A
// function of `require`; nothing in it may throw into the process.
((require, patience, ours) => {
  const inspector = require("inspector"), timers = require("timers");
  const put = { undo: [], due: 0 };
  const end = () => {
    timers.clearInterval(timer);
    delete globalThis.__perfhunt;
    for (const undo of put.undo.splice(0)) try { undo(); } catch {}
    if (ours) try { inspector.close(); } catch {}
  };
  const soon = (step) => { timers.setTimeout(step, 20).unref(); return process.pid; };
  put.beat = () => { put.due = Date.now() + patience; return true; };
  // Both once the answer is out: they end the session they are asked in.
  put.close = () => soon(end);
  put.move = (port) => soon(() => {
    try { inspector.close(); inspector.open(port, "127.0.0.1"); } catch { end(); }
  });
  const timer = timers.setInterval(() => { if (Date.now() > put.due) end(); }, 500);
  timer.unref();
  put.beat();
  globalThis.__perfhunt = put;
  return process.pid;
})
