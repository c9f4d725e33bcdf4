// What the promises of this process wait for: whose code awaits, and who or what ends the wait. A function of `require`,
// installed beside door.js, read by `look`; nothing in it may throw into the process. Stacks take no more than a share of
// the loop's time, `budget`: beyond it only one request of several is followed, and stands for all of them.
((require, depth, budget) => {
  const hooks = require("async_hooks"), { executionAsyncId, executionAsyncResource, AsyncResource } = hooks;
  const ROOT = Symbol("perfhunt"); // on what runs: the request that it runs for, or the connection
  const pending = new Map(); // by the async id of a continuation: a wait
  const awaited = new Map(); // the same by that of the promise that is awaited
  const known = new Map(); // places that await, by how they are written
  const stacks = new Map(); // the same by all calls that led there, which are cheaper to tell apart
  const CONNECTIONS = new Set(["TCPWRAP", "PIPEWRAP", "TLSWRAP", "TCPCONNECTWRAP", "PIPECONNECTWRAP"]);
  const HOOKS = /^node:internal\/(?:async|promise)_hooks$/; // what calls `init`
  const NETWORK = /^(?:TCP|PIPE|TLS|UDP|HTTP2|HTTPCLIENT)/; // types of what another end answers, and of what is no wait
  const NOTHING = /^(?:TickObject|Microtask|Immediate|HTTPINCOMINGMESSAGE|HTTPSERVERREQUEST)$/;
  const TIMED = 8; // stacks of which one is timed
  const STEP = 0.0002; // ms by which what a stack usually takes is learnt: a median, which interruptions do not move
  const FOLLOWED = 5; // requests at least that are followed in half a second, where there are more
  const SAME = 8; // times that a lock given at one place was handed on at another, which makes them one
  const SHARES = 20; // one in so many: beyond it a connection, or an answer, is one that several requests share
  const LEFT = 2000; // ms after the answer of its request until a wait is forgotten
  const OWN_TURN = new Set(["Timeout", "Immediate"]);
  let cause = null; // what the loop last called: continuations and ticks that follow are its doing
  let turn = 0; // how often it called anything
  let roots = 0, chance = 1, pick = 0, every = 1, captures = 0, counted = 0, each = 0.005, since = performance.now(), spent = 0, latest = 0;
  // What was begun last, that another end answers and else: what it is, when, and in which run of code.
  const sent = { what: null, id: 0, run: -1 }, started = { what: null, id: 0, run: -1 };
  const connections = new Map(); // by their handles: to other ends that this process wrote to

  // One of each so many, by chance: what comes in turns would else be followed always or never.
  function weightOfNext() {
    if (roots % every === 0) pick = (chance = (Math.imul(chance, 1664525) + 1013904223) >>> 0) / 2 ** 32 * every | 0;
    return roots++ % every === pick ? every : 0;
  }
  const newRoot = () =>
    ({ weight: weightOfNext(), n: roots, holds: new Set(), request: false, connection: null, done: 0, sent: null, sentAt: 0 });

  function rootAwaiting(here, resource) {
    let root = here[ROOT];
    // Where no request is known, who first awaits begins what stands for one.
    if (root === undefined && (here instanceof Promise || OWN_TURN.has(here.constructor?.name))) root = here[ROOT] = newRoot();
    if (root !== undefined) resource[ROOT] = root;
    return root;
  }

  function init(id, type, trigger, resource) {
    try {
      const here = executionAsyncResource();
      latest = id;
      if (type !== "PROMISE") {
        if (CONNECTIONS.has(type)) resource[ROOT] = { ...newRoot(), connection: resource };
        else if (here[ROOT] !== undefined) resource[ROOT] = here[ROOT];
        if (NETWORK.test(type)) begins(sent, resource, id);
        else if (!NOTHING.test(type) && !(resource instanceof AsyncResource)) begins(started, resource, id);
        return;
      }
      const root = rootAwaiting(here, resource);
      // A promise that is made is triggered by who makes it, one that continues another by that.
      if (trigger === executionAsyncId()) return;
      // Who was given a lock is followed from there, whoever it is.
      const weight = root === undefined ? weightOfNext() : root.holds.size ? 1 : root.weight;
      if (root === undefined && !weight) return;
      const wait = {
        at: weight ? captured() : null, weight, root, awaits: trigger, site: null, ready: false, left: false,
        on: weight ? startedFor(trigger) : null, shared: false, also: null,
      };
      const other = awaited.get(trigger);
      if (other?.root === root) wait.also = other;
      else if (other !== undefined) wait.shared = other.shared = true;
      pending.set(id, wait);
      awaited.set(trigger, wait);
    } catch {}
  }

  const isTimer = (what) => OWN_TURN.has(what?.constructor?.name);

  function begins(last, what, id) {
    const run = executionAsyncId();
    // A limit of time that is set beside it is not what is waited for.
    if (last === started && last.run === run && isTimer(what) && !isTimer(last.what)) return;
    last.what = what, last.id = id, last.run = run;
  }

  // What was begun for a promise: since it was made, or just before it, where that is what another end answers.
  function startedFor(promise) {
    const run = executionAsyncId();
    const since = (last) => last.run === run && last.id > promise;
    if (since(sent)) return { what: sent.what, within: true, network: true };
    if (since(started)) return { what: started.what, within: true, network: false };
    return sent.run === run ? { what: sent.what, within: false, network: true } : null;
  }

  function captured() {
    const timed = captures++ % TIMED === 0, began = timed ? performance.now() : 0;
    const at = stackAt(init, depth);
    if (timed) each += Math.sign(performance.now() - began - each) * STEP;
    return at;
  }

  function stackAt(below, frames) {
    const limit = Error.stackTraceLimit, at = {};
    Error.stackTraceLimit = frames;
    try { Error.captureStackTrace(at, below); } finally { Error.stackTraceLimit = limit; }
    return at;
  }

  // An answer is awaited on a connection from what is written to it until what is read from it. One on which others write
  // meanwhile is shared.
  function wrote(socket) {
    const handle = socket._handle;
    if (!handle || socket.connecting || socket.server || socket._server) return;
    const by = executionAsyncResource()[ROOT];
    let link = connections.get(handle);
    if (link === undefined) {
      link = { socket, to: addressOf(handle), writes: 0, overlaps: 0, by, answered: true, closed: false };
      connections.set(handle, link);
    }
    if (!link.answered && link.by !== by) link.overlaps++;
    link.writes++;
    link.by = by;
    link.answered = false;
    begins(sent, handle, latest);
    if (by) by.sent = handle, by.sentAt = latest;
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
      if (follows(here)) return; // What the loop called, as what libraries bind does.
      cause = here;
      turn++;
      const link = connections.get(handleOf(here)) ?? connections.get(here.req?.socket?._handle);
      if (link !== undefined) link.answered = true;
    } catch {}
  }

  function promiseResolve(id) {
    try {
      const wait = awaited.get(id);
      if (wait === undefined || wait.ready) return;
      for (let each = wait; each; each = each.also) each.ready = true;
      const here = executionAsyncResource(), by = here[ROOT];
      const others =
        by && wait.root && by !== wait.root && !by.connection && ((by.request && wait.root.request) || here instanceof Promise);
      if (others) handOver(wait, by);
      else if (wait.site) count(wait, by?.connection ? by.connection : nativeOf(here));
    } catch {}
  }

  // Work of another request ended the wait: what that held, if it was given it there too, is now
  // this one's. Places at which the same lock is handed on are one lock. Of a request that is not followed nothing is known
  // but what it was given.
  function handOver(wait, by) {
    if (!wait.weight && by.holds.size !== 1) return;
    const lock = lockOf(wait.weight ? siteOf(innermost(wait)) : [...by.holds][0]);
    if (wait.weight) came(wait, "lock");
    if (by.weight || by.holds.size) {
      lock.wakes++;
      if (by.holds.delete(lock)) lock.handed++;
      else for (const held of by.holds) join(held, lock, by);
    }
    wait.root.holds.add(lockOf(lock));
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

  // Ticks are plain objects.
  const follows = (here) => here instanceof Promise || here instanceof AsyncResource || here.constructor === Object;
  const nativeOf = (here) => (follows(here) ? cause : here);

  // An agent that takes a connection again puts it into a new resource.
  const handleOf = (resource) => (resource?.constructor?.name === "ReusedHandle" ? resource.handle : resource);

  function ended(resource) {
    const handle = handleOf(resource), name = handle?.constructor?.name ?? "";
    const to = connections.get(handle)?.to ?? addressOf(handle);
    return to ? `${name} ${to}` : name;
  }

  function addressOf(resource) {
    const socket = resource?.req?.socket, at = {};
    if (socket) return `${socket.remoteAddress} ${socket.remotePort}`;
    try { resource?.getpeername?.(at); } catch {}
    return at.address ? `${at.address} ${at.port}` : "";
  }

  function count(wait, resource) {
    // What gives up waiting for another end waited for that. Another request's timer is no sleep of one's own: it hands on.
    if (!isTimer(resource)) came(wait, ended(resource));
    else if (wait.on?.within && wait.on.network) came(wait, ended(wait.on.what));
    else came(wait, resource[ROOT] === wait.root ? ended(resource) : resource[ROOT]?.request && wait.root?.request ? "lock" : "");
    // One answer may be awaited by several.
    if (wait.site.turn === turn && wait.site.by !== wait.root) wait.site.together++;
    wait.site.turn = turn;
    wait.site.by = wait.root;
  }

  function came(wait, by) {
    for (let each = wait; each; each = each.also) {
      if (!each.site) continue;
      each.site.came++;
      each.site.ended[by] = (each.site.ended[by] ?? 0) + 1;
    }
  }

  // Of the waits of one request for one promise, the one of the deepest call: it tells the most.
  function innermost(wait) {
    let deepest = wait;
    for (let each = wait.also; each; each = each.also) {
      if (each.weight && siteOf(each).frames.length > siteOf(deepest).frames.length) deepest = each;
    }
    return deepest;
  }

  // Whether its request waits for the same further in: what goes on after another wait (`a.then(b).catch(c)`) is only the
  // way to that.
  function isOutside(wait) {
    const inner = pending.get(wait.awaits), last = awaited.get(wait.awaits);
    if (inner !== undefined && inner.weight && inner.root === wait.root) return true;
    return last !== undefined && last.weight > 0 && last.root === wait.root && innermost(last) !== wait;
  }

  // A look may come between any two steps of this, from the inspector's interrupt.
  function siteOf(wait) {
    const { at } = wait;
    if (wait.site === null) {
      const calls = callsOf(at);
      let raw = "";
      for (const call of calls) raw += `${call.getPosition()} ${call.getFileName()}\n`;
      if (!stacks.has(raw)) stacks.set(raw, siteAt(framesOf(calls)));
      wait.site = given(wait, stacks.get(raw));
      wait.at = null;
    }
    return wait.site;
  }

  // Where a promise ends as another does, V8 itself awaits that, on no stack. Of a request that is not followed and was given
  // a lock no other wait is known, so it is where it was given that.
  function given(wait, site) {
    if (site.frames.length || !wait.root?.holds.size || wait.root.weight) return site;
    const lock = lockOf([...wait.root.holds].at(-1));
    return siteAt(lock.frames, `given ${lock.n}`);
  }

  function siteAt(frames, key = JSON.stringify(frames)) {
    if (!known.has(key)) {
      known.set(key, {
        n: known.size, frames, told: false, left: 0, came: 0, ended: {}, wakes: 0, handed: 0, after: new Map(), same: null,
        turn: 0, by: null, together: 0,
      });
    }
    return known.get(key);
  }

  function callsOf(at) {
    const prepare = Object.getOwnPropertyDescriptor(Error, "prepareStackTrace");
    Object.defineProperty(Error, "prepareStackTrace", { value: (_, sites) => sites, configurable: true });
    try { return Array.isArray(at.stack) ? at.stack : []; } finally {
      if (prepare) Object.defineProperty(Error, "prepareStackTrace", prepare);
      else delete Error.prepareStackTrace;
    }
  }

  // [function, file, line, column, first line] of each frame with a file, the root first.
  function framesOf(calls) {
    const own = calls.filter((site) => site.getFileName());
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

  // As many requests are followed as the budget allows.
  function follow() {
    const took = performance.now() - since;
    if (took < 500) return;
    let share = (captures * each) / took;
    // Who was given a lock is followed whatever that costs: beside it some always are.
    for (; share > budget && 2 * every * FOLLOWED <= roots - counted; share /= 2) every *= 2;
    if (every > 1 && (share < budget / 4 || every * FOLLOWED > roots - counted)) every /= 2;
    captures = 0, counted = roots, since += took;
  }

  // How many connections there are to each other end, and on how many of them one answer is awaited at a time.
  function links() {
    const open = {};
    for (const [handle, link] of [...connections]) {
      const { socket, to, writes, overlaps } = link;
      if (link.closed) connections.delete(handle); // Who waits for its end has been told of it.
      if ((link.closed = socket.destroyed)) continue;
      const all = (open[to] ??= [0, 0]);
      all[0]++;
      if (SHARES * overlaps <= writes) all[1]++;
    }
    return open;
  }

  function look() {
    const began = performance.now();
    const at = stackAt(look, 4 * depth);
    const sites = [], waits = [], kinds = {};
    for (const [id, wait] of [...pending]) {
      if (!wait.weight) {
        if (wait.root.done && Date.now() - wait.root.done > LEFT) pending.delete(id);
        continue;
      }
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
      // Nothing was written for it, and it does not share what another awaits: it may be in a queue.
      const mine = wait.on?.network || wait.root?.sentAt >= id;
      const unsent = !mine && !wait.shared && SHARES * site.together <= site.came;
      waits.push([site.n, wait.ready, held(wait.root), wait.weight, unsent, wait.root?.n ?? 0, isOutside(wait)]);
      kinds[site.n] = kinds[site.n] ?? [{ ...site.ended }, lock.n];
      if (site.came) continue;
      const on = wait.on?.what ?? (mine ? wait.root.sent : null), told = kinds[site.n][0];
      if (on) told[ended(on)] = (told[ended(on)] ?? 0) + 1;
    }
    follow();
    const holds = held(executionAsyncResource()[ROOT]);
    const seen = { main: framesOf(callsOf(at)), holds, sites, waits, kinds, links: links(), every, spent: 0 };
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
  const { Socket } = require("net"), { _writeGeneric: write } = Socket.prototype;
  let over = false;
  function written(...given) {
    try { if (!over) wrote(this); } catch {}
    return write.apply(this, given);
  }
  Socket.prototype._writeGeneric = written;
  const watch = { look };
  watch.end = () => {
    hook.disable();
    over = true;
    // Who has put something around it meanwhile goes on calling it.
    if (Socket.prototype._writeGeneric === written) Socket.prototype._writeGeneric = write;
    for (const [name, hears] of Object.entries(heard)) channels.channel(name).unsubscribe(hears);
    for (const kept of [pending, awaited, known, stacks, connections]) kept.clear();
    delete globalThis.__perfhunt?.watch;
  };
  globalThis.__perfhunt.watch = watch;
  globalThis.__perfhunt.undo.push(watch.end);
  return process.version;
})
