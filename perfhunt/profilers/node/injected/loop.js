// How late the event loop of this process is, how much of its time it is in use, and what of that collects garbage, from
// here until `end` is called. A function of `require`, installed beside door.js.
((require) => {
  const { monitorEventLoopDelay, performance, PerformanceObserver } = require("perf_hooks");
  const delay = monitorEventLoopDelay({ resolution: 10 });
  const used = performance.eventLoopUtilization(), began = performance.now();
  let collecting = 0, longest = 0;
  const observer = new PerformanceObserver((list) => {
    for (const { duration } of list.getEntries()) {
      collecting += duration;
      longest = Math.max(longest, duration);
    }
  });
  const end = () => { delay.disable(); observer.disconnect(); };
  observer.observe({ entryTypes: ["gc"] });
  delay.enable();
  globalThis.__perfhunt.undo.push(end);
  globalThis.__perfhunt.loop = () => {
    end();
    delete globalThis.__perfhunt.loop;
    return JSON.stringify({
      p50: delay.percentile(50) / 1e9, p99: delay.percentile(99) / 1e9, worst: delay.max / 1e9,
      used: performance.eventLoopUtilization(used).utilization,
      collecting: collecting / (performance.now() - began), longest: longest / 1e3,
    });
  };
  return process.version;
})
