// Both voices as a ring of bars around the button, and the microphone's level for its meter.

const BARS = 72;
const STEADY = matchMedia("(prefers-reduced-motion: reduce)");

export class Voices {
  #canvas;
  #context = null;
  #caller = null;
  #agent = null;
  #levels = new Float32Array(BARS);
  #frame = 0;
  #onLevel;

  // `onLevel(0..1)` is called for every picture with the microphone's level.
  constructor(canvas, onLevel) {
    this.#canvas = canvas;
    this.#onLevel = onLevel;
    new ResizeObserver(() => this.#draw(0)).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#draw(0));
  }

  listenToCaller(stream) {
    this.#caller = this.#analyser(stream);
    if (!this.#frame) this.#frame = requestAnimationFrame((time) => this.#tick(time));
  }

  listenToAgent(stream) {
    this.#agent = this.#analyser(stream);
  }

  stop() {
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
    this.#caller = this.#agent = null;
    this.#context?.close();
    this.#context = null;
    this.#levels.fill(0);
    this.#onLevel(0);
    this.#draw(0);
  }

  #analyser(stream) {
    this.#context ??= new AudioContext();
    const node = this.#context.createAnalyser();
    node.fftSize = 512;
    node.smoothingTimeConstant = 0.6;
    this.#context.createMediaStreamSource(stream).connect(node);
    return { node, wave: new Float32Array(node.fftSize) };
  }

  #tick(time) {
    const caller = loudness(this.#caller);
    const agent = loudness(this.#agent);
    this.#onLevel(caller);
    this.#move(time, caller, agent);
    this.#draw(agent >= caller ? 1 : 2);
    this.#frame = requestAnimationFrame((next) => this.#tick(next));
  }

  #move(time, caller, agent) {
    const loud = Math.max(caller, agent);
    for (let bar = 0; bar < BARS; bar += 1) {
      const turn = (bar / BARS) * Math.PI * 2;
      const ripple = STEADY.matches
        ? 1
        : 0.55 + 0.45 * Math.sin(turn * 5 + time / 210) * Math.cos(turn * 3 - time / 330);
      this.#levels[bar] += (loud * ripple - this.#levels[bar]) * 0.35;
    }
  }

  #draw(speaker) {
    const canvas = this.#canvas;
    const size = canvas.clientWidth;
    const scale = window.devicePixelRatio || 1;
    const pixels = Math.round(size * scale);
    if (canvas.width !== pixels || canvas.height !== pixels) canvas.width = canvas.height = pixels;
    const brush = canvas.getContext("2d");
    const style = getComputedStyle(canvas);
    const colour = ["--bar", "--agent", "--caller"][speaker];
    brush.setTransform(scale, 0, 0, scale, 0, 0);
    brush.clearRect(0, 0, size, size);
    brush.translate(size / 2, size / 2);
    brush.lineWidth = 3;
    brush.lineCap = "round";
    const inner = size * 0.365;
    for (let bar = 0; bar < BARS; bar += 1) {
      const level = this.#levels[bar];
      brush.strokeStyle = style.getPropertyValue(level > 0.04 ? colour : "--bar");
      const reach = 2 + level * size * 0.11;
      brush.beginPath();
      brush.moveTo(0, -inner);
      brush.lineTo(0, -inner - reach);
      brush.stroke();
      brush.rotate((Math.PI * 2) / BARS);
    }
  }
}

// Root mean square of the last few milliseconds, on a scale where speech fills most of 0..1.
function loudness(source) {
  if (!source) return 0;
  source.node.getFloatTimeDomainData(source.wave);
  let sum = 0;
  for (const sample of source.wave) sum += sample * sample;
  const decibels = 10 * Math.log10(sum / source.wave.length + 1e-9);
  return Math.min(1, Math.max(0, (decibels + 55) / 45));
}
