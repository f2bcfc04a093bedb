"""How many tokens a text has: counted by a model's own tokenizer where one is on disk, else estimated, and bounded."""

from llamafarm.tokens.counter import Counter, TokenizerError
from llamafarm.tokens.finding import find
from llamafarm.tokens.rough import estimate, upper_bound

__all__ = ["Counter", "TokenizerError", "estimate", "find", "upper_bound"]
