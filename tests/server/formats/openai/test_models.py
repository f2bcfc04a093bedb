import json

from llamafarm.server.formats.openai import Model, model_list, one_model

MODELS = [Model("local", 17, "llamafarm"), Model("gpt/ü", 18, "openai")]


def test_models_are_listed_in_order_and_told_one_by_one():
    said = json.loads(model_list(iter(MODELS)))
    assert said["object"] == "list"
    assert said["data"] == [json.loads(one_model(model)) for model in MODELS]
    assert said["data"][1] == {"id": "gpt/ü", "object": "model", "created": 18, "owned_by": "openai"}
