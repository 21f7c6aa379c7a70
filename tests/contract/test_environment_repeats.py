"""What lets a request be made again and come out the same: lines of calls, identifiers from a seed, the clock."""

import asyncio
import pickle
import textwrap
import time
from datetime import UTC, date, datetime

import pytest
from rig import LONG_S

from orchestrator.environments import worker
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
    call = "llm_query('x' * (65 << 20))\n"
    drawn = "import os\nFINAL(os.urandom(8).hex())"
    first, second = (answers(rig, source, repeats=[Repeat("a")]) for source in (call + drawn, drawn))
    assert first == second


# ------------------------------------------------------------------------------------- the clock


MOMENT = 1_700_000_000_123_456_789

CLOCKS = """
    import time, datetime as dt, logging
    from datetime import date, datetime, timezone
    from time import time as now
    class Holder:
        clock = time.time
        convert = time.gmtime
    records = []
    handler = logging.Handler()
    handler.emit = lambda record: records.append(record.created)
    logging.getLogger("x").addHandler(handler)
    logging.getLogger("x").warning("seen")
    FINAL([
        time.time(), now(), time.time_ns(), Holder().clock(), list(Holder().convert(0)), records,
        datetime.now().isoformat(), datetime.now(timezone.utc).isoformat(), datetime.now(tz=None).isoformat(),
        datetime.utcnow().isoformat(), datetime.today().isoformat(), dt.datetime.now().isoformat(),
        date.today().isoformat(), dt.date.today().isoformat(),
        list(time.localtime()), list(time.gmtime()), list(time.localtime(None)), time.ctime(), time.asctime(),
        time.strftime("%Y %j %H %M %S"),
    ])
"""


def test_readings_of_the_clock_come_again_in_another_worker(rig):
    readings = []
    first = answers(rig, CLOCKS, repeats=[Repeat("a", took=readings.extend)])
    told = []
    again = answers(rig, CLOCKS, CLOCKS, repeats=[Repeat("a", readings, told.extend), None])
    assert again[:1] == first
    assert again[1] != first[0]
    assert told == []
    assert len(readings) == 19
    assert readings == sorted(readings)
    assert abs(readings[0] - time.time_ns()) < LONG_S * 1e9


def test_each_function_gives_the_reading_that_is_next(rig):
    n_readings = 19
    given = [MOMENT + n * 86_400_000_000_000 for n in range(n_readings)]
    source = "import os, time\nos.environ['TZ'] = 'UTC'\ntime.tzset()\n" + textwrap.dedent(CLOCKS)
    (answer,) = answers(rig, source, repeats=[Repeat("a", given)])

    def moment(n, tz=None):
        whole = datetime.fromtimestamp(given[n] // 10**9, UTC).replace(microsecond=123_456)
        return whole if tz else whole.replace(tzinfo=None)

    def parts(n):
        return [*moment(n).timetuple()[:8], 0]

    assert answer == [
        given[1] / 1e9, given[2] / 1e9, given[3], given[4] / 1e9, [1970, 1, 1, 0, 0, 0, 3, 1, 0], [given[0] / 1e9],
        moment(5).isoformat(), moment(6, UTC).isoformat(), moment(7).isoformat(), moment(8).isoformat(),
        moment(9).isoformat(), moment(10).isoformat(), moment(11).date().isoformat(), moment(12).date().isoformat(),
        parts(13), parts(14), parts(15), f"{moment(16):%a %b %e %H:%M:%S %Y}", f"{moment(17):%a %b %e %H:%M:%S %Y}",
        f"{moment(18):%Y %j %H %M %S}",
    ]  # fmt: skip


def test_time_that_is_given_is_no_reading(rig):
    cell = """
        import time
        from datetime import date, datetime
        FINAL([list(time.gmtime(0)), time.asctime(time.gmtime(0)), time.strftime("%Y", time.gmtime(0)),
               datetime.fromtimestamp(10**9).year, date.fromtimestamp(10**9).year, time.monotonic() > 0,
               time.perf_counter() > 0, time.process_time() > 0])
    """
    readings = []
    ((first, *rest),) = answers(rig, cell, repeats=[Repeat("a", [MOMENT], readings.extend)])
    assert (first[0], *rest) == (1970, "Thu Jan  1 00:00:00 1970", "1970", 2001, 2001, True, True, True)
    assert readings == []


def test_readings_are_told_before_the_call_that_came_after_them(rig):
    cell = """
        import time
        first = time.time_ns()
        llm_query("a")
        second, third = time.time_ns(), time.time_ns()
        llm_query("b")
        fourth = time.time_ns()
        FINAL([first, second, third, fourth])
    """
    happened = []

    async def serve(fn, arguments):
        happened.append(arguments["prompt"])

    (read,) = answers(rig, cell, serve=serve, repeats=[Repeat("a", [MOMENT], happened.append)])
    assert read[0] == MOMENT
    assert happened == ["a", read[1:3], "b", read[3:]]


def test_readings_of_a_cell_that_failed_are_told(rig):
    readings = []

    async def run():
        session = await rig.start()
        source = "import time\ntime.time()\ntime.time()\nllm_query({1})"
        done = await session.cell(
            Cell(1, source), answer_line, LONG_S, repeat=Repeat("a", (), readings.append)
        )
        await session.close()
        return done.failure.type

    assert asyncio.run(run()) == "TypeError"
    assert [len(told) for told in readings] == [2]


def test_error_of_who_is_told_ends_the_request_as_it_is(rig):
    error = ConnectionError("disk full")

    def took(readings):
        raise error

    async def run():
        session = await rig.start()
        source = "import time\ntime.time()\nllm_query('q')"
        with pytest.raises(ConnectionError) as caught:
            await session.cell(Cell(1, source), answer_line, LONG_S, repeat=Repeat("a", (), took))
        assert caught.value is error
        assert not session.alive

    asyncio.run(run())


def test_threads_read_each_reading_once(rig):
    cell = """
        import time
        from concurrent.futures import ThreadPoolExecutor
        with ThreadPoolExecutor(8) as pool:
            read = list(pool.map(lambda n: time.time_ns(), range(4000)))
        FINAL(sorted(read))
    """
    readings = []
    given = list(range(1000))
    (read,) = answers(rig, cell, repeats=[Repeat("a", given, readings.extend)])
    assert read == sorted([*given, *readings])
    assert answers(rig, cell, repeats=[Repeat("a", [*given, *readings])]) == [read]


def test_no_more_readings_are_recorded_than_agreed(rig):
    cell = f"""
        import time
        for _ in range({worker.READINGS} + 5): last = time.time_ns()
        FINAL([last, time.time_ns()])
    """
    readings = []
    (read,) = answers(rig, cell, repeats=[Repeat("a", [MOMENT] * 3, readings.extend)])
    assert len(readings) == worker.READINGS - 3
    assert readings[-1] <= read[0] <= read[1]
    # What is full is not recorded further when it is made again, and gives the real time after that.
    more = []
    (again,) = answers(rig, cell, repeats=[Repeat("a", [MOMENT] * worker.READINGS, more.extend)])
    assert again[0] > read[1]
    assert more == []


def test_thread_that_a_request_left_reads_real_time_later(rig):
    start = """
        import threading, time
        go_on, read = threading.Event(), []
        def work():
            go_on.wait()
            read.append(time.time_ns())
        thread = threading.Thread(target=work)
        thread.start()
    """
    finish = "go_on.set()\nthread.join()\nFINAL(read)"
    _, read = answers(rig, start + "    FINAL(0)", finish, repeats=[Repeat("a", [MOMENT]), None])
    assert abs(read[0] - time.time_ns()) < LONG_S * 1e9


def test_worker_that_repeats_nothing_is_as_it_was(rig):
    cell = "import datetime, os, time, uuid\nFINAL([repr(f) for f in (time.time, os.urandom, datetime.datetime.__mro__[1])])"
    assert answers(rig, cell) == [
        ["<built-in function time>", "<built-in function urandom>", "<class 'datetime.date'>"]
    ]


DATES = """
    import copy, datetime as dt, functools, json, pickle, time
    from dataclasses import dataclass
    from datetime import date, datetime, timedelta, timezone
    real = datetime.__mro__[1]
    assert real.__module__ == 'datetime' and real is not datetime
    a = datetime.now(timezone.utc)
    d = date.today()
    later = a + timedelta(days=1)

    # What there is is of the real types, wherever it comes from, and counts as of the replaced ones.
    made = [a, later, datetime(2024, 2, 29, 1, 2), datetime.fromisoformat('2024-01-02T03:04:05+01:00'),
            datetime.strptime('2024-01-02', '%Y-%m-%d'), datetime.fromtimestamp(0, timezone.utc), datetime.min,
            datetime.combine(d, dt.time(1)), a.replace(year=2000), a.astimezone(), datetime.fromisocalendar(2024, 1, 1)]
    for one in made:
        assert type(one) is real and isinstance(one, datetime) and isinstance(one, date) and type(one) == datetime
    days = [d, a.date(), date(2024, 1, 1), date.fromisoformat('2024-01-01'), d + timedelta(1), date.max, later.date()]
    for one in days:
        assert isinstance(one, date) and not isinstance(one, datetime) and type(one) == date
    assert not isinstance(3, datetime) and not isinstance(None, date)
    assert issubclass(datetime, date) and issubclass(real, datetime) and not issubclass(date, datetime)
    assert issubclass(bool, int) and not issubclass(int, date)
    assert {datetime: 1}[type(a)] == 1 and {type(d): 2}[date] == 2 and datetime != date and datetime != 3
    assert later - a == timedelta(days=1) and later > a and a.date() <= later.date() and hash(a) == hash(a.replace())
    assert repr(datetime(2024, 1, 2)) == 'datetime.datetime(2024, 1, 2, 0, 0)' and repr(date(2024, 1, 2)) == 'datetime.date(2024, 1, 2)'
    assert repr(datetime) == "<class 'datetime.datetime'>" and datetime.__doc__ and datetime.__name__ == 'datetime'

    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        for one in [*made, *days, a.replace(fold=1)]:
            back = pickle.loads(pickle.dumps(one, protocol))
            assert back == one and type(back) is type(one)
        assert pickle.loads(pickle.dumps([datetime, date], protocol)) == [datetime, date]
    assert copy.copy(a) == a and copy.deepcopy({'a': [a, d]}) == {'a': [a, d]}
    assert type(copy.deepcopy(a)) is real
    assert json.loads(json.dumps([a, d], default=lambda v: v.isoformat())) == [a.isoformat(), d.isoformat()]

    class Mine(datetime):
        def day_after(self): return self + timedelta(days=1)
    mine = Mine.now()
    assert type(mine) is Mine and type(mine.day_after()) is Mine and isinstance(mine, datetime)
    assert not isinstance(a, Mine) and issubclass(Mine, datetime) and not issubclass(datetime, Mine) and Mine != datetime
    assert pickle.loads(pickle.dumps(mine)) == mine and type(copy.copy(mine)) is Mine
    assert type(Mine.fromtimestamp(5)) is Mine and type(Mine.today()) is Mine and type(Mine(2024, 1, 1)) is Mine

    @dataclass
    class Event:
        at: datetime
        on: date = date(2024, 1, 1)
    assert pickle.loads(pickle.dumps(Event(a))) == Event(a)

    @functools.singledispatch
    def kind(value): return 'other'
    @kind.register
    def _(value: datetime): return 'datetime'
    @kind.register
    def _(value: date): return 'date'
    assert [kind(a), kind(d), kind(3), kind(mine)] == ['datetime', 'date', 'other', 'datetime']

    wrong = []
    for make in (lambda: datetime(2024, 13, 1), lambda: datetime.now('x'), lambda: datetime(), lambda: date(2024, 1, 1, 1)):
        try: make()
        except (ValueError, TypeError) as error: wrong.append(type(error).__name__)
    assert wrong == ['ValueError', 'TypeError', 'TypeError', 'TypeError']
"""


def test_dates_work_as_they_do(rig):
    after = (
        DATES
        + "    FINAL(pickle.dumps([a, d, mine.replace(tzinfo=timezone.utc).timestamp(), a.replace(fold=1)]).hex())"
    )
    readings = []
    (first, outside) = answers(rig, after, after, repeats=[Repeat("a", took=readings.extend), None])
    assert answers(rig, after, repeats=[Repeat("a", readings)]) == [first]
    # A pickle names nothing that only a worker has.
    moment, day, _, folded = pickle.loads(bytes.fromhex(first))
    assert type(moment) is datetime
    assert type(day) is date
    assert (moment.timestamp(), folded.fold) == (readings[0] // 1000 / 1e6, 1)
    assert outside != first


def test_other_modules_take_the_dates(rig):
    cell = """
        import calendar, email.utils, sqlite3, statistics, time, warnings, zoneinfo
        from datetime import date, datetime, timezone
        warnings.simplefilter("ignore")
        now = datetime.now(timezone.utc)
        table = sqlite3.connect(":memory:", detect_types=sqlite3.PARSE_DECLTYPES)
        table.execute("create table t (at timestamp, day date)")
        table.execute("insert into t values (?, ?)", (datetime(2024, 1, 2, 3), date.today()))
        at, day = table.execute("select * from t").fetchone()
        there = now.astimezone(zoneinfo.ZoneInfo("Europe/Berlin"))
        FINAL([at == datetime(2024, 1, 2, 3), day == date.today(), there == now, datetime.now(there.tzinfo) > now,
               len(calendar.month(2024, 2)) > 10, email.utils.localtime() > now])
    """
    assert answers(rig, cell, repeats=[Repeat("a")]) == [[True] * 6]
