// What the promises of this process wait for: whose code awaits, and who or what ends the wait. A function of `require`,
// installed beside door.js, read by `look`; nothing in it may throw into the process.
((require, depth, capturesPerSecond) => {
  const hooks = require("async_hooks");
  const { executionAsyncId, executionAsyncResource, AsyncResource } = hooks;
  const ROOT = Symbol("perfhunt"); // on what runs: the request that it runs for, or the connection
  const pending = new Map(); // by the async id of a continuation: a wait
  const awaited = new Map(); // the same by that of the promise that is awaited
  const known = new Map(); // places that await, by how they are written
  const CONNECTIONS = new Set(["TCPWRAP", "PIPEWRAP", "TLSWRAP", "TCPCONNECTWRAP", "PIPECONNECTWRAP"]);
  const HOOKS = /^node:internal\/(?:async|promise)_hooks$/; // what calls `init`
  const SAME = 8; // times that a lock given at one place was handed on at another, which makes them one
  const LEFT = 2000; // ms after the answer of its request until a wait is forgotten
  const OWN_TURN = new Set(["Timeout", "Immediate"]);
  let cause = null; // what the loop last called: continuations and ticks that follow are its doing
  let roots = 0, every = 1, captures = 0, since = Date.now(), spent = 0;

  const newRoot = () => ({ kept: roots++ % every === 0, holds: new Set(), request: false, connection: null, done: 0 });

  function rootAwaiting(here, resource) {
    let root = here[ROOT];
    // Where no request is known, who first awaits begins what stands for one.
    if (root === undefined && (here instanceof Promise || OWN_TURN.has(here.constructor?.name))) {
      root = here[ROOT] = newRoot();
    }
    if (root !== undefined) resource[ROOT] = root;
    return root;
  }

  function init(id, type, trigger, resource) {
    try {
      const here = executionAsyncResource();
      if (type !== "PROMISE") {
        if (CONNECTIONS.has(type)) resource[ROOT] = { ...newRoot(), connection: resource };
        else if (here[ROOT] !== undefined) resource[ROOT] = here[ROOT];
        return;
      }
      const root = rootAwaiting(here, resource);
      // A promise that is made is triggered by who makes it, one that continues another by that.
      if (trigger === executionAsyncId() || (root !== undefined ? !root.kept : roots++ % every)) return;
      const wait = { at: captured(), root, awaits: trigger, site: null, ready: false, left: false };
      captures++;
      pending.set(id, wait);
      awaited.set(trigger, wait);
    } catch {}
  }

  function captured() {
    const limit = Error.stackTraceLimit, at = {};
    Error.stackTraceLimit = depth;
    try { Error.captureStackTrace(at, init); } finally { Error.stackTraceLimit = limit; }
    return at;
  }

  function before(id) {
    try {
      const wait = pending.get(id);
      if (wait !== undefined) {
        pending.delete(id);
        if (awaited.get(wait.awaits) === wait) awaited.delete(wait.awaits);
        return;
      }
      const here = executionAsyncResource();
      // Ticks are plain objects. They follow what the loop called, as what libraries bind does.
      if (here instanceof Promise || here instanceof AsyncResource || here.constructor === Object) return;
      cause = here;
    } catch {}
  }

  function promiseResolve(id) {
    try {
      const wait = awaited.get(id);
      if (wait === undefined || wait.ready) return;
      wait.ready = true;
      const here = executionAsyncResource(), by = here[ROOT];
      const others = by && wait.root && by !== wait.root && !by.connection
        && ((by.request && wait.root.request) || here instanceof Promise);
      if (others) handOver(siteOf(wait), by, wait.root);
      else if (wait.site) count(wait.site, by?.connection ? ended(by.connection) : ended(nativeOf(here)));
    } catch {}
  }

  // Work of another request ended the wait: what that held, if it was given it there too, is now
  // this one's. Places at which the same lock is handed on are one lock.
  function handOver(site, by, to) {
    count(site, "lock");
    const lock = lockOf(site);
    lock.wakes++;
    if (by.holds.delete(lock)) lock.handed++;
    else for (const held of by.holds) join(held, lock, by);
    to.holds.add(lockOf(lock));
  }

  function join(held, lock, by) {
    const times = (lock.after.get(held) ?? 0) + 1;
    lock.after.set(held, times);
    if (times < SAME || 2 * times < lock.wakes) return;
    held.same = lock;
    lock.wakes += held.wakes;
    lock.handed += held.handed + times;
    by.holds.delete(held);
  }

  function lockOf(site) {
    while (site.same) site = site.same;
    return site;
  }

  const nativeOf = (here) =>
    here instanceof Promise || here instanceof AsyncResource || here.constructor === Object ? cause : here;

  function ended(resource) {
    const name = resource?.constructor?.name ?? "";
    const at = {};
    const socket = resource?.req?.socket;
    if (socket) return `${name} ${socket.remoteAddress} ${socket.remotePort}`;
    try { resource?.getpeername?.(at); } catch {}
    return at.address ? `${name} ${at.address} ${at.port}` : name;
  }

  const count = (site, by) => { site.came++; site.ended[by] = (site.ended[by] ?? 0) + 1; };

  function siteOf(wait) {
    if (wait.site === null) {
      const frames = framesOf(wait.at);
      wait.at = null;
      const key = JSON.stringify(frames);
      if (!known.has(key)) {
        known.set(key, {
          n: known.size, frames, told: false, left: 0, came: 0, ended: {}, wakes: 0, handed: 0, after: new Map(), same: null,
        });
      }
      wait.site = known.get(key);
    }
    return wait.site;
  }

  // [function, file, line, column, first line] of each frame with a file, the root first.
  function framesOf(at) {
    const prepare = Object.getOwnPropertyDescriptor(Error, "prepareStackTrace");
    Object.defineProperty(Error, "prepareStackTrace", { value: (_, sites) => sites, configurable: true });
    let sites;
    try { sites = at.stack; } finally {
      if (prepare) Object.defineProperty(Error, "prepareStackTrace", prepare);
      else delete Error.prepareStackTrace;
    }
    const own = (Array.isArray(sites) ? sites : []).filter((site) => site.getFileName());
    while (own.length && HOOKS.test(own[0].getFileName())) own.shift();
    // Between what runs and who awaits it there is what resumed it.
    const callers = own.findIndex((site) => site.isAsync?.());
    let resumed = callers;
    while (resumed > 0 && own[resumed - 1].getFileName().startsWith("node:")) resumed--;
    if (resumed > 0) own.splice(resumed, callers - resumed);
    return own
      .map((site) => [
        site.getFunctionName() ?? "", site.getFileName(), site.getLineNumber() ?? 0,
        site.getColumnNumber() ?? 0, site.getEnclosingLineNumber?.() ?? 0,
      ])
      .reverse();
  }

  // The locks that a request provably has: those that are mostly handed on by who was given them.
  const held = (root) =>
    root ? [...new Set([...root.holds].map(lockOf))].filter((l) => 2 * l.handed >= l.wakes).map((l) => l.n) : [];

  function look() {
    const began = performance.now();
    const limit = Error.stackTraceLimit, at = {};
    Error.stackTraceLimit = 4 * depth;
    try { Error.captureStackTrace(at, look); } finally { Error.stackTraceLimit = limit; }
    const sites = [], waits = [], kinds = {};
    for (const [id, wait] of [...pending]) {
      // After an answer a request may work on; what it left behind for ever looks the same.
      const site = siteOf(wait);
      if (wait.root?.done && !wait.root.holds.size) {
        if (!wait.left) site.left++;
        wait.left = true;
        if (Date.now() - wait.root.done > LEFT) pending.delete(id);
        continue;
      }
      if (site.left > site.came) continue; // No answer ever waited for it.
      if (!site.told) { site.told = true; sites.push([site.n, site.frames]); }
      const lock = lockOf(site);
      waits.push([site.n, wait.ready, held(wait.root)]);
      kinds[site.n] = [site.ended, lock.n];
    }
    const now = Date.now();
    if (now - since > 500) {
      // Fewer requests are followed when following all of them would cost too much.
      while ((captures * 1e3) / (now - since) > capturesPerSecond) { every *= 2; captures /= 2; }
      captures = 0;
      since = now;
    }
    const holds = held(executionAsyncResource()[ROOT]);
    const seen = { main: framesOf(at), holds, sites, waits, kinds, every, spent: 0 };
    spent += performance.now() - began;
    seen.spent = spent / 1e3;
    return JSON.stringify(seen);
  }

  const begun = (message) => {
    try {
      const root = newRoot();
      root.request = true;
      executionAsyncResource()[ROOT] = message.response[ROOT] = root;
    } catch {}
  };
  const answered = (message) => {
    const root = message.response?.[ROOT];
    if (root) root.done = Date.now();
  };
  const channels = require("diagnostics_channel");
  const heard = { "http.server.request.start": begun, "http.server.response.finish": answered };
  for (const [name, hears] of Object.entries(heard)) channels.channel(name).subscribe(hears);
  const hook = hooks.createHook({ init, before, promiseResolve }).enable();
  const watch = { look };
  watch.end = () => {
    hook.disable();
    for (const [name, hears] of Object.entries(heard)) channels.channel(name).unsubscribe(hears);
    for (const kept of [pending, awaited, known]) kept.clear();
    delete globalThis.__perfhunt?.watch;
  };
  globalThis.__perfhunt.watch = watch;
  globalThis.__perfhunt.undo.push(watch.end);
  return process.version;
})
