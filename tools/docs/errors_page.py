"""docs/errors.md, from the tables that the library itself uses. Run by generate.py."""

from __future__ import annotations

from collections.abc import Iterator

from netsession import _advice, _statuses, errors
from netsession.srvsvc.ntstatuses import NTSTATUSES

_HEAD = """\
# Errors

<!-- Made by tools/docs/generate.py from netsession/errors.py, _statuses.py, _advice.py and
srvsvc/ntstatuses.py: change those, not this. -->

Whatever a call fails with is a [`NetApiError`][netsession.NetApiError]. It has `status` (Windows'
NET_API_STATUS), `symbol`, `function`, `server`, over SMB `step` (how far it got) and `ntstatus`
(what the server answered), and `advice`: what to do. Status and step choose the class:

```python
import netsession

try:
    list(netsession.Server("fs04").sessions())
except netsession.AccessDenied as error:
    print(error.status, error.symbol, error.step)
    print(error)
```
<!-- output -->
```text
5 ERROR_ACCESS_DENIED None
NetSessionEnum on fs04 failed: ERROR_ACCESS_DENIED, status 5. The server wants the caller ...
```

Below is what the code does, not what Windows does: which statuses a server sends, and when, is up
to it. Symbols are those of [MS-ERREF] 2.2, [MS-SRVS] 2.2.2.10 and, from 0x80090000, of SSPI.
"""

_STEPS = ("connect", "negotiate", "logon", "share", "pipe", "bind")
_CALL = "call"
_FUNCTION = "NetSessionEnum"
_OF_STEP = {
    "connect": "look up the name, and connect (TCP)",
    "negotiate": "agree on a dialect of SMB",
    "logon": "log on (SESSION_SETUP)",
    "share": "use IPC$ (TREE_CONNECT)",
    "pipe": "open the pipe srvsvc",
    "bind": "bind to its interface (DCE/RPC)",
    "call": "the function itself",
}
_UNKNOWN = 0xFFFF  # no status has this number: what holds of those that nothing is known of

Said = tuple[str, str]  # the class that it is, the advice


def page() -> str:
    """The page."""
    known = [status for status in _statuses_with_words() if _is_told_of(status)]
    others = [status for status in _statuses.SYMBOLS if status not in known and status]
    parts = [
        _HEAD,
        "## Classes\n\n| class | also a | when |\n|---|---|---|",
        *_classes(),
        "\n## Steps\n",
        "Natively, and where it is not known, `step` is None: all is as of `call`.\n",
        "| step | to | class and advice where nothing is known of the status |\n|---|---|---|",
        *_steps(),
        f"\n## Statuses\n\n{_rules()}\n",
        "| status | symbol | class | what to do |\n|---:|---|---|---|",
        *map(_row, known),
        "\n## Statuses without words of their own\n",
        "They are a NetApiError of the call, and of a step what the table of steps says.\n",
        ", ".join(f"`{_statuses.SYMBOLS[status]}` ({status})" for status in sorted(others)) + ".",
        "\n## NTSTATUS\n",
        "What a server answers over SMB, and the status that it becomes. One that is not here is\n"
        f"{_named(31)}. `error.ntstatus` has the number, the message its name.\n",
        "| NTSTATUS | name | status |\n|---|---|---|",
        *(
            f"| 0x{ntstatus:08X} | `{name}` | {_named(status)} |"
            for ntstatus, (status, name) in sorted(NTSTATUSES.items())
        ),
    ]
    return "\n".join(parts) + "\n"


def _statuses_with_words() -> list[int]:
    at_steps = {status for table in _advice._AT_STEP.values() for status in table}
    general = {*_advice._GENERAL, *_advice._OF_THE_CALL, *errors._CLASS, *errors._NO_LOGON}
    return sorted(general | at_steps)


def _is_told_of(status: int) -> bool:
    """Whether anything is said of it that is not said of every status."""
    return any(_said(status, step) != _said(_UNKNOWN, step) for step in (_CALL, *_STEPS))


def _said(status: int, step: str, function: str = _FUNCTION) -> Said:
    error = errors.error_from_status(status, function, step=step)
    return type(error).__name__, error.advice or ""


def _classes() -> Iterator[str]:
    for name in errors.__all__:
        kind = getattr(errors, name)
        if isinstance(kind, type):
            first = (kind.__doc__ or "").partition("\n")[0]
            yield f"| [`{name}`][netsession.{name}] | {_bases(kind)} | {first} |"


def _bases(kind: type) -> str:
    return ", ".join(f"`{base.__name__}`" for base in kind.__bases__)


def _steps() -> Iterator[str]:
    for step, does in _OF_STEP.items():
        kind, advice = _said(_UNKNOWN, step)
        yield f"| `{step}` | {does} | `{kind}` {_text(advice)}".rstrip() + " |"


def _rules() -> str:
    """What holds of all, so that no row need say it; each row that differs does."""
    return (
        "At a step before the call, unless the row says otherwise, class and advice are the same. "
        "Where a delete\n(`NetSessionDel`) fails, `maybe_done` tells whether it may have been "
        "carried out all the same."
    )


def _row(status: int) -> str:
    kind, advice = _said(status, _CALL)
    told = [_text(advice)]
    told += [
        f"NetSessionDel: {_text(other)}"
        for _, other in [_said(status, _CALL, "NetSessionDel")]
        if other != advice
    ]
    at: dict[Said, list[str]] = {}
    for step in _STEPS:
        at.setdefault(_said(status, step), []).append(step)
    for (its_kind, its_advice), steps in at.items():
        if (its_kind, its_advice) != (kind, advice):
            where = ", ".join(f"`{step}`" for step in steps)
            parts = [f"`{its_kind}`"] if its_kind != kind else []
            parts += [_text(its_advice)] if its_advice != advice else []
            told.append(f"At {where}: {': '.join(parts) or 'nothing more is known'}")
    symbol = _statuses.SYMBOLS.get(status)
    name = f"`{symbol}`" if symbol else ""
    return f"| {_number(status)} | {name} | `{kind}` | {'<br>'.join(filter(None, told))} |"


def _number(status: int) -> str:
    return f"0x{status:08X}" if status >> 16 else str(status)


def _named(status: int) -> str:
    symbol = _statuses.SYMBOLS.get(status)
    return f"{_number(status)} `{symbol}`" if symbol else _number(status)


def _text(advice: str) -> str:
    return advice.replace("|", "\\|").replace("<", "\\<")
