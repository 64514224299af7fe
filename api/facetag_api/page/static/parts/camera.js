// Take photos from a live view of a camera.

import { make } from "./elements.js";

/** Have a panel give each photo taken to `onphoto` as a File; without a camera it is removed. */
export function setUpCamera(panel, onphoto, onfault, signal) {
  if (!navigator.mediaDevices?.getUserMedia) return panel.remove();
  const [toggle, live] = panel.children;
  const [video, take] = live.children;
  let stream = null;
  let asking = false;
  toggle.onclick = () => (stream ? stop() : start());
  take.onclick = () => takePhoto(video, onphoto);
  video.addEventListener("loadeddata", () => {
    take.disabled = false;
    take.focus();
  });

  async function start() {
    // Of two streams, one would go on for ever.
    if (asking) return;
    asking = true;
    try {
      stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "user" } });
    } catch (error) {
      return onfault(wordsOf(error));
    } finally {
      asking = false;
    }
    if (signal.aborted) return stop();
    video.srcObject = stream;
    live.hidden = false;
    toggle.textContent = "Stop the camera";
    await video.play().catch(() => {});
  }

  function stop() {
    for (const track of stream?.getTracks() ?? []) track.stop();
    stream = null;
    video.srcObject = null;
    take.disabled = true;
    live.hidden = true;
    toggle.textContent = "Use the camera";
  }

  signal.addEventListener("abort", stop);
}

function takePhoto(video, onphoto) {
  const canvas = make("canvas", { width: video.videoWidth, height: video.videoHeight });
  canvas.getContext("2d").drawImage(video, 0, 0);
  const time = new Date().toTimeString().slice(0, 8);
  canvas.toBlob((blob) => onphoto(new File([blob], `camera ${time}.jpg`, { type: blob.type })),
    "image/jpeg", 0.92);
}

function wordsOf(error) {
  if (error.name === "NotAllowedError") return "The browser was not allowed to use the camera.";
  if (error.name === "NotFoundError") return "No camera was found: choose a file instead.";
  return `The camera cannot be used: ${error.message}`;
}
