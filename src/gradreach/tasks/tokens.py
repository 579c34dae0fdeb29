"""Uses torchtext 0.6.0 to split texts into tokens and build a vocabulary."""

import warnings
from array import array
from collections import Counter
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any, Literal

import numpy as np

Tokens = Literal["basic_english", "whitespace", "characters"]
SPECIALS = ("<pad>", "<unk>")
PADDING, UNKNOWN = range(2)
DROPPED = str.maketrans("", "", ";:")


@cache
def torchtext() -> Any:
    """Import torchtext, which is archived and may warn about that, only when texts are read."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import torchtext.data
        import torchtext.datasets
        import torchtext.vocab

        return torchtext


def tokenizer(tokens: str) -> Callable[[str], list[str]]:
    """Return what cuts a text into tokens: torchtext's ``basic_english``, at whitespace, or into characters."""
    match tokens:
        case "whitespace":
            return str.split
        case "characters":
            return lambda text: list(text.strip())
        case _:
            found: Callable[[str], list[str]] = torchtext().data.utils.get_tokenizer(tokens)
            return found


def bare(text: str) -> str:
    """Return a text as all of these tokenizers, coarsely, see it; the order in which examples are drawn goes by it.

    It is what ``basic_english`` keeps, without the spaces: so that order does not depend on the tokens chosen.
    """
    return "".join(text.lower().replace('"', "").replace("<br />", "").translate(DROPPED).split())


def encode(texts: Iterable[str], tokens: str) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Cut texts into tokens, four bytes each: many texts fit.

    Returns:
        The number of every token, one text after the other, ``(all tokens,)``; how many each text has, ``(texts,)``;
        and the tokens by their number, in the order of their first appearance.
    """
    cut_up, number_of = tokenizer(tokens), dict[str, int]()
    flat, sizes = array("i"), array("q")
    for text in texts:
        found = cut_up(text)
        flat.extend([number_of.setdefault(token, len(number_of)) for token in found])
        sizes.append(len(found))
    return np.array(flat, dtype=np.int32), np.array(sizes, dtype=np.int64), list(number_of)


def vocabulary(counts: Counter[str], min_frequency: int, most: int | None) -> list[str]:
    """Return the tokens by their number, the most frequent first; 0 is padding, 1 any that is unknown."""
    made = torchtext().vocab.Vocab(counts, max_size=most, min_freq=min_frequency, specials=list(SPECIALS))
    tokens: list[str] = made.itos
    return tokens
