"""One page of everything, in a real browser."""

import re
import shutil
import tempfile
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from typer.testing import CliRunner

from gradreach.analysis.figures import gradient_by_lag, metric_against
from gradreach.analysis.figures.captions import explained
from gradreach.analysis.figures.figure import Figure
from gradreach.analysis.pages.built import Built
from gradreach.analysis.pages.report import section_of, write_report
from gradreach.analysis.stats.verdict import READING, Effect, Verdict
from gradreach.analysis.study.declaration import Claim, Study
from gradreach.analysis.study.parts import arithmetic
from gradreach.analysis.tables.layout import make
from gradreach.analysis.tables.specification import Measure, Table
from gradreach.cli import app
from made_up import results
from project import PROJECT

CLAIM = Claim(
    "LSTM solves the vanishing gradient.",
    id="C3",
    section="3",
    original="LSTM 可以解决梯度消失问题。",
    expect="Chance.",
    expect_source="somebody, 2018",
    parts={"it does": arithmetic(lambda: False, "No.")},
)
VERDICT = Verdict("refuted", Effect("gain", -3.0, -4.0, -2.0, 3, "points"), "It does not <at all>.")
ACCURACY = Table("accuracy", "Test accuracy & chance.", "Means.", (Measure("test/accuracy", "accuracy", scale=100),))
FIGURES = (
    Figure("by_length", "Read it from left to right.", metric_against),
    Figure("by_lag", "The line is 1 %.", gradient_by_lag),
)
STUDY = Study(question="Long memory", about="How long?", claim=CLAIM)
CAVEATS = ("Made up of `made_up` alone.", "One draw.")
WIDE = (replace(ACCURACY, columns=("seq_len", "seed")),)


def built(name, folder, data, tables=(ACCURACY,), figures=FIGURES):
    views = tuple(make(table, data) for table in tables)
    pictures = {figure.name: figure.draw(data, folder / figure.name) for figure in figures}
    captions = {figure.name: explained(figure.caption, pictures[figure.name]) for figure in figures}
    return Built(
        name, STUDY, data, views, pictures, captions, VERDICT, "The state.", CAVEATS, "Refuted below 0.", folder
    )


@pytest.fixture(scope="module")
def sections(tmp_path_factory):
    folder = tmp_path_factory.mktemp("figures")
    ten = results(models=("cnn", "lstm", "rnn"))
    ten.runs["seconds"] = [9.5, 10.0, 100.0] * (len(ten.runs) // 3)
    lacking = results(status=lambda model, length, seed: ("failed", "diverged", "finished")[seed])
    wide = results(seeds=6, **{"test/loss": -0.25})
    given = (("long_memory", ten), ("lacking", lacking), ("wide", wide, WIDE, ()))
    return [section_of(built(name, folder, *rest)) for name, *rest in given]


@pytest.fixture(scope="module")
def page(sections, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "report.html"
    write_report(sections, path, {"not_yet": STUDY})
    return path


class Elements(HTMLParser):
    """All elements with their attributes."""

    def __init__(self, text):
        super().__init__()
        self.found = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))


def test_the_same_sections_give_the_same_bytes(sections, page, tmp_path):
    write_report(sections, tmp_path / "again.html", {"not_yet": STUDY})
    assert (tmp_path / "again.html").read_bytes() == page.read_bytes()


def test_the_page_loads_nothing(page):
    text = page.read_text(encoding="utf-8")
    for _, attributes in Elements(text).found:
        for name in ("src", "href", "xlink:href", "action"):
            assert (attributes.get(name) or "#").startswith(("#", "data:"))
    assert "@import" not in text
    assert set(re.findall(r"url\((.)", text)) == {"#"}
    assert set(re.findall(r"https?://[^\"' <]+", text)) <= {"http://www.w3.org/1999/xlink"}


def test_every_reference_has_its_target_once(page):
    text = page.read_text(encoding="utf-8")
    ids = re.findall(r' id="([^"]*)"', text)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'(?:href="|url\()#([^")]+)', text)) <= set(ids)


def test_every_number_tells_its_runs(sections, page):
    tips = [attributes["title"] for tag, attributes in Elements(page.read_text(encoding="utf-8")).found
            if tag == "td" and "title" in attributes]  # fmt: skip
    runs = results(models=("cnn", "lstm", "rnn")).runs
    group = runs[(runs["model"] == "lstm") & (runs["seq_len"] == 16)]
    (tip,) = [
        tip for tip in tips if group["run_id"].iloc[0] in tip and f"{100 * group['test/accuracy'].mean():.5g}" in tip
    ]
    assert all(run_id in tip for run_id in group["run_id"])
    assert "3 values of 3 finished runs of 3 planned" in tip


def test_claim_rule_and_verdict_are_told(page):
    text = page.read_text(encoding="utf-8")
    for said in (
        CLAIM.original,
        CLAIM.text,
        *CAVEATS[1:],
        "Refuted below 0.",
        "It does not &lt;at all&gt;.",
        "somebody, 2018",
    ):
        assert said in text
    assert READING in text
    assert re.search("not run yet.*<code>not_yet</code>", text)
    assert "python run.py -m experiment=long_memory" in text


def test_claims_stand_in_their_order(tmp_path):
    ten, two = (replace(STUDY, claim=replace(CLAIM, id=number)) for number in ("C10", "C2"))
    write_report([], tmp_path / "report.html", {"ten": ten, "two": two})
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert re.findall(r"<td>(C\d+)</td>", text) == ["C2", "C10"]


def test_what_is_lacking_is_counted(page):
    text = re.sub(r"<[^>]+>", " ", page.read_text(encoding="utf-8"))
    text = re.sub(r"\s+", " ", text)
    assert "46 of 54 planned runs finished" in text
    assert "4 diverged" in text
    assert "4 failed" in text


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
    """Open the page on a screen of so many pixels, light or dark."""

    def call(width=1280, scheme="light"):
        size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 600}
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
    assert len(boxes) == 4
    assert all(box["width"] > 300 and box["height"] > 200 for box in boxes)


@pytest.mark.parametrize("width", [1366, 390])
def test_a_wide_table_scrolls_in_its_own_box_whose_edge_is_seen(opened, width):
    chrome = opened(width)
    box = chrome.find_element("css selector", "#wide > .scroll")
    inner, outer, right = chrome.execute_script(
        "const box = arguments[0]; return [box.scrollWidth, box.clientWidth, box.getBoundingClientRect().right]", box
    )
    assert inner > outer
    assert right <= width
    assert box.value_of_css_property("border-right-style") == "solid"
    assert box.value_of_css_property("background-image").count("linear-gradient") == 2
    chrome.execute_script("arguments[0].scrollLeft = 9999", box)
    assert chrome.execute_script("return document.documentElement.scrollWidth") == width
    first, last = box.find_elements("css selector", "tbody tr:first-child td")[
        :: len(box.find_elements("css selector", "thead th")) - 1
    ]
    assert first.is_displayed()  # the key of a line stays where it is
    assert last.rect["x"] + last.rect["width"] <= right


def test_what_stands_in_backticks_is_code_and_a_minus_is_one(page):
    text = page.read_text(encoding="utf-8")
    assert "<code>made_up</code> alone" in text
    assert "`" not in re.sub(r"<script>.*?</script>", "", text, flags=re.DOTALL)
    assert '<td data-key="-0.25">−0.25</td>' in text


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


def test_heads_sort_by_number_and_back(opened):
    chrome = opened()
    chrome.execute_script("document.querySelector('#long_memory details.runs').open = true")
    table = chrome.find_element("css selector", "#long_memory details.runs table")
    heads = [head.text for head in table.find_elements("css selector", "th")]
    where = heads.index("seconds")
    button = table.find_elements("css selector", "th button")[where]
    button.click()
    first = [float(text) for text in column(chrome, table, where)]
    assert first == sorted(first)
    assert first[0] < 10 < first[-1]  # as text, 10 would come before 9.5
    button.click()
    assert [float(text) for text in column(chrome, table, where)] == first[::-1]
    head = table.find_elements("css selector", "th")[where]
    assert head.get_attribute("aria-sort") == "descending"


def test_what_has_no_value_stays_below(opened):
    chrome = opened()
    chrome.execute_script("document.querySelector('#lacking details.runs').open = true")
    table = chrome.find_element("css selector", "#lacking details.runs table")
    heads = [head.text for head in table.find_elements("css selector", "th")]
    where = heads.index("test/accuracy")
    for _ in range(2):
        table.find_elements("css selector", "th button")[where].click()
        filled = [bool(text) for text in column(chrome, table, where)]
        assert filled == sorted(filled, reverse=True)
        assert any(filled)
        assert not all(filled)


def test_pointing_at_a_number_or_a_point_tells_its_runs(opened):
    from selenium.webdriver import ActionChains

    chrome = opened()
    tooltip = chrome.find_element("id", "tooltip")
    assert not tooltip.is_displayed()
    for selector in ("#long_memory td.tip", "#long_memory figure svg g.tip use"):
        part = chrome.find_element("css selector", selector)
        chrome.execute_async_script(  # scrolling hides what is told: wait until it has been seen
            "arguments[0].scrollIntoView({block: 'center'});"
            "requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(arguments[1], 50)))",
            part,
        )
        ActionChains(chrome).move_to_element(part).perform()
        assert tooltip.is_displayed()
        assert re.search(r"0[0-2]0(08|16)00[0-2]", tooltip.text)


def test_tables_and_report_write_the_same_page_and_check_knows_it(tmp_path, monkeypatch):
    results_dir = tmp_path / "results"
    shutil.copytree(PROJECT / "results" / "quickstart", results_dir / "quickstart")
    monkeypatch.chdir(PROJECT)

    def call(*arguments):
        return CliRunner().invoke(app, [*arguments, "--results-dir", str(results_dir)])

    assert call("tables").exit_code == 0
    page = (results_dir / "report.html").read_bytes()
    (results_dir / "report.html").write_bytes(page + b" ")
    checked = call("tables", "--check")
    assert checked.exit_code == 1
    assert "report.html: not what the experiments give" in checked.output
    assert call("report").exit_code == 0
    assert (results_dir / "report.html").read_bytes() == page
