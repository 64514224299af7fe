"""The page at `/` in headless Chromium, against a service that runs as users run it."""

import json
import re
import tarfile

import pytest
from PIL import Image

from benchmarks.samples import load_photo
from tests.acceptance.browser.conftest import check_access, wait_for

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(600)]


def test_photos_and_the_camera_are_tried_one_by_one(open_page, samples):
    with open_page("") as page:
        names = ["crew/three portraits.jpg", "held sideways.jpg", "cat.jpg"]
        page.set_input_files("#file", [samples / name for name in names])
        page.get_by_text("cat.jpg: no face found.").wait_for()
        answers = page.locator(".answer")
        assert answers.count() == 3
        # The newest answer stands first.
        portraits = answers.nth(2)
        assert portraits.locator(".face").count() == 3
        first = portraits.locator(".face").first
        assert "apparent age" in first.get_attribute("aria-label")
        assert first.locator(".bars").nth(1).locator("li").count() == 5
        first.focus()
        assert "lit" in portraits.locator(".box").first.get_attribute("class")
        portraits.locator(".box rect").nth(1).hover()
        assert "lit" in portraits.locator(".face").nth(1).get_attribute("class")
        # The photo is shown upright, as its boxes are.
        image = answers.nth(1).locator("img")
        assert image.evaluate("i => [i.naturalWidth, i.naturalHeight]") == [512, 512]

        page.get_by_role("button", name="Use the camera").click()
        page.get_by_role("button", name="Take a photo").click()
        page.locator(".message", has_text="camera").wait_for()
        page.locator(".answer h2", has_text="camera").wait_for()
        page.get_by_role("button", name="Stop the camera").click()
        page.set_input_files("#file", [samples / "not a photo.jpg"])
        page.locator(".message.fault", has_text="not a photo.jpg").wait_for()
        check_access(page)


def test_a_file_name_is_shown_and_never_run(open_page, samples):
    evil = '<img src=x onerror="window.hit=1">.jpg'
    with open_page("") as page:
        photo = {
            "name": evil,
            "mimeType": "image/jpeg",
            "buffer": (samples / "astronaut.jpg").read_bytes(),
        }
        page.set_input_files("#file", [photo])
        page.locator(".answer h2", has_text=evil).wait_for()
        assert page.evaluate("window.hit") is None


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """300 photos without faces, in two folders, and what lies beside photos."""
    top = tmp_path_factory.mktemp("sent") / "holiday <b>&amp;"
    for number in range(300):
        path = top / f"part {number % 2}" / f"{number:03}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (32 + number, 24), (number % 256, 60, 90)).save(path)
    (top / "._000.png").write_bytes(b"left by a Mac")
    (top / "notes.txt").write_text("no photo")
    return top


def test_a_folder_survives_a_lost_network_and_a_reload_and_nothing_is_sent_twice(
    open_page, service, folder
):
    posts: list[str] = []
    lost = "ERR_INTERNET_DISCONNECTED|ERR_FAILED"
    with open_page("#/folder", forgive=lost) as page:
        page.on(
            "requestfinished", lambda r: r.url.startswith(service.store) and posts.append(r.url)
        )
        page.set_input_files("#folder", folder)
        page.locator(".counts", has_text=re.compile(r"[1-9]\d* sent")).wait_for()
        page.get_by_role("button", name="Pause").click()
        page.locator(".counts", has_text="paused").wait_for()
        check_access(page)
        page.context.set_offline(True)
        page.get_by_role("button", name="Go on").click()
        page.get_by_text("Sending goes on by itself").wait_for()
        page.get_by_text("No network.").wait_for()
        page.context.set_offline(False)
        seen = len(posts)
        page.locator(".counts", has_text=re.compile(r"\d{2,} sent")).wait_for()
        page.reload()
        with page.expect_file_chooser() as chooser:
            page.get_by_role("button", name="Go on").click()
        chooser.value.set_files(folder)
        page.get_by_role("link", name="Show the job").wait_for()
        words = page.locator(".counts").inner_text()
        assert "300 photos" in words
        assert "2 other files skipped" in words
        assert int(re.search(r"(\d+) known already", words)[1]) >= seen
        # Of the six that were on their way when the page was loaded again, nobody knows.
        assert 294 <= len(posts) <= 306
        page.get_by_role("link", name="Show the job").click()
        page.get_by_text("The job has ended.").wait_for()
        page.locator(".job-head", has_text="300 without a face").wait_for()
        assert page.locator("h1").inner_text() == folder.name

        # A second run sends nothing.
        posts.clear()
        page.get_by_role("link", name="Folder").click()
        page.set_input_files("#folder", folder)
        page.locator(".counts", has_text="300 known already · 2 other files").wait_for()
        assert posts == []
        job_id = page.get_by_role("link", name="Show the job").get_attribute("href")[7:]
    assert service.get(f"/v1/jobs/{job_id}").json()["total"] == 300


@pytest.fixture
def upload(run, service):
    def send(folder, *options):
        """Send a folder as the command does; return the job's id."""
        sent = run("upload", folder, *options, FACETAG_DATA_DIR=str(service.data_dir))
        assert sent.returncode == 0, sent.stderr
        return sent.stdout.split()[-1]

    return send


def test_a_job_is_followed_live_looked_at_retried_and_deleted(open_page, service, upload, samples):
    with open_page("#/jobs") as page:
        job_id = upload(samples)
        page.locator(f"a[href='#/jobs/{job_id}']").click()
        page.locator(".job-head .tag", has_text="completed with errors").wait_for()
        photo = page.locator(".item", has_text="crew/three portraits.jpg")
        photo.scroll_into_view_if_needed()
        page.wait_for_function(
            "i => i.complete && i.naturalWidth === 360", arg=photo.locator("img").element_handle()
        )
        assert photo.locator(".box").count() == 3
        check_access(page)
        page.locator("select").select_option("failed")
        page.locator(".item", has_text="not a photo.jpg").wait_for()
        assert page.locator(".item").count() == 4

        # The same events as at first, now that the job runs again.
        page.get_by_role("button", name="Retry failed").click()
        page.get_by_text("The job has ended.").wait_for()

        page.get_by_role("link", name="Jobs").click()
        check_access(page)
        row = page.locator(".job", has=page.locator(f"a[href='#/jobs/{job_id}']"))
        row.get_by_role("button", name="Delete").click()
        row.get_by_role("button", name="Delete for good?").click()
        page.get_by_text("The job, its results and its photos are deleted.").wait_for()
        assert row.count() == 0
    assert service.get(f"/v1/jobs/{job_id}").status_code == 404


def test_twenty_faces_are_reviewed_by_keys_alone(open_page, service, upload, crowd, run, tmp_path):
    job_id = upload(crowd)
    job = f"/v1/jobs/{job_id}"
    wait_for(lambda: service.get(job).json()["finished_at"] is not None, "the job has ended")
    # The detector may see more than one face in a photo.
    found = count_faces(service, job)
    assert found >= 20
    with open_page(f"#/review/{job_id}") as page:
        says = page.locator(".message")
        page.locator(".stage > h2").wait_for()
        check_access(page)

        def press(*keys, expect):
            said = says.inner_text()
            for key in keys:
                page.keyboard.press(key)
            page.wait_for_function(
                "([said, wanted]) => { const now = document.querySelector('.message').textContent;"
                " return now !== said && now.startsWith(wanted) }",
                arg=[said, expect],
            )

        press("Enter", expect="Accepted")
        press("m", "s", "3", "4", "Enter", expect="Corrected to male, asian, 34")
        press("c", expect="Cannot tell")
        press("n", expect="No face")
        press("4", "0", "-", "4", "9", "Enter", expect="Corrected to 40–49")
        press("u", expect="Undone")
        press("d", "ArrowRight", "Shift+ArrowDown", "f", "Enter", expect="Missed face added")
        for _ in range(found - 4):
            press("f", "b", "Enter", expect="Corrected to female, black")
        page.get_by_text("Nothing is left to review in this queue.").wait_for()
        check_access(page)
        page.locator("caption", has_text="apparent race").first.wait_for()

        # Another reviewer begins anew, and their agreement is shown.
        page.get_by_label("Reviewer").fill("ben")
        page.get_by_label("Reviewer").press("Tab")
        page.locator(".stage .face").wait_for()
        page.locator("h1").click()
        for _ in range(3):
            press("f", "b", "Enter", expect="Corrected to female, black")
        page.locator("caption", has_text="Cohen's kappa").wait_for()
    # One is no face, one was missed.
    assert count_faces(service, job) == found
    lines = service.get(f"{job}/images?reviewed=true").json()["images"]
    faces = [face for line in lines for face in line["faces"]]
    assert {face["reviewed"]["verdict"] for face in faces} >= {"corrected", "missed"}

    # What was said becomes a shard that a network is fitted on.
    shard = tmp_path / "reviewed.tar"
    data = {"FACETAG_DATA_DIR": str(service.data_dir)}
    exported = run("review", "export", job_id, "--output", shard, **data)
    assert exported.returncode == 0, exported.stderr
    with tarfile.open(shard) as archive:
        names = archive.getnames()
        labels = json.load(archive.extractfile(names[1]))
    assert len(names) >= 2 * (found - 2)
    assert set(labels) <= {"age", "gender", "race", "box"}


def test_the_champion_and_its_figures_are_shown(open_page):
    with open_page("#/models") as page:
        page.locator("h2", has_text="champion").wait_for()
        page.get_by_text("It was not measured.").wait_for()
        check_access(page)


def count_faces(service, job):
    lines = service.get(f"{job}/images?limit=1000").json()["images"]
    return sum(len(line["faces"]) for line in lines)


@pytest.fixture(scope="module")
def crowd(tmp_path_factory):
    """Twenty different photos of one face."""
    folder = tmp_path_factory.mktemp("crowd") / "crowd"
    folder.mkdir()
    portrait = load_photo("astronaut.png").crop((120, 0, 340, 270))
    for number in range(20):
        portrait.resize((220 + number, 270)).save(folder / f"{number:02}.jpg")
    return folder
