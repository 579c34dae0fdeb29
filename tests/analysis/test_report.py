"""One page of everything, in a real browser."""

import re
import shutil
import tempfile
from dataclasses import replace
from html.parser import HTMLParser

import pandas as pd
import pytest
from typer.testing import CliRunner

from gradreach.analysis.column_words import column_of
from gradreach.analysis.figures import gradient_by_lag, metric_against
from gradreach.analysis.figures.captions import explained
from gradreach.analysis.figures.figure import Figure
from gradreach.analysis.pages.built import Built
from gradreach.analysis.pages.report import section_of, write_report
from gradreach.analysis.pages.report.page import spans
from gradreach.analysis.pages.report.winners import contests, most_telling, ranking
from gradreach.analysis.results import Results
from gradreach.analysis.stats.verdict import READING, Effect, Verdict, combine_named
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


def text_of(page):
    """What a page says, in one line."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page.read_text(encoding="utf-8")))


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


def test_the_page_loads_nothing_and_links_only_to_files_beside_it(page):
    text = page.read_text(encoding="utf-8")
    for tag, attributes in Elements(text).found:
        for name in ("src", "href", "xlink:href", "action"):
            link = attributes.get(name) or "#"
            beside = tag == "a" and re.fullmatch(r"(long_memory|lacking|wide)/\w+\.(png|csv|md)", link)
            assert link.startswith(("#", "data:")) or beside
    assert "@import" not in text
    assert set(re.findall(r"url\((.)", text)) == {"#"}
    assert not re.findall(r"https?://", text)


def test_every_reference_has_its_target_once(page):
    text = page.read_text(encoding="utf-8")
    ids = re.findall(r' id="([^"]*)"', text)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'(?:href="|url\()#([^")]+)', text)) <= set(ids)


def test_every_figure_and_table_has_an_id_and_a_link_to_its_file(page):
    text = page.read_text(encoding="utf-8")
    for name in ("figure-by_length", "figure-by_lag", "table-accuracy"):
        kind, _, file = name.partition("-")
        assert f'id="lacking-{name}"' in text
        assert f'href="lacking/{file}.{"png" if kind == "figure" else "csv"}"' in text
    assert 'href="lacking/runs.csv"' in text


def test_every_number_and_every_point_names_its_runs(sections, page):
    text = page.read_text(encoding="utf-8")
    runs = results(models=("cnn", "lstm", "rnn")).runs
    group = runs[(runs["model"] == "lstm") & (runs["seq_len"] == 16)]
    ids = re.search(r'id="long_memory"[^>]* data-ids="([^"]*)"', text)[1].split(" ")
    assert ids == runs["run_id"].tolist()
    first = ids.index(group["run_id"].iloc[0])
    mean = f"mean {100 * group['test/accuracy'].mean():.5g}"
    (cell,) = re.findall(rf'title="{mean}, sd 1" data-runs="({first}-{first + 2})"', text)
    assert text.count(f'data-runs="{cell}"') > 1  # the cell, and the point of the figure


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
    assert re.search(r'title="not_yet">.*not run yet', text)
    assert "python run.py -m experiment=long_memory" in text


def test_the_first_screen_has_a_line_of_signs_for_every_claim_in_its_order(tmp_path):
    ten, two = (replace(STUDY, claim=replace(CLAIM, id=number)) for number in ("C10", "C2"))
    write_report([], tmp_path / "report.html", {"ten": ten, "two": two})
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert re.findall(r'<span class="number">(C\d+)</span>', text) == ["C2", "C10"]


def test_signs_are_words_for_those_who_hear_the_page():
    verdict = combine_named({name: Verdict(name, None, "") for name in ("supported", "open", "no room")})
    assert str(spans(verdict)) == (
        '<span class="signs"><span aria-hidden="true"><span class="supported">✔</span><span class="open">◌</span>'
        '<span class="no-room">▫</span></span><span class="heard">1 supported, 1 open, 1 no room</span></span>'
    )


def test_what_is_lacking_is_counted(page):
    assert "46 of 54 planned runs finished, 4 diverged, 4 failed" in text_of(page)


def test_who_wins_is_told_only_where_a_test_tells_it():
    seeds = range(8)
    apart, near = ({seed: level + 0.1 * seed for seed in seeds} for level in (90, 70))
    values = {"lstm": pd.Series(apart), "rnn": pd.Series(near), "gru": pd.Series(apart) - 0.05}
    accuracy = column_of("test/accuracy", {})
    assert ranking({name: values[name] for name in ("lstm", "rnn")}, accuracy) == ("lstm", [], True)
    noise = pd.Series({seed: (-1) ** seed for seed in seeds})
    assert ranking(values | {"gru": values["gru"] + noise}, accuracy)[1] == ["gru"]
    assert ranking({name: each[:2] for name, each in values.items()}, accuracy) == ("lstm", ["rnn", "gru"], False)
    assert ranking(values, column_of("test/mse", {}))[0] == "rnn", "an error is good where it is small"


def test_a_contest_is_of_one_protocol_and_its_variants_are_chosen_by_validation():
    made = results(models=("cnn", "lstm"), lengths=(8, 16), seeds=8)
    other = made.runs.assign(**{"model.bias": 1.0, "val/accuracy": 0.2, "test/accuracy": 0.99})
    runs = pd.concat([made.runs.assign(**{"model.bias": 0.0, "val/accuracy": 0.9}), other], ignore_index=True)
    short, long = contests("study", Results(runs))
    assert (short.where, long.where) == ("seq_len 8", "seq_len 16")
    assert most_telling([short, long]) == [long]
    assert list(long.entries) == ["cnn", "lstm"]
    assert long.entries["cnn"].text.startswith("77.5 "), "the better on the test is not the better on validation"
    assert long.entries["cnn"].best
    assert long.finding == "CNN is ahead of all others"


def test_the_page_grows_by_little_for_every_seed(tmp_path):
    """Run tables are linked, so a study with four times the seeds costs what its curves and the ids of its runs do."""
    sizes = []
    for seeds in (6, 24):
        data = results(models=("cnn", "lstm", "rnn"), seeds=seeds)
        write_report([section_of(built("study", tmp_path, data))], tmp_path / "report.html")
        sizes.append((tmp_path / "report.html").stat().st_size)
    assert sizes[1] - sizes[0] < 60 * 18 * 6, "of 108 more runs"


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


def test_what_stands_in_backticks_is_code_and_a_minus_is_one(page):
    text = page.read_text(encoding="utf-8")
    assert "<code>made_up</code> alone" in text
    assert "`" not in re.sub(r"<script>.*?</script>", "", text, flags=re.DOTALL)
    assert "mean −0.25" in text


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
    box.send_keys("LSTM seq_len 16")
    assert shown(".experiment") == ["long_memory", "lacking"]
    assert "long_memory-table-accuracy" in shown(".find")
    assert chrome.find_element("id", "found").text.startswith("2 experiments, ")
    box.clear()
    box.send_keys(" ")
    assert shown(".experiment") == ["long_memory", "lacking", "wide"]


def test_the_first_picture_stands_on_the_first_screen_and_the_first_experiment_below_it(opened):
    chrome = opened(390)
    top = "return document.querySelector(arguments[0]).getBoundingClientRect().top"
    assert chrome.execute_script(top, "svg[aria-label]") < 400
    assert chrome.execute_script(top, ".experiment") < 1200


def test_tables_and_report_write_the_same_page_and_check_knows_it(tmp_path, monkeypatch):
    results_dir = tmp_path / "results"
    shutil.copytree(PROJECT / "results" / "quickstart", results_dir / "quickstart")
    monkeypatch.chdir(PROJECT)

    def call(*arguments):
        return CliRunner().invoke(app, [*arguments, "--results-dir", str(results_dir)])

    assert call("tables").exit_code == 0
    page = (results_dir / "report.html").read_bytes()
    for link in re.findall(r'<a href="([^"#]+)"', page.decode()):
        assert (results_dir / link).is_file()
    assert (results_dir / re.search(r'"og:image" content="([^"]+)"', page.decode())[1]).is_file()
    (results_dir / "report.html").write_bytes(page + b" ")
    checked = call("tables", "--check")
    assert checked.exit_code == 1
    assert "report.html: not what the experiments give" in checked.output
    assert call("report").exit_code == 0
    assert (results_dir / "report.html").read_bytes() == page
