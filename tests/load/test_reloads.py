"""Reloads under load: no request fails, and each is answered by one generation of the file from beginning to end."""

import asyncio
import re
import signal

from tests.load.client import Client, chat, post
from tests.load.program import MANY, counts, gateway, tell, until, vendor

RELOADS = counts(10, 100)
LEAST = counts(1_000, 10_000)
WORKERS = 16
FILE = """
server: {{keys: keys.json}}
version: 1.0.{number}
strategies:
  - name: s
    description: d
    components:
      first-{number}: {{type: openai_compatible, config: {{provider: custom, base_url: '{url}', default_model: down-{number}, max_retries: 0}}}}
      second-{number}: {{type: openai_compatible, config: {{provider: custom, base_url: '{url}', default_model: up-{number}}}}}
    fallback_chain: [first-{number}, second-{number}]
    optimization: {{{many}}}
"""


def _generation(answer, prompt):
    """Give the generation that answered, which has to be one in all that can be seen of it."""
    assert answer.status == 200, answer.body
    said, _, models = answer.text.partition("|")
    assert said == prompt
    seen = " ".join([models, answer.headers["x-llamafarm-target"], answer.headers["x-llamafarm-model"]])
    numbers = set(re.findall(r"\d+", seen))
    assert len(numbers) == 1, seen
    return int(numbers.pop())


async def _reload(running, file, number, url):
    """Change something and have it noticed, in one of the ways; give the number that is served now."""
    before = await running.status()
    text = FILE.format(number=number, url=url, many=MANY)
    kind = ("changed", "invalid", "unchanged")[number % 3]
    if kind == "invalid":
        text = text.replace("description", f"descripton-{number}")
    how = ("signal", "change", "request")[number // 3 % 3]
    if kind == "unchanged":
        text = await asyncio.to_thread(file.read_text)
        text = text if "descripton" not in text else FILE.format(number=number, url=url, many=MANY)
    new = file.with_name("new")
    new.write_text(text)
    new.replace(file)
    if how == "signal":
        running.process.send_signal(signal.SIGHUP)
    elif how == "request":
        async with Client.to(running.port) as client:
            await client.send(post(b"{}").replace(b"/v1/chat/completions", b"/admin/reload"))
            assert (await client.answer()).status == (422 if kind == "invalid" else 200)

    async def noticed():
        now = await running.status()
        if kind == "invalid":
            return f"descripton-{number}" in (now["last_reload_error"] or "")
        return now["generation"] > before["generation"]

    await until(noticed)
    return kind


async def test_reloads_under_load_fail_no_request(tmp_path):
    async with vendor() as behind:
        url = f"{behind.url}/v1"
        async with gateway(tmp_path, FILE.format(number=0, url=url, many=MANY)) as running:
            over, seen, kinds = False, {}, []
            memory = running.memory

            async def work(worker):
                async with Client.to(running.port) as client:
                    number = 0
                    while not over:
                        number += 1
                        prompt = f"say {worker}-{number}".replace("-", " of ")
                        await client.send(post(chat(prompt, stream=number % 2 == 0)))
                        generation = _generation(await client.answer(), prompt)
                        seen[generation] = seen.get(generation, 0) + 1

            working = [asyncio.create_task(work(worker)) for worker in range(WORKERS)]
            file = tmp_path / "strategies.yaml"
            kinds += [await _reload(running, file, number, url) for number in range(1, RELOADS + 1)]
            await until(lambda: sum(seen.values()) >= LEAST or any(task.done() for task in working), 600)
            over = True
            await asyncio.gather(*working)
            after = await running.settled()
            tell(
                f"{RELOADS} reloads ({', '.join(f'{kinds.count(kind)} {kind}' for kind in sorted(set(kinds)))}) under"
                f" {sum(seen.values())} requests: none failed; {len(seen)} generations answered,"
                f" the file's generation is {after['generation']}; memory {memory:.0f} MB before,"
                f" {running.memory:.0f} MB after; {after['tasks']} tasks"
            )
            assert len(seen) > 1
            assert after["tasks"] <= 6
