// Small comforts on top of pages that work without scripts.

const all = (root, selector) => root.querySelectorAll(selector);

// A form that acts is sent once: a second press while it is under way does nothing.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (!form.matches("form[data-single]") || event.defaultPrevented) return;
  if (form.dataset.sent) { event.preventDefault(); return; }
  if (event.submitter && (event.submitter.formMethod === "get" || event.submitter.hasAttribute("formaction"))) return;
  form.dataset.sent = "1";
  form.classList.add("htmx-request");
});
// Coming back with the Back button makes the form usable again, with what was typed.
window.addEventListener("pageshow", () => all(document, "form[data-sent]").forEach((form) => {
  delete form.dataset.sent;
  form.classList.remove("htmx-request");
}));

function dropZone(zone) {
  const input = zone.querySelector("input[type=file]");
  const name = zone.querySelector("[data-drop-name]");
  input.addEventListener("change", () => {
    const file = input.files[0];
    zone.classList.toggle("filled", Boolean(file));
    if (!file) return;
    name.textContent = file.name;
    if (input.accept.includes("pdf")) document.dispatchEvent(new CustomEvent("vanthu:file", { detail: file }));
    if ("submit" in zone.dataset) zone.closest("form").requestSubmit();
  });
  for (const kind of ["dragenter", "dragover"]) zone.addEventListener(kind, () => zone.classList.add("over"));
  for (const kind of ["dragleave", "drop"]) zone.addEventListener(kind, () => zone.classList.remove("over"));
}

// Vietnamese is searched without its marks: "so noi vu" finds "Sở Nội vụ".
const fold = (s) => s.normalize("NFD").replace(/[\u0300-\u036f]/g, "").replace(/[đĐ]/g, "d").toLowerCase();

function localFilter(input) {
  const rows = all(document, input.dataset.filter + " > li");
  all(document, "[data-nojs]").forEach((b) => { b.hidden = true; });
  const apply = () => {
    const words = fold(input.value).split(/\s+/).filter(Boolean);
    rows.forEach((row) => {
      const text = fold(row.dataset.text);
      row.hidden = !row.querySelector("input").checked && !words.every((w) => text.includes(w));
    });
  };
  input.addEventListener("input", apply);
  input.addEventListener("keydown", (event) => { if (event.key === "Enter") event.preventDefault(); });
}

function counter(label) {
  const form = label.closest("form");
  const first = label.textContent;
  const count = () => {
    const n = all(form, "input[name=to]:checked").length;
    label.textContent = n ? label.dataset.count.replace("{0}", n) : first;
  };
  form.addEventListener("change", count);
  count();
}

function prepare(root) {
  all(root, "[data-drop]").forEach(dropZone);
  all(root, "[data-filter]").forEach(localFilter);
  all(root, "[data-count]").forEach(counter);
  all(root, "[data-left]").forEach((label) => {
    const input = document.getElementById(label.dataset.left);
    const left = () => { label.textContent = label.dataset.text.replace("{0}", input.maxLength - [...input.value].length); };
    if (input) { input.addEventListener("input", left); left(); }
  });
  all(root, "[data-print]").forEach((b) => { b.hidden = false; b.addEventListener("click", () => window.print()); });
  const problem = root.querySelector("#problem");
  if (problem) problem.focus();
}
prepare(document);

// "/" goes to the search box, unless something is being typed.
document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.ctrlKey || event.metaKey || event.target.closest("input,textarea,select")) return;
  const box = document.querySelector("main input[type=search]") || document.querySelector("input[type=search]");
  if (box) { event.preventDefault(); box.focus(); }
});

// Parts of a page that follow what happens: data-live names kinds of events ("document.", "incoming."). When one of them
// happens the page is asked for again and the part is exchanged, unless somebody is typing or has something open there.
// The stream is closed while nobody looks at the page: a browser has few connections to one server.
function follow() {
  let source = null;
  let last = "";
  let due = 0;
  const wanted = new Set();
  const busy = (part) => part.contains(document.activeElement) && document.activeElement.matches("input,textarea,select")
    || part.querySelector("details[open]") !== null;
  const refresh = async () => {
    due = 0;
    const ids = [...wanted];
    wanted.clear();
    const answer = await fetch(location.href, { headers: { "X-Live": "1" } }).catch(() => null);
    if (!answer || !answer.ok || answer.redirected) return;
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const id of ids) {
      const old = document.getElementById(id);
      const now = fresh.getElementById(id);
      if (!old || !now || busy(old) || old.innerHTML === now.innerHTML) continue;
      old.replaceWith(document.adoptNode(now));
      prepare(now);
      if (window.htmx) window.htmx.process(now);
    }
  };
  const happened = (event) => {
    last = event.lastEventId;
    const { kind } = JSON.parse(event.data);
    for (const part of all(document, "[data-live][id]")) {
      if (part.dataset.live.split(" ").some((prefix) => kind.startsWith(prefix))) wanted.add(part.id);
    }
    if (wanted.size && !due) due = setTimeout(refresh, 300);
  };
  const open = () => {
    if (source || document.hidden || !document.querySelector("[data-live]")) return;
    source = new EventSource("/events" + (last && "?after=" + last));
    source.onmessage = happened;
  };
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) { open(); return; }
    if (source) source.close();
    source = null;
  });
  window.addEventListener("pagehide", () => { if (source) source.close(); source = null; });
  window.addEventListener("pageshow", open);
  open();
}
follow();
