"""What lets a request be made again and come out the same: lines of calls, and identifiers from a seed."""

import asyncio
import textwrap

from rig import LONG_S

from orchestrator.environments.session import FunctionCall, Repeat, asked_line
from orchestrator.values import Cell, Grants


async def answer_line(fn, arguments):
    return asked_line()


def answers(rig, *sources, serve=answer_line, repeats=()):
    """What each cell of one worker gave as its answer; `repeats` belong to them in order."""

    async def run():
        session = await rig.start()
        given = []
        for number, source in enumerate(sources, 1):
            repeat = repeats[number - 1] if repeats else None
            cell = Cell(number, textwrap.dedent(source))
            done = await session.cell(cell, serve, LONG_S, repeat=repeat)
            assert done.failure is None, done.failure
            given.append(done.answer)
        await session.close()
        return given

    return asyncio.run(run())


# ------------------------------------------------------------------------------------- lines of calls


def test_call_knows_the_line_of_its_cell(rig):
    cell = """\
        def ask():
            return llm_query("q")
        FINAL([
            ask(),
            skills.echo if False else approve("?"),
            [llm_query(n) for n in range(2)],
            rlm_query(
                "q"),
        ])
    """
    assert answers(rig, cell) == [[2, 5, [6, 6], 7]]


def test_line_is_that_of_the_cell_that_runs_when_an_earlier_one_made_the_function(rig):
    assert answers(rig, "\n\n\ndef ask(): return llm_query('q')\nFINAL(ask())", "\nFINAL(ask())") == [4, 2]


def test_call_of_a_thread_has_the_line_of_the_code_of_its_cell_there_or_none(rig):
    cell = """\
        from concurrent.futures import ThreadPoolExecutor
        with ThreadPoolExecutor(2) as pool:
            own = list(pool.map(
                lambda n: llm_query(n), range(2)))
            none = list(pool.map(llm_query, range(2)))
        FINAL([own, none])
    """
    assert answers(rig, cell) == [[[4, 4], [0, 0]]]


def test_call_of_a_function_has_no_line_and_hides_that_of_who_waits_for_it(rig):
    file = rig.folder / "code.py"
    file.write_text("def go(ctx):\n    return ctx.llm_query('q')\n")

    async def run():
        outer = await rig.start()
        inner = await rig.start(grants=Grants(read=(rig.folder,)))

        async def serve(fn, arguments):
            done = await inner.function(FunctionCall(file, "go", {}, rig.folder), answer_line, LONG_S)
            return [asked_line(), done.value]

        done = await outer.cell(Cell(1, "\nFINAL(llm_query('q'))"), serve, LONG_S)
        await outer.close()
        await inner.close()
        return done.answer, asked_line()

    assert asyncio.run(run()) == ([2, 0], 0)


# ------------------------------------------------------------------------------------- identifiers


IDENTIFIERS = """
    import os, random, secrets, uuid
    from os import urandom
    from uuid import uuid1
    FINAL([
        os.urandom(5).hex(), urandom(100).hex(), os.urandom(0).hex(), secrets.token_hex(), str(uuid.uuid4()),
        str(uuid.uuid1()), str(uuid1(node=5, clock_seq=7)), random.SystemRandom().random(), secrets.choice(range(10**9)),
    ])
"""


def test_identifiers_repeat_with_their_seed_and_with_nothing_else(rig):
    first = answers(rig, IDENTIFIERS, IDENTIFIERS, repeats=[Repeat("a"), Repeat("b")])
    again = answers(rig, "FINAL(1)", IDENTIFIERS, IDENTIFIERS, repeats=[None, Repeat("b"), Repeat("a")])
    assert again[1:] == first[::-1]
    assert not set(first[0]) & set(first[1]) - {""}


def test_request_without_a_seed_draws_real_ones_also_after_one_with_it(rig):
    sources = [IDENTIFIERS, IDENTIFIERS, IDENTIFIERS]
    drawn = answers(rig, *sources, repeats=[Repeat("a"), None, None])
    assert not (set(drawn[0]) | set(drawn[1])) & set(drawn[2]) - {""}


def test_identifiers_are_well_formed_and_all_different(rig):
    cell = """
        import os, uuid
        from concurrent.futures import ThreadPoolExecutor
        with ThreadPoolExecutor(8) as pool:
            drawn = list(pool.map(lambda n: os.urandom(40), range(2000)))
        four, one, named = uuid.uuid4(), uuid.uuid1(), uuid.uuid1(5, 7)
        wrong = []
        for size in (-1, "a", 1.5):
            try:
                os.urandom(size)
            except (ValueError, TypeError) as error:
                wrong.append(type(error).__name__)
        FINAL([len(set(drawn)), {len(one) for one in drawn} == {40}, four.version, one.version, one.variant,
               named.version, named.node, named.clock_seq, wrong])
    """
    expected = [2000, True, 4, 1, "specified in RFC 4122", 1, 5, 7, ["ValueError", "TypeError", "TypeError"]]
    assert answers(rig, cell, repeats=[Repeat("a")]) == [expected]


def test_forked_copies_draw_their_own(rig):
    cell = """
        import os
        seen = []
        for _ in range(2):
            read, write = os.pipe()
            if not os.fork():
                os.write(write, os.urandom(16))
                os._exit(0)
            os.wait()
            seen.append(os.read(read, 16).hex())
        FINAL([*seen, os.urandom(16).hex()])
    """

    async def run():
        session = await rig.start(grants=Grants(processes=True))
        done = await session.cell(Cell(1, textwrap.dedent(cell)), answer_line, LONG_S, repeat=Repeat("a"))
        await session.close()
        assert done.failure is None, done.failure
        return done.answer

    assert len(set(asyncio.run(run()))) == 3


def test_function_repeats_too(rig):
    file = rig.folder / "code.py"
    file.write_text("import uuid\ndef go():\n    return str(uuid.uuid4())\n")
    call = FunctionCall(file, "go", {}, rig.folder)

    async def run():
        session = await rig.start(grants=Grants(read=(rig.folder,)))
        seeds = (Repeat("a"), Repeat("a"), None)
        drawn = [(await session.function(call, answer_line, LONG_S, repeat=seed)).value for seed in seeds]
        await session.close()
        return drawn

    first, again, real = asyncio.run(run())
    assert first == again != real


def test_large_frame_draws_nothing(rig):
    """Its file has a name of random letters, which are none of the cell's."""
    call = "llm_query('x' * (65 << 20))\n"
    drawn = "import os\nFINAL(os.urandom(8).hex())"
    first, second = (answers(rig, source, repeats=[Repeat("a")]) for source in (call + drawn, drawn))
    assert first == second
