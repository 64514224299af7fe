// Take files that are dropped anywhere in the window, or chosen.

/** Have a file field's label take what is dropped, too: `ondrop` gets it, `onchosen` the field. */
export function setUpDrop(area, { ondrop, onchosen, signal }) {
  takeFiles(area.firstElementChild, onchosen);
  const listen = (name, work) => window.addEventListener(name, (event) => {
    // What misses the area must not replace the page.
    event.preventDefault();
    work(event);
  }, { signal });
  const light = (on) => area.classList.toggle("over", on);
  listen("dragover", ({ target }) => light(area.contains(target)));
  listen("drop", ({ dataTransfer }) => {
    light(false);
    ondrop(dataTransfer);
  });
}

export function takeFiles(input, onchosen) {
  input.onchange = async () => {
    await onchosen(input);
    input.value = "";
  };
}
