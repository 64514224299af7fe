"use strict";

/* Makes elements and texts for the charts and the gallery. Loaded first; text never becomes markup. */
const facetagElements = (() => {
  const SVG = "http://www.w3.org/2000/svg";
  const whole = new Intl.NumberFormat("en");

  /* Return an element; attributes that are null are left out, children are nodes or strings. */
  function make(name, attributes = {}, ...children) {
    return fill(document.createElement(name), attributes, children);
  }

  function draw(name, attributes = {}, ...children) {
    return fill(document.createElementNS(SVG, name), attributes, children);
  }

  function fill(element, attributes, children) {
    for (const [key, value] of Object.entries(attributes)) {
      if (value !== null && value !== undefined) element.setAttribute(key, value);
    }
    element.append(...children.filter((child) => child !== null && child !== undefined));
    return element;
  }

  const grouped = (count) => whole.format(count);
  const plural = (count, noun) => `${grouped(count)} ${noun}${count === 1 ? "" : "s"}`;

  function percent(share) {
    if (share > 0 && share < 0.005) return "<1%";
    return `${Math.round(share * 100)}%`;
  }

  /* Return the place in `starts` (ascending) of the last start that is not above the value. */
  function bandOf(value, starts) {
    let place = 0;
    while (place + 1 < starts.length && value >= starts[place + 1]) place += 1;
    return place;
  }

  return { make, draw, grouped, plural, percent, bandOf };
})();
