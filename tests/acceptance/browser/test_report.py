"""The report in a real browser: filter, follow a count to its photos, download, and axe-core."""

import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from benchmarks.harness.report_pages import make_lines, write_report
from facetag.results.csv_rows import csv_header, csv_rows

pytestmark = pytest.mark.acceptance


def opened(browser, address, **options):
    page = browser.new_context(**options).new_page()
    page.faults = []
    page.on("pageerror", lambda error: page.faults.append(str(error)))
    page.on("console", lambda message: page.faults.append(message.text))
    page.on("request", lambda request: page.faults.extend(outside(request.url)))
    page.goto(address)
    return page


def outside(url):
    return [] if url.startswith(("file:", "data:", "blob:")) else [url]


def check_found(page, words):
    """The status begins with these words, once the page has answered what was just done."""
    expect(page.get_by_role("status")).to_have_text(re.compile("^" + re.escape(words)))


def test_a_reader_filters_follows_a_cell_and_downloads_what_is_shown(browser, tmp_path):
    lines = sorted(make_lines(150), key=lambda line: line["image"])
    page = opened(browser, write_report(tmp_path / "report.html", lines[::-1]))
    page.locator("select[name=doubt]").select_option("race")
    wanted = [one for one in lines if any("race" in face["uncertain"] for face in one["faces"])]
    check_found(page, f"{len(wanted)} of 150 photos with race uncertain")
    page.get_by_role("button", name="Show all").click()
    check_found(page, "150 of 150 photos")
    assert page.locator("figure").count() < 150, "photos are added as the reader scrolls"

    cell = page.get_by_role("table", name="Faces by apparent race, gender and age")
    cell.get_by_role("row", name="white female").get_by_role("link").first.click()
    shown = [
        line
        for line in lines
        if any(
            face["gender"]["label"] == "female"
            and face["race"]["label"] == "white"
            and face["age"] < 13
            and "face" not in face["uncertain"]
            for face in line["faces"]
        )
    ]
    assert shown
    assert page.url.endswith("#photos?gender=female&race=white&age=0%E2%80%9312")
    check_found(page, f"{len(shown)} of 150 photos")

    page.locator("select[name=sort]").select_option("name")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download CSV").click()
    text = download.value.path().read_text("utf-8")
    assert text == csv_header() + csv_rows(shown)
    page.get_by_role("button", name="Show all").click()
    page.locator("select[name=sort]").select_option("name")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download CSV").click()
    assert download.value.path().read_text("utf-8") == csv_header() + csv_rows(lines)
    # As many photos as the chart says, those with a possible face among those without one.
    chart = page.get_by_role("table", name="Photos by number of faces")
    none = chart.locator("tr", has=page.get_by_role("rowheader", name="0", exact=True))
    counted = none.get_by_role("link").inner_text()
    none.get_by_role("link").click()
    check_found(page, f"{counted} of 150 photos with faces 0")
    page.get_by_role("button", name="Show all").click()
    page.locator("input[name=name]").fill("onerror")
    check_found(page, "1 of 150 photos with name onerror")
    assert "taken" not in page.evaluate("document.title")[:5]
    assert page.faults == []


@pytest.mark.parametrize(
    ("width", "scheme", "photos"),
    [
        (390, "light", 8),
        (390, "dark", 10_000),
        (1440, "light", 10_000),
        (1440, "dark", 8),
    ],
)
def test_the_page_has_no_barrier_that_axe_finds_and_fits_its_width(
    browser, tmp_path, width, scheme, photos
):
    address = write_report(tmp_path / "report.html", make_lines(photos))
    page = opened(browser, address, viewport={"width": width, "height": 900}, color_scheme=scheme)
    for details in page.locator("details").all():
        details.evaluate("one => { one.open = true; }")
    violations = Axe().run(page).response["violations"]
    serious = [one for one in violations if one["impact"] in ("serious", "critical")]
    assert [(one["id"], one["nodes"][0]["html"]) for one in serious] == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_ten_thousand_photos_are_listed_a_part_at_a_time(browser, tmp_path):
    page = opened(browser, write_report(tmp_path / "report.html", make_lines(10_000)))
    check_found(page, "10,000 of 10,000 photos")
    listed = page.locator("figure").count()
    assert listed <= 180
    page.locator("button.more").scroll_into_view_if_needed()
    # A busy machine is slow to draw what was scrolled to.
    expect(page.locator("figure").nth(listed)).to_be_attached(timeout=30_000)
    page.locator("select[name=state]").select_option("failed")
    check_found(page, "1 of 10,000 photos with state failed")
    assert page.faults == []


@pytest.mark.parametrize("kept", [(), ("age",), ("gender",), ("race",), ("age", "race")])
def test_heads_that_were_not_predicted_leave_their_charts_out(browser, tmp_path, kept):
    lines = make_lines(6)
    for line in lines:
        line["faces"] = [
            {
                name: value
                for name, value in face.items()
                if name in ("box", "confidence", *kept) or (name == "age_range" and "age" in kept)
            }
            for face in line["faces"]
        ]
    page = opened(browser, write_report(tmp_path / "report.html", lines))
    charts = page.locator("#charts").inner_text()
    assert ("Apparent race" in charts) == ("race" in kept)
    assert ("Groups by race and age" in charts) == (kept == ("age", "race"))
    assert ("Groups by gender" in charts) == (kept == ("gender",))
    check_found(page, "6 of 6 photos")
    assert page.faults == []
