"use strict";
// Lists in which many can be chosen: how many they are and, of amounts, what they add up to.
for (const form of document.querySelectorAll("[data-chosen]")) {
  const sum = form.querySelector("[data-sum]");
  const boxes = [...form.querySelectorAll("input[type=checkbox]")];
  const show = () => {
    const chosen = boxes.filter((box) => box.checked);
    const minor = chosen.reduce((total, box) => total + BigInt(box.dataset.minor ?? 0), 0n);
    const text = (minor < 0n ? "−" : "") + ((minor < 0n ? -minor : minor) + "").padStart(3, "0").replace(/(\d\d)$/, ".$1").replace(/\B(?=(\d{3})+\.)/g, ",");
    const all = chosen.some((box) => box.dataset.minor) ? `, ${text} in all` : "";
    sum.textContent = chosen.length ? `${chosen.length} chosen${all}` : "";
  };
  form.addEventListener("change", show);
  show();
}
