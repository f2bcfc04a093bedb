"""Builds a strategy into a `Farm` that answers."""

from llamafarm.farm.answers import AnswerStream, Embeddings
from llamafarm.farm.farm import Farm
from llamafarm.farm.locate import find_file, find_strategy
from llamafarm.farm.options import Options, make_call
from llamafarm.farm.pictures import Image, Images

__all__ = [
    "AnswerStream",
    "Embeddings",
    "Farm",
    "Image",
    "Images",
    "Options",
    "find_file",
    "find_strategy",
    "make_call",
]
