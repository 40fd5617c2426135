"""`greenroom doctor`: what is well, what is not, and what to do; nothing is changed unless `--register` is given."""

import json
import sys
from dataclasses import asdict
from typing import Annotated

import httpx
import typer

from app.clock import Clock
from app.console import err, out, run_or_exit
from app.doctor.examination import SECONDS, Registration, Report, examine
from app.doctor.findings import Finding, State, fail, warn
from app.observability import configure_logs
from app.settings import InvalidSettings, Settings, no_settings, read_settings

COLOURS = {State.OK: "green", State.WARN: "yellow", State.FAIL: "red"}


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    register: Annotated[
        bool, typer.Option(help="Register PUBLIC_URL/callbacks/heygen at HeyGen, and print its secret.")
    ] = False,
    account: Annotated[
        str | None, typer.Option(help="With --register: of which HeyGen account, where there are several.")
    ] = None,
    again: Annotated[
        bool, typer.Option(help="With --register: make one more endpoint where there is one.")
    ] = False,
) -> None:
    """Examine this installation, beside a running service or before its first start; ends with 1 where anything fails."""
    configure_logs("ERROR")
    for option, given in (("--account", account is not None), ("--again", again)):
        if given and not register:
            raise typer.BadParameter("works only with --register", param_hint=option)
    wanted = Registration(account, again) if register else None
    try:
        settings = read_settings()
    except InvalidSettings as error:
        report = Report([fail("settings", line) for line in str(error).splitlines()])
    else:
        report = run_or_exit(_examined(settings, wanted))
    report.findings[:0] = _misspelt()
    if as_json:
        sys.stdout.write(json.dumps(_as_json(report)) + "\n")
    else:
        _tell(report)
    if not report.healthy:
        raise typer.Exit(1)


async def _examined(settings: Settings, wanted: Registration | None) -> Report:
    async with httpx.AsyncClient(trust_env=False, timeout=SECONDS) as http:
        return await examine(settings, http, Clock(), wanted)


def _misspelt() -> list[Finding]:
    """What is set and read by nobody."""
    meant = {name: f" Is {near} meant?" if near else "" for name, near in no_settings().items()}
    return [
        warn("settings", f"{name} is no setting, and does nothing.{hint}") for name, hint in meant.items()
    ]


def _as_json(report: Report) -> dict[str, object]:
    told = {"webhook_secret": report.webhook_secret} if report.webhook_secret is not None else {}
    return {"ok": report.healthy, "checks": [asdict(finding) for finding in report.findings], **told}


def _tell(report: Report) -> None:
    width = max(len(finding.check) for finding in report.findings)
    for finding in report.findings:
        out.print(f"{finding.state:<5}", style=COLOURS[finding.state], end="")
        out.print(f"{finding.check:<{width}}  {finding.message}", markup=False, soft_wrap=True)
    if report.webhook_secret is not None:
        err.print(
            "The secret, shown once. Put this line into the environment of every replica, the secrets that are"
        )
        err.print("there already behind it, separated by commas, and start them again:")
        sys.stdout.flush()
        sys.stdout.write(f"HEYGEN_WEBHOOK_SECRET={report.webhook_secret}\n")
