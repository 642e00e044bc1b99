"""VQA accuracy by the rules of its official evaluation (Antol et al., 2015).

Ten people answered each question; an answer that three others gave has full credit. With fewer
than four people, of whom the official rules say nothing, all others must have given it. The
normalisation, its oddities included, is that of the evaluation code for VQA v2.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from unified_vl.metrics.metric import Metric, Rule, credit, half_credit

ENOUGH = 3  # other people who gave the same answer
FEWEST = ENOUGH + 1  # people, for the official rule to have full credit to give
_PUNCTUATION = ';/[]"{}()=+\\_-><@`,?!'
_COMMA_IN_NUMBER = re.compile(r"\d,\d")
_PERIOD = re.compile(r"(?!<=\d)\.(?!\d)")  # `(?!<=` is the published code's, and sees nothing
_MOST_PERIODS = 32  # it passes re.UNICODE, 32, where the number of replacements goes
_NUMBERS = "zero one two three four five six seven eight nine ten"
_DIGITS = {word: str(value) for value, word in enumerate(_NUMBERS.split())} | {"none": "0"}
_ARTICLES = frozenset({"a", "an", "the"})
# Written without one of its apostrophes, a contraction gets it back.
_CONTRACTIONS = """
ain't aren't can't could've couldn't couldn't've didn't doesn't don't hadn't hadn't've hasn't
haven't he'd he'd've he's how'd how'll how's isn't it'd it'd've it'll ma'am mightn't mightn't've
might've mustn't must've needn't not've o'clock oughtn't 'ow's'at shan't she'd've should've
shouldn't shouldn't've somebody'd've somebody'll somebody's someone'd someone'd've someone'll
someone's something'd something'd've something'll that's there'd there'd've there're there's
they'd they'd've they'll they're they've 'twas wasn't we'd've we've weren't what'll what're
what's what've when's where'd where's where've who'd who'd've who'll who's who've why'll why're
why's won't would've wouldn't wouldn't've y'all y'all'll y'all'd've you'd you'd've you'll you're
you've
"""
_REPAIRED = {
    full[:place] + full[place + 1 :]: full
    for full in _CONTRACTIONS.split()
    for place, character in enumerate(full)
    if character == "'"
} | {"somebody'd": "somebodyd"}  # so in the published table


def vqa_accuracy(prediction: str, answers: Sequence[str]) -> float:
    """Credit of one answer, 0 to 1.

    The mean over all choices of all people but one of min(1, equal answers / 3). Texts are
    normalised where the people disagree, and compared as they are where they do not.

    Args:
        prediction: the answer.
        answers: what each person answered; the official rules have ten. Of three or two people
            all others must agree, in place of three; one person's answer is right or wrong; and
            texts then are always normalised.
    """
    found = _one_line(prediction)
    given = [_one_line(answer) for answer in answers]
    if len(set(given)) > 1 or len(given) < FEWEST:
        found, given = normalise_answer(found), [normalise_answer(g) for g in given]
    equal = [answer == found for answer in given]
    agreeing = sum(equal)
    if len(equal) == 1:
        return float(agreeing)
    enough = min(ENOUGH, len(equal) - 1)
    return sum(min(1.0, (agreeing - one) / enough) for one in equal) / len(equal)


def normalise_answer(text: str) -> str:
    """Without punctuation and articles, numbers as digits, contractions with apostrophes."""
    without = text
    number = _COMMA_IN_NUMBER.search(text) is not None
    for mark in _PUNCTUATION:
        loose = f"{mark} " in text or f" {mark}" in text
        without = without.replace(mark, "" if loose or number else " ")
    without = _PERIOD.sub("", without, count=_MOST_PERIODS)
    words = [_DIGITS.get(word, word) for word in without.lower().split()]
    return " ".join(_REPAIRED.get(word, word) for word in words if word not in _ARTICLES)


def _one_line(text: str) -> str:
    return text.replace("\n", " ").replace("\t", " ").strip()


_OF_PEOPLE: Rule = lambda answer, references, _: vqa_accuracy(answer, references)  # noqa: E731
METRICS = (
    Metric(
        name="vqa_accuracy",
        label="VQA accuracy",
        about="official VQA accuracy (Antol et al., 2015): the mean, over leaving out each "
        "person, of min(1, others with this answer / 3); published numbers have ten answers",
        unit="%",
        rows=credit(_OF_PEOPLE),
        right=half_credit(_OF_PEOPLE),
        references="agreeing",
    ),
)
