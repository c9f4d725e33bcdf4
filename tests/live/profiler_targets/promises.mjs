// A service of one path per wait, each beside a decoy: `render` computes, and `audit` has a lock that nobody waits for. A
// module, which has no `require`. Prints `ready {"port": N}`.
import crypto from "node:crypto";
import http from "node:http";
import { promisify } from "node:util";

class Places {
  constructor(free) { this.free = free; this.queue = []; }
  async take() {
    if (this.free > 0) { this.free--; return; }
    await new Promise((done) => this.queue.push(done));
  }
  give() {
    const next = this.queue.shift();
    if (next) next(); else this.free++;
  }
}

const nap = (ms) => new Promise((done) => setTimeout(done, ms));
const ledger = new Places(1), connections = new Places(2), quiet = new Places(1000);
const pbkdf2 = promisify(crypto.pbkdf2);
const two = new http.Agent({ keepAlive: true, maxSockets: 2 });
const silence = new Int32Array(new SharedArrayBuffer(4));

function render() {
  let x = 0;
  for (let i = 0; i < 3e5; i++) x += Math.sqrt(i);
  return x;
}
async function audit() { await quiet.take(); await nap(2); quiet.give(); }
async function postEntry() {
  await ledger.take();
  try { await nap(8); } finally { ledger.give(); }
}
// A lock made of a chain, and who goes on after it in several ways: one wait.
let tail = Promise.resolve();
function writeLog() {
  const mine = tail.then(() => nap(8));
  tail = mine.catch(() => {});
  return mine;
}
async function runQuery() { await connections.take(); await nap(16); connections.give(); }
// A queue of callbacks, two at a time, whose promise is what a function ends as.
const jobs = [];
let active = 0;
function pump() {
  for (; active < 2 && jobs.length; active++) {
    const done = jobs.shift();
    setTimeout(() => { active--; done(); pump(); }, 16);
  }
}
async function handOn() { return new Promise((done) => { jobs.push(done); pump(); }); }
const get = (asked) =>
  new Promise((done) => http.get({ port: slow.address().port, ...asked }, (answer) => answer.resume().on("end", done)));
const awaitPrices = () => get({});
async function askStock() { await get({ agent: two }); }
async function askSupplier() { await get({ path: "/late" }); }
async function derive() { await pbkdf2("secret", "salt", 60000, 32, "sha256"); }
function pause() { Atomics.wait(silence, 0, 0, 8); }

const paths = {
  async "/lock"() { render(); await audit(); await postEntry(); },
  async "/chain"() { render(); await audit(); await writeLog(); },
  async "/pool"() { render(); await audit(); await runQuery(); },
  async "/queue"() { render(); await audit(); await handOn(); },
  async "/downstream"() { render(); await audit(); await awaitPrices(); },
  async "/agent"() { render(); await audit(); await askStock(); },
  async "/late"() { await askSupplier(); },
  async "/threads"() { render(); await audit(); await derive(); },
  async "/blocked"() { render(); await audit(); pause(); },
  async "/nothing"() { await audit(); },
};
const slow = http.createServer((asked, answer) => setTimeout(() => answer.end("1"), asked.url === "/late" ? 2000 : 30));
slow.listen(0, "127.0.0.1");
const server = http.createServer(async (asked, answer) => {
  await paths[asked.url]();
  answer.end("ok");
});
server.listen(0, "127.0.0.1", () => console.log(`ready ${JSON.stringify({ port: server.address().port })}`));
