"""Whatever the strategy and the call: the plan never holds a target that may not be asked, and none twice."""

from hypothesis import given, settings
from hypothesis import strategies as st

from llamafarm import errors, planning
from llamafarm.hardware import Gpu, Hardware
from llamafarm.planning.eligibility import judge
from llamafarm.spec.components import AppConfig, CloudConfig, PriceRow
from llamafarm.spec.strategy import ChainEntry, Component, Constraints, Rule, Strategy
from llamafarm.types import Secret
from tests.making import DIALECTS, NO_GPU, call, snapshot

MODELS = ["gpt-4o-mini", "gpt-4o", "llama-3.1-8b-instant", "unknown-model"]

cloud = st.builds(
    CloudConfig,
    provider=st.sampled_from(["openai", "groq", "anthropic", "custom"]),
    default_model=st.sampled_from(MODELS),
    base_url=st.sampled_from([None, "https://a.example/v1", "http://127.0.0.1:9/v1", "http://10.1.1.1/v1"]),
    api_key=st.sampled_from([None, Secret(None, "UNSET"), Secret("k", "SET")]),
    context_window=st.sampled_from([None, 10, 100_000]),
    supports=st.sampled_from([None, (), ("vision",), ("tools", "json")]),
    price=st.sampled_from([None, PriceRow(input=1, output=5), PriceRow(input=0, output=0)]),
)
local = st.builds(
    AppConfig,
    engine=st.just("embedded"),
    default_model=st.sampled_from([None, "smollm2-135m-instruct", "mine"]),
    context_window=st.sampled_from([None, 10]),
)


@st.composite
def worlds(draw):
    configs = draw(st.lists(st.one_of(cloud, local), min_size=1, max_size=5))
    kinds = {CloudConfig: "openai_compatible", AppConfig: "llamacpp"}
    components = {
        f"c{i}": Component(name=f"c{i}", type=kinds[type(config)], config=config) for i, config in enumerate(configs)
    }
    chain = draw(st.lists(st.sampled_from(sorted(components)), max_size=5, unique=True))
    rules = draw(
        st.lists(
            st.tuples(st.sampled_from(["a", "b", "input.length > 3", "true"]), st.sampled_from(sorted(components))),
            max_size=4,
        )
    )
    constraints = Constraints(
        privacy_mode=draw(st.sampled_from(["public", "private", "local_only"])),
        allowed_models=draw(st.sampled_from([(), ("gpt-*",), ("*",)])),
        blocked_models=draw(st.sampled_from([(), ("gpt-4o",), ("*",)])),
        requires_gpu=draw(st.booleans()),
        max_cost_per_request=draw(st.sampled_from([None, 0.0, 0.001, 1.0])),
    )
    made = Strategy(
        name="s",
        components=components,
        fallback_chain=tuple(
            ChainEntry(name=name, type=components[name].type, component=name, config=components[name].config)
            for name in chain
        ),
        routing_rules=tuple(
            Rule(condition=condition, target=target, fallback=draw(st.sampled_from([None, True, False])))
            for condition, target in rules
        ),
        constraints=constraints,
    )
    asked = call(
        draw(st.sampled_from(["hi", "word " * 60])),
        model=draw(st.sampled_from([None, "s", "c0", "s/c0", "gpt-4o"])),
        tags=tuple(draw(st.sets(st.sampled_from(["a", "b"])))),
        **draw(st.sampled_from([{}, {"max_tokens": 100}, {"tools": [{"type": "function"}]}])),
    )
    return made, asked


@given(world=worlds(), gpu=st.booleans())
@settings(max_examples=400, deadline=None)
def test_the_plan_never_holds_an_ineligible_target(world, gpu):
    made, asked = world
    hardware = Hardware(cpus=1, memory_bytes=1, gpus=(Gpu("A", 10**10, "cuda"),), reason="") if gpu else NO_GPU
    known = planning.resolve(made, {}, DIALECTS, hardware)
    look = snapshot()
    try:
        found = tuple(planning.plan(known, asked, look))
    except errors.RefusedError:
        return
    assert found
    assert len({target.identity for target in found}) == len(found)
    from llamafarm.conditions import Input

    prompt = Input.of(asked.body)
    for target in found:
        assert judge(target, asked, prompt, made.constraints).eligible
        assert target.api_key is None or target.api_key.is_set
        if made.constraints.privacy_mode == "local_only":
            assert target.dialect == "embedded" or "127.0.0.1" in target.base_url


@given(world=worlds())
@settings(max_examples=200, deadline=None)
def test_explain_and_plan_agree(world):
    made, asked = world
    known = planning.resolve(made, {}, DIALECTS, NO_GPU)
    shown = planning.explain(known, asked, snapshot())
    try:
        found = tuple(planning.plan(known, asked, snapshot()))
    except errors.RefusedError as error:
        refusal = str(error)
        assert refusal == str(shown.refusal), "the same words"
        assert shown.order == ()
    else:
        assert found == shown.order
        eligible = {verdict.target.identity for verdict in shown.verdicts if verdict.eligible}
        assert {target.identity for target in found} <= eligible
