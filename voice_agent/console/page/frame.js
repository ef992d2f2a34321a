// Changes are gathered and shown once a picture: a hundred events cost one pass over the page.

const HIDDEN_MS = 250;

// A function that may be called at any rate with a key; `show(keys)` then runs once a frame.
export function oncePerFrame(show) {
  let keys = new Set();
  let waiting = false;
  const run = () => {
    waiting = false;
    const changed = keys;
    keys = new Set();
    show(changed);
  };
  return (key) => {
    keys.add(key);
    if (waiting) return;
    waiting = true;
    // A tab in the background gets no frames, but an alarm still has to reach its title.
    if (document.hidden) setTimeout(run, HIDDEN_MS);
    else requestAnimationFrame(run);
  };
}

// Calls `tick` every second, on the second, until the returned function is called.
export function everySecond(tick) {
  let timer = 0;
  const next = () => {
    timer = setTimeout(() => {
      tick();
      next();
    }, 1000 - (Date.now() % 1000));
  };
  next();
  return () => clearTimeout(timer);
}
