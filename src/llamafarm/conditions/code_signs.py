"""Whether a text shows source code: a heuristic that knows shapes of lines, not languages."""

from __future__ import annotations

import re

__all__ = ["shows_code"]

_LOOKED_AT = 20_000
"""Characters from the start of the text that are looked at: what shows no code there is taken for prose."""
_WEAK_ENOUGH = 3

# One such line is enough: prose does not have it.
_STRONG = re.compile(
    r"""[ \t]*(?:
        ```|~~~
      | (?:async[ ])?def[ ]\w+\(
      | class[ ]\w+[ ]?[({:]
      | (?:export[ ])?(?:async[ ])?function\b[ ]?\w*\(
      | (?:const|let|var)[ ]\w+[ ]?=
      | (?:pub[ ])?(?:fn|func)[ ]\w+[ ]?[(<]
      | (?:public|private|protected|static)[ ][\w<>\[\] ]+[({=;]
      | \#include[ ]?[<"]
      | from[ ][\w.]+[ ]import[ ]
      | import[ ][\w.{}*, ]+[ ](?:from|as)[ ]
      | (?:SELECT|select)\b.*\b(?:FROM|from)[ ]\w
      | Traceback[ ]\(most[ ]recent
      | \#!/
    )""",
    re.VERBOSE | re.ASCII,
)
# Several of these are: a line that ends, begins or assigns as statements do.
_WEAK_ENDS = (";", "{", "}", "};", "):", ") {", "=>", "->")
_WEAK = re.compile(
    r"[ \t]*(?:[})\]]|//|/\*|return\b|if[ ]?\(|for[ ]?\(|while[ ]?\(|import[ ]\w+$|\w+[ ]?[-+*/]?=[ ]?\S)", re.ASCII
)


def shows_code(text: str) -> bool:
    """Tell whether a text has a code fence, one line only code has, or three lines that look like code."""
    weak = 0
    for line in text[:_LOOKED_AT].splitlines():
        if _STRONG.match(line):
            return True
        if line.rstrip().endswith(_WEAK_ENDS) or _WEAK.match(line):
            weak += 1
            if weak == _WEAK_ENOUGH:
                return True
    return False
