// One loop in which hot() does ten times the work of cold(). Prints `ready {}`.
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
setInterval(() => { hot(); cold(); }, 1);
console.log("ready {}");
