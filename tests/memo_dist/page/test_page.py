"""The page, in a real browser: asked, traced, hostile texts, a long text, a narrow window, the keyboard alone, dark.

Covers: what `serve` answers at /, and `trace --html`. Needs Debian's chromium and Playwright; else nothing is tested,
and that is said.
"""

import importlib.util
import json
import random
import shutil
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from local_service import over_http

from console.app import main
from memo_dist import Memory, TextConfig, Tokenizer
from memo_dist.http.limits import Limits

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
KNOWN = ["".join(random.Random(seed).choices("abcdefghijklmnop", k=11)) for seed in range(300)]
OTHER = ["".join(random.Random(seed).choices("klmnopqrstuvwxyz", k=11)) for seed in range(300)]
EVIL = "<script>document.title = 'taken'</script> and <img src=x onerror=\"document.title = 'taken'\"> and so on "
NAMES = ("first.txt", "second.txt", "<img src=x onerror=\"document.title='taken'\">.txt")
LIMITS = Limits(prompt_tokens=4000)  # so that parts are small
BACK = "#answer .typed"


def passage(seed: int, words: int = 90) -> str:
    return " ".join(random.Random(seed).choices(KNOWN, k=words)) + ".\n"


TEXTS = (passage(1), passage(2) + "at last", EVIL + passage(3) + EVIL)


@pytest.fixture(scope="module")
def memory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tokenizers import Tokenizer as Model
    from tokenizers import decoders, models, pre_tokenizers, trainers

    path = tmp_path_factory.mktemp("page") / "m.memo"
    model = Model(models.BPE())
    model.pre_tokenizer, model.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=9000, initial_alphabet=alphabet, show_progress=False)
    model.train_from_iterator(
        [f" {word}" for word in KNOWN + OTHER], trainer
    )  # a word is one token: long texts have few
    tokenizer = Tokenizer(model.to_str())
    made = Memory(TextConfig(num_banks=8, vocab_size=tokenizer.vocab_size, inner_dim=128), tokenizer)
    for name, text in zip(NAMES, TEXTS, strict=True):
        made.memorize(name, tokenizer.encode([text])[0])
    made.save(path)
    return path


@pytest.fixture(scope="module")
def url(memory: Path) -> Iterator[str]:
    with over_http(memory, LIMITS) as url:
        yield url


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if CHROMIUM is None or importlib.util.find_spec("playwright") is None:
        pytest.skip("NO BROWSER, NOT TESTED: the page needs chromium (make browser) and playwright (the extra dev)")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


class Page:
    """A page of its own, whose errors are kept, and which must not ask anybody else."""

    def __init__(self, browser: Any, url: str, **settings: Any) -> None:
        self._context = browser.new_context(viewport={"width": 1000, "height": 800}, **settings)
        self.it = self._context.new_page()
        self.faults: list[str] = []
        self.it.set_default_timeout(60_000)
        self.it.on("pageerror", lambda error: self.faults.append(str(error)))
        self.it.on("console", lambda said: self.faults.append(said.text) if said.type == "error" else None)
        self.it.on("request", lambda asked: asked.url.startswith(("data:", url)) or self.faults.append(asked.url))
        self.it.goto(url)

    def ask(self, prompt: str) -> None:
        self.it.fill("#prompt", prompt)
        self.it.click("#ask-button")
        self.it.wait_for_selector("#ask-button:enabled")

    def trace(self, text: str) -> str:
        self.it.fill("#text", text)
        self.it.click("#trace-button")
        return self.traced()

    def traced(self) -> str:
        self.it.wait_for_selector("#trace-button:enabled")
        return str(self.it.text_content("#trace-told"))

    def until(self, expression: str) -> None:
        """Playwright's own way to wait is a script made of text, which the page's policy refuses."""
        deadline = time.monotonic() + 60
        while not self.it.evaluate(expression):
            assert time.monotonic() < deadline, expression
            time.sleep(0.02)

    def texts(self, kind: str) -> list[str]:
        found: list[str] = self.it.locator(kind).all_text_contents()
        return found

    def end(self) -> None:
        title = self.it.title()
        self._context.close()
        assert self.faults == []
        assert title != "taken"


@pytest.fixture
def page(browser: Any, url: str) -> Iterator[Page]:
    made = Page(browser, url)
    yield made
    made.end()


def test_a_prompt_is_continued_token_by_token(page: Page) -> None:
    words = TEXTS[0].split()
    page.ask(" ".join(words[:12]))
    assert page.texts(".token")[:3] == [f" {word}" for word in words[12:15]]
    assert "sure" in str(page.it.locator(".token").first.get_attribute("aria-label"))
    assert "first.txt" in page.it.inner_text("#answer")
    page.it.click("text=Go on from here")
    page.until("document.querySelector('#prompt').value.split(' ').length > 30")
    page.it.wait_for_selector("#ask-button:enabled")
    assert page.it.input_value("#prompt") == " ".join(words)[: len(page.it.input_value("#prompt"))]


def test_a_silence_says_why_and_a_slip_what_was_read(page: Page) -> None:
    page.ask("Hi")
    assert "Nothing is said" in page.it.inner_text("#answer")
    words = TEXTS[1].split()
    slipped = [*words[:8], words[8][1] + words[8][0] + words[8][2:], *words[9:14]]
    page.ask(" ".join(slipped))
    assert page.texts("#answer ins") == [words[8]]
    assert page.texts(".token")[0] == f" {words[14]}"


def test_alternatives_can_be_chosen(browser: Any, tmp_path: Path) -> None:
    path, tokenizer = tmp_path / "fork.memo", Tokenizer.bytes()
    made = Memory(TextConfig(num_banks=8, vocab_size=256, inner_dim=128), tokenizer)
    way = "where two roads part after a long way in common which both of them share, "
    for name, ending in (("north", "one goes to the north."), ("south", "another to the warm south.")):
        made.memorize(name, list((way + ending).encode()))
    made.save(path)
    with over_http(path, LIMITS) as url:
        page = Page(browser, url)
        page.ask(way)
        ways = page.texts(".choices button")
        assert any("another" in one or "one goes" in one for one in ways)
        page.it.locator(".choices button", has_text="nother").first.click()
        page.until("document.querySelector('#prompt').value.includes('another')")
        page.it.wait_for_selector("#ask-button:enabled")
        page.ask(way)
        page.it.locator(".token").first.click()
        said = page.texts(".token")[0]
        others = [one for one in page.texts("#step .choices button") if one in ("a", "o")]
        assert others == [{"a": "o", "o": "a"}[said]]
        assert "of what may stand here it is 1 time, 50%" in page.it.inner_text("#step")
        page.it.locator("#step .choices button").first.click()
        page.until(f"document.querySelector('#prompt').value.endsWith('share, {others[0]}')")
        page.it.wait_for_selector("#ask-button:enabled")
        page.end()


def test_a_text_is_looked_up_and_each_passage_names_its_document(page: Page) -> None:
    own = "Nobody has ever written this 𝔡own 🎉 before. "
    text = own + TEXTS[0] + own + TEXTS[1] + own
    assert "in 2 passages" in page.trace(text)
    assert page.it.text_content("#passages .text") == text
    marks = page.texts("mark")
    assert [mark.strip()[:30] in one for mark, one in zip(marks, TEXTS, strict=False)] == [True, True]
    assert page.texts(".legend bdi") == ["first.txt", "second.txt"]
    page.it.locator("mark").nth(1).click()
    assert "Passage 2 of 2" in page.it.inner_text("#passages .panel")
    assert "second.txt" in page.it.inner_text("#passages .panel")
    assert "no passage" in page.trace("of this it has never heard a word, and it will not either")
    assert "no text" in page.trace("")


def test_texts_and_names_are_text_and_never_markup(page: Page, url: str, memory: Path, browser: Any) -> None:
    assert "passage" in page.trace(TEXTS[2])
    assert page.it.text_content("#passages .text") == TEXTS[2]
    assert NAMES[2] in page.texts(".legend bdi")
    page.ask(TEXTS[2][:45])
    assert "onerror" in "".join(page.texts(".token"))
    assert NAMES[2] in page.texts("#answer bdi")
    page.ask("<b>bold</b> & <script>document.title = 'taken'</script>")
    assert page.it.locator("main script, main img, main b").count() == 0
    with pytest.raises(Exception, match="TrustedHTML"):  # the browser itself would refuse it
        page.it.evaluate("document.body.innerHTML = '<p>markup</p>'")
    page.faults = [fault for fault in page.faults if "TrustedHTML" not in fault]
    with urllib.request.urlopen(url) as answer:
        policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


def test_a_traced_file_is_the_same_view(
    page: Page, memory: Path, browser: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = "My own words 🎉. " + TEXTS[2] + "</script><script>document.title = 'taken'</script>"
    (tmp_path / "t.txt").write_text(text)
    words = ["trace", str(memory), "--text", str(tmp_path / "t.txt"), "--html", str(tmp_path / "t.html")]
    assert main([*words, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["spans"]
    alone = Page(browser, (tmp_path / "t.html").as_uri())
    told = page.trace(text)
    for kind in ("#passages .text", "mark", ".legend li", "#trace-told"):
        assert alone.texts(kind) == page.texts(kind) != []
    assert alone.it.text_content("#trace-told") == told
    alone.end()


@pytest.mark.slow
def test_a_text_of_a_megabyte_is_looked_up_in_parts(page: Page) -> None:
    """Each passage is found once, though parts overlap, with its place in the whole."""
    draw, parts, size = random.Random(5), [], 0
    while size < 1_000_000:
        parts.append(" ".join(draw.choices(OTHER, k=700)) + " 🎉 ")
        parts.append(TEXTS[len(parts) % 4 // 2])
        size += len(parts[-1]) + len(parts[-2])
    text = "".join(parts)
    page.it.set_default_timeout(300_000)
    told = page.trace(text)
    passages = len(parts) // 2
    assert f"in {passages} passages" in told
    assert page.it.text_content("#passages .text") == text
    marks = page.texts("mark")
    assert all(mark.strip() in one for mark, one in zip(marks, parts[1::2], strict=True))
    page.it.locator("summary", has_text="All passages").click()
    page.it.locator("#passages table button").last.click()
    assert f"Passage {passages} of {passages}" in page.it.inner_text("#passages .panel")


def test_a_narrow_window_does_not_scroll_sideways(browser: Any, url: str) -> None:
    page = Page(browser, url)
    page.it.set_viewport_size({"width": 400, "height": 800})
    page.it.wait_for_selector("svg")
    page.ask(TEXTS[2][:60] + "w" * 300)
    page.ask(TEXTS[0][:150])
    page.trace(TEXTS[0] + "u" * 500 + " " + TEXTS[2])
    page.it.locator("mark").first.click()
    page.it.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    assert page.it.evaluate("document.documentElement.scrollWidth") == 400
    page.end()


def test_the_keyboard_is_enough(page: Page) -> None:
    keys = page.it.keyboard
    words = TEXTS[0].split()

    def tab_to(element: str) -> None:
        for _ in range(40):
            if page.it.evaluate(f"document.activeElement.matches({element!r})"):
                return
            keys.press("Tab")
        raise AssertionError(f"Tab does not reach {element}")

    tab_to("#prompt")
    keys.type(" ".join(words[:12]))
    keys.press("Control+Enter")
    page.it.wait_for_selector(".token")
    tab_to(".token")
    keys.press("ArrowRight")
    keys.press("Enter")
    assert words[13] in page.it.inner_text("#step")
    tab_to("#text")
    keys.insert_text("My own words. " + TEXTS[0] + " My own words. " + TEXTS[1])
    tab_to("#trace-button")
    keys.press("Enter")
    page.traced()
    tab_to("mark")
    keys.press("ArrowDown")
    keys.press(" ")
    assert "Passage 2 of 2" in page.it.inner_text("#passages .panel")
    outline = page.it.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline != "none"


def contrast(page: Page, kind: str) -> float:
    """Of an element's text with what is behind it, as WCAG counts it."""
    colours = page.it.evaluate(
        """(kind) => {
          let element = document.querySelector(kind);
          const ink = getComputedStyle(element).color;
          while (getComputedStyle(element).backgroundColor === "rgba(0, 0, 0, 0)") element = element.parentElement;
          return [ink, getComputedStyle(element).backgroundColor];
        }""",
        kind,
    )
    lights = []
    for colour in colours:
        parts = [int(part) / 255 for part in colour.removeprefix("rgb(").rstrip(")").split(",")]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        lights.append(0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2])
    return (max(lights) + 0.05) / (min(lights) + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_light_and_dark_can_be_read(browser: Any, url: str, scheme: str) -> None:
    page = Page(browser, url, color_scheme=scheme)
    page.ask(TEXTS[0][:150])
    page.trace("My own words. " + TEXTS[0] + "and " + TEXTS[1])
    page.it.locator("mark").first.click()
    dark = page.it.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(21, 24, 28)"
    assert dark == (scheme == "dark")
    for kind in ("body", ".token", "mark", ".help", "#prompt", "#ask-button", BACK, ".panel", "a", "dt"):
        assert contrast(page, kind) >= 4.5, kind
    page.end()


def test_the_memory_is_shown_with_its_plot(page: Page) -> None:
    page.it.wait_for_selector("svg")
    assert "working memory" in page.it.inner_text("#facts")
    assert page.it.locator("#journal").count() == 1
    for svg in page.it.locator("svg").all():
        assert "%" in str(svg.get_attribute("aria-label"))
    names = page.it.evaluate("[...document.querySelectorAll('input, textarea')].map((one) => one.labels.length)")
    assert all(names)


def test_a_key_is_asked_for(browser: Any, memory: Path) -> None:
    with over_http(memory, LIMITS, [b"sesame"]) as url:
        page = Page(browser, url)
        page.it.wait_for_selector("#key")
        page.it.fill("#key", "sesame")
        page.it.press("#key", "Enter")
        page.it.wait_for_selector("#facts dd")
        page.ask(TEXTS[0][:150])
        assert page.texts(".token")
        page.faults = [fault for fault in page.faults if "401" not in fault]
        page.end()
