// Signs a ticket with a key beside the browser: through vanthu agent, or through the VGCA signing service. Both are asked
// only when a person presses a button, as the browser may ask for permission then. A PIN is never typed into this page.

const box = document.querySelector("[data-ticket]");
const ticket = box.dataset.ticket;
const remembered = "vanthu-agent-pairing";

function speaker(part) {
  const place = part.querySelector("[data-said]");
  return (text) => { place.textContent = text || ""; };
}

function agent(form) {
  const say = speaker(form);
  const button = form.querySelector("button");
  const pairing = form.querySelector("[data-pairing]");
  const code = pairing.querySelector("input");
  code.value = localStorage.getItem(remembered) || "";
  const ask = async (path, body) => {
    const answer = await fetch(form.dataset.agent + path, {
      signal: AbortSignal.timeout(body ? 330000 : 10000), // a person answers the second; a program the first
      method: body ? "POST" : "GET",
      headers: { Authorization: "Bearer " + code.value.trim(), ...(body && { "Content-Type": "application/json" }) },
      body: body && JSON.stringify(body),
      credentials: "omit",
      cache: "no-store",
      referrerPolicy: "no-referrer",
    });
    return { ok: answer.ok, ...(await answer.json()) };
  };
  const sign = async () => {
    say(form.dataset.looking);
    const status = await ask("/v1/status").catch(() => null);
    if (!status || status.agent !== "vanthu") { say(form.dataset.absent); return; }
    if (!status.paired) {
      pairing.hidden = false;
      say(form.dataset.pair);
      code.focus();
      return;
    }
    localStorage.setItem(remembered, code.value.trim());
    pairing.hidden = true;
    if (status.certificate !== form.dataset.certificate) { say(form.dataset.other.replace("{0}", status.holder)); return; }
    say(form.dataset.asking);
    const made = await ask("/v1/sign", { ticket }).catch(() => null);
    if (!made) { say(form.dataset.absent); return; }
    if (!made.ok) { say(box.dataset.lang === "en" ? made.message_en : made.message); return; }
    form.elements.signature.value = made.signature;
    form.submit();
  };
  button.disabled = false;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    button.disabled = true;
    await sign();
    button.disabled = false;
  });
}

// The service fetches the file by itself, shows its own window, and brings the signed file back to the hub; what it
// answers here only says that it has ended. What counts is what the hub accepted: the document's page shows it.
function connector(part) {
  const say = speaker(part);
  const button = part.querySelector("button");
  part.hidden = false;
  button.addEventListener("click", () => {
    button.disabled = true;
    say(part.dataset.looking);
    let opened = false;
    let answered = false;
    const end = (text) => { say(text); button.disabled = false; };
    const socket = new WebSocket(part.dataset.connector);
    socket.onopen = () => {
      opened = true;
      socket.send(JSON.stringify({
        FileUploadHandler: location.origin + part.dataset.upload,
        SessionId: "",
        JWTToken: "",
        FileName: location.origin + part.dataset.file,
        MetaData: [],
      }));
    };
    socket.onmessage = (event) => {
      answered = true;
      socket.close();
      let said = {};
      try { said = JSON.parse(event.data); } catch { /* not what it should be: told as stopped */ }
      if (said.Status === 0) { location.assign(part.dataset.next); return; }
      end(said.Message || part.dataset.stopped);
    };
    socket.onclose = () => { if (!answered) end(opened ? part.dataset.stopped : part.dataset.absent); };
  });
}

box.querySelectorAll("[data-agent]").forEach(agent);
box.querySelectorAll("[data-connector]").forEach(connector);
