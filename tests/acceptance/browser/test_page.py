"""The page at `/` in headless Chromium, against a service that runs as users run it."""

import pytest

from tests.acceptance.browser.conftest import check_access

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
