// Changes are gathered and shown once a picture: a hundred events cost one pass over the page.

const HIDDEN_MS = 250;

// A function that may be called at any rate with a key; `show(keys)` then runs before the next
// picture, and no more often than every `restMs`: what comes alone is shown at once, a flood in
// steps that the eye can follow and the processor hardly feels.
export function oncePerFrame(show, restMs = 0) {
  let keys = new Set();
  let waiting = false;
  let shownAt = -Infinity;
  const run = () => {
    waiting = false;
    shownAt = performance.now();
    const changed = keys;
    keys = new Set();
    show(changed);
  };
  return (key) => {
    keys.add(key);
    if (waiting) return;
    waiting = true;
    const restsMs = shownAt + restMs - performance.now();
    // A tab in the background gets no frames, but an alarm still has to reach its title.
    if (document.hidden) setTimeout(run, HIDDEN_MS);
    else if (restsMs > 0) setTimeout(run, restsMs);
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
