"""What is known of Python's own functions and methods: which only look, which change what they are given, which reach out.

A method that is not listed may change its object: what is wrongly kept costs little, what is wrongly left out breaks
a program.
"""

from __future__ import annotations


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


LOOKING = _words(
    """
    capitalize casefold center count decode encode endswith expandtabs find format format_map index isalnum
    isalpha isascii isdecimal isdigit isidentifier islower isnumeric isprintable isspace istitle isupper join
    ljust lower lstrip maketrans partition removeprefix removesuffix replace rfind rindex rjust rpartition
    rsplit rstrip split splitlines startswith strip swapcase title translate upper zfill hex get items keys
    values copy union intersection difference symmetric_difference issubset issuperset isdisjoint most_common
    elements total findall finditer fullmatch match search sub subn group groups groupdict start end span
    chunks grep lines read_text read_bytes exists is_file is_dir iterdir glob rglob resolve relative_to
    with_suffix with_name as_posix stat joinpath absolute expanduser date time isoformat strftime timestamp
    weekday isoweekday isocalendar total_seconds astimezone as_integer_ratio is_integer bit_length conjugate
    doc files
    """
)
"""Methods that leave their object as it was."""

PRINTING = frozenset({"print", "log", "SHOW_VARS", "pprint.pprint", "pprint.pp", "display"})
"""Calls for the eyes alone."""

CHANGING_ARGUMENTS = _words(
    """
    random.shuffle heapq.heappush heapq.heappop heapq.heapify heapq.heappushpop heapq.heapreplace
    bisect.insort bisect.insort_left bisect.insort_right setattr delattr next operator.setitem
    operator.delitem operator.iadd
    """
)

REACHING_OUT = _words(
    """
    memory.write approve os.remove os.unlink os.rename os.replace os.mkdir os.makedirs os.rmdir os.removedirs
    os.chdir os.chmod os.system os.popen os.symlink os.link os.putenv os.truncate os.utime os.write os._exit
    os.kill exit quit sys.exit sys.setrecursionlimit random.seed json.dump pickle.dump csv.writer
    csv.DictWriter warnings.filterwarnings warnings.simplefilter locale.setlocale urllib.request.urlopen input
    breakpoint
    """
)
REACHING_MODULES = (
    "shutil.",
    "subprocess.",
    "socket.",
    "smtplib.",
    "ftplib.",
    "sqlite3.",
    "requests.",
    "logging.",
)
REACHING_METHODS = _words(
    """
    write_text write_bytes mkdir unlink rename touch rmdir symlink_to hardlink_to chmod writestr extractall
    """
)
"""Calls that change more than a value; such a statement stays, whatever becomes of its result."""

DYNAMIC = frozenset({"globals", "locals", "vars", "eval", "exec", "compile", "__import__", "dir"})
"""Calls that may read any name."""

READING_FILES = _words(
    """
    open read_text read_bytes iterdir glob rglob os.listdir os.walk os.scandir glob.glob glob.iglob
    linecache.getline fileinput.input
    """
)

FRESH = _words(
    """
    len sum min max abs round int float str bool bytes repr ascii hash ord chr any all isinstance issubclass
    range type format divmod pow id callable hasattr
    """
)
"""Builtins whose result shares nothing with their arguments that could be changed."""

HOLDING = _words(
    "list sorted tuple set frozenset dict zip enumerate reversed map filter iter deque collections.deque"
)
"""Those whose result is new and has parts of their arguments in it."""

SEARCHING_REGEX = frozenset({"findall", "finditer", "fullmatch", "match", "search"})
SEARCHING_TEXT = frozenset({"find", "rfind", "index", "rindex", "count", "startswith", "endswith", "grep"})


def reaches_out(name: str) -> bool:
    """Whether a call, by its dotted name, changes more than a value."""
    return (
        name in REACHING_OUT
        or name.startswith(REACHING_MODULES)
        or name.rpartition(".")[2] in REACHING_METHODS
    )
