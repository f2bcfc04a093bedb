"""The types of options that are numbers; what is wrong with one is said in words."""

from __future__ import annotations

import click

__all__ = ["Number", "WholeNumber"]


class Number(click.FloatRange):
    """A number, within bounds."""

    name = "number"


class WholeNumber(click.IntRange):
    """A whole number, within bounds."""

    name = "whole number"
