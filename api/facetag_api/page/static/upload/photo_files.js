// Find the photos in what was chosen or dropped, folders included.

// As in facetag/image_formats.py.
const NAMES = `
jpg jpeg jpe jfif jif pjpeg pjp mpo png apng webp gif bmp dib avif avifs heic heics heif heifs hif
tif tiff ico icns cur ppm pgm pbm pnm svg svgz psd psb xcf tga pcx dds eps exr hdr jp2 j2k jpf jpx
jpm jxl jxr wdp raw cr2 cr3 crw nef nrw dng arw sr2 srf orf raf rw2 pef srw x3f 3fr erf kdc mrw
`;
const SUFFIXES = new Set(NAMES.trim().split(/\s+/).map((name) => `.${name}`));

/** Return whether a path is a photo's; what systems leave beside photos is none. */
export function isPhoto(path) {
  const parts = path.split("/");
  const name = parts[parts.length - 1];
  if (name.startsWith("._") || parts.includes("@eaDir")) return false;
  return SUFFIXES.has(suffixOf(name));
}

export function suffixOf(path) {
  const dot = path.lastIndexOf(".");
  return dot > path.lastIndexOf("/") ? path.slice(dot).toLowerCase() : "";
}

/** Throw if a file cannot be read, which `fetch` does not tell from a network that is away. */
export async function requireReadable(file) {
  await file.slice(0, 1).arrayBuffer().catch(() => {
    throw new Error("It cannot be read: it was moved or changed, or it is a folder.");
  });
}

/** Return the name of what an input gave, and its entries `{path, file}`. */
export function filesOfInput(input) {
  const entries = Array.from(input.files, (file) => ({ path: file.webkitRelativePath || file.name, file }));
  return named(entries);
}

/** Return the same of a drop; `file` is null where the browser cannot open it.
 *
 * Not by `getAsFileSystemHandle`: it leaves out files whose names hold a `?` or a `:`.
 */
export async function filesOfDrop(transfer) {
  const items = Array.from(transfer.items).filter((item) => item.kind === "file");
  // Everything must be asked for before the first wait: afterwards the drop is empty.
  const entries = items.map((item) => item.webkitGetAsEntry() ?? item.getAsFile());
  const found = [];
  // What is dropped from a page may be no file.
  for (const entry of entries) if (entry) await walkEntry(entry, found);
  return named(found);
}

async function walkEntry(entry, found) {
  if (entry instanceof File) return found.push({ path: entry.name, file: entry });
  if (entry.isFile) {
    const file = await new Promise((resolve) => entry.file(resolve, () => resolve(null)));
    found.push({ path: entry.fullPath.slice(1), file });
    return;
  }
  const reader = entry.createReader();
  for (;;) {
    // A reader gives at most 100 entries at a time.
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve,
      (error) => reject(new Error(`${entry.fullPath}: ${error.message}`))));
    if (some.length === 0) return;
    for (const one of some) await walkEntry(one, found);
  }
}

/** Name a collection by its folder, shortened as the service asks; paths lose the folder if all lie
 * in it. */
function named(entries) {
  const top = entries[0]?.path.split("/")[0];
  const inside = top && entries.every(({ path }) => path.startsWith(`${top}/`));
  if (!inside) return { name: null, entries };
  const cut = top.length + 1;
  const name = Array.from(top).slice(0, 200).join("");
  return { name, entries: entries.map(({ path, file }) => ({ path: path.slice(cut), file })) };
}
