"""`python -m local faults ...`: what is to go wrong in the local Azure, asked for by a person or a script."""

import argparse
import json
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from local.faults import changes, host, scenarios
from local.faults.rules import RuleError

Options = argparse.Namespace


def add_parsers(parser: argparse.ArgumentParser, state: Path, shown: str) -> None:
    """Give a parser the subcommands. `state`: the default state directory, `shown`: its name for people."""
    about = f"default: {shown}"
    parser.add_argument("--state-dir", type=Path, default=state, metavar="DIR", help=about)
    where = argparse.ArgumentParser(add_help=False)  # it may stand after the subcommand too
    where.add_argument("--state-dir", type=Path, default=argparse.SUPPRESS, metavar="DIR", help=about)
    limits = argparse.ArgumentParser(add_help=False)
    group = limits.add_argument_group("how often and how long (without any: until it is cleared)")
    group.add_argument("--times", type=int, metavar="N", help="only so often")
    group.add_argument("--seconds", type=_duration, metavar="TIME", help="only so long: 90, 90s, 5m")
    group.add_argument("--probability", type=float, metavar="P", help="only this share, 0 to 1")
    group.add_argument("--seed", type=int, metavar="N", help="the same ones every time, with --probability")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, about: str, run: Callable[[Options], int | None], *, limited: bool = False) -> Any:
        made = commands.add_parser(name, help=about, description=about, parents=[where, *([limits] if limited else [])])
        made.set_defaults(run=run)
        return made

    _add_book(command)
    _add_kinds(command)
    _add_scenarios(command)


def run(options: Options) -> int:
    """Run one of the subcommands; returns the exit code."""
    try:
        return int(options.run(options) or 0)
    except RuleError as fault:
        print(f"local: {fault}", file=sys.stderr)
        return 2


def _add_book(command: Callable[..., Any]) -> None:
    listed = command("list", "what is asked for, how often it was made, how long it still holds", _list)
    listed.add_argument("--json", action="store_true")
    cleared = command("clear", "take one fault away, or all", _clear)
    cleared.add_argument("id", nargs="?", help="as `list` prints it")
    added = command("add", "add rules as they stand in faults.json", lambda o: _add(o, _json(o.rules)))
    added.add_argument(
        "rules", help='for example {"requests": [{"status": 500, "times": 3}]}; "-" reads them from stdin'
    )


def _add_kinds(command: Callable[..., Any]) -> None:
    requests = command("requests", "refuse, drop or delay requests to Azure ML", _requests, limited=True)
    requests.add_argument("--method", help="GET, PUT, POST, DELETE; an expression such as PUT|POST")
    requests.add_argument("--path", help="a regular expression that is searched in the path, such as jobs/")
    planes = ("arm", "data", "scoring", "events")
    requests.add_argument("--plane", choices=planes, help="default: all but events, which is Event Grid")
    requests.add_argument("--status", type=int, help="answer this: 429, 500, 503, 400, ...")
    requests.add_argument("--retry-after", type=float, metavar="SECONDS", help="a Retry-After header")
    requests.add_argument("--body", help='the answer\'s JSON, or "quota": the refusal of a deployment, as recorded')
    requests.add_argument("--drop", action="store_true", help="cut the connection instead of an answer")
    requests.add_argument("--delay", dest="delay_s", type=_duration, metavar="TIME", help="answer so much later")
    requests.add_argument("--after", action="store_true", help="the request is carried out, only its answer is spoilt")

    events = command("events", "lose, double, delay or shuffle events", _events, limited=True)
    what = events.add_mutually_exclusive_group(required=True)
    for do in ("lose", "double", "shuffle"):
        what.add_argument(f"--{do}", dest="do", action="store_const", const=do)
    what.add_argument("--delay", type=_duration, metavar="TIME", help="deliver so much later")
    events.add_argument("--within", type=_duration, metavar="TIME", help="of --shuffle (default: 5s)")
    events.add_argument("--type", help="a regular expression: RunCompleted, RunStatusChanged, BlobCreated, ...")
    events.add_argument("--subject", help="a regular expression, such as a job's or a blob's name")
    events.add_argument("--status", help="of RunStatusChanged: running, completed, failed, canceled")
    events.add_argument("--steps", action="store_true", help="events of a job's steps too")

    job = command("job", "let jobs fail in a step", lambda o: _add(o, {"job": _chosen(o, *_JOB)}), limited=True)
    job.add_argument("--step", required=True, help="its name or a part of it: validation, preprocess, finetune, ...")
    job.add_argument("--message", help="the failure's text")
    job.add_argument("--code", help="UserError (default) or SystemError")
    job.add_argument("--match", help="a regular expression that is searched in the job's name")

    deployment = command("deployment", "let deployments fail", _deployment, limited=True)
    how = deployment.add_mutually_exclusive_group(required=True)
    how.add_argument("--quota", action="store_true", help="its PUT is refused with 400, as recorded")
    how.add_argument("--never-ends", action="store_true", help="it stays Updating")
    how.add_argument("--message", help="it fails, its container having said this")
    deployment.add_argument("--match", help="a regular expression that is searched in ENDPOINT/DEPLOYMENT")
    deployment.add_argument("--instance-type", help="only deployments of such a size (a regular expression)")

    compute = command("compute", "let clusters fail", lambda o: _add(o, {"compute": _compute(o)}), limited=True)
    compute.add_argument("--message", help="the PUT is refused with this")
    compute.add_argument("--provisioning", help="the cluster is taken and fails with this while it is made")
    compute.add_argument("--vm-priority", choices=("Dedicated", "LowPriority"))

    preempt = command("preempt", "take a job's node away while a step runs", _preempt, limited=True)
    preempt.add_argument("--step", help="its name or a part of it (default: finetune)")
    preempt.add_argument("--match", help="a regular expression that is searched in the job's name")

    lost = command("outputs", "lose the outputs of completed jobs", _outputs, limited=True)
    lost.add_argument("--match", help="a regular expression that is searched in the job's name")

    killed = command("host", "kill -9 the Functions host; `up` starts it again", _host, limited=True)
    killed.add_argument("--kill", choices=("before", "after", "now"), required=True, help="around a request, or now")
    killed.add_argument("--method", help="GET, PUT, POST, DELETE")
    killed.add_argument("--path", help="a regular expression that is searched in the path, such as jobs/")


_JOB = ("step", "message", "code", "match")
_LIMITS = ("times", "seconds", "probability", "seed")


def _add_scenarios(command: Callable[..., Any]) -> None:
    away = command("unreachable", "nothing of the workspace answers", lambda o: _add(o, scenarios.unreachable(o.time)))
    away.add_argument("time", type=_duration, help="how long: 5m")
    busy = command("busy", "every request is answered 429", lambda o: _add(o, scenarios.busy(o.time, o.retry_after)))
    busy.add_argument("time", type=_duration, help="how long: 2m")
    busy.add_argument("--retry-after", type=float, metavar="SECONDS", help="a Retry-After header (Azure ML sends none)")
    slow = command("slow", "every answer comes late", lambda o: _add(o, scenarios.slow(o.time, o.delay)))
    slow.add_argument("time", type=_duration, help="how long: 2m")
    slow.add_argument("--delay", type=_duration, default=5.0, metavar="TIME", help="how late (default: 5s)")
    early = command(
        "early-event",
        "a job's completion is delivered before the call that submits it returns",
        lambda o: _add(o, scenarios.early_event(o.times, o.at_most)),
    )
    early.add_argument("--times", type=int, default=1, metavar="N", help="for so many jobs (default: 1)")
    early.add_argument("--at-most", type=_duration, default=120.0, metavar="TIME", help="return then at the latest")
    lost = command(
        "lost-completion",
        "no event tells of a job's completion",
        lambda o: _add(o, scenarios.lost_completion(o.times)),
    )
    lost.add_argument("--times", type=int, metavar="N", help="for so many jobs (default: all)")
    taken = command("taken", "an endpoint's name is somebody else's", _taken)
    taken.add_argument("endpoint", help="the whole name, or a regular expression for it: support-bot-.*")
    taken.add_argument(
        "--elsewhere",
        action="store_true",
        help="in another workspace of the region: it is not seen here, but its PUT is refused",
    )
    skew = command("skew", "events carry times ahead of now", lambda o: _add(o, scenarios.skew(_ahead(o))))
    skew.add_argument("time", type=_duration, help="how far: 3m")
    skew.add_argument("--behind", action="store_true", help="behind now")


def _list(options: Options) -> None:
    found = changes.listing(options.state_dir)
    if options.json:
        print(json.dumps(found, indent=2))
        return
    if not found:
        print("local: no fault is asked for")
    for one in found:
        left = "" if one["seconds_left"] is None else f", {one['seconds_left']:.0f} s left"
        print(f"{one['id']:<26} {one['kind']:<13} used {one['used']}{left}  {json.dumps(one['rule'])}")


def _clear(options: Options) -> int:
    if options.id is None:
        changes.clear(options.state_dir)
        return 0
    if not changes.remove(options.state_dir, options.id):
        print(f"local: there is no fault {options.id}; `faults list` shows those there are", file=sys.stderr)
        return 1
    return 0


def _add(options: Options, asked: dict[str, Any]) -> None:
    for one in changes.add(options.state_dir, asked):
        print(one)


def _requests(options: Options) -> None:
    fields = ("method", "path", "plane", "status", "retry_after", "delay_s")
    rule = _chosen(options, *fields) | ({"drop": True} if options.drop else {})
    if options.body is not None:
        rule["body"] = options.body if options.body == "quota" else _json(options.body)
    _add(options, {"requests": rule | ({"when": "after"} if options.after else {})})


def _events(options: Options) -> None:
    rule = _chosen(options, "type", "subject", "status", "do") | ({"steps": True} if options.steps else {})
    if options.delay is not None:
        rule |= {"do": "delay", "delay_s": options.delay}
    elif options.within is not None:
        rule["delay_s"] = options.within
    _add(options, {"events": rule})


def _deployment(options: Options) -> None:
    rule = _chosen(options, "message", "match", "instance_type")
    rule |= {name: True for name in ("quota", "never_ends") if getattr(options, name)}
    _add(options, {"deployment": rule})


def _compute(options: Options) -> dict[str, Any]:
    priority = {} if options.vm_priority is None else {"vmPriority": options.vm_priority}
    return _chosen(options, "message", "provisioning") | priority


def _preempt(options: Options) -> None:
    _add(options, {"preempt": _chosen(options, "step", "match")})


def _outputs(options: Options) -> None:
    _add(options, {"lose_outputs": _chosen(options, "match")})


def _host(options: Options) -> int | None:
    if options.kill != "now":
        _add(options, {"host": _chosen(options, "kill", "method", "path")})
        return None
    pid = host.kill(options.state_dir)
    if pid is None:
        print("local: no Functions host runs with this state directory", file=sys.stderr)
        return 1
    print(f"local: the Functions host, process {pid}, was killed")
    return None


def _ahead(options: Options) -> float:
    return float(-options.time if options.behind else options.time)


def _taken(options: Options) -> None:
    _add(options, scenarios.taken(options.endpoint, "region" if options.elsewhere else "workspace"))


def _chosen(options: Options, *fields: str) -> dict[str, Any]:
    """Return the options that were given, limits included, by their names in faults.json."""
    every: Iterable[str] = (*fields, *_LIMITS)
    return {name: value for name in every if (value := getattr(options, name)) is not None}


def _json(text: str) -> Any:
    try:
        document = json.loads(sys.stdin.read() if text == "-" else text)
    except ValueError as fault:
        raise RuleError(f"{text[:60]!r} is not JSON: {fault}") from fault
    if not isinstance(document, dict):
        raise RuleError(f"{text[:60]!r} is not a JSON object")
    return document


def _duration(text: str) -> float:
    try:
        return scenarios.seconds(text)
    except ValueError as fault:
        raise argparse.ArgumentTypeError(str(fault)) from fault
