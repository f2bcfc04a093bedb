"""Money: whole nanodollars, rounded up, and a worst case that nothing within its bounds exceeds."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llamafarm.catalog import affordable_output, all_vendors, cost, dollars_to_nano, models_of, worst_case
from llamafarm.types import Price, PriceTier, Usage

RATE = st.integers(0, 10**12)
MAYBE = st.none() | RATE
TOKENS = st.integers(0, 3_000_000)
ANY = st.integers(-(10**9), 10**9)


@st.composite
def prices(draw):
    starts = sorted(draw(st.sets(st.integers(1, 2_000_000), max_size=3)))
    tiers = tuple(PriceTier(start, draw(RATE), draw(RATE), draw(MAYBE), draw(MAYBE)) for start in starts)
    return Price(draw(RATE), draw(RATE), draw(MAYBE), draw(MAYBE), draw(st.integers(0, 10**8)), tiers)


@given(prices(), TOKENS, TOKENS, st.integers(1, 8), st.data())
def test_usage_within_the_bounds_never_costs_more_than_the_worst_case(price, given_bound, cap, n, data):
    usage = Usage(
        input_tokens=data.draw(st.integers(0, given_bound)),
        output_tokens=data.draw(st.integers(0, cap * n)),
        cached_tokens=data.draw(ANY),
        cache_write_tokens=data.draw(ANY),
        reasoning_tokens=data.draw(ANY),
    )
    assert cost(usage, price) <= worst_case(price, given_bound, cap, n)


@given(prices(), st.builds(Usage, ANY, ANY, ANY, ANY, ANY))
def test_hostile_usage_costs_a_whole_number_that_is_not_negative(price, usage):
    amount = cost(usage, price)
    assert type(amount) is int
    assert amount >= price.request >= 0


BOUNDS = st.tuples(TOKENS, TOKENS, st.integers(1, 8))


@given(prices(), BOUNDS, BOUNDS)
def test_the_worst_case_grows_with_every_bound(price, bounds, others):
    larger = [max(pair) for pair in zip(bounds, others, strict=True)]
    assert worst_case(price, *bounds) <= worst_case(price, *larger)


@given(prices(), TOKENS, TOKENS, TOKENS)
def test_cost_grows_with_output(price, given_tokens, output, more):
    assert cost(Usage(given_tokens, output), price) <= cost(Usage(given_tokens, output + more), price)


@given(prices(), TOKENS, st.integers(0, 10**13), st.integers(1, 8))
def test_what_is_affordable_is_the_most_whose_worst_case_fits(price, given_bound, money, n):
    output = affordable_output(price, given_bound, money, n)
    if output is None:
        assert worst_case(price, given_bound, 10**9, n) == worst_case(price, given_bound, 0, n) <= money
    elif output < 0:
        assert worst_case(price, given_bound, 0, n) > money
    else:
        assert worst_case(price, given_bound, output, n) <= money < worst_case(price, given_bound, output + 1, n)


def test_the_guides_model_by_hand():
    # gpt-4o-mini: $0.15 and $0.60 per million, cached $0.075.
    price = Price(150_000_000, 600_000_000, 75_000_000)
    assert cost(Usage(1_000_000, 0), price) == 150_000_000
    assert cost(Usage(1_000_000, 1_000_000, cached_tokens=400_000), price) == 90_000_000 + 30_000_000 + 600_000_000
    assert cost(Usage(1, 0), price) == 150
    assert worst_case(price, 1000, 500) == 150_000 + 300_000
    assert worst_case(price, 1000, 500) == 450_000


def test_a_fraction_of_a_nanodollar_counts_as_one():
    assert cost(Usage(1, 0), Price(1, 0)) == 1
    assert cost(Usage(0, 0), Price(1, 0)) == 0


def test_a_tier_holds_for_all_tokens_of_a_longer_prompt():
    price = Price(10**6, 10**7, 10**5, tiers=(PriceTier(200_000, 2 * 10**6, 3 * 10**7, 2 * 10**5),))
    assert cost(Usage(200_000, 10), price) == 200_000 + 100
    assert cost(Usage(200_001, 10), price) == 400_002 + 300
    assert cost(Usage(200_001, 10, cached_tokens=200_001), price) == -(-200_001 * 2 // 10) + 300
    assert worst_case(price, 200_000, 10) == 200_000 + 100


def test_cached_and_written_tokens_are_part_of_the_input():
    price = Price(10**9, 0, cached_input=10**8, cache_write=2 * 10**9)
    assert cost(Usage(10, 0, cached_tokens=4, cache_write_tokens=6), price) == 400 + 12_000
    assert cost(Usage(10, 0, cached_tokens=40, cache_write_tokens=60), price) == 1000
    assert cost(Usage(10, 5, reasoning_tokens=5), Price(0, 10**9)) == 5000


@pytest.mark.parametrize(
    ("amount", "nano"),
    [
        (0.1, 100_000_000),
        ("0.10", 100_000_000),
        (Decimal("0.15"), 150_000_000),
        (0, 0),
        (2.5, 2_500_000_000),
        ("1e-10", 1),
        (0.30000000000000004, 300_000_001),
        (3000.0, 3_000_000_000_000),
    ],
)
def test_dollars_become_nanodollars_exactly_and_up(amount, nano):
    assert dollars_to_nano(amount) == nano


@pytest.mark.parametrize("amount", ["", "ten", float("nan"), float("inf"), -0.01, "-1"])
def test_what_is_no_amount_is_refused(amount):
    with pytest.raises(ValueError, match="not an amount of dollars"):
        dollars_to_nano(amount)


def test_the_worst_case_holds_for_every_listed_price():
    for vendor in all_vendors():
        for row in models_of(vendor.name):
            for price in filter(None, [row.price, *(later.price for later in row.later)]):
                for length in (0, 1, 200_001, 300_000, 1_100_000):
                    bound = worst_case(price, length, 1000)
                    for cached, written in ((0, 0), (length, 0), (0, length)):
                        assert cost(Usage(length, 1000, cached, written), price) <= bound, (vendor.name, row.id)
