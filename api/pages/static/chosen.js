"use strict";
// Lists in which many can be chosen: how many they are and, of amounts, what they add up to in each currency.
for (const form of document.querySelectorAll("[data-chosen]")) {
  const { thousands, point } = form.dataset;
  const amount = (minor) => {
    const digits = String(minor < 0n ? -minor : minor).padStart(3, "0");
    return (minor < 0n ? "−" : "") + digits.slice(0, -2).replace(/\B(?=(\d{3})+$)/g, () => thousands) + point + digits.slice(-2);
  };
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
