"""Whether to bother, in plain sentences."""

from __future__ import annotations

import math
import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .comparison import Comparison


# Longest line, and how many controls the first sentence names.
_WIDTH = 100
_MAX_LISTED = 3


@dataclass(frozen=True)
class _Question:
    """What a control tells apart, as sentences begin.

    Parameters
    ----------
    yes, no, unsettled : str
        For a gain over the control, for none, and where the interval includes zero.
    control : str
        The control in words.
    """

    yes: str
    no: str
    unsettled: str
    control: str


# By the name of the control; a name after a comma is that of a variant of the base or the subject.
_QUESTIONS = {
    "permuted": _Question(
        "Structure pays here",
        "Structure does not pay here",
        "Whether structure pays is not settled",
        "the same partition with labels permuted",
    ),
    "one head for all": _Question(
        "Dividing the labels pays",
        "One head for all labels does as well or better",
        "Whether dividing the labels pays is not settled",
        "one head of the same cost for all labels",
    ),
    "trained as long": _Question(
        "The gain is more than training time",
        "Training the base as long does as well or better",
        "Whether the gain is more than training time is not settled",
        "the base trained as long",
    ),
    "as expensive": _Question(
        "The gain is more than width",
        "A flat network as expensive does as well or better",
        "Whether the gain is more than width is not settled",
        "a flat network as expensive",
    ),
}

# Controls beside the variants of the base.
_OTHERS = ("one head for all", "gate alone")


def verdict(comparison: Comparison) -> str:
    """Say in plain sentences whether the variant in question beats what it must.

    Parameters
    ----------
    comparison : Comparison

    Returns
    -------
    str
        See :meth:`Comparison.verdict`.
    """
    subject = comparison.subject
    if subject is None:
        return ""
    base = comparison.variants[0]
    controls = [
        name
        for name in comparison.variants
        if name in (base, f"{subject}, permuted", *_OTHERS) or name.startswith(f"{base}, ")
    ]
    gained = not comparison.difference(subject, base)[0] <= 0
    opening = f"{subject}:" if gained else f"There is no gain to explain: {subject}"
    over_base = f"{opening} {_over_base(comparison, subject, base)}."
    sentences = [_in_short(comparison, subject, controls), over_base]
    by_question = {_question_of(name): name for name in controls}
    for key, question in _QUESTIONS.items():
        if key in by_question:
            sentences.append(_answer(comparison, subject, by_question[key], question, gained))
    return "\n".join(map(_wrapped, sentences))


def _wrapped(sentence: str) -> str:
    """Break a sentence into lines; all but the first are indented."""
    return textwrap.fill(
        sentence,
        _WIDTH,
        subsequent_indent="  ",
        break_long_words=False,
        break_on_hyphens=False,
    )


def _question_of(variant: str) -> str:
    return variant if variant in _QUESTIONS else variant.rpartition(", ")[2]


def _in_short(comparison: Comparison, subject: str, controls: list[str]) -> str:
    """Return the first sentence: worth it, not worth it, or not settled."""
    if len(comparison.seeds) < 2:
        return "One seed settles nothing: measure several to have intervals."
    over = f"over {len(comparison.seeds)} seeds"
    intervals = {name: comparison.difference(subject, name)[1:] for name in controls}
    lost = [name for name, (_, high) in intervals.items() if not high > 0]
    unsettled = [name for name, (low, high) in intervals.items() if not low > 0 and high > 0]
    if lost:
        verb = "does" if len(lost) == 1 else "do"
        return f"Not worth it {over}: {_listed(lost)} {verb} as well as {subject} or better."
    if unsettled:
        against = f"the interval of {subject} includes 0 against {_listed(unsettled)}"
        return f"Not settled {over}: {against}."
    return f"Worth it {over}: {subject} beats {controls[0]} and every control."


def _listed(names: list[str]) -> str:
    listed = [f"'{name}'" for name in names[:_MAX_LISTED]]
    if len(names) > _MAX_LISTED:
        listed.append(f"{len(names) - _MAX_LISTED} more")
    return listed[0] if len(listed) == 1 else f"{', '.join(listed[:-1])} and {listed[-1]}"


def _over_base(comparison: Comparison, subject: str, base: str) -> str:
    """Return what is gained over the base, or lost, and at what price."""
    points = _points(comparison.difference(subject, base), f"points of {comparison.scoring}")
    mean, low, high = (100 * value for value in comparison.relative(subject))
    relative = "" if math.isnan(mean) else f", {mean:+.2f} % relative"
    relative += "" if math.isnan(low) else f" [{low:+.2f}, {high:+.2f}]"
    ratio = comparison.cost_ratio(subject)
    price = "" if math.isnan(ratio) else f", at {ratio:.3f} times the multiply-adds"
    return f"{points} over {base}{relative}{price}"


def _answer(
    comparison: Comparison, subject: str, control: str, question: _Question, gained: bool
) -> str:
    """Return the sentence about one control; without a gain, the difference and no conclusion."""
    difference = comparison.difference(subject, control)
    mean, low, high = difference
    against = f"{subject} {_points(difference)} over {question.control}"
    # What speaks against the subject is said, settled or not.
    unsettled = f"{question.no}, it seems" if mean < 0 else question.unsettled
    if math.isnan(low):
        answer, doubt = unsettled, ", one seed"
    elif low > 0:
        answer, doubt = question.yes, ""
    elif high <= 0:
        answer, doubt = question.no, ""
    else:
        answer = unsettled
        doubt = f"; the interval includes 0 over {len(comparison.seeds)} seeds"
    return f"{answer}: {against}{doubt}." if gained else f"{against}{doubt}."


def _points(difference: tuple[float, float, float], unit: str = "points") -> str:
    mean, low, high = (100 * value for value in difference)
    interval = "" if math.isnan(low) else f" [{low:+.2f}, {high:+.2f}]"
    return f"{mean:+.2f} {unit}{interval}"
