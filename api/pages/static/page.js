"use strict";
// Every page: what was refused takes the focus, "/" goes to the search, j and k walk through the rows of a list.
document.querySelector("[data-focus]")?.focus();
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, textarea")) return;
  if (event.key === "/") {
    const search = [...document.querySelectorAll("[data-key='/']")].find((each) => each.offsetParent);
    if (search) { event.preventDefault(); search.focus(); }
    return;
  }
  if (event.key !== "j" && event.key !== "k") return;
  const rows = [...document.querySelectorAll("a.row")];
  if (!rows.length) return;
  const at = rows.indexOf(document.activeElement);
  const next = event.key === "j" ? Math.min(at + 1, rows.length - 1) : Math.max(at - 1, 0);
  rows[next].focus();
});
// A form that was just sent is not sent again by a second click; what comes back is another page, or a file beside this one.
document.addEventListener("submit", (event) => {
  const { dataset } = event.target, now = Date.now();
  if (event.target.method === "post" && now - (dataset.sent ?? 0) < 2000) event.preventDefault();
  else dataset.sent = now;
});
for (const button of document.querySelectorAll("[data-copy]")) {
  button.hidden = !navigator.clipboard;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(button.dataset.copy);
    button.textContent = "Copied";
  });
}
