// Draw the box of a face that was missed: by the pointer, or by arrow keys.

/** Return an editor of one box in a photo of this size; it begins in the middle. */
export function boxEditor(width, height) {
  const side = Math.round(Math.min(width, height) / 4);
  const step = Math.max(1, Math.round(Math.max(width, height) / 60));
  let box = [Math.round((width - side) / 2), Math.round((height - side) / 2), side, side];
  let shown = null;

  function set(x, y, w, h) {
    const [left, top] = [clamp(x, 0, width - 1), clamp(y, 0, height - 1)];
    box = [left, top, clamp(w, 1, width - left), clamp(h, 1, height - top)].map(Math.round);
    const rect = shown?.querySelector("rect");
    ["x", "y", "width", "height"].forEach((name, index) => rect?.setAttribute(name, box[index]));
  }

  return {
    box: () => box,
    /** Move or size the box for a key; return whether the key was one of these. */
    key(event) {
      const by = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] };
      const move = by[event.key];
      if (move === undefined) return false;
      const [x, y, w, h] = box;
      if (event.shiftKey) set(x, y, w + move[0], h + move[1]);
      else set(x + move[0], y + move[1], w, h);
      return true;
    },
    attach(svg, makeBox) {
      shown = makeBox({ box }, step);
      shown.classList.add("lit", "drawn");
      svg.append(shown);
      svg.classList.add("drawing");
      let start = null;
      const at = (event) => {
        const point = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
        return [point.x, point.y];
      };
      svg.onpointerdown = (event) => {
        start = at(event);
        svg.setPointerCapture(event.pointerId);
        event.preventDefault();
      };
      svg.onpointermove = (event) => {
        if (start === null) return;
        const [x, y] = at(event);
        set(Math.min(x, start[0]), Math.min(y, start[1]), Math.abs(x - start[0]), Math.abs(y - start[1]));
      };
      svg.onpointerup = () => { start = null; };
    },
  };
}

const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
