"""Pages in Chinese: their language is said, and search finds their words, between which there are no spaces."""

import re
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.search.en import SearchEnglish

CHINESE = re.compile(r"[\u4e00-\u9fff]+")


class EnglishAndChinese(SearchEnglish):
    """Words of letters, and of Chinese every pair of characters and every phrase: longer words are found in phrases."""

    lang = "en+zh"

    def split(self, text: str) -> list[str]:
        """Return what can be looked for."""
        phrases = CHINESE.findall(text)
        pairs = [phrase[at : at + 2] for phrase in phrases for at in range(len(phrase) - 1)]
        return [*super().split(CHINESE.sub(" ", text)), *pairs, *phrases]

    def word_filter(self, word: str) -> bool:
        """Return whether a word is worth looking for."""
        return bool(CHINESE.fullmatch(word)) or super().word_filter(word)

    def stem(self, word: str) -> str:
        """Return what a word is filed under."""
        return word if CHINESE.fullmatch(word) else super().stem(word)


def say_language(
    app: Sphinx, page: str, template: str, context: dict[str, Any], document: nodes.document | None
) -> None:
    """Tell browsers and screen readers which language a page is in."""
    context["language"] = "zh-CN" if page.endswith(".zh") else "en"


def setup(app: Sphinx) -> dict[str, Any]:
    """Make it so."""
    app.add_search_language(EnglishAndChinese)
    app.connect("html-page-context", say_language)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
