"""Caches of ended sequences, kept for their prefix."""

from __future__ import annotations

from tricorn.engines.mlx.prefixes import PrefixCache

A = list(range(100, 120))


def kept(budget: int = 100, *, trimmable: bool = True) -> PrefixCache:
    return PrefixCache(budget, trimmable=trimmable)


def test_the_longest_common_prefix_is_found() -> None:
    """Also where the entry goes on differently."""
    cache = kept()
    cache.add([*A, 1, 2], "one", 10)
    cache.add([*A[:10], 7], "two", 10)
    entry, length = cache.match([*A, 1, 9, 9])
    assert entry is not None
    assert (entry.cache, length) == ("one", 21)


def test_a_cache_that_cannot_be_cut_serves_only_what_begins_with_all_of_it() -> None:
    """Recurrent state is that of its last token."""
    cache = kept(trimmable=False)
    cache.add(A, "whole", 10)
    assert cache.match([*A[:-1], 9, 9]) == (None, 0)
    assert cache.match([*A, 9])[1] == len(A)


def test_a_few_tokens_are_not_worth_it() -> None:
    """Copying costs more than computing them."""
    cache = kept()
    cache.add(A, "one", 10)
    assert cache.match([A[0], A[1], 5]) == (None, 0)
    assert not cache.wants([1, 2], 1)


def test_the_least_recently_used_go_first() -> None:
    """When the bytes run short."""
    cache = kept(budget=30)
    prompts = [[number] * 5 for number in range(4)]
    for number in range(3):
        cache.add(prompts[number], number, 10)
    first, _ = cache.match(prompts[0])
    assert first is not None
    cache.touch(first)
    cache.add(prompts[3], 3, 10)
    assert cache.used == 30
    assert [cache.match(prompt)[1] for prompt in prompts] == [5, 0, 5, 5]


def test_what_an_entry_covers_is_not_wanted_and_goes() -> None:
    """It has nothing of its own."""
    cache = kept()
    cache.add(A[:10], "short", 10)
    assert cache.wants(A, 20)
    cache.add(A, "long", 20)
    assert cache.used == 20
    assert not cache.wants(A[:10], 10)
    assert not cache.wants([1] * 9, 101)


def test_uncuttable_entries_do_not_replace_each_other() -> None:
    """The shorter one serves prompts that the longer one cannot."""
    cache = kept(trimmable=False)
    cache.add(A[:10], "short", 10)
    assert cache.wants(A, 10)
    cache.add(A, "long", 10)
    entry, _ = cache.match([*A[:10], 1])
    assert entry is not None
    assert entry.cache == "short"
    assert not cache.wants(A, 10)


def test_no_more_entries_than_may_be() -> None:
    """CACHE_SIZE: the least recently used goes, although there is room."""
    cache = PrefixCache(100, trimmable=True, most=2)
    for start in (100, 200, 300):
        cache.add(list(range(start, start + 10)), "one", 10)
    assert [cache.match([*range(start, start + 10), 1])[1] for start in (100, 200, 300)] == [
        0,
        10,
        10,
    ]
    assert cache.used == 20
