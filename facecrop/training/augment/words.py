"""Labels as words: which records carry one."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from facecrop.index import AGE_GROUPS, GENDERS, MASKS
from facecrop.registry import no_such

WORDS = {
    word: (axis, number)
    for axis, words in (("mask", MASKS), ("gender", GENDERS), ("age_group", AGE_GROUPS))
    for number, word in enumerate(words)
}
"""Label -> its axis and its class there."""


def check_words(labels: Sequence[str]) -> None:
    """Refuse words that are no labels.

    Raises:
        ConfigError: One is unknown; the message has the nearest one.
    """
    for word in labels:
        if word not in WORDS:
            raise no_such("label", word, list(WORDS))


def carries(word: str, labels: Mapping[str, Tensor], n: int) -> Tensor:
    """Return (n,) bool on the CPU: records with a label; none where its axis is not given."""
    axis, number = WORDS[word]
    if axis not in labels:
        return torch.zeros(n, dtype=torch.bool)
    return labels[axis].cpu() == number


def carry_any(words: Sequence[str], labels: Mapping[str, Tensor], n: int) -> Tensor:
    """Return (n,) bool: records with at least one of the labels; without words, all."""
    if not words:
        return torch.ones(n, dtype=torch.bool)
    return torch.stack([carries(word, labels, n) for word in words]).any(dim=0)


def carry_all(words: Sequence[str], labels: Mapping[str, Tensor], n: int) -> Tensor:
    """Return (n,) bool: records with all of the labels; without words, all."""
    if not words:
        return torch.ones(n, dtype=torch.bool)
    return torch.stack([carries(word, labels, n) for word in words]).all(dim=0)
