"use strict";
// Lists in which many can be chosen: how many they are and, of amounts, what they add up to in each currency.
const amount = (minor) => (minor < 0n ? "−" : "") + ((minor < 0n ? -minor : minor) + "").padStart(3, "0").replace(/(\d\d)$/, ".$1").replace(/\B(?=(\d{3})+\.)/g, ",");
for (const form of document.querySelectorAll("[data-chosen]")) {
  const place = form.querySelector("[data-sum]");
  const boxes = [...form.querySelectorAll("input[type=checkbox]")];
  const show = () => {
    const chosen = boxes.filter((box) => box.checked), sums = new Map();
    for (const { dataset: { minor, currency } } of chosen) {
      if (minor) sums.set(currency, (sums.get(currency) ?? 0n) + BigInt(minor));
    }
    const all = [...sums].map(([currency, minor]) => `${amount(minor)} ${currency}`).join(" and ");
    place.textContent = chosen.length ? `${chosen.length} chosen${all && `, ${all} in all`}` : "";
  };
  form.addEventListener("change", show);
  show();
}
