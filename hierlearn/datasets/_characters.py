"""Which characters come first, what they are called, and the groups they belong to."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator

__all__ = ["character_group", "character_name", "familiar_first"]

# Blocks in the order in which most readers know them; what is in none of them comes last. A
# block may overlap an earlier one: a character counts where it occurs first.
_BLOCKS = (
    ("0", "9"),
    ("A", "Z"),
    ("a", "z"),
    ("Α", "Ω"),  # Greek without accents
    ("α", "ω"),
    ("А", "Я"),  # Russian, with Ё in its own line as Unicode has it apart
    ("Ё", "Ё"),
    ("а", "я"),
    ("ё", "ё"),
    ("!", "~"),
    ("\u00a1", "\u00ff"),  # Latin-1: accents and signs
    ("€", "€"),
    ("←", "↕"),  # plain arrows
    ("\u2200", "\u226b"),  # mathematics
    ("\u2010", "\u205e"),  # punctuation
    ("\u20a0", "\u20bf"),  # currencies
    ("\u25a0", "\u25ff"),  # geometric shapes
    ("\u2190", "\u21ff"),  # further arrows
    ("\u0100", "\u017f"),  # Latin of European languages
    ("\u0370", "\u03ff"),  # Greek with accents
    ("\u0400", "\u04ff"),  # Cyrillic beyond Russian
    ("\u2200", "\u22ff"),  # further mathematics
    ("\u0530", "\u058f"),  # Armenian
    ("\u10a0", "\u10ff"),  # Georgian
    ("\u2100", "\u218f"),  # letter-like signs, fractions, Roman numbers
    ("\u0180", "\u02af"),  # Latin of other languages, phonetic
    ("\u1e00", "\u1fff"),  # Latin and Greek with several accents
    ("\u2500", "\u259f"),  # box drawing
    ("\u2800", "\u28ff"),  # Braille
)

_SCRIPTS = {
    *("Latin", "Greek", "Cyrillic", "Armenian", "Georgian", "Coptic", "Hebrew", "Arabic"),
    *("Lao", "Nko", "Tifinagh", "Canadian", "Ogham", "Lisu", "Glagolitic"),
}
_KINDS = {"N": "Number", "P": "Punctuation", "S": "Symbol"}


def familiar_first(codes: Iterable[int]) -> Iterator[str]:
    """Order characters from the most familiar to the least.

    Digits come first, then the letters of Latin, Greek and Cyrillic, then ASCII punctuation,
    accented Latin letters and common signs, then rarer ones.

    Parameters
    ----------
    codes : iterable of int
        Code points. Those without a shape of their own (spaces, controls, combining marks) and
        modifier letters, which are small copies of others, are left out.

    Yields
    ------
    character : str

    Examples
    --------
    >>> from hierlearn.datasets._characters import familiar_first
    >>> "".join(familiar_first(range(0x2C, 0x42)))
    '0123456789A,-./:;<=>?@'
    """
    drawn = {code for code in codes if _has_shape(chr(code))}
    blocks = [range(ord(first), ord(last) + 1) for first, last in _BLOCKS]
    for block in [*blocks, sorted(drawn)]:
        for code in block:
            if code in drawn:
                drawn.discard(code)
                yield chr(code)


def _has_shape(character: str) -> bool:
    category = unicodedata.category(character)
    return category[0] in "LNPS" and category != "Lm"


def character_name(character: str) -> str:
    """Return the readable name of a character.

    Parameters
    ----------
    character : str
        One character.

    Returns
    -------
    name : str
        Its Unicode name in lower case, or its code point where it has none.

    Examples
    --------
    >>> from hierlearn.datasets._characters import character_name
    >>> character_name("l")
    'latin small letter l'
    """
    return unicodedata.name(character, f"U+{ord(character):04X}").lower()


def character_group(character: str) -> str:
    """Return the script of a letter, or the kind of another character.

    Parameters
    ----------
    character : str
        One character.

    Returns
    -------
    group : str
        "Latin", "Greek", ..., "Number", "Punctuation" or "Symbol". Letters that only serve as
        signs, such as the micro sign, are symbols.

    Examples
    --------
    >>> from hierlearn.datasets._characters import character_group
    >>> [character_group(character) for character in "aЖ7?µ"]
    ['Latin', 'Cyrillic', 'Number', 'Punctuation', 'Symbol']
    """
    kind = unicodedata.category(character)[0]
    if kind != "L":
        return _KINDS[kind]
    script = character_name(character).split()[0].title()
    return script if script in _SCRIPTS else "Symbol"
