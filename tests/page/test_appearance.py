"""The owner's colour: readable whatever it is."""

import itertools

import pytest

from hfchat.page.appearance import READABLE, contrast, shades
from tests.support.rows import each_row

WHITE, DARK = (255, 255, 255), (11, 15, 25)
COLOURS = [f"#{red}{green}{blue}" for red, green, blue in itertools.product(("00", "80", "ff"), repeat=3)] + [
    "#2563eb",
    "#ffd21e",
    "#f97316",
    "#777777",
]


def read(text: str) -> tuple[int, int, int]:
    return int(text[1:3], 16), int(text[3:5], 16), int(text[5:], 16)


def test_contrast_is_as_the_guidelines_say() -> None:
    assert contrast((0, 0, 0), WHITE) == pytest.approx(21)
    assert contrast(WHITE, WHITE) == 1
    assert contrast((118, 118, 118), WHITE) == pytest.approx(4.54, abs=0.01)


@each_row("accent", COLOURS)
def test_text_on_and_in_the_accent_can_be_read(accent: str) -> None:
    found = {step: read(shade) for step, shade in shades(accent).items()}
    for step in (600, 700, 800, 900, 950):
        assert contrast(found[step], WHITE) >= READABLE
    for step in (50, 100, 200, 300):
        assert contrast(found[step], DARK) >= READABLE
    assert contrast(found[50], (71, 85, 105)) >= READABLE  # what a visitor says, in its bubble


def test_an_accent_that_can_be_read_stays_as_it_is() -> None:
    assert shades("#2563eb")[600] == "#2563eb"
