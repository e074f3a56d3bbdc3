"""The page in a real browser, where there is one."""

import pytest

from browser import CHROMIUM, DRIVER, started_browser

pytestmark = pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="needs chromium and chromedriver")


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with started_browser(tmp_path_factory.mktemp("profile")) as browser:
        yield browser


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1200, 400])
def test_all_is_shown_and_nothing_is_asked_for(width, scheme, browser, report):
    url = report.as_uri()
    browser.open(url, width, scheme)
    assert [one for one in browser.requested() if not one.startswith("data:")] == [url]
    assert browser.messages() == []
    sizes = browser.value("[...document.images].map(image => [image.naturalWidth, image.complete])")
    assert len(sizes) == 6
    assert all(size > 300 and complete for size, complete in sizes)
    # The page fits; what is wider scrolls in its box.
    assert browser.value("innerWidth") == width
    assert browser.value("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    outside = "[...document.querySelectorAll('body *')].filter(x => !x.closest('.box') && !x.closest('details'))"
    assert browser.value(f"{outside}.every(x => x.getBoundingClientRect().right <= innerWidth)")
    scrolling = browser.value(
        "[...document.querySelectorAll('.box')].filter(x => x.scrollWidth > x.clientWidth).length"
    )
    assert scrolling > 5 if width == 400 else scrolling == 0
    light = browser.value("parseInt(getComputedStyle(document.body).backgroundColor.slice(4)) > 128")
    assert light == (scheme == "light")


def test_what_is_folded_fits_too(browser, report):
    browser.open(report.as_uri(), 400)
    assert browser.value("document.querySelectorAll('details').length") > 5
    browser.value("document.querySelectorAll('details').forEach(x => x.open = true)")
    assert browser.value("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    assert browser.value("document.querySelector('details .box').clientHeight") > 0
