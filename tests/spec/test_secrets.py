"""No secret of the environment or of the file is shown: not in a message, not in a source line, not in JSON."""

import json

import pytest

from llamafarm import spec
from llamafarm.errors import ConfigError, Finding, Severity
from llamafarm.spec import masking
from llamafarm.spec.key_paths import keys
from llamafarm.spec.literals import secret_scalars
from llamafarm.spec.masking import is_secret_name
from llamafarm.spec.nodes import Mapping
from llamafarm.spec.report import render, to_github, to_json
from llamafarm.spec.shape import CONFIG_CLASSES, Hidden, shape_of

CANARY = "mysecretvalue1"
HEAD = "strategies:\n  - name: demo\n    description: A demo.\n"
CLOUD = (
    HEAD
    + "    components:\n      cloud_api:\n        type: openai_compatible\n        config:\n          provider: openai\n"
)
INSIDE = " " * 10


def reported(text: str, **env: str) -> str:
    """Give everything that is shown of a text with an error, in every form."""
    with pytest.raises(ConfigError) as refused:
        spec.load_text(text, "f.yaml", env=env)
    findings = refused.value.findings
    shown = [str(refused.value), json.dumps(to_json(findings)), to_github(findings), render(findings, {"f.yaml": text})]
    return "\n".join(shown)


def source(line: str) -> str:
    """Show a text whose first line something is said about."""
    return render([Finding("f.yaml", 1, 1, "a.b", "bad-value", Severity.ERROR, "is wrong")], {"f.yaml": line})


@pytest.mark.parametrize("target", ["zz_${K}_q", "${K}${K}", "x${K}", "${K}-y", "${K}"])
def test_a_value_of_the_environment_is_concealed_beside_any_character(target):
    shown = reported(f'{CLOUD}    routing_rules: [{{condition: a, target: "{target}"}}]\n', K="supersecretkey123")
    assert f"called {target}" in shown
    assert "supersecret" not in shown


def test_a_value_that_becomes_known_only_later_is_concealed_too():
    shown = reported(f"{CLOUD}{INSIDE}timeout: supersecretkey123\n    timezone: ${{K}}\n", K="supersecretkey123")
    assert "found '${K}'" in shown
    assert "supersecret" not in shown.replace("timeout: supersecretkey123", "")


def test_the_longest_of_several_values_is_concealed():
    shown = reported(
        f"{CLOUD}    timezone: ${{LONG}}\n    aliases: {{a: '${{LONG}}', b: '${{SHORT}}'}}\n",
        LONG="abcdefgh",
        SHORT="abcde",
    )
    assert "called ${LONG}:" in shown
    assert "called ${SHORT}:" in shown
    assert "fgh" not in shown


@pytest.mark.parametrize(
    "line",
    [
        f"api_kye: {CANARY}",
        f"apikye: {CANARY}",
        f"openai_tokne: {CANARY}",
        f"key: {CANARY}",
        f"openai_key: {CANARY}",
        f"bearer: {CANARY}",
        f"Authorization: Bearer {CANARY}",
        f"pasword: '{CANARY}'",
        f"frobnicate: {CANARY}",
        f"timeout: 0  # api_key={CANARY}",
        f"timeout: 0  # key = {CANARY}, or so",
        f"timeout: 0  # curl -H 'Authorization: Bearer {CANARY}'",
        f"timeout: api_key={CANARY}",
        f"timeout: https://joe:{CANARY}@host/v1",
        f"timeout: https://joe:pass/{CANARY}@host/v1",
        f"timeout: https://{CANARY}@host/v1",
        f'base_url: "ftp://h/v1?api-key={CANARY}"',
        f'base_url: "ftp://h/v1?x=1&sig={CANARY}&y=2"',
        f'base_url: "ftp://joe:{CANARY}@h/v1"',
        f"api_key: &k {CANARY}\n{INSIDE}timeout: *k",
        f"api_key: &k {CANARY}-{'x' * 50}\n{INSIDE}timeout: *k",
        f"api_key: {CANARY}\n{INSIDE}default_model: {CANARY}\n{INSIDE}timeout: {CANARY}",
        f"timeout: {CANARY}\n{INSIDE}api_key: {CANARY}",
        f"api_key: &k {CANARY}\n{INSIDE}*k : 5",
        f"api_key: &k {CANARY}\n{INSIDE}provider: *k\n{INSIDE}timeout: 0",
        f"api_key: ${{KEY:-{CANARY}}}\n{INSIDE}timeout: {CANARY}",
        f"{{api_key: {CANARY}, timeout: 0}}",
        f"api_keys: [a, {CANARY}]",
        f"timeout: 0\n{INSIDE}api_key: *{CANARY}",
        f"timeout: 0\n{INSIDE}api_key: !{CANARY}",
        f'api_kye: "{CANARY}',
    ],
)
def test_a_secret_that_stands_in_the_file_is_not_shown(line):
    shown = reported(f"{CLOUD}{INSIDE}{line}\n")
    assert CANARY not in shown
    assert "error" in shown


def test_the_lines_a_quoted_secret_goes_on_in_are_starred():
    text = f'{CLOUD}{INSIDE}api_key: "first part\n{INSIDE}  {CANARY}\n{INSIDE}  last"\n'
    findings = [Finding("f.yaml", line, 1, "", "x", Severity.ERROR, "") for line in range(9, 12)]
    shown = render(findings, {"f.yaml": text})
    assert CANARY not in shown
    assert "first" not in shown
    assert "last" not in shown
    assert "api_key: ***" in shown


def test_a_block_of_secret_text_is_starred():
    text = f"a: 1\ntoken: |\n  {CANARY}\n  more\nb: 2\n"
    findings = [Finding("f.yaml", line, 1, "", "x", Severity.ERROR, "") for line in range(1, 6)]
    shown = render(findings, {"f.yaml": text})
    assert CANARY not in shown
    assert "more" not in shown
    assert "b: 2" in shown


def test_what_stands_before_an_error_of_syntax_is_known():
    shown = reported(f"a: {{token: {CANARY}}}\nb: [{CANARY}\n")
    assert CANARY not in shown


def test_the_rest_of_a_line_stays_readable():
    assert "url: https://****************@host/v1?api-version=2&api-key=***" in source(
        "url: https://joe:hunter222222@host/v1?api-version=2&api-key=abc"
    )
    assert "x: 1  # the key=*** is wrong" in source("x: 1  # the key=abc is wrong")
    assert "max_tokens: 100" in source("max_tokens: 100")
    assert "base_url: https://host:8080/@scope/v1" in source("base_url: https://host:8080/@scope/v1")


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("api_key: ${OPENAI_API_KEY}", "api_key: ${OPENAI_API_KEY}"),
        ("api_key: ${file:/run/secrets/x}  # here", "api_key: ${file:/run/secrets/x}"),
        ("api_key: ${KEY:-abcdefgh}", "api_key: ${KEY:-********}"),
        ("{api_key: 'pre-${KEY}-post', timeout: 1}", "{api_key: *****${KEY}******, timeout: 1}"),
        ("key: ${A}${B}", "key: ${A}${B}"),
    ],
)
def test_references_stay_and_their_defaults_do_not(line, shown):
    assert shown in source(line)


def test_a_word_of_the_format_is_no_secret():
    text = f"{HEAD}    components:\n      app:\n        type: olama\n        config: {{api_key: ollama, timeout: 0}}\n"
    assert "did you mean ollama?" in reported(text)


def test_names_of_the_users_own_say_nothing_about_their_values():
    text = f"{CLOUD}    aliases: {{key: nowhere-model}}\n"
    assert "called nowhere-model" in reported(text)


def test_messages_of_others_are_masked_alike():
    document = spec.load_text(f"{CLOUD}{INSIDE}api_key: {CANARY}\n", env={})
    theirs = document.finding("strategies[0]", "x", Severity.ERROR, f"{CANARY} at https://joe:pw@h/v1?token=abc&b=1")
    assert theirs.message == "*** at https://***@h/v1?token=***&b=1"


def test_the_normal_form_has_no_secret_of_an_address():
    text = CLOUD + f'{INSIDE}base_url: "https://h/v1?api-version=2&api-key={CANARY}"\n'
    config = spec.normal_form(spec.load_text(text, env={}))["strategies"][0]["components"]["cloud_api"]["config"]
    assert config["base_url"] == "https://h/v1?api-version=2&api-key=***"


def test_exactly_the_secrets_of_the_format_have_names_of_secrets():
    fields = {name: field.shape for cls in CONFIG_CLASSES.values() for name, field in shape_of(cls).fields.items()}
    assert {name for name, shape in fields.items() if isinstance(shape, Hidden)} == {
        name for name in fields if is_secret_name(name)
    }
    words = {path.rsplit(".", 1)[-1].strip("[]{}") for path in keys()}
    assert {word for word in words if is_secret_name(word)} == {
        "api_key",
        "token",
        *("keys", "tls_key"),  # paths, where somebody may have put the key itself
    }


@pytest.mark.parametrize(
    "name", ["", "tokens", "max_tokens", "description", "input_tokens", "timeout", "model", "keep"]
)
def test_names_that_are_not_those_of_secrets(name):
    assert not is_secret_name(name)


@pytest.mark.parametrize(
    "line",
    [
        "api_key " * 100_000,
        "key: " * 100_000,
        "key=" * 100_000,
        "a" * 500_000,
        "a-" * 250_000,
        "://a:b" * 100_000,
        "https://a" * 50_000,
        "?a=" * 100_000,
        "bearer " * 80_000,
        "sk-" * 100_000,
        'api_key: "' * 50_000,
        "api_key" + " " * 500_000,
        "${" * 200_000,
        "key: ${" * 100_000,
    ],
    ids=lambda line: line[:12],
)
def test_masking_takes_time_in_proportion_to_the_line(line):
    # Not timed: what is quadratic here takes minutes.
    assert len(masking.without_secrets(line)) == len(line)
    masking.masked(line)


def test_thousands_of_secrets_and_findings_are_concealed_in_bounded_work():
    entries = "".join(
        f"      c{index}: {{type: openai_compatible, config: {{provider: x, api_key: sk-proj-{index:06}, timeout: 0}}}}\n"
        for index in range(1500)
    )
    shown = reported(f"{HEAD}    components:\n{entries}")
    assert "sk-proj-0" not in shown
    assert "1500 errors" in shown


def test_aliases_do_not_multiply_the_work():
    from llamafarm.spec.compose import compose_part

    text = "a: &a {token: abcdef}\n" + "".join(
        f"{name}: &{name} [*{before}, *{before}]\n"
        for before, name in zip("abcdefghijklm", "bcdefghijklmn", strict=True)
    )
    root = compose_part(text)
    assert isinstance(root, Mapping)
    assert 1 <= len(list(secret_scalars(root))) <= 14  # of 8192
