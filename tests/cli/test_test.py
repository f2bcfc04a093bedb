"""`test`: calls every target, breaks every target, shows every rule a prompt, and says whether the strategy holds."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

import pytest

from llamafarm import strategies
from llamafarm.testing import FakeServer
from llamafarm.testing.fake_server import answer, reply
from tests.cli.asking import ask, chain, refused
from tests.cli.program import llamafarm
from tests.cli.terminal import Terminal

RULES = "routing_rules: [{condition: urgent, target: b}]"
FAULT_KEYS = ["target", "fault", "answered_by", "ms", "streamed", "order", "cost_usd", "ok", "note", "rule"]


@pytest.fixture
def dead(tmp_path):
    """Two targets where nothing listens: only a dry run can call them."""
    chain(tmp_path, RULES, a=refused(), b=refused())
    return tmp_path


def test_json_has_the_promised_keys(dead):
    run = llamafarm("test", "--dry-run", "--output", "json", cwd=dead)
    assert run.code == 0, run.err
    shown = run.json
    assert list(shown) == ["strategy", "dry_run", "targets", "faults", "rules", "notes", "ok"]
    assert (shown["strategy"], shown["dry_run"], shown["ok"]) == ("test", True, True)
    assert [target["name"] for target in shown["targets"]] == ["a", "b"]
    assert shown["targets"][0]["usage"] == {"input_tokens": 9, "output_tokens": 5}
    assert all(list(fault) == FAULT_KEYS for fault in shown["faults"])
    refused_a = shown["faults"][0]
    assert (refused_a["target"], refused_a["fault"], refused_a["answered_by"]) == ("a", "refused", "b")
    assert refused_a["ms"] > 0
    assert {fault["fault"] for fault in shown["faults"]} == {
        "refused",
        "timeout",
        "429",
        "429 retry-after",
        "500",
        "cut",
    }
    (rule,) = shown["rules"]
    assert (rule["condition"], rule["target"], rule["answered_by"], rule["ok"]) == ("urgent", "b", "b", True)
    assert "tag urgent" in rule["prompt"]
    assert run.err == ""


def test_the_text_shows_three_tables_and_a_verdict(dead):
    run = llamafarm("test", "--dry-run", cwd=dead)
    assert run.code == 0, run.err
    headings = [line for line in run.out.splitlines() if re.fullmatch(r"[a-z]+", line)]
    assert headings == ["targets", "faults", "rules"]
    assert re.search(r"^ok +a +cut, streamed +- +b ", run.out, re.MULTILINE)
    assert re.search(r"^- +b +any +- .* nobody is left behind it$", run.out, re.MULTILINE)
    assert run.out.splitlines()[-1] == "test holds (dry run: a fake answered)"


@pytest.mark.parametrize("before", [True, False])
def test_options_go_before_the_name_and_after_it(dead, before):
    options = ("--strategy", "test", "--output", "json")
    arguments = (*options, "test", "--dry-run") if before else ("test", "--dry-run", *options)
    assert llamafarm(*arguments, cwd=dead).json["ok"] is True


@pytest.mark.parametrize("name", strategies.names())
def test_every_shipped_strategy_holds_without_keys_or_network(name, tmp_path):
    run = llamafarm("test", "--dry-run", "--strategy", name, "--output", "json", cwd=tmp_path)
    assert run.code == 0, run.out
    assert run.json["ok"] is True
    assert not (tmp_path / "home").exists(), "nothing is opened or written"


async def test_real_targets_hold_and_the_request_count_is_said_first(tmp_path):
    async with FakeServer(answer("Yes it is.")) as a, FakeServer(answer("Yes.")) as b:
        chain(tmp_path, RULES, a=a.base_url, b=b.base_url)
        run = await ask("test", "--output", "json", cwd=tmp_path)
        assert run.code == 0, run.out
        assert run.json["ok"] is True
        assert a.requests
        assert b.requests
    assert re.search(r"testing test: \d+ requests, nothing is known of what a, b may cost: give price", run.err)


async def test_a_fallback_that_does_not_work_is_exit_1(tmp_path):
    async with FakeServer(answer("Yes.")) as a, FakeServer(reply(500, {"error": {"message": "broken"}})) as b:
        chain(tmp_path, a=a.base_url, b=b.base_url)
        run = await ask("test", "--junit", "result.xml", "--quiet", cwd=tmp_path)
    assert run.code == 1
    assert run.err == ""
    assert re.search(r"^FAILED +a +refused ", run.out, re.MULTILINE)
    assert run.out.splitlines()[-1] == "test does not hold"
    suite = ET.parse(tmp_path / "result.xml").getroot().find("testsuite")
    failures = suite.findall("testcase/failure")
    assert len(failures) == int(suite.get("failures")) > 1
    assert "broken" in failures[0].get("message")


def test_junit_has_a_case_for_each_target_fault_and_rule(dead):
    run = llamafarm("test", "--dry-run", "--junit", "out.xml", "--output", "json", cwd=dead)
    assert run.code == 0, run.err
    root = ET.parse(dead / "out.xml").getroot()
    assert root.tag == "testsuites"
    (suite,) = root
    required = {"id", "package", "name", "tests", "failures", "errors", "time", "timestamp", "hostname"}
    assert required <= set(suite.keys())
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", suite.get("timestamp"))
    kinds = [child.tag for child in suite]
    cases = suite.findall("testcase")
    assert kinds == ["properties", *["testcase"] * len(cases), "system-out", "system-err"]
    shown = run.json
    assert len(cases) == int(suite.get("tests")) == sum(len(shown[key]) for key in ("targets", "faults", "rules"))
    assert (suite.get("failures"), suite.get("errors")) == ("0", "0")
    assert int(suite.get("skipped")) == len(suite.findall("testcase/skipped")) > 0
    for case in cases:
        assert case.get("classname").startswith("test.")
        assert float(case.get("time")) >= 0
        assert [child.tag for child in case] in ([], ["skipped"])
    assert len({(case.get("classname"), case.get("name")) for case in cases}) == len(cases)


def test_junit_holds_what_xml_cannot(tmp_path):
    chain(tmp_path, "routing_rules: [{condition: 'input.matches(\"\\\\x01\\\\x02z\")', target: a}]", a=refused())
    run = llamafarm("test", "--dry-run", "--junit", "out.xml", cwd=tmp_path)
    assert run.code == 0, run.out
    assert ET.parse(tmp_path / "out.xml").getroot().find("testsuite") is not None


def test_a_target_without_its_key_is_not_passed(tmp_path):
    file = chain(tmp_path, a=refused(), b=refused())
    file.write_text(file.read_text().replace("max_retries: 0", "max_retries: 0, api_key: '${NOT_SET_HERE}'"))
    run = llamafarm("test", "--output", "json", cwd=tmp_path)
    assert run.code == 1
    assert [target["outcome"] for target in run.json["targets"]] == ["no key"] * 2
    assert run.json["refused"] == "no target could be called"
    allowed = llamafarm("test", "--output", "json", "--allow-missing-keys", cwd=tmp_path)
    assert [target["ok"] for target in allowed.json["targets"]] == [None] * 2
    assert allowed.code == 1, "with nobody to call nothing was found out"


def test_what_could_cost_too_much_is_not_begun(tmp_path):
    file = chain(tmp_path, a=refused(), b=refused())
    file.write_text(file.read_text().replace("max_retries: 0", "max_retries: 0, price: {input: 1000, output: 1000}"))
    run = llamafarm("test", cwd=tmp_path)
    run.assert_one_clear_line(3)
    assert "--max-cost" in run.err
    assert "--dry-run" in run.err
    assert llamafarm("test", "--max-cost", "0", cwd=tmp_path).code == 3
    assert llamafarm("test", "--max-cost", "1000", cwd=tmp_path).code == 1, "nothing listens there"


def test_a_strategy_that_refuses_to_send_is_refused_here_too(tmp_path):
    chain(tmp_path, "constraints: {daily_budget: 1}", a=refused())
    llamafarm("test", "--dry-run", cwd=tmp_path).assert_one_clear_line(3)


def test_a_rule_without_a_prompt_takes_one_from_its_owner(tmp_path):
    chain(tmp_path, "routing_rules: [{condition: 'input.matches(\"^\\\\pN+$\")', target: a}]", a=refused())
    run = llamafarm("test", "--dry-run", cwd=tmp_path)
    assert run.code == 1
    assert "--prompt" in run.out
    assert llamafarm("test", "--dry-run", "--prompt", "42", cwd=tmp_path).code == 0


@pytest.mark.parametrize(
    ("written", "code"), [("stream_recovery: continue", 1), ("stream_recovery: buffer", 0), ("", 0)]
)
def test_continue_is_a_promise_only_where_the_file_makes_it(tmp_path, written, code):
    chain(tmp_path, f"optimization: {{{written}}}" if written else "", a=refused(), b=refused())
    run = llamafarm("test", "--dry-run", cwd=tmp_path)
    assert run.code == code, run.out


async def test_a_file_that_cannot_be_written_is_noticed_before_anything_is_sent(tmp_path):
    async with FakeServer(answer("Yes.")) as a:
        chain(tmp_path, a=a.base_url)
        run = await ask("test", "--junit", ".", cwd=tmp_path)
        assert not a.requests
    run.assert_one_clear_line(2)
    assert run.err.startswith("llamafarm: --junit .: ")


def test_a_test_that_does_not_begin_leaves_no_earlier_success(tmp_path):
    file = chain(tmp_path, a=refused())
    file.write_text(file.read_text().replace("max_retries: 0", "max_retries: 0, price: {input: 1000, output: 1000}"))
    for arguments, said in ((("--max-cost", "0"), "--max-cost"), (("--strategy", "nobody"), "nobody")):
        (tmp_path / "result.xml").write_text("a success")
        run = llamafarm("test", *arguments, "--junit", "result.xml", cwd=tmp_path)
        assert run.code in (2, 3)
        (failure,) = ET.parse(tmp_path / "result.xml").getroot().iter("failure")
        assert said in failure.get("message")


def test_the_cost_to_allow_is_no_less_than_what_was_refused(tmp_path):
    file = chain(tmp_path, a=refused(), b=refused())
    file.write_text(file.read_text().replace("max_retries: 0", "max_retries: 0, price: {input: 1, output: 2}"))
    run = llamafarm("test", "--max-cost", "0", cwd=tmp_path)
    run.assert_one_clear_line(3)
    enough = re.search(r"allow more with --max-cost (\S+),", run.err)[1]
    assert float(enough) > 0
    assert llamafarm("test", "--max-cost", enough, cwd=tmp_path).code == 1, "nothing listens there"


def test_a_cost_limit_that_was_given_does_not_hold_where_no_price_is_known(dead):
    run = llamafarm("test", "--max-cost", "5", cwd=dead)
    run.assert_one_clear_line(3)
    assert "nothing is known of what a, b may cost" in run.err
    half = (dead / "strategies.yaml").read_text().replace("0}", "0, price: {input: 1, output: 2}}", 1)
    (dead / "strategies.yaml").write_text(half)
    assert re.search(r"at most \$0\.\d+ but for what b may cost", llamafarm("test", cwd=dead).err)


def test_only_what_a_named_model_reaches_is_tested(dead):
    def tested(name):
        shown = llamafarm("test", "--dry-run", "--model", name, "--output", "json", cwd=dead).json
        assert shown["rules"] == []
        return [row["name"] for row in shown["targets"]], {tuple(row["order"]) for row in shown["faults"]}

    assert tested("test/b") == (["b"], {("b",)})
    assert tested("b-model") == (["b", "a"], {("b", "a")})
    whole = llamafarm("test", "--dry-run", "--model", "test", "--output", "json", cwd=dead).json
    assert len(whole["rules"]) == 1
    unknown = llamafarm("test", "--dry-run", "--model", "nobody", cwd=dead)
    unknown.assert_one_clear_line(3)
    assert "nobody" in unknown.err


def test_a_strategy_may_be_named_without_an_option(dead):
    assert "multi_provider holds" in llamafarm("test", "multi_provider", "--dry-run", cwd=dead).out
    llamafarm("test", "multi_provider", "--strategy", "test", cwd=dead).assert_one_clear_line(2)


def test_a_target_that_no_request_may_reach_is_barred_for_its_own_reason(tmp_path):
    file = chain(tmp_path, "constraints: {max_cost_per_request: 0.000001}", a=refused(), b=refused())
    file.write_text(file.read_text().replace("max_retries: 0", "max_retries: 0, price: {input: 1000, output: 1000}"))
    run = llamafarm("test", "--output", "json", cwd=tmp_path)
    assert (run.code, run.json["refused"]) == (1, "no target could be called")
    for row in run.json["targets"]:
        assert (row["ok"], row["outcome"]) == (False, "barred")
        assert row["detail"].startswith("it could cost $")


def test_each_fault_says_which_rule_decided(tmp_path):
    rules = "routing_rules: [{condition: urgent, target: b}, {condition: input.requires_json, target: b}]"
    chain(tmp_path, rules, a=refused(), b=refused())
    shown = llamafarm("test", "--dry-run", "--output", "json", "--junit", "out.xml", cwd=tmp_path).json
    cuts = [
        (row["target"], row["rule"]) for row in shown["faults"] if row["fault"] == "cut" and row["order"][-1] == "a"
    ]
    assert ("b", "urgent") in cuts
    assert ("b", "input.requires_json") in cuts
    names = [case.get("name") for case in ET.parse(tmp_path / "out.xml").getroot().iter("testcase")]
    assert len(set(names)) == len(names)
    text = llamafarm("test", "--dry-run", cwd=tmp_path).out
    assert re.search(r"^ok +b +cut, streamed +input.requires_json +a ", text, re.MULTILINE)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("--junit", "no/such/folder.xml"), 2),
        (("--tag", "urgent"), 2),
        (("--max-cost", "abc"), 2),
        (("--max-cost", "-1"), 2),
        (("--strategy", "nobody"), 2),
        (("--prompt", ""), 0),
    ],
)
def test_misuse_is_one_clear_line(dead, arguments, code):
    run = llamafarm("test", "--dry-run", *arguments, cwd=dead)
    assert run.code == code
    if code:
        run.assert_one_clear_line(code)


async def test_a_terminal_gets_drawn_tables(dead):
    async with Terminal("test", "--dry-run", cwd=dead) as terminal:
        await terminal.until("targets")
        await terminal.until("test holds")
    assert "━" in terminal.shown


@pytest.mark.real
async def test_the_embedded_model_is_called_and_takes_over(tmp_path, smollm2, models_home):
    run = await ask(
        "test", "--strategy", "local_development", "--output", "json", cwd=tmp_path, LLAMAFARM_HOME=str(models_home)
    )
    targets = {target["name"]: target for target in run.json["targets"]}
    assert targets["embedded"]["ok"] is True
    assert {row["answered_by"] for row in run.json["faults"] if row["target"] == "model_app"} == {"embedded"}
