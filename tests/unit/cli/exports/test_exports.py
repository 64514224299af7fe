"""Every export is read back by its tool, or checked against what its tool publishes."""

import json
import os

import numpy as np
import pytest
from defusedxml import ElementTree
from PIL import Image

from facetag.results.name_escapes import dump_json, unescape_name

NAMES = ["a.png", "sub/a.jpg", "sub/b.jpg"]
RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
MWG = "{http://www.metadataworkinggroup.com/schemas/regions/}"
REVIEWED = {"by": ["anna"], "verdict": "corrected", "said": {"gender": "male"}}
AREA = "{http://ns.adobe.com/xmp/sType/Area#}"


@pytest.fixture
def photos(tmp_path):
    for name in NAMES:
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.zeros((80, 100, 3), np.uint8)).save(path)
    return tmp_path / "photos"


@pytest.fixture
def export(facetag, tmp_path, make_line):
    """Export four photos: two faces, none, a reviewed one, and a file that could not be read."""
    (face,) = make_line("x")["faces"]
    without_age = {key: value for key, value in face.items() if not key.startswith("age")}
    lines = [
        make_line(NAMES[0], faces=[face, {**without_age, "box": [0, 0, 50, 40]}]),
        make_line("broken.jpg", state="failed", code="truncated"),
        make_line(NAMES[1], state="no_face"),
        make_line(NAMES[2], faces=[face | {"reviewed": REVIEWED}]),
    ]
    results = tmp_path / "labels.jsonl"
    results.write_text("".join(json.dumps(line) + "\n" for line in lines))

    def run_export(format_, *more):
        target = tmp_path / "out" / format_
        target.parent.mkdir(exist_ok=True)
        run = facetag("export", results, "--to", format_, "--output", target, *more)
        assert run.exit_code == 0, run.output
        return target

    return run_export


def test_pycocotools_reads_coco_with_boxes_and_attributes(export):
    from pycocotools.coco import COCO

    coco = COCO(str(export("coco")))
    assert [image["file_name"] for image in coco.loadImgs(coco.getImgIds())] == NAMES
    first, second = coco.loadAnns(coco.getAnnIds(imgIds=[1]))
    assert (first["bbox"], first["area"]) == ([10, 20, 30, 40], 1200)
    assert first["attributes"]["gender"] == "female"
    assert first["attributes"]["race_probability"] == 0.93
    assert "age" not in second["attributes"]
    assert coco.loadCats(coco.getCatIds())[0]["name"] == "face"
    assert coco.getAnnIds(imgIds=[2]) == []
    (reviewed,) = coco.loadAnns(coco.getAnnIds(imgIds=[3]))
    assert reviewed["attributes"]["reviewed"] == "corrected"
    assert "reviewed" not in first["attributes"]


def test_label_studio_gets_tasks_whose_regions_its_interface_names(export):
    target = export("label-studio")
    interface = ElementTree.parse(target.with_suffix(".xml")).getroot()
    known = {control.get("name") for control in interface} - {"image"}
    tasks = json.loads(target.read_text())
    assert [task["data"]["image"] for task in tasks] == [
        f"/data/local-files/?d={name}" for name in NAMES
    ]
    (prediction,) = tasks[0]["predictions"]
    regions = prediction["result"]
    assert {region["from_name"] for region in regions} == known
    box, *attributes = [region for region in regions if region["id"] == "face-0"]
    assert box["type"] == "rectanglelabels"
    assert box["value"] == {
        "x": 10.0,
        "y": 25.0,
        "width": 30.0,
        "height": 50.0,
        "rotation": 0,
        "rectanglelabels": ["Face"],
    }
    assert "meta" not in box
    (reviewed,) = tasks[2]["predictions"]
    assert reviewed["result"][0]["meta"] == {"text": ["reviewed: corrected"]}
    for region in attributes:
        assert region["to_name"] == "image"
        assert region["value"][region["type"]] in (31.4, ["female"], ["asian"])
        control = interface.find(f"*[@name='{region['from_name']}']")
        assert control.get("perRegion") == "true"


def test_label_studio_itself_takes_the_interface_and_the_predictions(export):
    sdk = pytest.importorskip("label_studio_sdk.label_interface")
    target = export("label-studio")
    interface = sdk.LabelInterface(target.with_suffix(".xml").read_text())
    interface.validate()
    tasks = json.loads(target.read_text())
    assert all(interface.validate_task({"data": task["data"]}) for task in tasks)
    found = [interface.validate_prediction(task["predictions"][0], True) for task in tasks]
    assert found == [[]] * 3
    (prediction,) = tasks[0]["predictions"]
    prediction["result"][1]["value"]["choices"] = ["of no choice"]
    assert interface.validate_prediction(prediction, True) != []


def test_fiftyone_gets_a_detection_dataset_in_its_layout(export, photos):
    target = export("fiftyone", "--photos", photos)
    written = json.loads((target / "labels.json").read_text())
    assert written["classes"] == ["face"]
    assert set(written["labels"]) == {"a", "sub/a", "sub/b"}
    files = {str(path.relative_to(target / "data")) for path in (target / "data").rglob("*.*")}
    assert files == set(NAMES)
    assert (target / "data" / "sub" / "b.jpg").resolve() == (photos / "sub" / "b.jpg").resolve()
    detection = written["labels"]["a"][0]
    assert detection["bounding_box"] == [0.1, 0.25, 0.3, 0.5]
    assert (detection["label"], detection["confidence"]) == ("face", 0.99)
    assert detection["attributes"]["race"] == "asian"
    assert written["labels"]["sub/b"][0]["attributes"]["reviewed"] == "corrected"


def test_fiftyone_itself_reads_the_dataset(export, photos):
    data = pytest.importorskip("fiftyone.utils.data")
    target = export("fiftyone", "--photos", photos)
    # Its importer needs no MongoDB; `Dataset.from_dir` reads through it.
    with data.FiftyOneImageDetectionDatasetImporter(dataset_dir=str(target)) as importer:
        found = {path: detections for path, _, detections in importer}
    assert {path.removeprefix(f"{target}/data/") for path in found} == set(NAMES)
    first, second = found[f"{target}/data/a.png"].detections
    assert (first.label, first.bounding_box) == ("face", [0.1, 0.25, 0.3, 0.5])
    assert (first.confidence, first["race"], first["age"]) == (0.99, "asian", 31.4)
    assert not second.has_field("age")


def test_datasets_loads_the_folder_with_its_metadata(export, photos, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_DATASETS_OFFLINE", "1")
    from datasets import load_dataset

    target = export("hf", "--photos", photos)
    loaded = load_dataset(
        "imagefolder", data_dir=str(target), split="train", cache_dir=str(tmp_path / "hf")
    )
    assert len(loaded) == 3
    rows = {tuple(row["objects"]["gender"]): row for row in loaded}
    assert rows["female", "female"]["image"].size == (100, 80)
    assert rows["female", "female"]["objects"]["bbox"] == [[10, 20, 30, 40], [0, 0, 50, 40]]
    assert rows["female", "female"]["objects"]["age"] == [31.4, None]
    assert rows["female", "female"]["objects"]["reviewed"] == ["", ""]
    assert rows["female",]["objects"]["reviewed"] == ["corrected"]
    assert rows[()]["objects"]["bbox"] == []


ODD_NAMES = [
    os.fsdecode(b"caf\xe9.png"),
    "caf%E9.png",
    "caf\\xe9.png",
    "a\\b.png",
    "a%5Cb.png",
    "c::d.png",
    "50% off: cheap.png",
    "e" * 250 + "\\.png",
    "e" * 250 + "%.png",
]


def test_datasets_finds_photos_of_odd_names(facetag, make_line, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_DATASETS_OFFLINE", "1")
    from datasets import load_dataset

    photos, results, target = tmp_path / "odd", tmp_path / "odd.jsonl", tmp_path / "hf"
    photos.mkdir()
    for number, name in enumerate(ODD_NAMES):
        Image.new("RGB", (100 + number, 80)).save(photos / name)
    lines = [make_line(name) for name in ODD_NAMES]
    results.write_text("".join(dump_json(line) + "\n" for line in lines))
    run = facetag("export", results, "--to", "hf", "--photos", photos, "--output", target)
    assert run.exit_code == 0, run.output
    loaded = load_dataset(
        "imagefolder", data_dir=str(target), split="train", cache_dir=str(tmp_path / "cache")
    )
    found = {unescape_name(row["name"]): row["image"].width - 100 for row in loaded}
    assert found == {name: number for number, name in enumerate(ODD_NAMES)}


def test_xmp_sidecars_hold_regions_that_pillow_reads(export, photos, tmp_path):
    target = export("xmp")
    assert {str(path.relative_to(target)) for path in target.rglob("*.xmp")} == {
        "a.png.xmp",
        "sub/b.jpg.xmp",
    }
    packet = (target / "a.png.xmp").read_bytes()
    regions = ElementTree.fromstring(packet).findall(f".//{RDF}li")
    assert [region.findtext(f"{MWG}Type") for region in regions] == ["Face", "Face"]
    assert regions[0].findtext(f"{MWG}Description") == "Apparent: 31 female asian"
    reviewed = ElementTree.parse(target / "sub" / "b.jpg.xmp").findtext(f".//{MWG}Description")
    assert reviewed == "Apparent: 31 female asian (reviewed)"
    area = regions[0].find(f"{MWG}Area")
    assert [area.get(f"{AREA}{key}") for key in "xywh"] == ["0.25", "0.5", "0.3", "0.5"]
    Image.open(photos / "a.png").save(tmp_path / "with.jpg", xmp=packet)
    read = Image.open(tmp_path / "with.jpg").getxmp()["xmpmeta"]["RDF"]["Description"]["Regions"]
    assert read["AppliedToDimensions"] == {"w": "100", "h": "80", "unit": "pixel"}


@pytest.mark.parametrize("format_", ["coco", "label-studio", "fiftyone", "hf", "xmp"])
def test_odd_names_and_labels_that_were_left_out_are_exported(
    facetag, photos, tmp_path, make_line, format_
):
    name = os.fsdecode(b"caf\xe9 \xe2\x80\xae&<.png")
    (photos / "a.png").rename(photos / name)
    line = make_line(name) | {"width": 100, "height": 80}
    doubtful = {"age": None, "age_range": None, "gender": None, "uncertain": ["age"]}
    line["faces"] = [line["faces"][0] | doubtful]
    results, target = tmp_path / "labels.jsonl", tmp_path / "out"
    results.write_text(dump_json(line) + "\n")
    given = ("--photos", photos) if format_ in ("fiftyone", "hf") else ()
    run = facetag("export", results, "--to", format_, "--output", target, *given)
    assert (run.exit_code, run.exception) == (0, None), run.output
    # A head that no face has a label of is not spoken of.
    written = [path for path in target.parent.rglob("*") if path.suffix in (".xml", ".jsonl")]
    said = [path.read_text() for path in written if path != results]
    assert all('"gender' not in text and '"race' in text for text in said)
    links = [path for path in target.rglob("*.png") if path.is_symlink()]
    assert [link.read_bytes() for link in links] == [(photos / name).read_bytes()] * bool(given)


def test_no_link_takes_the_place_of_a_photo(facetag, export, photos, tmp_path):
    export("coco")
    # A link of this name would stand beside the photo.
    (photos / "a.png").rename(photos / os.fsdecode(b"a\xff.png"))
    results = tmp_path / "labels.jsonl"
    results.write_text(results.read_text().replace('"a.png"', '"a\\udcff.png"'))
    before = sorted(photos.rglob("*"))
    for format_, place in (("hf", photos), ("fiftyone", photos.parent)):
        (photos.parent / "data").unlink(missing_ok=True)
        (photos.parent / "data").symlink_to(photos)
        run = facetag(
            *("export", tmp_path / "labels.jsonl", "--to", format_),
            *("--photos", photos, "--output", place),
        )
        assert (run.exit_code, "a folder of its own" in run.stderr) == (1, True), run.output
        assert sorted(photos.rglob("*")) == before
        assert not any(path.is_symlink() for path in before)


def test_a_pipe_gets_what_would_be_in_a_file(facetag, export, tmp_path):
    file = export("coco")
    written = file.read_bytes()
    # Whoever may read other new files here may read this one.
    beside = tmp_path / "beside"
    beside.touch()
    assert file.stat().st_mode == beside.stat().st_mode
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    # Opened both ways, it waits for nobody, and it holds what is written.
    end = os.open(pipe, os.O_RDWR)
    run = facetag("export", tmp_path / "labels.jsonl", "--to", "coco", "--output", pipe)
    assert run.exit_code == 0, run.output
    assert os.read(end, 2**16) == written
    os.close(end)


@pytest.mark.parametrize(("format_", "laid"), [("hf", "metadata.jsonl"), ("xmp", "a.png.xmp")])
def test_a_pipe_that_somebody_laid_is_left_alone(facetag, export, photos, tmp_path, format_, laid):
    export("coco")
    target = tmp_path / "laid"
    target.mkdir()
    os.mkfifo(target / laid)
    given = ("--photos", photos) if format_ == "hf" else ()
    results = tmp_path / "labels.jsonl"
    run = facetag("export", results, "--to", format_, "--output", target, *given)
    assert (run.exit_code, run.stderr.count("Error: ")) == (1, 1), run.output
    assert (target / laid).is_fifo()


def test_tasks_are_not_written_to_a_pipe_without_their_interface(facetag, export, tmp_path):
    export("coco")
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    run = facetag("export", tmp_path / "labels.jsonl", "--to", "label-studio", "--output", pipe)
    assert (run.exit_code, "is no file" in run.stderr) == (1, True), run.output
    assert not (tmp_path / "pipe.xml").exists()


def test_sidecars_of_other_programs_are_left_alone(facetag, export, tmp_path):
    target = export("xmp")
    export("xmp")
    edited = target / "a.png.xmp"
    edited.write_text("<x:xmpmeta xmlns:x='adobe:ns:meta/' x:xmptk='darktable'/>")
    (target / "sub" / "b.jpg.xmp").unlink()
    results = tmp_path / "labels.jsonl"
    run = facetag("export", results, "--to", "xmp", "--output", target)
    assert (run.exit_code, "1 sidecar of other programs" in run.stderr) == (1, True)
    assert "darktable" in edited.read_text()
    assert (target / "sub" / "b.jpg.xmp").exists()


def test_our_sidecar_of_a_photo_that_has_no_face_by_now_goes(facetag, export, make_line, tmp_path):
    target = export("xmp")
    edited = target / "sub" / "b.jpg.xmp"
    edited.write_text("<x:xmpmeta xmlns:x='adobe:ns:meta/' x:xmptk='darktable'/>")
    results = tmp_path / "reviewed.jsonl"
    lines = [make_line(NAMES[0], state="no_face"), make_line(NAMES[2], state="no_face")]
    results.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert facetag("export", results, "--to", "xmp", "--output", target).exit_code == 0
    assert [path.name for path in target.rglob("*.xmp")] == ["b.jpg.xmp"]


def test_sidecars_beside_photos_that_lie_read_only_are_told_in_one_line(facetag, export, tmp_path):
    results, target = tmp_path / "labels.jsonl", tmp_path / "beside"
    target.mkdir()
    (target / "sub").symlink_to("/sys/kernel")
    run = facetag("export", results, "--to", "xmp", "--output", target)
    assert run.exit_code == 1
    assert (target / "a.png.xmp").exists()
    (said,) = run.stderr.splitlines()
    assert f"{target}/sub/b.jpg.xmp cannot be written: " in said
    assert said.endswith("1 sidecar was written. Give --output another folder.")


def test_a_name_that_is_too_long_for_a_sidecar_keeps_no_other_from_being_written(
    facetag, make_line, tmp_path
):
    long, folder = f"{'l' * 248}.png", "is-a-file"
    results, target = tmp_path / "labels.jsonl", tmp_path / "beside"
    target.mkdir()
    (target / folder).touch()
    names = [long, f"{folder}/a.png", "z.png"]
    results.write_text("".join(json.dumps(make_line(name)) + "\n" for name in names))
    run = facetag("export", results, "--to", "xmp", "--output", target)
    assert run.exit_code == 1
    assert {path.name for path in target.iterdir()} == {folder, "z.png.xmp"}
    (said,) = run.stderr.splitlines()
    assert f"{target}/{long}.xmp cannot be written: File name too long; " in said
    assert f"{target}/{folder}/a.png.xmp cannot be written: " in said
    assert "1 sidecar was written. Give those photos shorter names." in said


@pytest.mark.parametrize(
    ("format_", "place", "said"),
    [
        ("coco", "/sys/kernel/x.json", "Name a file elsewhere."),
        ("label-studio", "/sys/kernel/x.json", "Name a file elsewhere."),
        ("fiftyone", "/sys/kernel/x", "Name a folder elsewhere."),
        ("hf", "/sys/kernel/x", "Name a folder elsewhere."),
        ("xmp", "/sys/kernel/x", "Give --output another folder."),
        ("coco", "{tmp}/none/x.json", "the folder {tmp}/none does not exist. Check the path."),
        ("label-studio", "{tmp}/none/x.json", "{tmp}/none does not exist. Check the path."),
        ("coco", "/dev/full", "Make space, and give the same command again"),
    ],
)
def test_a_place_that_cannot_be_written_is_refused_with_what_to_do(
    facetag, export, photos, tmp_path, format_, place, said
):
    export("coco")
    given = ("--photos", photos) if format_ in ("fiftyone", "hf") else ()
    target = place.format(tmp=tmp_path)
    results = tmp_path / "labels.jsonl"
    run = facetag("export", results, "--to", format_, "--output", target, *given)
    assert run.exit_code in (1, 2)
    (line,) = run.stderr.splitlines()
    assert said.format(tmp=tmp_path) in line


def test_wrong_exports_are_refused_with_the_way_out(facetag, export, photos, tmp_path):
    run = facetag("export", tmp_path / "labels.jsonl", "--to", "hf")
    assert (run.exit_code, "give --photos FOLDER" in run.stderr) == (2, True)
    run = facetag("export", tmp_path / "labels.jsonl", "--to", "hf", "--photos", photos / "sub")
    assert run.exit_code == 1
    assert "holds no a.png" in run.stderr
    run = facetag("export", "0000", "--to", "coco")
    assert run.exit_code == 1
    assert "No job's id begins with 0000" in run.stderr


def test_names_that_are_the_same_without_their_ends_are_told_apart(facetag, make_line, tmp_path):
    names = ["a-2.jpg", "a.jpg", "a.png", "a.webp"]
    results = tmp_path / "labels.jsonl"
    results.write_text("".join(json.dumps(make_line(name)) + "\n" for name in names))
    (tmp_path / "photos").mkdir()
    for name in names:
        Image.fromarray(np.zeros((80, 100, 3), np.uint8)).save(tmp_path / "photos" / name)
    target = tmp_path / "fiftyone"
    done = facetag(
        "export", results, "--to", "fiftyone", "--output", target, "--photos", tmp_path / "photos"
    )
    assert done.exit_code == 0, done.output
    labels = json.loads((target / "labels.json").read_text())["labels"]
    assert list(labels) == ["a-2", "a", "a-3", "a-4"]
    assert {path.name for path in (target / "data").iterdir()} == {
        "a-2.jpg", "a.jpg", "a-3.png", "a-4.webp"
    }  # fmt: skip


@pytest.mark.parametrize("format_", ["coco", "label-studio", "fiftyone", "hf"])
def test_a_photo_whose_labelling_failed_is_not_said_to_be_without_faces(
    facetag, make_line, photos, tmp_path, format_
):
    failed = make_line(NAMES[1], state="failed", code="internal_error")
    failed |= {"width": 100, "height": 80}
    results = tmp_path / "labels.jsonl"
    lines = [make_line(NAMES[0]), failed]
    results.write_text("".join(json.dumps(line) + "\n" for line in lines))
    target = tmp_path / "out"
    done = facetag("export", results, "--to", format_, "--output", target, "--photos", photos)
    assert done.exit_code == 0, done.output
    assert "Wrote 1 photo" in done.output
    written = [path for path in (target, *target.rglob("*")) if path.is_file()]
    assert not any(b"sub/a" in path.read_bytes() for path in written)


def test_photos_that_are_named_as_splits_are_all_loaded(facetag, make_line, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    from datasets import load_dataset

    names = ["test/a.png", "train/b.png", "c.png", "test_d.png"]
    for name in names:
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.zeros((80, 100, 3), np.uint8)).save(path)
    results = tmp_path / "labels.jsonl"
    results.write_text("".join(json.dumps(make_line(name)) + "\n" for name in names))
    target = tmp_path / "dataset"
    done = facetag(
        "export", results, "--to", "hf", "--output", target, "--photos", tmp_path / "photos"
    )
    assert done.exit_code == 0, done.output
    loaded = load_dataset(str(target), split="train", cache_dir=str(tmp_path / "cache"))
    assert len(loaded) == 4
    assert all(one["objects"]["gender"] == ["female"] for one in loaded)
