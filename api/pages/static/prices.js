"use strict";
// What a price would change is shown while it is typed: the form is sent as by its button, and looked at until it is computed.
const form = document.querySelector("[data-preview]");
const headers = { Accept: "text/html" };
let turn = 0, timer;
const read = async (answer) => new DOMParser().parseFromString(await answer.text(), "text/html");
const show = (page) => {
  for (const place of ["[data-effect]", "[data-preview] .bar"]) {
    const shown = page.querySelector(place);
    if (shown) document.querySelector(place).replaceChildren(...document.adoptNode(shown).childNodes);
  }
};
const ask = async (mine) => {
  try {
    let answer = await fetch(form.action, { method: "POST", headers, body: new URLSearchParams(new FormData(form)) });
    for (let page = await read(answer); answer.ok && mine === turn; page = await read(answer)) {
      show(page);
      if (!document.querySelector("[data-effect] [data-waits]")) return;
      await new Promise((done) => setTimeout(done, 700));
      answer = await fetch(answer.url, { headers });
    }
  } catch { /* It is not reached now; the button still asks. */ }
};
form?.addEventListener("input", () => {
  turn += 1;
  document.querySelector("[data-effect]").replaceChildren();
  clearTimeout(timer);
  if (form.elements.amount.value.trim()) timer = setTimeout(ask, 700, turn);
});
