"use strict";
(() => {
  const $ = (id) => document.getElementById(id);
  const trust = JSON.parse($("trust").textContent);
  const extra = [];
  let lang = "vi", last = null, engine = null;

  const words = {
    vi: {
      TOTAL_PASSED: "Biên bản hợp lệ", TOTAL_FAILED: "Biên bản không hợp lệ", INDETERMINATE: "Chưa kết luận được",
      at: "Đúng tại thời điểm", checks: "Các bước kiểm tra", facts: "Văn bản", trail: "Diễn biến", remarks: "Lưu ý", roots: "Chứng thư gốc trong gói",
      member: "Thành phần", code: "Số, ký hiệu", subject: "Trích yếu", from: "Cơ quan gửi", issued: "Ngày ban hành", digest: "SHA-256 của PDF", issuer: "Cơ quan lập", log: "Khóa nhật ký", signed: "Chứng thư đã ký gói", by: "Do", print: "SHA-256 của chứng thư", unknown: "chưa biết là của cơ quan nào", claimed: "nơi nhận ghi", proven: "có trước", only: "Chỉ nói về nơi nhận",
      trusted: "được tin", untrusted: "chưa được tin: hãy so dấu vân tay qua một đường khác, rồi thêm chứng thư gốc ở trên", wait: "Đang kiểm tra…", trusts: "Trang này tin các gốc", made: "lập ngày",
    },
    en: {
      TOTAL_PASSED: "The bundle is genuine", TOTAL_FAILED: "The bundle is not genuine", INDETERMINATE: "Cannot be decided yet",
      at: "True as of", checks: "What was checked", facts: "Document", trail: "What happened", remarks: "Remarks", roots: "Root certificates in the bundle",
      member: "Member", code: "Number and symbol", subject: "Subject", from: "Sender", issued: "Issued", digest: "SHA-256 of the PDF", issuer: "Made by", log: "Key of the log", signed: "Certificate that signed", by: "Issued by", print: "SHA-256 of the certificate", unknown: "whose it is, is not known", claimed: "the recipient says", proven: "proven before", only: "Speaks of these recipients only",
      trusted: "trusted", untrusted: "not trusted: compare the fingerprint by another way, then add the root above", wait: "Checking…", trusts: "This page trusts the roots", made: "made on",
    },
  };
  const say = (key) => words[lang][key];

  // make builds an element; text goes in as text, never as HTML.
  function make(tag, props, ...children) {
    const e = Object.assign(document.createElement(tag), props);
    e.append(...children);
    return e;
  }

  function translate() {
    document.documentElement.lang = lang;
    for (const e of document.querySelectorAll("[data-vi]")) e.textContent = e.dataset[lang];
    const b = $("lang");
    b.textContent = lang === "vi" ? "English" : "Tiếng Việt";
    b.lang = lang === "vi" ? "en" : "vi";
    document.title = document.querySelector("header strong").textContent;
    $("roots").textContent = trust.roots.length ? `${say("trusts")}: ${trust.roots.length} (${say("made")} ${trust.made}).` : "";
    if (last) show(last);
  }

  // start unpacks and runs the verifier once.
  function start() {
    engine ??= (async () => {
      const raw = Uint8Array.from(atob($("engine").textContent.trim()), (c) => c.charCodeAt(0));
      const stream = new Blob([raw]).stream().pipeThrough(new DecompressionStream("gzip"));
      const go = new Go();
      const { instance } = await WebAssembly.instantiate(await new Response(stream).arrayBuffer(), go.importObject);
      go.run(instance);
    })();
    return engine;
  }

  const read = async (input) => (input.files.length ? new Uint8Array(await input.files[0].arrayBuffer()) : null);
  const moment = (text) => new Date(text).toLocaleString(lang === "vi" ? "vi-VN" : "en-GB", { dateStyle: "medium", timeStyle: "medium" });
  const local = (o) => (lang === "vi" ? o.text : o.text_en);

  function list(title, items) {
    return items.length ? [make("h2", {}, title), make("ul", { className: "list" }, ...items)] : [];
  }

  function show(r) {
    last = r;
    const box = $("result");
    box.dataset.verdict = r.verdict || "ERROR";
    if (r.error) {
      box.replaceChildren(make("div", { className: "verdict bad" }, make("strong", {}, r.error)));
      return;
    }
    const style = { TOTAL_PASSED: "good", TOTAL_FAILED: "bad", INDETERMINATE: "doubt" }[r.verdict];
    const head = make("div", { className: "verdict " + style, tabIndex: -1 }, make("strong", {}, say(r.verdict)));
    const wrong = r.checks.find((c) => c.verdict !== "TOTAL_PASSED");
    if (wrong) head.append(make("p", {}, local(wrong)));
    if (r.valid_at) head.append(make("p", { className: "sub" }, `${say("at")} ${moment(r.valid_at)}`));
    const marks = { TOTAL_PASSED: ["ok", "✓"], TOTAL_FAILED: ["no", "✗"], INDETERMINATE: ["un", "?"] };
    const checks = r.checks.map((c) => {
      const [kind, sign] = marks[c.verdict];
      const li = make("li", {}, make("span", { className: "mark " + kind, ariaHidden: "true" }, sign), local(c));
      if (c.member) li.append(make("div", { className: "sub" }, `${say("member")}: `, make("code", {}, c.member)));
      return li;
    });
    const parts = [head];
    if (r.signer) {
      const dl = make("dl", { id: "signer" });
      for (const [k, v] of [["signed", r.signer.subject + (r.signer.agency ? ` — ${r.signer.agency}` : ` — ${say("unknown")}`)], ["by", r.signer.issuer], ["print", r.signer.fingerprint]]) dl.append(make("dt", {}, say(k)), make("dd", {}, v));
      parts.push(dl);
    }
    if (r.document) {
      const d = r.document, rows = [["code", d.code], ["subject", d.subject], ["from", d.from], ["issued", d.issued], ["issuer", r.issuer], ["only", (r.only || []).join(", ")], ["digest", d.digest], ["log", r.log_key]];
      const dl = make("dl", {});
      for (const [k, v] of rows) if (v) dl.append(make("dt", {}, say(k)), make("dd", {}, v));
      parts.push(make("h2", {}, say("facts")), dl);
    }
    parts.push(...list(say("trail"), (r.trail || []).map((l) => make("li", {}, make("time", { dateTime: l.at }, moment(l.at)), make("div", {}, local(l)), make("div", { className: "sub" }, [l.claimed_at && `${say("claimed")} ${moment(l.claimed_at)}`, l.proven_by && `${say("proven")} ${moment(l.proven_by)}`].filter(Boolean).join("; "))))));
    parts.push(...list(say("checks"), checks));
    parts.push(...list(say("remarks"), (r.remarks || []).map((m) => make("li", {}, local(m)))));
    parts.push(...list(say("roots"), (r.authorities || []).map((a) => make("li", {}, a.name, " — ", say(a.trusted ? "trusted" : "untrusted"), make("div", { className: "sub" }, make("code", {}, a.fingerprint))))));
    box.replaceChildren(...parts);
    head.focus({ preventScroll: false });
  }

  async function check() {
    const bundle = await read($("bundle"));
    if (!bundle) return;
    $("result").dataset.verdict = "";
    $("result").replaceChildren(make("p", {}, say("wait")));
    try {
      await start();
      const roots = [...trust.roots, ...extra].map((t) => new TextEncoder().encode(t));
      show(JSON.parse(vanthuVerify(bundle, roots, await read($("document")), window.vanthuClock || "", trust.log_key)));
    } catch (e) {
      show({ error: String(e) });
    }
  }

  $("lang").addEventListener("click", () => { lang = lang === "vi" ? "en" : "vi"; translate(); });
  $("bundle").addEventListener("change", check);
  $("document").addEventListener("change", check);
  $("root").addEventListener("change", async () => {
    extra.length = 0;
    for (const f of $("root").files) extra.push(await f.text());
    check();
  });
  const drop = $("drop");
  for (const name of ["dragover", "dragleave", "drop"]) {
    drop.addEventListener(name, (e) => {
      e.preventDefault();
      drop.classList.toggle("over", name === "dragover");
      if (name === "drop" && e.dataTransfer.files.length) { $("bundle").files = e.dataTransfer.files; check(); }
    });
  }
  translate();
})();
