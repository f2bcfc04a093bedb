"""Find the sentence that is closest in meaning to a question, by embeddings."""

import math

from llamafarm import Farm

SENTENCES = ("The cat sleeps on the sofa.", "Taxes are due in April.", "Rome was not built in a day.")
QUESTION = "When do I have to pay my taxes?"


def similarity(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    product = sum(a * b for a, b in zip(one, other, strict=True))
    return product / (math.hypot(*one) * math.hypot(*other))


with Farm.load(strategy="local_development") as farm:
    question, *sentences = farm.run(farm.embed([QUESTION, *SENTENCES])).vectors

ranked = sorted(zip(SENTENCES, sentences, strict=True), key=lambda pair: -similarity(question, pair[1]))
for sentence, vector in ranked:
    print(f"{similarity(question, vector):.3f}  {sentence}")
