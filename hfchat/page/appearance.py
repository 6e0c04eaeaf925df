"""Appearance of the page: the owner's title, logo and accent colour, and shades of it with enough contrast."""

from dataclasses import dataclass
from urllib.parse import quote

# WCAG 2.2, 1.4.3: the contrast of text.
READABLE = 4.5
_WHITE, _BLACK = (255, 255, 255), (0, 0, 0)
# How much of white, or of black, is in each shade; what is not here is the accent itself.
_LIGHTER = {50: 0.95, 100: 0.88, 200: 0.75, 300: 0.58, 400: 0.36, 500: 0.16}
_DARKER = {700: 0.18, 800: 0.34, 900: 0.48, 950: 0.65}
_ICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><path fill="{accent}" '
    'd="M3 1h10a2 2 0 0 1 2 2v7a2 2 0 0 1-2 2H8l-4 3v-3H3a2 2 0 0 1-2-2V3a2 2 0 0 1 2-2z"/></svg>'
)

Colour = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Appearance:
    """The owner's own. None, or nothing, where the page has words of its own; `logo` is a `data:` address."""

    title: str
    greeting: str | None
    examples: tuple[str, ...]
    logo: str | None
    accent: str

    @property
    def icon(self) -> str:
        """The icon of the browser's tab, as a `data:` address: the page's policy lets no picture be fetched."""
        return f"data:image/svg+xml,{quote(_ICON.format(accent=self.accent))}"


def shades(accent: str) -> dict[int, str]:
    """The accent from 50, nearly white, to 950. White text is readable on 600 and darker, and 600 on white.

    300 and lighter are readable on the page's dark background.
    """
    colour = _read(accent)
    while contrast(colour, _WHITE) < READABLE + 0.2:
        colour = _mix(colour, _BLACK, 0.04)
    lighter = {shade: _mix(colour, _WHITE, share) for shade, share in _LIGHTER.items()}
    darker = {shade: _mix(colour, _BLACK, share) for shade, share in _DARKER.items()}
    return {shade: _write(shade_colour) for shade, shade_colour in {**lighter, 600: colour, **darker}.items()}


def contrast(one: Colour, other: Colour) -> float:
    """The contrast ratio, from 1 to 21, as WCAG 2.2 defines it."""
    brighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (brighter + 0.05) / (darker + 0.05)


def _luminance(colour: Colour) -> float:
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in (c / 255 for c in colour)
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _mix(colour: Colour, other: Colour, share: float) -> Colour:
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(colour, other, strict=True))
    return red, green, blue


def _read(text: str) -> Colour:
    return int(text[1:3], 16), int(text[3:5], 16), int(text[5:7], 16)


def _write(colour: Colour) -> str:
    return "#" + "".join(f"{part:02x}" for part in colour)
