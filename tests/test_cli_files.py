"""``-o FILE``, standard output and standard error: replaced, written to, closed, full, planted."""

from __future__ import annotations

import json
import os
import shutil
import signal
import stat
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from cli_process import HANG_GUARD, Result, command, environment, on_terminal, only_line, run
from tracing import untraced

pytest.importorskip("rich")

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX files and signals")
linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc and /dev/full")
not_root = pytest.mark.skipif(
    hasattr(os, "geteuid") and os.geteuid() != 0, reason="needs root, to be another user"
)

LIST = ("list", "--demo", "3", "--format", "jsonl")
FORMATS = ["table", "json", "jsonl", "csv", "parquet"]
OLD = b"what was there\n"


def in_shell(script: str, *arguments: str, setup: str | None = None) -> Result:
    """Runs ``script``, in which ``"$@"`` is the command."""
    done = subprocess.run(
        ["sh", "-c", script, "sh", sys.executable, *command(*arguments, setup=setup)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        env=environment(),
        timeout=HANG_GUARD,
        check=False,
    )
    return Result(done.returncode, done.stdout, done.stderr.decode())


def needs(name: str) -> None:
    if name == "parquet":
        pytest.importorskip("pyarrow")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


# --- a file that is replaced ---------------------------------------------------------------------


def test_a_planted_link_is_not_followed(tmp_path: Path) -> None:
    """Whatever name it writes to first is made by it, and cannot have been there before."""
    victim = tmp_path / "victim"
    victim.write_bytes(OLD)
    folder = tmp_path / "shared"
    folder.mkdir()
    # The name of old, for every process that there can be from here on.
    plant = f"""
import os
for pid in (os.getpid(), os.getppid()):
    os.symlink({str(victim)!r}, f"{folder}/out.{{pid}}.part")
server = simulated_server(3)
"""
    result = run(*LIST, "-o", str(folder / "out"), setup=plant)
    assert result.code == 0, result
    assert victim.read_bytes() == OLD
    assert not (folder / "out").is_symlink()


def test_the_first_name_cannot_be_guessed_or_shared(tmp_path: Path) -> None:
    seen = f"""
import os
real = os.open
def watched(path, flags, *rest, **options):
    if str(path).startswith({str(tmp_path)!r}):
        print("OPEN", path, bool(flags & os.O_EXCL), bool(flags & os.O_CREAT), file=sys.stderr)
    return real(path, flags, *rest, **options)
os.open = watched
server = simulated_server(3)
"""
    names = set()
    for _ in range(2):
        result = run(*LIST, "-o", str(tmp_path / "out"), setup=seen)
        (opened,) = [line.split()[1:] for line in result.err.splitlines() if "OPEN" in line]
        assert opened[1:] == ["True", "True"]
        assert os.path.dirname(opened[0]) == str(tmp_path)
        names.add(opened[0])
    assert len(names) == 2


@pytest.mark.parametrize("permissions", [0o600, 0o640, 0o644, 0o666])
@pytest.mark.parametrize("name", ["jsonl", "parquet"])
def test_permissions_of_an_existing_file_are_kept(
    permissions: int, name: str, tmp_path: Path
) -> None:
    needs(name)
    file = tmp_path / "out"
    file.write_bytes(OLD)
    file.chmod(permissions)
    assert run("list", "--demo", "--format", name, "-o", str(file)).code == 0
    assert file.read_bytes() != OLD
    assert mode(file) == permissions


@pytest.mark.parametrize(("mask", "expected"), [("022", 0o644), ("077", 0o600), ("002", 0o664)])
def test_a_new_file_has_what_the_umask_leaves(mask: str, expected: int, tmp_path: Path) -> None:
    result = in_shell(f'umask {mask}; exec "$@"', *LIST, "-o", str(tmp_path / "out"))
    assert result.code == 0, result
    assert mode(tmp_path / "out") == expected


@not_root
def test_owner_and_group_are_kept(tmp_path: Path) -> None:
    file = tmp_path / "out"
    file.write_bytes(OLD)
    os.chown(file, 1234, 4321)
    file.chmod(0o640)
    assert run(*LIST, "-o", str(file)).code == 0
    assert (file.stat().st_uid, file.stat().st_gid, mode(file)) == (1234, 4321, 0o640)


@linux
def test_attributes_of_users_are_kept(tmp_path: Path) -> None:
    file = tmp_path / "out"
    file.write_bytes(OLD)
    try:
        os.setxattr(file, "user.note", b"kept")
    except OSError:
        pytest.skip("this file system has no user attributes")
    assert run(*LIST, "-o", str(file)).code == 0
    assert os.getxattr(file, "user.note") == b"kept"


def test_a_link_is_written_through(tmp_path: Path) -> None:
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    target = folder / "target"
    target.write_bytes(OLD)
    target.chmod(0o600)
    (tmp_path / "second").symlink_to("elsewhere/target")
    link = tmp_path / "link"
    link.symlink_to("second")
    assert run(*LIST, "-o", str(link)).code == 0
    assert link.is_symlink()
    assert target.read_bytes().count(b"\n") == 3
    assert mode(target) == 0o600
    assert os.listdir(folder) == ["target"]


def test_a_link_that_leads_nowhere_is_refused(tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to("not there")
    result = run(*LIST, "-o", str(link))
    assert result.code == 2
    assert "which does not exist" in only_line(result)
    assert os.listdir(tmp_path) == ["link"]


def test_links_that_lead_round_are_refused(tmp_path: Path) -> None:
    (tmp_path / "one").symlink_to("two")
    (tmp_path / "two").symlink_to("one")
    result = run(*LIST, "-o", str(tmp_path / "one"))
    assert result.code == 2
    assert "circle" in only_line(result)


@not_root
@pytest.mark.parametrize("planted", ["link", "file"])
def test_what_another_user_planted_in_a_shared_folder_is_refused(
    planted: str, tmp_path: Path
) -> None:
    """As the kernel refuses to open it, where links are followed by it (/tmp)."""
    victim = tmp_path / "victim"
    victim.write_bytes(OLD)
    folder = tmp_path / "shared"
    folder.mkdir()
    folder.chmod(0o1777)
    out = folder / "out"
    if planted == "link":
        out.symlink_to(victim)
    else:
        out.write_bytes(OLD)
    os.chown(out, 1234, 1234, follow_symlinks=False)
    result = run(*LIST, "-o", str(out))
    assert result.code == 2
    assert "another user" in only_line(result)
    assert victim.read_bytes() == out.read_bytes() == OLD


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("", "needs the name of a file"),
        ("no/such/out", "there is no folder"),
        (".", "folder"),
        ("folder", "folder"),
        ("folder/", "folder"),
        ("folder/..", "folder"),
        ("file/out", "not a directory"),
        ("n" * 300, "too long"),
    ],
)
def test_names_that_are_no_file(name: str, says: str, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_bytes(OLD)
    result = run(*LIST, "-o", f"{tmp_path}/{name}" if name else "")
    assert result.code == 2
    assert says in only_line(result).lower()
    assert sorted(os.listdir(tmp_path)) == ["file", "folder"]


def without_privileges(*arguments: str) -> Result:
    """Runs the command as a root that permissions hold for, and who can give no file away."""
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        pytest.skip("needs setpriv (util-linux)")
    dropped = "-dac_override,-dac_read_search,-chown,-fowner"
    done = subprocess.run(
        [setpriv, "--bounding-set", dropped, sys.executable, *command(*arguments)],
        capture_output=True,
        env=environment(),
        timeout=HANG_GUARD,
        check=False,
    )
    return Result(done.returncode, done.stdout, done.stderr.decode())


@not_root
def test_a_folder_that_is_read_only_is_named(tmp_path: Path) -> None:
    file = tmp_path / "out"
    file.write_bytes(OLD)
    tmp_path.chmod(0o555)
    result = without_privileges(*LIST, "-o", str(file))
    tmp_path.chmod(0o755)
    assert result.code == 2
    assert f"no file can be made in its folder {tmp_path}" in only_line(result)
    assert "> FILE" in only_line(result)
    assert file.read_bytes() == OLD


@not_root
def test_a_file_that_is_write_protected_is_not_replaced(tmp_path: Path) -> None:
    file = tmp_path / "out"
    file.write_bytes(OLD)
    file.chmod(0o444)
    result = without_privileges(*LIST, "-o", str(file))
    assert result.code == 2
    assert "write-protected" in only_line(result)
    assert file.read_bytes() == OLD


@not_root
def test_another_group_than_the_files_gets_what_others_have(tmp_path: Path) -> None:
    file = tmp_path / "out"
    file.write_bytes(OLD)
    os.chown(file, 1234, 4321)
    file.chmod(0o662)
    tmp_path.chmod(0o777)
    assert without_privileges(*LIST, "-o", str(file)).code == 0
    assert (file.stat().st_uid, file.stat().st_gid, mode(file)) == (0, 0, 0o622)


@not_root
def test_a_file_that_only_its_owner_may_replace_is_refused_before_anything_is_asked() -> None:
    """In a folder with the sticky bit, as another user than the file's and the folder's."""
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        pytest.skip("needs setpriv (util-linux)")
    kept = "+dac_override,+dac_read_search"  # to get to the interpreter, wherever it is
    other = ("--reuid", "4242", "--regid", "4343", "--clear-groups")
    caps = ("--inh-caps", kept, "--ambient-caps", kept)
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:  # pytest's are nobody else's to enter
        os.chown(folder, 1234, 4343)
        os.chmod(folder, 0o1775)
        file = Path(folder, "out")
        file.write_bytes(OLD)
        file.chmod(0o666)
        done = subprocess.run(
            [setpriv, *other, *caps, sys.executable, *command(*LIST, "-o", str(file))],
            capture_output=True,
            env=environment(),
            timeout=HANG_GUARD,
            check=False,
        )
        assert file.read_bytes() == OLD
    assert done.returncode == 2
    assert b"only its owner may replace it" in done.stderr
    assert b"simulated" not in done.stderr  # said when a server is asked


def acl(*entries: tuple[int, int, int]) -> bytes:
    """An ACL as Linux keeps it: tag, permissions, id; the tags are those of linux/posix_acl.h."""
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)


NOBODY = 0xFFFFFFFF
OWNER, USER, GROUP, MASK, OTHER = 1, 2, 4, 16, 32
ACL = "system.posix_acl_access"


@linux
@pytest.mark.parametrize("has_one", [False, True])
def test_a_file_keeps_its_acl_and_gets_none_from_its_folder(has_one: bool, tmp_path: Path) -> None:
    """A folder may say that another user can read what is new in it; this file is not new."""
    rest = ((GROUP, 4, NOBODY), (MASK, 7, NOBODY), (OTHER, 0, NOBODY))
    file = tmp_path / "out"
    file.write_bytes(OLD)
    file.chmod(0o660)
    own = acl((OWNER, 6, NOBODY), (USER, 4, 777), *rest)
    try:
        if has_one:
            os.setxattr(file, ACL, own)
        folders = acl((OWNER, 7, NOBODY), (USER, 6, 4242), *rest)
        os.setxattr(tmp_path, "system.posix_acl_default", folders)
    except OSError:
        pytest.skip("this file system has no ACLs")
    assert run(*LIST, "-o", str(file)).code == 0
    assert file.read_bytes() != OLD
    if has_one:
        assert os.getxattr(file, ACL) == own
    else:
        assert ACL not in os.listxattr(file)
        assert mode(file) == 0o660


@linux
@pytest.mark.parametrize("number", ["99999999999999999999", "٣"])
def test_no_number_of_a_descriptor(number: str) -> None:
    result = run(*LIST, "-o", f"/dev/fd/{number}")
    assert result.code == 2
    assert f"cannot write /dev/fd/{number}" in only_line(result)


def test_two_at_once_are_each_whole(tmp_path: Path) -> None:
    file = tmp_path / "out"
    started = [
        subprocess.Popen(
            [sys.executable, *command("list", "--demo", n, "--format", "json", "-o", str(file))],
            stderr=subprocess.DEVNULL,
            env=environment(),
        )
        for n in ("20000", "30000", "20000", "30000")
    ]
    assert [process.wait(HANG_GUARD) for process in started] == [0] * 4
    assert len(json.loads(file.read_bytes())) in (20000, 30000)
    assert os.listdir(tmp_path) == ["out"]


@pytest.mark.parametrize(
    ("name", "begins"),
    [
        ("x.json", b"[\n"),
        ("x.jsonl", b"{"),
        ("x.ndjson", b"{"),
        ("x.CSV", b"client_name,"),
        ("x.parquet", b"PAR1"),
        ("x.txt", b"CLIENT "),
        ("x", b"CLIENT "),
        (".json", b"CLIENT "),
    ],
)
def test_the_format_follows_from_the_name(name: str, begins: bytes, tmp_path: Path) -> None:
    needs("parquet" if "parquet" in name else "")
    assert run("list", "--demo", "3", "-o", str(tmp_path / name)).code == 0
    assert (tmp_path / name).read_bytes().startswith(begins)


@pytest.mark.parametrize(
    ("name", "said"), [("x.json", "csv"), ("x.csv", "table"), ("x.parquet", "jsonl")]
)
def test_a_format_that_contradicts_the_name_is_refused(
    name: str, said: str, tmp_path: Path
) -> None:
    result = run("list", "--demo", "--format", said, "-o", str(tmp_path / name))
    assert result.code == 2
    assert f"--format {said}: leave one out" in only_line(result)
    assert os.listdir(tmp_path) == []
    same = name.partition(".")[2]
    needs(same)
    assert run("list", "--demo", "--format", same, "-o", str(tmp_path / name)).code == 0


# --- ended from outside --------------------------------------------------------------------------

# Hangs after its first page; ends where ``go`` appears.
STUCK = """
import signal, time, os
from netsession._simulator import Simulator
{prologue}
class Stuck(SimulatedServer):
    def sessions(self, **options):
        query = super().sessions(**options)
        pages = query.pages
        def stuck():
            for page in pages():
                yield page
                while not os.path.exists({go!r}):
                    time.sleep(0.01)
        query.pages = stuck
        return query
server = Stuck(Simulator(30, 10))
"""


def written(folder: Path) -> bool:
    return any(file.stat().st_size for file in folder.glob(".netsession-*.part"))


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + HANG_GUARD
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize(
    "name", ["SIGTERM", "SIGHUP", "SIGQUIT", "SIGINT", "SIGXCPU", "SIGALRM", "SIGUSR1", "SIGUSR2"]
)
def test_a_signal_leaves_nothing_behind(name: str, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    file = folder / "out"
    file.write_bytes(OLD)
    # Whatever the tests' own process ignores, as under nohup.
    prologue = (
        f"import resource; resource.setrlimit(resource.RLIMIT_CORE, (0, 0))\n"
        f"signal.signal(signal.{name}, "
        f"signal.default_int_handler if {name!r} == 'SIGINT' else signal.SIG_DFL)"
    )
    setup = STUCK.format(go=str(tmp_path / "go"), prologue=prologue)
    with subprocess.Popen(
        [sys.executable, *command(*LIST, "-o", str(file), setup=setup)],
        stderr=subprocess.DEVNULL,
        env=environment(),
    ) as process:
        until(lambda: written(folder))
        number = int(getattr(signal, name))
        process.send_signal(number)
        # Ended by the signal, as whoever sent it expects; but Ctrl-C has an exit code.
        assert process.wait(HANG_GUARD) == (130 if name == "SIGINT" else -number)
    assert os.listdir(folder) == ["out"]
    assert file.read_bytes() == OLD


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_a_signal_that_is_ignored_stays_ignored(name: str, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    go = tmp_path / "go"
    prologue = f"signal.signal(signal.{name}, signal.SIG_IGN)"
    setup = STUCK.format(go=str(go), prologue=prologue)
    with subprocess.Popen(
        [sys.executable, *command(*LIST, "-o", str(folder / "out"), setup=setup)],
        stderr=subprocess.DEVNULL,
        env=environment(),
    ) as process:
        until(lambda: written(folder))
        process.send_signal(getattr(signal, name))
        go.touch()
        assert process.wait(HANG_GUARD) == 0
    assert (folder / "out").read_bytes().count(b"\n") == 30


# --- what is written to as it stands -------------------------------------------------------------


@pytest.mark.parametrize("name", ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1", "a link"])
@pytest.mark.parametrize("redirection", [">>log", "1<>log"])
def test_a_redirected_log_keeps_what_was_in_it(name: str, redirection: str, tmp_path: Path) -> None:
    if name.startswith("/proc") and not os.path.exists(name):
        pytest.skip("needs /proc")
    log = tmp_path / "log"
    log.write_bytes(OLD)
    if name == "a link":
        (tmp_path / "link").symlink_to("/dev/stdout")
        name = str(tmp_path / "link")
    script = f'cd {tmp_path}; echo before {redirection}; "$@" {redirection}; echo $? >>log'
    result = in_shell(script, *LIST, "-o", name)
    assert not result.out
    lines = log.read_bytes().splitlines()
    if redirection == ">>log":
        assert lines[:2] == [OLD.strip(), b"before"]
        assert (len(lines), lines[-1]) == (6, b"0")
    else:  # written from the start, as the shell was told
        assert lines[0].startswith(b"{")
        assert lines[-1] == b"0"
    assert sorted(set(os.listdir(tmp_path)) - {"link"}) == ["log"]


@pytest.mark.parametrize("name", FORMATS)
def test_a_pipe_is_written_to(name: str, tmp_path: Path) -> None:
    needs(name)
    direct = tmp_path / "direct"
    assert run("list", "--demo", "3", "--format", name, "-o", str(direct)).code == 0
    for place in ("/dev/stdout", "/dev/fd/1", "-"):
        result = run("list", "--demo", "3", "--format", name, "-o", place)
        assert (result.code, result.out) == (0, direct.read_bytes()), result


def test_other_descriptors_are_written_to(tmp_path: Path) -> None:
    script = f'cd {tmp_path}; echo old >log; exec 5>>log; "$@"'
    assert in_shell(script, *LIST, "-o", "/dev/fd/5").code == 0
    assert (tmp_path / "log").read_bytes().startswith(b"old\n{")
    assert (tmp_path / "log").read_bytes().count(b"\n") == 4
    result = in_shell('"$@"', *LIST, "-o", "/dev/stderr")
    assert result.err.count('{"client_name"') == 3
    for script in ('exec "$@" 5</dev/null', 'exec "$@" 5>&-'):
        result = in_shell(script, *LIST, "-o", "/dev/fd/5")
        assert result.code == 2
        assert "cannot write /dev/fd/5" in only_line(result)


@linux
def test_another_processs_descriptor_is_not_replaced(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with open(log, "wb", buffering=0) as stream:
        stream.write(OLD)
        place = f"/proc/{os.getpid()}/fd/{stream.fileno()}"
        assert run(*LIST, "-o", place).code == 0
        inode = os.fstat(stream.fileno()).st_ino
    assert log.stat().st_ino == inode
    assert log.read_bytes().startswith(OLD + b"{")


@pytest.mark.parametrize("name", ["jsonl", "parquet"])
def test_a_fifo_is_written_to(name: str, tmp_path: Path) -> None:
    needs(name)
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(fifo.read_bytes()), daemon=True)
    reader.start()
    result = run("list", "--demo", "3", "--format", name, "-o", str(fifo))
    reader.join(HANG_GUARD)
    assert result.code == 0
    assert stat.S_ISFIFO(fifo.stat().st_mode)
    assert read[0][:4] == (b"PAR1" if name == "parquet" else b'{"cl')


def test_a_terminal_is_one_however_it_is_named() -> None:
    hostile = "server = simulated_server([{'user_name': 'a\\x1b[31mb'}])"
    for place in ("/dev/stdout", "/dev/tty", "/dev/fd/2"):
        for name in ("table", "csv"):
            arguments = ("list", "--demo", "--format", name, "-o", place)
            shown = on_terminal(*arguments, setup=hostile).text
            assert "\\x1b[31mb" in shown
            assert "a\x1b[31mb" not in shown


@linux
@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("way", ["-o /dev/full", ">/dev/full", "-o /dev/stdout >/dev/full"])
def test_a_full_device_is_one_line(name: str, way: str) -> None:
    needs(name)
    if name == "parquet" and way.startswith(">"):
        pytest.skip("parquet wants -o")
    result = in_shell(f'exec "$@" {way}', "list", "--demo", "3000", "--format", name)
    assert result.code == 2
    assert "No space left on device" in only_line(result)


@linux
@untraced  # what coverage writes may not grow either
@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("count", ["3", "3000"])
def test_a_file_that_may_not_grow_is_one_line_and_not_there(
    name: str, count: str, tmp_path: Path
) -> None:
    """A limit on its size (RLIMIT_FSIZE) stands for the full disk that a test cannot have."""
    needs(name)
    file = tmp_path / "out"
    limit = (
        "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))\n"
        f"server = simulated_server({count})"
    )
    result = run("list", "--demo", "--format", name, "-o", str(file), setup=limit)
    assert result.code == 2
    assert "File too large" in only_line(result)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("at", ["fsync", "replace"])
def test_what_fails_last_is_one_line_too(at: str, tmp_path: Path) -> None:
    """A file system may say only when the file is closed that it was full (NFS)."""
    setup = f"""
import errno, os
def full(*arguments):
    raise OSError(errno.ENOSPC, "No space left on device")
os.{at} = full
server = simulated_server(3)
"""
    result = run(*LIST, "-o", str(tmp_path / "out"), setup=setup)
    assert result.code == 2
    assert "No space left" in only_line(result)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("name", FORMATS)
def test_a_failed_call_stays_one_and_ends_no_stream(name: str) -> None:
    needs(name)
    setup = "server = simulated_server(30, page_entries=10); server.fail('NetSessionEnum', 64, 1)"
    setup = setup.replace(", 1)", ", after=1)")
    result = run("list", "--demo", "--format", name, "-o", "/dev/stdout", setup=setup)
    assert result.code == 3
    assert "status 64" in only_line(result)
    if name == "parquet":
        assert not result.out.endswith(b"PAR1")


@pytest.mark.parametrize("name", FORMATS)
def test_a_reader_that_stops_ends_it_quietly_by_name_too(name: str) -> None:
    needs(name)
    arguments = ("list", "--demo", "20000", "--format", name, "-o", "/dev/stdout")
    result = in_shell('{ "$@"; echo "code $?" >&2; } | true', *arguments)
    lines = [line for line in result.err.splitlines() if "--demo: " not in line]
    assert lines == ["code 0"]


def test_a_pipe_that_does_not_block_is_waited_for() -> None:
    read, write = os.pipe()
    os.set_blocking(write, False)
    with subprocess.Popen(
        [sys.executable, *command("list", "--demo", "20000", "--format", "jsonl")],
        stdout=write,
        stderr=subprocess.PIPE,
        env=environment(),
    ) as process:
        os.close(write)
        with open(read, "rb") as stream:
            out = stream.read()
        assert process.wait(HANG_GUARD) == 0
    assert out.count(b"\n") == 20000


# --- standard output and standard error that are not there ---------------------------------------

PRINTS = [
    ("--version",),
    ("--help",),
    ("delete", "--help"),
    LIST,
    ("list", "--demo"),
]


@linux
@pytest.mark.parametrize("arguments", PRINTS)
def test_what_is_printed_to_a_full_device(arguments: tuple[str, ...]) -> None:
    result = in_shell('exec "$@" >/dev/full', *arguments)
    assert result.code == 2
    assert "cannot write standard output: No space left on device" in only_line(result)


@pytest.mark.parametrize("arguments", PRINTS)
def test_what_is_printed_to_nobody(arguments: tuple[str, ...]) -> None:
    # The reader is gone before the command begins.
    script = '{ sleep 0.2; "$@"; echo "code $?" >&2; } | true'
    result = in_shell(script, *arguments)
    lines = [line for line in result.err.splitlines() if "--demo: " not in line]
    assert lines == ["code 0"]


@pytest.mark.parametrize("arguments", PRINTS)
def test_standard_output_that_is_closed(arguments: tuple[str, ...]) -> None:
    result = in_shell('exec "$@" >&-', *arguments)
    assert result.code == 2
    assert "there is no standard output" in only_line(result)


def test_a_closed_standard_output_is_not_taken_over_by_the_file(tmp_path: Path) -> None:
    for closed in (">&-", "2>&-", "<&-", ">&- 2>&- <&-"):
        file = tmp_path / "out"
        file.unlink(missing_ok=True)
        assert in_shell(f'exec "$@" {closed}', *LIST, "-o", str(file)).code == 0
        assert len(file.read_bytes().splitlines()) == 3
    assert in_shell('exec "$@" >&-', *LIST, "-o", "/dev/stdout").code == 2


@pytest.mark.parametrize("descriptor", [1, 2])
def test_what_others_write_there_does_not_land_in_the_file(descriptor: int, tmp_path: Path) -> None:
    """A library in C knows no sys.stderr: it writes to descriptor 2, whatever that has become."""
    setup = f"""
import os, contextlib
server = simulated_server(3)
ask = server.sessions
def noisy(**options):
    query = ask(**options)
    pages = query.pages
    def with_noise():
        for page in pages():
            with contextlib.suppress(OSError):
                os.write({descriptor}, b"noise")
            yield page
    query.pages = with_noise
    return query
server.sessions = noisy
"""
    file = tmp_path / "out"
    script = f'exec "$@" {descriptor}>&-'
    assert in_shell(script, *LIST, "-o", str(file), setup=setup).code == 0
    assert b"noise" not in file.read_bytes()
    assert len(file.read_bytes().splitlines()) == 3


@pytest.mark.parametrize("way", ["2>&-", "2>/dev/full", "2>/dev/stdout | true", "2>&1 | true"])
@pytest.mark.parametrize(
    ("arguments", "code"),
    [(("nonsense",), 2), (("list", "--demo", "--level", "7"), 2), (("list", "--demo", "1"), 0)],
)
def test_standard_error_that_cannot_be_written(
    arguments: tuple[str, ...], code: int, way: str, tmp_path: Path
) -> None:
    if way == "2>/dev/full" and not os.path.exists("/dev/full"):
        pytest.skip("needs /dev/full")
    into = tmp_path / "code"
    if "|" in way:
        redirect, pipe = way.split("|")
        script = f'{{ sleep 0.2; "$@" {redirect}; echo $? >{into}; }} |{pipe}'
    else:
        script = f'"$@" {way}; echo $? >{into}'
    in_shell(script, *arguments)
    assert into.read_text().strip() == str(code)
