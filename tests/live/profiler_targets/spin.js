// One loop in which hot() does ten times the work of cold(); a worker thread has one of its own. Prints `ready {}`.
const { isMainThread, Worker } = require("worker_threads");
function hot() {
  let x = 0;
  for (let i = 0; i < 3e6; i++) x += Math.sqrt(i);
  return x;
}
function cold() {
  let x = 0;
  for (let i = 0; i < 3e5; i++) x += Math.sqrt(i);
  return x;
}
function beside() { return hot(); }
if (isMainThread) {
  new Worker(__filename).on("online", () => console.log("ready {}"));
  setInterval(() => { hot(); cold(); }, 1);
} else {
  setInterval(beside, 1);
}
