"""Names that a server may take for everybody's: nothing is left of them once it has read them."""

from __future__ import annotations

import random
import sys
import unicodedata
from itertools import pairwise

SLASHES = "\\/"
BRACKETS = "[]*."
#: Shown as nothing, though Unicode counts them as letters, marks or symbols.
INVISIBLE = "\u034f\u115f\u1160\u17b4\u17b5\u180b\u2800\u3164\ufe0f\uffa0\U000e0100"
#: What some character sets make a backslash or an asterisk of.
LOOK_ALIKES = "\u00a5\u20a9\u2216\u2215\u2044\uff3c\uff0f\uff0a\uff3b\uff3d\ufe68"
#: What a server may end a domain with: slashes, winbind's plus sign, and what may become these.
SEPARATORS = "\\/+\u00a5\u2044\u20a9\u2215\u2216\u29f5\u29f8\u29f9"
SEPARATORS += "\ufe62\ufe68\uff0b\uff0f\uff3c\uffe5\uffe6"
#: No characters: alone they name nobody, and lenient decoders drop them.
NO_CHARACTERS = "\ud800\udbff\udc00\udfff\ufffe\uffff\ufdd0\U0001ffff\U0010fffe"


def _blank(point: int) -> bool:
    character = chr(point)
    category = unicodedata.category(character)
    return point != 0 and (character.isspace() or category in ("Cc", "Cf", "Zs", "Zl", "Zp"))


#: Every white space, control and format character that this Python's Unicode knows.
BLANKS = "".join(chr(point) for point in range(sys.maxunicode + 1) if _blank(point))

_POOLS = (SLASHES, SLASHES, BRACKETS, " \t\n", BLANKS, INVISIBLE, LOOK_ALIKES, NO_CHARACTERS)


def empty_names(count: int, seed: int = 7) -> list[str]:
    """So many of them: every single character first, then mixtures, the same ones each time."""
    singles = dict.fromkeys("".join(_POOLS))
    names = ["", "\\\\", "\\\\\\\\", "\\\\[]", "\\\\ ", "[]", "\\\\*", "\\\\\u200b", *singles]
    draw = random.Random(seed)
    while len(names) < count:
        letters = [draw.choice(draw.choice(_POOLS)) for _ in range(draw.randint(1, 9))]
        name = "".join(letters)
        if not any("\ud800" <= one <= "\udbff" and two >= "\udc00" for one, two in pairwise(name)):
            names.append(name)  # others hold two surrogates that are a character together
    return names[:count]


#: Accounts that are empty though a domain or a realm is there.
EMPTY_ACCOUNTS = (
    *("NSTEST\\", "NSTEST/", "NSTEST\\ ", "NSTEST\\\u200b", "@", "@REALM", "NSTEST\\@R"),
    *("NSTEST\\alice\\", "NSTEST\\alice/ ", "NSTEST/alice\\*", "\\\\NSTEST\\alice\\@R"),
    *("*@REALM", " @REALM", "\u200b@REALM", "NSTEST\\*@REALM", "@@", "\u00ad@R@S"),
    *(f"NSTEST{separator}{rest}" for separator in SEPARATORS for rest in ("", "*", " @REALM")),
)
