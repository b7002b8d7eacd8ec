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
    this.drawn = new Map();
    this.observer = new IntersectionObserver((seen) => this.onSeen(seen), { root: box, rootMargin: "400px 0px" });
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
    this.canvases.forEach((c) => this.observer.observe(c));
    for (const name of ["prev", "next", "in", "out", "where"]) tools(name).hidden = false;
    this.where();
  }

  label(n) { return box.dataset.page.replace("{0}", n).replace("{1}", this.pdf.numPages); }

  fit() {
    const room = box.clientWidth - 30;
    this.scale = Math.max(0.25, Math.min(2, room / this.shape.width)) * this.zoom;
    for (const c of this.canvases) {
      if (this.drawn.has(c)) continue;
      c.style.width = `${Math.floor(this.shape.width * this.scale)}px`;
      c.style.height = `${Math.floor(this.shape.height * this.scale)}px`;
    }
  }

  onSeen(entries) {
    for (const entry of entries) if (entry.isIntersecting) this.draw(entry.target);
  }

  async draw(canvas) {
    if (this.drawn.get(canvas) === this.scale) return;
    const scale = this.scale;
    this.drawn.set(canvas, scale);
    const page = await this.pdf.getPage(Number(canvas.dataset.n));
    const sharp = Math.min(window.devicePixelRatio || 1, 2);
    const viewport = page.getViewport({ scale: scale * sharp });
    canvas.width = Math.floor(viewport.width);
    canvas.height = Math.floor(viewport.height);
    canvas.style.width = `${Math.floor(viewport.width / sharp)}px`;
    canvas.style.height = `${Math.floor(viewport.height / sharp)}px`;
    await page.render({ canvas, viewport, annotationMode: this.pdfjs.AnnotationMode.ENABLE }).promise;
    canvas.dataset.drawn = "1";
  }

  current() {
    const top = box.getBoundingClientRect().top;
    const middle = top + box.clientHeight / 3;
    let n = 1;
    for (const c of this.canvases) if (c.getBoundingClientRect().top <= middle) n = Number(c.dataset.n);
    return n;
  }

  where() { tools("where").textContent = this.label(this.current()); }

  go(step) {
    const n = Math.min(this.canvases.length, Math.max(1, this.current() + step));
    const target = this.canvases[n - 1];
    box.scrollTop += target.getBoundingClientRect().top - box.getBoundingClientRect().top - 14;
  }

  enlarge(by) {
    const n = this.current();
    this.zoom = Math.min(4, Math.max(0.4, this.zoom * by));
    this.drawn.clear();
    this.fit();
    this.observer.disconnect();
    this.canvases.forEach((c) => this.observer.observe(c));
    this.canvases[n - 1].scrollIntoView({ block: "nearest" });
  }
}

let viewer = null;

async function open(source) {
  try {
    const { pdfjs, options } = await library();
    const pdf = await pdfjs.getDocument({ ...source, ...options }).promise;
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
  document.addEventListener("vanthu:file", async (event) => open({ data: await event.detail.arrayBuffer() }));
  if (box.dataset.pdf) open({ url: box.dataset.pdf });
}
