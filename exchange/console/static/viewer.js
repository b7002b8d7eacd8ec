// Shows a PDF page by page with pdf.js; only pages near the window are drawn.
// Scripts inside PDFs, XFA and eval stay off.

const box = document.querySelector("[data-pdf]");
const tools = (name) => document.querySelector(`[data-view=${name}]`);

async function library() {
  const base = new URL(box.dataset.base, location.href);
  const pdfjs = await import(new URL("build/pdf.min.mjs", base));
  pdfjs.GlobalWorkerOptions.workerSrc = new URL("build/pdf.worker.min.mjs", base).href;
  return { pdfjs, options: {
    wasmUrl: new URL("wasm/", base).href,
    cMapUrl: new URL("cmaps/", base).href,
    cMapPacked: true,
    standardFontDataUrl: new URL("standard_fonts/", base).href,
    iccUrl: new URL("iccs/", base).href,
    isEvalSupported: false,
    enableXfa: false,
  } };
}

class Viewer {
  constructor(pdfjs, pdf) {
    this.pdfjs = pdfjs;
    this.pdf = pdf;
    this.zoom = 1;
    this.canvases = [];
    this.shapes = new Map();
    this.drawn = new Map();
    this.tasks = new Map();
    this.observer = new IntersectionObserver((seen) => this.onSeen(seen), { root: box, rootMargin: "400px 0px" });
    this.resized = new ResizeObserver(() => {
      clearTimeout(this.later);
      this.later = setTimeout(() => this.refit(), 120);
    });
  }

  close() {
    this.observer.disconnect();
    this.resized.disconnect();
    clearTimeout(this.later);
    for (const task of this.tasks.values()) task.cancel();
  }

  async show() {
    box.replaceChildren();
    for (let n = 1; n <= this.pdf.numPages; n++) {
      const canvas = document.createElement("canvas");
      canvas.dataset.n = n;
      canvas.setAttribute("role", "img");
      canvas.setAttribute("aria-label", this.label(n));
      this.canvases.push(canvas);
      box.append(canvas);
    }
    const first = await this.pdf.getPage(1);
    this.shape = first.getViewport({ scale: 1 });
    this.fit();
    this.observe();
    this.resized.observe(box);
    for (const name of ["prev", "next", "in", "out", "where"]) tools(name).hidden = false;
    this.where();
  }

  label(n) { return box.dataset.page.replace("{0}", n).replace("{1}", this.pdf.numPages); }

  // width is the room for a page: what the window of pages has without its padding.
  width() {
    const style = getComputedStyle(box);
    return Math.floor(box.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight));
  }

  // scale makes a page as wide as the room; before a page is read it is taken to be like the first.
  scale(canvas) {
    const shape = this.shapes.get(canvas) || this.shape;
    return Math.min(2, this.room / shape.width) * this.zoom;
  }

  fit() {
    this.room = this.width();
    this.canvases.forEach((c) => this.size(c));
  }

  size(canvas) {
    const shape = this.shapes.get(canvas) || this.shape;
    const scale = this.scale(canvas);
    canvas.style.width = `${Math.floor(shape.width * scale)}px`;
    canvas.style.height = `${Math.floor(shape.height * scale)}px`;
  }

  observe() {
    this.observer.disconnect();
    this.canvases.forEach((c) => this.observer.observe(c));
  }

  refit() {
    if (this.width() === this.room || this.width() <= 0) return;
    const n = this.current();
    this.fit();
    this.observe();
    this.turn(n);
  }

  onSeen(entries) {
    for (const entry of entries) if (entry.isIntersecting) this.draw(entry.target);
  }

  async draw(canvas) {
    const page = await this.pdf.getPage(Number(canvas.dataset.n));
    this.shapes.set(canvas, page.getViewport({ scale: 1 }));
    const scale = this.scale(canvas);
    if (this.drawn.get(canvas) === scale) return;
    this.drawn.set(canvas, scale);
    const before = this.tasks.get(canvas);
    if (before) before.cancel();
    this.size(canvas);
    const sharp = Math.min(window.devicePixelRatio || 1, 2);
    const viewport = page.getViewport({ scale: scale * sharp });
    canvas.width = Math.floor(viewport.width);
    canvas.height = Math.floor(viewport.height);
    const task = page.render({ canvas, viewport, annotationMode: this.pdfjs.AnnotationMode.ENABLE });
    this.tasks.set(canvas, task);
    try {
      await task.promise;
      canvas.dataset.drawn = "1";
    } catch (error) {
      if (!(error instanceof this.pdfjs.RenderingCancelledException)) throw error;
    }
  }

  current() {
    const top = box.getBoundingClientRect().top;
    const middle = top + box.clientHeight / 3;
    let n = 1;
    for (const c of this.canvases) if (c.getBoundingClientRect().top <= middle) n = Number(c.dataset.n);
    return n;
  }

  where() { tools("where").textContent = this.label(this.current()); }

  go(step) { this.turn(this.current() + step); }

  turn(page) {
    const n = Math.min(this.canvases.length, Math.max(1, page));
    const target = this.canvases[n - 1];
    box.scrollTop += target.getBoundingClientRect().top - box.getBoundingClientRect().top - 14;
  }

  enlarge(by) {
    const n = this.current();
    this.zoom = Math.min(4, Math.max(0.4, this.zoom * by));
    this.fit();
    this.observe();
    this.turn(n);
  }
}

let viewer = null;

async function open(source) {
  try {
    const { pdfjs, options } = await library();
    const pdf = await pdfjs.getDocument({ ...source, ...options }).promise;
    if (viewer) viewer.close();
    viewer = new Viewer(pdfjs, pdf);
    await viewer.show();
  } catch (error) {
    const p = document.createElement("p");
    p.className = "nojs muted";
    p.textContent = box.dataset.failed;
    box.replaceChildren(p);
    console.info("viewer:", error.name);
  }
}

if (box) {
  tools("prev").addEventListener("click", () => viewer && viewer.go(-1));
  tools("next").addEventListener("click", () => viewer && viewer.go(1));
  tools("in").addEventListener("click", () => viewer && viewer.enlarge(1.25));
  tools("out").addEventListener("click", () => viewer && viewer.enlarge(0.8));
  box.addEventListener("scroll", () => viewer && viewer.where(), { passive: true });
  document.addEventListener("vanthu:file", async (event) => {
    box.closest(".viewer").hidden = false;
    open({ data: await event.detail.arrayBuffer() });
  });
  if (box.dataset.pdf) open({ url: box.dataset.pdf });
}
