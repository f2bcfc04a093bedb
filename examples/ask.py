"""Ask one question and see who answered, what it took and what it cost."""

import sys

from llamafarm import Farm, LlamaFarmError

question = " ".join(sys.argv[1:]) or "What is the capital of France?"

with Farm.load(strategy="local_development") as farm:
    try:
        answer = farm.run(farm.generate(question, temperature=0))
    except LlamaFarmError as error:
        sys.exit(f"no answer: {error}")

print(answer.text)
print(f"-- {answer.target} ({answer.model}), {answer.ms:.0f} ms, {answer.usage}", file=sys.stderr)
