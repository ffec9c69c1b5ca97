"use strict";
// What is not done yet: the page is read again every two seconds, and the part that waits replaced until it waits no more.
const again = async () => {
  try {
    const answer = document.hidden ? null : await fetch(location.href);
    if (answer?.ok) {
      const read = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("[data-waits]");
      if (!read) { location.reload(); return; }
      document.querySelector("[data-waits]").replaceWith(document.adoptNode(read));
    }
  } catch { /* It is not reached now; the next time it may be. */ }
  setTimeout(again, 2000);
};
if (document.querySelector("[data-waits]")) setTimeout(again, 2000);
