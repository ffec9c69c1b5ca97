"use strict";
// Figures that move: by server-sent events, which the browser opens again; by asking where none come for five seconds.
for (const part of document.querySelectorAll("[data-live]")) {
  const state = part.querySelector("[data-state]");
  const rate = part.querySelector("[data-rate]");
  let last = 0, before = null, source = null, failed = 0;
  const say = (text) => { if (state.textContent !== text) state.textContent = text; };
  const show = (figures) => {
    if (!figures) return;
    const now = Date.now();
    last = now; failed = 0;
    for (const [name, value] of Object.entries(figures)) {
      const place = part.querySelector(`[data-name="${name}"]`);
      if (place) place.textContent = value.toLocaleString();
    }
    if (before && now > before.at) rate.textContent = `${Math.max(0, Math.round((figures.decided - before.decided) * 1000 / (now - before.at))).toLocaleString()} a second`;
    before = { at: now, decided: figures.decided };
    say(figures.is_paused ? "the workers are paused" : "live");
  };
  const open = () => {
    source?.close();
    source = new EventSource(part.dataset.live);
    source.onmessage = (event) => show(JSON.parse(event.data));
  };
  const poll = async () => {
    if (document.hidden) { source?.close(); source = null; before = null; say("paused"); return; }
    if (!source || source.readyState === EventSource.CLOSED) open();
    if (Date.now() - last < 5000) return;
    try {
      const answer = await fetch(part.dataset.figures, { headers: { Accept: "application/json" } });
      if (answer.status === 401) { say("signed out"); return; }
      show(await answer.json());
    } catch { if (++failed > 1) say("not reached"); }
  };
  last = Date.now();
  open();
  setInterval(poll, 2500);
  document.addEventListener("visibilitychange", poll);
}
