"""Whose turn it is: never more than allowed, fair between projects, oldest first within one."""

from collections import Counter, deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from hypothesis import given
from hypothesis import strategies as st

from shared.runs.turns import InLine, choose, in_order, places
from shared.runs.view import ordinal

projects = st.sampled_from(["a", "b", "c", "d"])


@st.composite
def lines(draw: st.DrawFn) -> list[InLine]:
    return [InLine(f"r{at}", project, f"t{at}") for at, project in enumerate(draw(st.lists(projects, max_size=30)))]


def of_project(project: str, count: int) -> list[InLine]:
    return [InLine(f"{project}{at}", project, "t") for at in range(count)]


def chosen(line: list[InLine], under_way: Mapping[str, str], most: int, served: list[str] | None = None) -> list[str]:
    return choose(line, under_way, {}, served or [], most).run_ids


def test_one_project_alone_is_served_oldest_first() -> None:
    assert chosen(of_project("a", 5), {}, 3) == ["a0", "a1", "a2"]


def test_a_project_with_one_run_does_not_wait_behind_one_with_a_thousand() -> None:
    line = [*of_project("a", 1000), *of_project("b", 1)]
    assert chosen(line, {"x": "a"}, 2) == ["b0"]
    assert chosen(line, {}, 2) == ["a0", "b0"]


def test_with_a_single_place_projects_take_turns() -> None:
    line = [*of_project("a", 3), *of_project("b", 2)]
    order, served = [], list[str]()
    while line:
        (run_id,) = chosen(line, {}, 1, served)
        order.append(run_id)
        served.append(run_id[0])
        line = [run for run in line if run.run_id != run_id]
    assert order == ["a0", "b0", "a1", "b1", "a2"]


def test_the_place_in_line_is_the_order_of_the_turns() -> None:
    line = [*of_project("a", 3), *of_project("b", 1)]
    assert places(line, {"x": "a"}, {"a2": "t"}, []) == ["a2", "b0", "a0", "a1"]


def test_a_turn_of_an_earlier_wait_is_none() -> None:
    line = [InLine("r", "a", "now"), InLine("s", "a", "t")]
    turns = choose(line, {}, {"r": "before", "s": "t"}, [], 1)
    assert ([run.run_id for run in turns.kept], list(turns.given)) == (["s"], [])


def test_places_are_said_as_people_say_them() -> None:
    assert [ordinal(n) for n in (1, 2, 3, 4, 11, 22, 113)] == ["1st", "2nd", "3rd", "4th", "11th", "22nd", "113th"]


@given(lines(), st.dictionaries(st.sampled_from(["x", "y", "z", "r0", "r1"]), projects), st.integers(1, 6), st.data())
def test_never_more_than_allowed_and_no_free_place_is_left_while_someone_waits(
    line: list[InLine], under_way: dict[str, str], most: int, data: st.DataObject
) -> None:
    granted = data.draw(st.lists(st.sampled_from(line), max_size=most, unique=True)) if line else []
    turns = choose(line, under_way, {run.run_id: run.ticket for run in granted}, [], most)
    total = len(under_way) + len(turns.run_ids)
    assert not turns.given or total <= most
    assert total >= min(most, len(under_way) + len({run.run_id for run in line} - under_way.keys()))
    assert len(set(turns.run_ids)) == len(turns.run_ids)
    assert not set(turns.run_ids) & under_way.keys()


@given(lines(), st.dictionaries(projects, st.integers(0, 5)), st.lists(projects, unique=True))
def test_the_order_is_fair_and_keeps_everyone(line: list[InLine], counts: dict[str, int], served: list[str]) -> None:
    order = list(in_order(line, counts, served))
    assert sorted(run.run_id for run in order) == sorted(run.run_id for run in line)
    for project in "abcd":
        mine = [run for run in line if run.project == project]
        assert [run for run in order if run.project == project] == mine
    now = Counter(counts)
    for at, run in enumerate(order):
        assert now[run.project] == min(now[other.project] for other in order[at:])
        now[run.project] += 1


@dataclass(frozen=True)
class World:
    """One place, some runs, two workers that give turns; a worker has read so much: ledger, line, those under way."""

    grants: frozenset[tuple[str, str]] = frozenset()
    etag: int = 0
    line: tuple[InLine, ...] = ()
    under_way: frozenset[str] = frozenset()
    tickets: int = 0
    minds: tuple[tuple[object, ...], ...] = ((), ())


RUNS, MOST_TICKETS = ("r0", "r1"), 3


def what_may_happen(world: World) -> Iterator[World]:
    """Yield every next world: any worker does its next read or write, or dies; any run waits, begins, ends, leaves."""
    for at, mind in enumerate(world.minds):
        for after in (worker_goes_on(world, mind), (world, ())):
            yield replace(after[0], minds=(*world.minds[:at], after[1], *world.minds[at + 1 :]))
    for run in RUNS:
        waiting = [other for other in world.line if other.run_id == run]
        rest = tuple(other for other in world.line if other.run_id != run)
        if run in world.under_way:
            yield replace(world, under_way=world.under_way - {run})
        elif not waiting and world.tickets < MOST_TICKETS:
            new = InLine(run, "a", f"t{world.tickets}")
            yield replace(world, line=(*world.line, new), tickets=world.tickets + 1)
        for mine in waiting:
            yield replace(world, line=rest)
            if (run, mine.ticket) in world.grants:
                yield replace(world, line=rest, under_way=world.under_way | {run})


def worker_goes_on(world: World, mind: tuple[object, ...]) -> tuple[World, tuple[object, ...]]:
    reads = ((world.grants, world.etag), world.line, world.under_way)
    if len(mind) < len(reads):
        return world, (*mind, reads[len(mind)])
    (grants, etag), line, under_way = mind  # type: ignore[misc]
    turns = choose(line, dict.fromkeys(under_way, "a"), dict(grants), [], 1)  # type: ignore[arg-type, call-overload]
    if not turns.given or etag != world.etag:  # type: ignore[has-type]
        return world, ()
    written = frozenset((run.run_id, run.ticket) for run in (*turns.kept, *turns.given))
    return replace(world, grants=written, etag=world.etag + 1), ()


def test_whatever_order_things_happen_in_there_is_never_a_run_too_many() -> None:
    seen = {World()}
    reached = deque(seen)
    while reached:
        for world in what_may_happen(reached.popleft()):
            assert len(world.under_way) <= 1, world
            if world not in seen:
                seen.add(world)
                reached.append(world)
    assert len(seen) > 1000
