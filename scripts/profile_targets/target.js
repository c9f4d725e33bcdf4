// Work of known shares in the event loop, and waits of four kinds in promises: `target.js WAITERS`.
// Each line on standard input is answered with what the worker did since the last one.
const net = require("net");

const HELD = 20, SLEPT = 50, GIVES_UP = 400; // ms
let units = [], spent = [0, 0, 0], began = performance.now(), sink = 0;

function spin(rounds) {
  let x = 0;
  for (let i = 0; i < rounds; i++) x += Math.sqrt(i);
  return x;
}
function sixty() { sink += spin(600000); }
function thirty() { sink += spin(300000); }
function ten() { sink += spin(100000); }

function work() {
  const start = performance.now();
  let at = start;
  [sixty, thirty, ten].forEach((step, n) => {
    step();
    const now = performance.now();
    spent[n] += now - at;
    at = now;
  });
  units.push(at - start);
  setImmediate(work);
}

function told() {
  units.sort((a, b) => a - b);
  const whole = spent[0] + spent[1] + spent[2];
  const answer = {
    units: units.length, seconds: (performance.now() - began) / 1e3,
    p99_ms: units[Math.floor(units.length * 0.99)] || 0, shares: spent.map((s) => s / whole),
  };
  units = []; spent = [0, 0, 0]; began = performance.now();
  return answer;
}

const nap = (ms) => new Promise((done) => setTimeout(done, ms));

class Places {
  constructor(free) { this.free = free; this.queue = []; }
  async take() {
    if (this.free > 0) { this.free--; return; }
    await new Promise((done) => this.queue.push(done));
  }
  give() { const next = this.queue.shift(); if (next) next(); else this.free++; }
}
const LOCK = new Places(1), POOL = new Places(2);

async function hold_lock() { await nap(HELD); }
async function lock_user() { for (;;) { await LOCK.take(); await hold_lock(); LOCK.give(); } }
async function hold_pool() { await nap(HELD); }
async function pool_user() { for (;;) { await POOL.take(); await hold_pool(); POOL.give(); } }
async function sleeper() { for (;;) await nap(SLEPT); }
// Nobody answers. It gives up and asks again, since what was awaited before a look began is not seen.
function unanswered(done) {
  const link = net.connect(silent.address().port, "127.0.0.1").once("data", done);
  setTimeout(() => { link.destroy(); done(); }, GIVES_UP);
}
async function reader() { for (;;) await new Promise(unanswered); }

const served = net.createServer(), silent = net.createServer();
served.listen(0, "127.0.0.1", () => silent.listen(0, "127.0.0.1", () => {
  for (let n = 0; n < Number(process.argv[2]); n++) [sleeper, lock_user, reader, pool_user][n % 4]();
  work();
  console.log(`ready {"port": ${served.address().port}}`);
}));
require("readline").createInterface({ input: process.stdin })
  .on("line", () => console.log(JSON.stringify(told())));
