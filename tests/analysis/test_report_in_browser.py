"""The page of results, in a real browser."""

import base64
import re
import shutil
import sys
import tempfile
from pathlib import Path

import pytest

from project import PROJECT

AXE = Path(sys.prefix) / "axe/axe_playwright_python/axe.min.js"
REPORT = PROJECT / "results" / "report.html"


@pytest.fixture(scope="module")
def browser():
    """Chromium, headless; its driver listens on this machine only."""
    webdriver = pytest.importorskip("selenium.webdriver")
    from selenium.webdriver.chrome.service import Service

    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not chromium or not driver:
        pytest.skip("no chromium or no chromedriver: apt-get install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    flags = "headless no-sandbox disable-gpu disable-quic no-first-run disable-background-networking"
    for flag in [*flags.split(), "disable-component-update", "disable-sync", "hide-scrollbars"]:
        options.add_argument(f"--{flag}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        options.add_argument(f"--user-data-dir={profile}")
        chrome = webdriver.Chrome(options=options, service=Service(driver))
        yield chrome
        chrome.quit()


@pytest.fixture
def opened(browser, page):
    """Open the page on a screen of this many pixels, light or dark."""

    def call(width=1280, scheme="light", height=800, page=page):
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        browser.get(page.as_uri())
        return browser

    return call


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1366, 1280, 390])
def test_it_opens_without_errors_and_without_scrolling_sideways(opened, width, scheme):
    chrome = opened(width, scheme)
    assert chrome.get_log("browser") == []
    assert chrome.execute_script("return document.documentElement.scrollWidth") == width
    boxes = chrome.execute_script(
        "return [...document.querySelectorAll('figure svg')].map((svg) => svg.getBoundingClientRect().toJSON())"
    )
    assert len(boxes) == 6  # columns of panels
    assert all(box["width"] > 250 and box["height"] > 180 and box["right"] <= width for box in boxes)


def test_on_a_phone_no_figure_is_cut_and_its_texts_are_large_enough_to_read(opened):
    chrome = opened(390)
    cut, sizes = chrome.execute_script("""
        document.querySelectorAll('details').forEach((each) => { each.open = true; });
        const drawn = [...document.querySelectorAll('.picture svg')].flatMap((svg) => {
            const box = svg.getBoundingClientRect(), scale = box.width / svg.viewBox.baseVal.width;
            return [...svg.querySelectorAll('text')].map((text) => {
                const own = text.getBoundingClientRect();
                const cut = own.left < box.left - 1.5 || own.right > box.right + 1.5;
                return [cut ? text.textContent : '', scale * parseFloat(getComputedStyle(text).fontSize)];
            });
        });
        return [drawn.map((each) => each[0]).filter(Boolean), drawn.map((each) => each[1])];
    """)
    assert cut == []
    assert min(sizes) >= 9


@pytest.mark.parametrize("width", [1366, 390])
def test_a_wide_table_scrolls_in_its_own_box_whose_edge_is_seen(opened, width):
    chrome = opened(width)
    chrome.execute_script("document.querySelector('#wide .rest').open = true")
    box = chrome.find_element("css selector", "#wide-table-accuracy .scroll")
    inner, outer, right = chrome.execute_script(
        "const box = arguments[0]; return [box.scrollWidth, box.clientWidth, box.getBoundingClientRect().right]", box
    )
    assert inner > outer
    assert right <= width
    assert box.value_of_css_property("border-right-style") == "solid"
    assert box.value_of_css_property("background-image").count("linear-gradient") == 2
    chrome.execute_script("arguments[0].scrollLeft = 9999", box)
    assert chrome.execute_script("return document.documentElement.scrollWidth") == width
    first, *_, last = box.find_elements("css selector", "tbody tr:first-child > *")
    assert first.rect["x"] >= 0  # the key of a line stays where it is
    assert last.rect["x"] + last.rect["width"] <= right


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_of_figures_are_legible(opened, scheme):
    chrome = opened(390, scheme)
    smallest, contrast = chrome.execute_script(
        """
        const luminance = (colour) => {
          const [r, g, b] = colour.match(/[\\d.]+/g).slice(0, 3)
            .map((v) => v / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
          return 0.2126 * r + 0.7152 * g + 0.0722 * b;
        };
        const paper = luminance(getComputedStyle(document.body).backgroundColor);
        const texts = [...document.querySelectorAll("figure svg text")];
        const contrasts = texts.map((text) => luminance(getComputedStyle(text).fill))
          .map((ink) => (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05));
        const sizes = texts.filter((text) => text.textContent.length > 2).map((text) => text.getBoundingClientRect())
          .map((box) => Math.min(box.height, box.width));
        return [Math.min(...sizes), Math.min(...contrasts)];
        """
    )
    assert smallest >= 8
    assert contrast > 7


def column(chrome, table, index):
    script = "return [...arguments[0].tBodies[0].rows].map((row) => row.cells[arguments[1]].textContent)"
    return chrome.execute_script(script, table, index)


def test_heads_sort_by_number_and_back_and_what_has_no_value_stays_below(opened):
    chrome = opened()
    chrome.execute_script("document.querySelector('#wide .rest').open = true")
    table = chrome.find_element("css selector", "#wide-table-accuracy table")
    chrome.execute_script(
        "arguments[0].tBodies[0].innerHTML = arguments[1].map((text) => `<tr><th>${text}</th></tr>`).join('')",
        table,
        ["10 ± 2", "9.5", "– (0/3)", "−3.5e−02", "1,000"],
    )
    head = table.find_element("css selector", "th")
    for order, values in (
        ("ascending", ["−3.5e−02", "9.5", "10 ± 2", "1,000", "– (0/3)"]),
        ("descending", ["1,000", "10 ± 2", "9.5", "−3.5e−02", "– (0/3)"]),
    ):
        head.find_element("css selector", "button").click()
        assert column(chrome, table, 0) == values
        assert head.get_attribute("aria-sort") == order


def test_pointing_at_a_number_or_a_point_tells_its_runs(opened):
    from selenium.webdriver import ActionChains

    chrome = opened()
    chrome.execute_script("document.querySelector('#long_memory .rest').open = true")
    tooltip = chrome.find_element("id", "tooltip")
    assert not tooltip.is_displayed()
    for selector in ("#long_memory td[data-runs]", "#lacking figure svg g.tip use"):
        part = chrome.find_element("css selector", selector)
        chrome.execute_async_script(  # scrolling hides what is told: wait until it has been seen
            "arguments[0].scrollIntoView({block: 'center'});"
            "requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(arguments[1], 50)))",
            part,
        )
        ActionChains(chrome).move_to_element(part).perform()
        assert tooltip.is_displayed()
        assert re.search(r"runs 0[0-2]0(08|16)00[0-2]", tooltip.text)


def test_arrow_keys_read_the_points_of_a_figure(opened):
    chrome = opened()
    picture = chrome.find_element("css selector", "#lacking .picture[tabindex]")
    names = chrome.execute_script(
        "return [...arguments[0].querySelectorAll('.tip')].map((tip) => tip.ariaLabel)", picture
    )
    tooltip = chrome.find_element("id", "tooltip")
    assert tooltip.get_attribute("role") == "status"
    picture.send_keys("\ue014")  # right
    picture.send_keys("\ue014")
    chrome.execute_async_script("requestAnimationFrame(() => requestAnimationFrame(arguments[0]))")
    assert tooltip.text.startswith(names[1])
    picture.send_keys("\ue012")  # left
    chrome.execute_async_script("requestAnimationFrame(() => requestAnimationFrame(arguments[0]))")
    assert tooltip.text.startswith(names[0])
    picture.send_keys("\ue00c")  # escape
    assert not tooltip.is_displayed()


def test_finding_leaves_experiments_figures_and_tables_that_have_all_words(opened):
    chrome = opened()
    box = chrome.find_element("id", "search")

    def shown(selector):
        found = chrome.find_elements("css selector", selector)
        return [each.get_attribute("id") for each in found if each.is_displayed()]

    box.send_keys("lacking")
    assert shown(".experiment") == ["lacking"]
    box.clear()
    box.send_keys("By LAG lstm")
    assert shown(".experiment") == ["long_memory", "lacking"]
    assert "long_memory-figure-by_lag" in shown(".find")
    assert "long_memory-table-accuracy" not in shown(".find")
    assert chrome.find_element("id", "found").text.startswith("2 experiments, ")
    box.clear()
    box.send_keys(" ")
    assert shown(".experiment") == ["long_memory", "lacking", "wide"]


def test_the_first_picture_stands_on_the_first_screen_and_the_first_experiment_below_it(opened):
    chrome = opened(390)
    top = "return document.querySelector(arguments[0]).getBoundingClientRect().top"
    assert chrome.execute_script(top, "svg[aria-label]") < 400
    assert chrome.execute_script(top, ".experiment") < 1200


def faults(chrome):
    """What axe-core finds serious or critical."""
    if not AXE.is_file():
        pytest.skip("no axe-core: make axe")
    chrome.set_script_timeout(300)
    chrome.execute_script(AXE.read_text(encoding="utf-8"))
    found = chrome.execute_async_script(
        "axe.run(document, {resultTypes: ['violations']}).then((found) => arguments[0](found.violations"
        ".map((fault) => [fault.id, fault.impact, fault.nodes.map((node) => node.html.slice(0, 200))])))"
    )
    return [each for each in found if each[1] in ("serious", "critical")]


UNFOLD = "document.querySelectorAll('details').forEach((each) => { each.open = true; })"


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_it_can_be_read_by_keyboard_and_by_ear(opened, width, scheme):
    chrome = opened(width, scheme)
    chrome.execute_script(UNFOLD)
    assert faults(chrome) == []


@pytest.mark.slow
@pytest.mark.parametrize(("width", "height"), [(1280, 900), (390, 844)])
def test_the_page_of_the_project_begins_with_its_picture_and_claims(opened, width, height):
    chrome = opened(width, height=height, page=REPORT)
    box = "return document.querySelector(arguments[0]).getBoundingClientRect().toJSON()"
    assert chrome.execute_script(box, "#first-picture svg")["bottom"] < height
    assert chrome.execute_script(box, ".experiment")["top"] < 1.5 * height
    stops = chrome.execute_script(
        "return [...document.querySelectorAll('a[href], button, input, summary, [tabindex]')]"
        ".filter((each) => each.tabIndex >= 0 && each.checkVisibility()).length"
    )
    assert stops <= 150


@pytest.mark.slow
@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (1280, "dark"), (390, "light")])
def test_the_page_of_the_project_can_be_read_by_keyboard_and_by_ear(opened, width, scheme):
    chrome = opened(width, scheme, page=REPORT)
    assert faults(chrome) == []
    chrome.execute_script(UNFOLD)
    assert faults(chrome) == []


@pytest.mark.slow
def test_the_page_of_the_project_is_printed_on_few_sheets(opened):
    chrome = opened(page=REPORT)
    printed = chrome.execute_cdp_cmd("Page.printToPDF", {"preferCSSPageSize": True})["data"]
    assert len(re.findall(rb"/Type /Page\b", base64.b64decode(printed))) <= 25
