"""What a replay cannot repeat, by its dotted name: a table, with what to write instead.

`TABLE` names single functions and attributes, `FAMILIES` whole modules and classes of them; the longest name that
fits is meant, and `HARMLESS` goes before both.
"""

import ast
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from sojourn.checking.findings import Severity

__all__ = ["Hazard", "hazard_of"]


@dataclass(frozen=True)
class Hazard:
    """Something that is not the same in every replay.

    `what` is said behind its name. `applies` tells by the call whether it is one, as some are by their arguments;
    `is_read` says that it is one without being called.
    """

    rule: str
    what: str
    instead: str
    severity: Severity = Severity.ERROR
    applies: Callable[[ast.Call], bool] | None = None
    is_read: bool = False


def hazard_of(path: str) -> Hazard | None:
    """Return the hazard that a dotted name is, if it is one."""
    if path in TABLE:
        return TABLE[path]
    if path in HARMLESS or path.endswith(_ERRORS) or "()" in path.rpartition(".")[0]:
        return _of_instance(path)
    parts = path.split(".")
    families = (".".join(parts[:length]) for length in range(len(parts) - 1, 0, -1))
    return next((FAMILIES[each] for each in families if each in FAMILIES), None)


def _of_instance(path: str) -> Hazard | None:
    """Return what a method is by its class alone: that of a generator with a seed is none."""
    form, _, name = path.rpartition(".")
    return None if name in _HARMLESS_METHODS.get(form, ()) else INSTANCES.get(form)


_ERRORS: Final = ("Error", "Exception", "Expired", "Warning", "timeout")
"""How the names of exceptions end, which families have as well: to raise one is no hazard."""

# --- arguments that make the difference ----------------------------------------------------------------


def _argument(call: ast.Call, place: int, name: str) -> ast.expr | None:
    """Return an argument by its place (-1: it has none) or its name."""
    named = next((word.value for word in call.keywords if word.arg == name), None)
    return call.args[place] if named is None and 0 <= place < len(call.args) else named


def _is_certain(call: ast.Call) -> bool:
    """Tell whether its arguments are those that are written there."""
    return all(word.arg for word in call.keywords) and not any(
        isinstance(each, ast.Starred) for each in call.args
    )


def _without(place: int, name: str) -> Callable[[ast.Call], bool]:
    """Hold for calls without an argument."""
    return lambda call: _is_certain(call) and _argument(call, place, name) is None


def _with(place: int, name: str, harmless: object = None) -> Callable[[ast.Call], bool]:
    """Hold for calls with an argument that is something else than a harmless one."""

    def holds(call: ast.Call) -> bool:
        given = _argument(call, place, name)
        is_harmless = isinstance(given, ast.Constant) and given.value in {None, harmless}
        return _is_certain(call) and given is not None and not is_harmless

    return holds


def _is_no_number(call: ast.Call) -> bool:
    """Hold for `hash` of anything but a number, which is the number's own."""
    return not (
        call.args
        and isinstance(call.args[0], ast.Constant)
        and isinstance(call.args[0].value, int | float)
    )


# --- the table -----------------------------------------------------------------------------------------


def _each(names: Iterable[str], hazard: Hazard, before: str = "") -> dict[str, Hazard]:
    return dict.fromkeys((f"{before}{name}" for name in names), hazard)


_NOW: Final = Hazard("clock", "reads the host's clock", "Write ctx.now()")
_NOW_BARE: Final = Hazard(_NOW.rule, _NOW.what, _NOW.instead, applies=_without(0, "secs"))
_ZONE: Final = Hazard(
    "outside",
    "goes by the host's time zone",
    "Name the time zone: tz=UTC",
    applies=_without(1, "tz"),
)
_LIMIT: Final = "Write async with ctx.timeout(seconds) around it"
_TIMED: Final = "waits by the host's clock"
_CHANCE: Final = Hazard(
    "chance", "comes out otherwise in a replay", "Write ctx.random(), or draw it in a step"
)
_UUID: Final = Hazard("chance", _CHANCE.what, "Write ctx.uuid()")
_SECRET: Final = Hazard("chance", _CHANCE.what, "Draw secrets in a step")
_UNSEEDED: Final = Hazard(
    "chance",
    "is seeded by chance",
    "Give it a seed, such as ctx.random()",
    applies=_without(0, "seed"),
)
_OUTSIDE: Final = Hazard(
    "outside", "reaches outside, which a replay would do again", "Put it into a step"
)
_HOST: Final = Hazard(
    "outside", "is another on each host", "Read it in a step, or put it into memory"
)
_SEEN: Final = Hazard("outside", _HOST.what, _HOST.instead, is_read=True)
_THREAD: Final = Hazard(
    "outside", "runs beside run, in no order that a replay could repeat", "Put it into a step"
)
_LOG: Final = Hazard(
    "outside",
    "goes to the host's log, again in each replay",
    "Write ctx.log(text, **fields)",
    Severity.WARNING,
)
_STREAM: Final = Hazard(_LOG.rule, _LOG.what, _LOG.instead, _LOG.severity, is_read=True)

TABLE: Final[dict[str, Hazard]] = {
    # clocks
    **_each(
        ("time", "monotonic", "perf_counter", "process_time", "thread_time", "clock_gettime"),
        _NOW,
        before="time.",
    ),
    **_each(
        (
            *("time_ns", "monotonic_ns", "perf_counter_ns", "process_time_ns", "thread_time_ns"),
            "clock_gettime_ns",
        ),
        _NOW,
        before="time.",
    ),
    **_each(("ctime", "gmtime", "localtime", "asctime"), _NOW_BARE, before="time."),
    "time.strftime": Hazard("clock", _NOW.what, _NOW.instead, applies=_without(1, "t")),
    "time.sleep": Hazard(
        "clock", "holds up every agent of the host", "Write await ctx.sleep(seconds)"
    ),
    **_each(("now", "utcnow", "today"), _NOW, before="datetime.datetime."),
    "datetime.date.today": Hazard("clock", _NOW.what, "Write ctx.now().date()"),
    "datetime.datetime.fromtimestamp": _ZONE,
    "datetime.datetime().astimezone": Hazard(
        _ZONE.rule, _ZONE.what, _ZONE.instead, applies=_without(0, "tz")
    ),
    "time.mktime": Hazard(_ZONE.rule, _ZONE.what, "Use calendar.timegm"),
    **_each(("arrow.now", "arrow.utcnow", "pendulum.now", "pendulum.today"), _NOW),
    **_each(("pandas.Timestamp.now", "pandas.Timestamp.today", "pandas.Timestamp.utcnow"), _NOW),
    # waiting by the clock, most of which an agent's event loop refuses
    "asyncio.sleep": Hazard(
        "clock", _TIMED, "Write await ctx.sleep(seconds)", applies=_with(0, "delay", harmless=0)
    ),
    "asyncio.timeout": Hazard("clock", _TIMED, _LIMIT, applies=_with(0, "delay")),
    "asyncio.timeout_at": Hazard("clock", _TIMED, _LIMIT, applies=_with(0, "when")),
    "asyncio.wait_for": Hazard("clock", _TIMED, _LIMIT, applies=_with(1, "timeout")),
    "asyncio.wait": Hazard("clock", _TIMED, _LIMIT, applies=_with(-1, "timeout")),
    "asyncio.AbstractEventLoop().time": _NOW,
    **_each(
        ("call_later", "call_at"),
        Hazard("clock", _TIMED, "Write await ctx.sleep(seconds)"),
        before="asyncio.AbstractEventLoop().",
    ),
    # chance
    "random.Random": Hazard(
        _UNSEEDED.rule, _UNSEEDED.what, _UNSEEDED.instead, applies=_without(0, "x")
    ),
    **_each(("default_rng", "RandomState", "SeedSequence"), _UNSEEDED, before="numpy.random."),
    **_each(("PCG64", "MT19937", "Philox", "SFC64"), _UNSEEDED, before="numpy.random."),
    **_each(("uuid1", "uuid4", "uuid6", "uuid7", "getnode"), _UUID, before="uuid."),
    "os.urandom": _SECRET,
    "os.getrandom": _SECRET,
    # the world outside
    **_each(("open", "input", "breakpoint"), _OUTSIDE, before="builtins."),
    **_each(("io.open", "codecs.open"), _OUTSIDE),
    "builtins.print": _LOG,
    **_each(("os.environ", "os.environb", "sys.argv", "sys.stdin"), _SEEN),
    **_each(("sys.stdout", "sys.stderr"), _STREAM),
    **_each(
        ("debug", "info", "warning", "error", "exception", "critical", "log"),
        _LOG,
        before="logging.",
    ),
    **_each(
        ("exists", "lexists", "isfile", "isdir", "islink", "ismount", "getsize", "getmtime"),
        _OUTSIDE,
        before="os.path.",
    ),
    **_each(
        ("getatime", "getctime", "samefile", "realpath", "abspath", "expanduser", "expandvars"),
        _HOST,
        before="os.path.",
    ),
    **_each(("cwd", "home"), _HOST, before="pathlib.Path."),
    **_each(
        ("version", "metadata", "distribution", "distributions", "entry_points"),
        _HOST,
        before="importlib.metadata.",
    ),
    # the event loop, beside what it refuses
    **_each(
        ("create_subprocess_exec", "create_subprocess_shell", "open_connection", "start_server"),
        _OUTSIDE,
        before="asyncio.",
    ),
    **_each(("open_unix_connection", "start_unix_server", "run"), _OUTSIDE, before="asyncio."),
    **_each(("to_thread", "run_coroutine_threadsafe"), _THREAD, before="asyncio."),
    "asyncio.as_completed": Hazard(
        "order", "begins what it is given in no certain order", "Use asyncio.gather or asyncio.wait"
    ),
    # clients that have more than clients in their modules
    **_each(
        ("litellm.completion", "litellm.acompletion", "litellm.embedding", "litellm.aembedding"),
        _OUTSIDE,
    ),
    **_each(("sqlalchemy.create_engine", "sqlalchemy.ext.asyncio.create_async_engine"), _OUTSIDE),
    # identity
    "builtins.id": Hazard(
        "identity", "is an address, another in each process", "Use a name or a number of your own"
    ),
    "builtins.hash": Hazard(
        "identity",
        "of text is another in each process",
        "Use hashlib, or zlib.crc32",
        applies=_is_no_number,
    ),
}

FAMILIES: Final[dict[str, Hazard]] = {
    **_each(("random", "numpy.random"), _CHANCE),
    "secrets": _SECRET,
    **_each(
        ("os", "shutil", "tempfile", "glob", "fileinput", "mmap", "fcntl", "dbm", "shelve"),
        _OUTSIDE,
    ),
    **_each(("subprocess", "pty", "signal", "webbrowser"), _OUTSIDE),
    **_each(("socket", "ssl", "select", "selectors", "socketserver"), _OUTSIDE),
    **_each(("urllib.request", "http.client", "http.server", "xmlrpc.client"), _OUTSIDE),
    **_each(("ftplib", "smtplib", "imaplib", "poplib"), _OUTSIDE),
    **_each(("requests", "httpx", "aiohttp", "urllib3", "websockets", "websocket"), _OUTSIDE),
    **_each(("boto3", "openai", "anthropic", "ollama", "paramiko"), _OUTSIDE),
    **_each(("sqlite3", "aiosqlite", "apsw", "psycopg", "psycopg2", "asyncpg"), _OUTSIDE),
    **_each(("pymongo", "redis"), _OUTSIDE),
    **_each(("platform", "locale", "getpass", "psutil"), _HOST),
    **_each(("threading", "_thread", "multiprocessing", "concurrent.futures"), _THREAD),
}

INSTANCES: Final[dict[str, Hazard]] = {
    "asyncio.AbstractEventLoop()": _OUTSIDE,
    "logging.Logger()": _LOG,
    "pathlib.Path()": _OUTSIDE,
}
_HARMLESS_METHODS: Final = {
    "asyncio.AbstractEventLoop()": frozenset(
        ("create_task", "create_future", "call_soon", "is_running", "is_closed", "get_debug")
    ),
    "logging.Logger()": frozenset(
        ("bind", "getChild", "hasHandlers", "isEnabledFor", "getEffectiveLevel", "unbind", "name")
    ),
    "pathlib.Path()": frozenset(
        (
            *("as_posix", "as_uri", "is_absolute", "is_relative_to", "joinpath", "match"),
            *("full_match", "relative_to", "with_name", "with_stem", "with_suffix"),
            *("with_segments", "name", "stem", "suffix", "suffixes", "parent", "parents"),
            *("parts", "anchor", "drive", "root", "is_reserved"),
        )
    ),
}
HARMLESS: Final = frozenset(
    (
        *("os.fspath", "os.fsencode", "os.fsdecode", "os.path", "os.PathLike"),
        *(f"os.path.{each}" for each in ("join", "basename", "dirname", "split", "splitext")),
        *(f"os.path.{each}" for each in ("normpath", "normcase", "isabs", "commonpath")),
        *(f"os.path.{each}" for each in ("commonprefix", "splitdrive")),
        *("glob.escape", "glob.has_magic", "glob.translate"),
        *("random.Random", "numpy.random.Generator", "numpy.random.BitGenerator"),
        *("signal.Signals", "ssl.SSLContext"),
        *("socket.htonl", "socket.htons", "socket.ntohl", "socket.ntohs"),
        *("socket.inet_aton", "socket.inet_ntoa", "socket.inet_pton", "socket.inet_ntop"),
        *("threading.Lock", "threading.RLock", "requests.Request", "httpx.URL", "httpx.Request"),
    )
)
"""What such modules have that is a function of its arguments, or of no consequence."""
