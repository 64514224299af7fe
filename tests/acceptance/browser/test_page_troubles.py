"""The page where answers are late, lost or refused, and where hands are quick."""

import os
from contextlib import contextmanager
from functools import partial

import pytest
from PIL import Image

from facetag.results.name_escapes import MAX_NAME
from tests.acceptance.browser.conftest import drop_folder, wait_for

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(600)]


@pytest.fixture
def open_page(open_page):
    """A service worker would take requests past the tests' answers to them."""
    return partial(open_page, service_workers="block")


@pytest.fixture(scope="module")
def few(tmp_path_factory):
    """Five photos without faces."""
    top = tmp_path_factory.mktemp("few") / "few"
    top.mkdir()
    for number in range(5):
        Image.new("RGB", (40 + number, 30), (number, 80, 9)).save(top / f"{number}.png")
    return top


@pytest.fixture
def reviewed_by(open_page, service, upload, crowd):
    """Open the review of twenty faces under a name of its own."""
    job_id = upload(crowd)
    job = f"/v1/jobs/{job_id}"
    wait_for(lambda: service.get(job).json()["finished_at"] is not None, "the job has ended")

    @contextmanager
    def open_for(name, *, order="place", forgive=None):
        with open_page(f"#/review/{job_id}", forgive=forgive) as page:
            page.locator(".stage .face, .left:not(:empty)").first.wait_for()
            page.get_by_label("Order", exact=True).select_option(order)
            with page.expect_response(lambda one: f"reviewer={name}&order={order}" in one.url):
                page.locator("input[name=reviewer]").fill(name)
                page.locator("input[name=reviewer]").press("Tab")
            page.locator(".stage .face").wait_for()
            page.locator("h1").click()
            yield page, job

    return open_for


def shown(page):
    return page.locator(".stage > h2").inner_text()


def hold(page, address):
    """Keep the next request to an address back, and return the list that it comes to."""
    held = []
    page.route(address, lambda route: held.append(route), times=1)
    return held


def test_an_answer_that_the_service_did_not_give_starts_no_job(open_page, few):
    with open_page("#/folder") as page:
        # The login page of a hotel answers everything.
        page.route("**/v1/jobs", lambda route: route.fulfill(body="<html>"), times=1)
        page.set_input_files("#folder", few)
        page.get_by_role("link", name="Show the job").click()
        page.locator(".job-head", has_text="5 without a face").wait_for()


def test_too_many_requests_are_waited_for(open_page, few):
    problem = {"title": "Too many requests", "detail": "The key may send 60 requests a minute."}
    with open_page("#/folder", forgive="429") as page:
        page.route("**/v1/uploads", lambda route: route.fulfill(status=429, json=problem), times=1)
        page.set_input_files("#folder", few)
        page.get_by_text("60 requests a minute. Sending goes on by itself.").wait_for()
        page.get_by_role("link", name="Show the job").wait_for()


def test_a_purpose_outlives_a_reload(open_page, service, few):
    with open_page("#/folder") as page:
        page.get_by_label("Purpose").fill("a census of cats")
        hold(page, "**/v1/uploads")
        with page.expect_request("**/v1/uploads"):
            page.set_input_files("#folder", few)
        page.reload()
        with page.expect_file_chooser() as chooser:
            page.get_by_role("button", name="Go on").click()
        chooser.value.set_files(few)
        link = page.get_by_role("link", name="Show the job")
        link.wait_for()
        job = service.get(f"/v1/jobs/{link.get_attribute('href')[7:]}").json()
    assert job["purpose"] == "a census of cats"


def test_a_dropped_file_that_the_browser_cannot_open_does_not_lose_the_others(
    open_page, few, tmp_path
):
    folder = tmp_path / "old disk"
    folder.mkdir()
    (folder / "good.png").write_bytes((few / "0.png").read_bytes())
    # A name in Latin-1, as old systems wrote it.
    (folder / os.fsdecode(b"caf\xe9.png")).write_bytes((few / "1.png").read_bytes())
    with open_page("#/folder") as page:
        drop_folder(page, folder)
        page.locator(".counts", has_text="1 photo · ").wait_for()
        page.get_by_role("link", name="Show the job").wait_for()


SEND = """async (paths) => {
  const { UploadRun } = await import("/page/upload/upload_run.js");
  const canvas = new OffscreenCanvas(20, 20);
  canvas.getContext("2d");
  const photo = new File([await canvas.convertToBlob()], "a.png");
  window.run = new UploadRun({ id: "a".repeat(32), name: "made here" });
  await run.start(paths.map((path) => ({ path, file: path.startsWith("gone") ? null : photo })));
  return [run.state, run.trouble, [...run.failed.keys()], run.job?.id];
}"""


def test_names_are_cut_as_the_command_cuts_them(open_page, service):
    name = "sub/" + "\U0001f600" * (MAX_NAME + 1) + ".png"
    with open_page("#/folder") as page:
        state, trouble, failed, job = page.evaluate(SEND, [name, "b.png"])
        assert (state, trouble, failed) == ("done", "", [])
        lines = service.get(f"/v1/jobs/{job}/images").json()["images"]
        assert {line["image"] for line in lines} == {name[-MAX_NAME:], "b.png"}
        # What cannot be opened is named, and the others wait for a word.
        state, trouble, failed, _ = page.evaluate(SEND, ["gone.png", "b.png"])
        assert (state, failed) == ("incomplete", ["gone.png"])


def test_a_browser_that_keeps_nothing_sends_all_the_same(open_page, few):
    full = "() => { IDBObjectStore.prototype.put = () => { throw new DOMException('full'); }; }"
    with open_page("") as page:
        page.evaluate(full)
        page.get_by_role("link", name="Folder").click()
        page.set_input_files("#folder", few)
        page.get_by_role("link", name="Show the job").wait_for()


def test_a_double_click_sends_nothing_twice(open_page, service, tmp_path):
    folder = tmp_path / "twice"
    folder.mkdir()
    for number in range(8):
        Image.new("RGB", (30, 60 + number), (number, 3, 99)).save(folder / f"{number}.png")
    posts = []
    refusal = {"status": 403, "headers": {"Access-Control-Allow-Origin": "*"}}
    with open_page("#/folder", forgive="403") as page:
        page.route(f"{service.store}/**", lambda route: route.fulfill(**refusal))
        page.set_input_files("#folder", folder)
        again = page.get_by_role("button", name="Try them again")
        again.wait_for()
        page.unroute(f"{service.store}/**")
        page.on("request", lambda one: one.method == "POST" and posts.append(one.url))
        again.dblclick()
        page.locator(".counts", has_text="8 sent").wait_for()
        page.get_by_role("link", name="Show the job").wait_for()
    assert len([url for url in posts if url.startswith(service.store)]) == 8
    assert len([url for url in posts if url.endswith("/v1/jobs")]) == 1


def test_a_name_without_a_space_widens_no_narrow_screen(open_page, reviewed_by, tmp_path):
    folder = tmp_path / "wide"
    folder.mkdir()
    (folder / ("W" * 230 + ".png")).write_bytes(b"no photo")
    refusal = {"errors": [{"loc": ["body", "files", 0, "size"], "message": "too large"}]}
    narrow = {"width": 360, "height": 800}
    with open_page("#/folder", forgive="422", viewport=narrow) as page:
        page.route("**/v1/uploads", lambda route: route.fulfill(status=422, json=refusal))
        page.set_input_files("#folder", folder)
        page.locator(".run summary").click()
        page.locator(".run li").wait_for()
        assert page.evaluate("document.documentElement.scrollWidth") == 360
    with reviewed_by("W" * 100) as (page, _):
        page.set_viewport_size(narrow)
        page.keyboard.press("Enter")
        page.get_by_text("W" * 100 + ": 1 face").wait_for()
        assert page.evaluate("document.documentElement.scrollWidth") == 360


@pytest.fixture
def running(open_page, service, upload, few):
    """Show a job that stays at work; `events` of it are kept back."""
    job = service.get(f"/v1/jobs/{upload(few)}").json() | {"state": "running", "finished_at": None}

    @contextmanager
    def open_it(script=""):
        with open_page("#/models") as page:
            page.route(f"**/v1/jobs/{job['id']}", lambda route: route.fulfill(json=job))
            page.route("**/events", lambda route: None)
            page.evaluate(script)
            page.evaluate("id => { location.hash = `#/jobs/${id}`; }", job["id"])
            page.get_by_role("button", name="Cancel").wait_for()
            yield page, job

    return open_it


def test_a_late_answer_changes_no_other_view(running):
    with running() as (page, job):
        held = hold(page, "**/cancel")
        with page.expect_request("**/cancel"):
            page.get_by_role("button", name="Cancel").click()
        page.get_by_role("link", name="Models").click()
        page.get_by_role("heading", name="Models").wait_for()
        with page.expect_response("**/cancel") as answer:
            held[0].fulfill(json=job | {"state": "cancelled"})
        answer.value.finished()
        page.evaluate("new Promise((resolve) => setTimeout(resolve, 100))")
        assert page.locator("h1").inner_text() == "Models"
        assert page.title().startswith("Models")


COUNT_CLOSED = """() => {
  window.ended = 0;
  window.EventSource = class extends EventSource { close() { window.ended += 1; super.close(); } };
}"""
TURN = """(hidden) => {
  Object.defineProperty(document, "hidden", { configurable: true, get: () => hidden });
  document.dispatchEvent(new Event("visibilitychange"));
}"""


def test_a_tab_that_nobody_sees_leaves_its_connection_to_others(running):
    """A browser makes six to a service: a seventh tab would show nothing."""
    with running(COUNT_CLOSED) as (page, job):
        assert page.evaluate("ended") == 0
        page.evaluate(TURN, True)
        assert page.evaluate("ended") > 0
        with page.expect_request(f"**/v1/jobs/{job['id']}"):
            page.evaluate(TURN, False)


def test_a_job_that_cannot_be_shown_at_once_is_asked_for_again(running):
    with running() as (page, job):
        page.get_by_role("link", name="Models").click()
        page.get_by_role("heading", name="Models").wait_for()
        away = {"status": 200, "body": "the start of an answ"}
        page.route(f"**/v1/jobs/{job['id']}", lambda route: route.fulfill(**away), times=1)
        page.go_back()
        page.locator(".message", has_text="The service does not answer.").wait_for()
        page.get_by_role("button", name="Cancel").wait_for()
        page.locator(".message:empty").wait_for(state="attached")


def test_a_job_is_deleted_by_two_words_alone(open_page, service, upload, few):
    job_id = upload(few)
    deletes = []
    with open_page(f"#/jobs/{job_id}") as page:
        page.on("request", lambda one: one.method == "DELETE" and deletes.append(one.url))
        delete = page.get_by_role("button", name="Delete")
        delete.dblclick()
        page.get_by_role("button", name="Delete for good?").wait_for()
        page.locator("h1").click()
        delete.focus()
        devtools = page.context.new_cdp_session(page)
        enter = {"key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 13, "text": "\r"}
        for repeat in (False, True, True):
            devtools.send(
                "Input.dispatchKeyEvent", {"type": "keyDown", "autoRepeat": repeat, **enter}
            )
        devtools.send("Input.dispatchKeyEvent", {"type": "keyUp", **enter})
        page.get_by_role("button", name="Delete for good?").wait_for()
        assert deletes == []
    assert service.get(f"/v1/jobs/{job_id}").status_code == 200


def test_jobs_stay_in_order_when_one_of_many_goes(open_page, service, upload, few):
    job = service.get(f"/v1/jobs/{upload(few)}").json()
    jobs = [
        job | {"id": f"id-{n}", "name": f"job {n}", "created_at": f"2026-01-01T00:00:{n:02}Z"}
        for n in reversed(range(55))
    ]

    def answer(route) -> None:
        if "cursor" in route.request.url:
            return route.fulfill(json={"jobs": jobs[50:], "next_cursor": None})
        return route.fulfill(json={"jobs": jobs[:50], "next_cursor": "more"})

    with open_page("#/models") as page:
        page.route("**/v1/jobs?*", answer)
        page.get_by_role("link", name="Jobs").click()
        names = page.locator(".job h2")
        names.nth(49).wait_for()
        gone = jobs.pop(3)["name"]
        page.locator(".job", has_text=gone).wait_for(state="detached")
        assert names.all_inner_texts() == [one["name"] for one in jobs[:50]]
        page.get_by_role("button", name="Show older jobs").click()
        names.nth(53).wait_for()
        assert names.all_inner_texts() == [one["name"] for one in jobs]


KEEP_TRACKS = """() => {
  window.tracks = [];
  const ask = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
  navigator.mediaDevices.getUserMedia = async (wish) => {
    const stream = await ask(wish);
    tracks.push(...stream.getTracks());
    return stream;
  };
}"""


def test_a_camera_that_was_asked_for_twice_is_stopped(open_page):
    with open_page("") as page:
        page.evaluate(KEEP_TRACKS)
        page.get_by_role("button", name="Use the camera").dblclick()
        page.get_by_role("button", name="Take a photo").and_(page.locator(":enabled")).wait_for()
        page.get_by_role("button", name="Stop the camera").click()
        assert set(page.evaluate("tracks.map((track) => track.readyState)")) == {"ended"}


def test_another_order_waits_for_the_answer_under_way(reviewed_by):
    with reviewed_by("slow", order="doubt") as (page, job):
        first = shown(page)
        held = hold(page, f"**{job}/reviews")
        with page.expect_request(f"**{job}/reviews"):
            page.keyboard.press("c")
        page.get_by_label("Order", exact=True).select_option("place")
        # Of the orders that follow, the last one counts, however late an earlier one is answered.
        late = hold(page, "**/queue?*race=*")
        page.get_by_label("Race", exact=True).select_option("indian")
        held[0].continue_()
        page.locator(".message", has_text=f"Cannot tell: {first}").wait_for()
        wait_for(lambda: page.evaluate("1") and late, "the queue is asked for")
        page.get_by_label("Race", exact=True).select_option("")
        with page.expect_response(lambda one: "/queue?" in one.url and "race=" not in one.url):
            late[0].continue_()
        page.wait_for_function(
            "name => document.querySelector('.stage > h2').textContent === name",
            arg="00.jpg" if first != "00.jpg" else "01.jpg",
        )
        page.locator("h1").click()
        page.keyboard.press("u")
        page.locator(".message", has_text=f"Undone: {first}").wait_for()
        assert shown(page) == first


def test_a_reviewer_goes_on_after_the_service_was_away(reviewed_by):
    with reviewed_by("away", forgive="ERR_FAILED") as (page, _):
        page.route("**/queue?*", lambda route: route.abort())
        page.get_by_label("Race", exact=True).select_option("")
        page.get_by_label("Order", exact=True).select_option("doubt")
        again = page.get_by_role("button", name="Try again")
        again.wait_for()
        page.unroute("**/queue?*")
        again.click()
        page.locator(".stage .face").wait_for()


def test_a_held_key_answers_for_one_face_alone(reviewed_by):
    reviews = []
    with reviewed_by("heavy") as (page, _):
        page.on("request", lambda one: one.method == "POST" and reviews.append(one.url))
        for _ in range(5):
            before = shown(page)
            # Each but the first one is a repetition.
            page.keyboard.down("c")
            page.evaluate("new Promise((resolve) => setTimeout(resolve, 200))")
        page.locator(".message", has_text="Cannot tell").wait_for()
        assert shown(page) == before
    assert len(reviews) == 1


def test_an_age_is_saved_where_it_was_typed_and_a_photo_that_is_gone_is_called_so(reviewed_by):
    with reviewed_by("typist", forgive="404") as (page, _):
        page.get_by_label("Age or band").fill("34")
        page.get_by_label("Age or band").press("Enter")
        page.locator(".message", has_text="Corrected to 34: 00.jpg").wait_for()
        assert page.get_by_label("Age or band").input_value() == ""
        page.route("**/images/*/*", lambda route: route.fulfill(status=404))
        page.keyboard.press("c")
        page.locator(".photo.blank").wait_for()
        words = "getComputedStyle(document.querySelector('.photo'), '::before').content"
        assert "is gone" in page.evaluate(words)


def test_an_answer_that_was_withdrawn_elsewhere_bars_no_earlier_one(reviewed_by):
    with reviewed_by("torn", forgive="404") as (page, job):
        for _ in range(2):
            name = shown(page)
            with page.expect_response(f"**{job}/reviews") as answer:
                page.keyboard.press("c")
            page.locator(".message", has_text=f"Cannot tell: {name}").wait_for()
        withdraw = "path => fetch(path, { method: 'DELETE' }).then((one) => one.status)"
        path = f"{job}/reviews/{answer.value.json()['id']}"
        assert page.evaluate(withdraw, path) == 204
        for name in ("01.jpg", "00.jpg"):
            page.keyboard.press("u")
            page.locator(".message", has_text=f"Undone: {name}").wait_for()


def test_a_photo_without_a_face_takes_only_what_can_be_said_of_it(open_page, service, upload, few):
    job_id = upload(few)
    job = f"/v1/jobs/{job_id}"
    wait_for(lambda: service.get(job).json()["finished_at"] is not None, "the job has ended")
    with open_page(f"#/review/{job_id}") as page:
        says = page.locator(".message")
        page.get_by_text("Nothing is left to review").wait_for()
        page.get_by_label("Order", exact=True).select_option("sample")
        page.get_by_text("No face was found here.").wait_for()
        page.locator("h1").click()
        page.keyboard.press("c")
        says.get_by_text("There is no face to label").wait_for()
        page.keyboard.press("d")
        page.keyboard.press("Enter")
        says.get_by_text("Missed face added").wait_for()
        page.get_by_text("No other face was missed here. Press Enter if that is right.").wait_for()
        page.keyboard.press("n")
        says.get_by_text("Accepted").wait_for()
    lines = service.get(f"{job}/images?reviewed=true").json()["images"]
    assert [len(line["faces"]) for line in lines] == [1]
    # The gallery leads to each photo, also to one without a face.
    other = "3.png" if lines[0]["image"] == "4.png" else "4.png"
    with open_page(f"#/jobs/{job_id}") as page:
        page.locator("figure", has_text=other).get_by_role("link").click()
        page.get_by_text("No face was found here.").wait_for()
        assert shown(page) == other
