"""The `memo-dist` program: commands, exit codes, errors in plain English.

Covers: dispatch. Exit codes: 0 done, 2 usage or bad input, 1 failure, 75 stopped with a checkpoint, 130 interrupted.
With --json an error is a JSON object too.
"""

import signal
import sys
import traceback

import typer

from console import (
    bench,
    build,
    change,
    combine,
    evaluate,
    inspect,
    plan,
    publish,
    recall,
    reproduce,
    serve,
    trace,
    verify,
)
from console.flags import Invocation
from console.output import print_json
from memo_dist.errors import MemoError
from memo_dist.extras import missing_extra


def make_app() -> typer.Typer:
    """All commands. Every flag of a command can stand in the YAML file given with --config."""
    app = typer.Typer(
        name="memo-dist",
        help="Memorize corpora exactly in correlation-matrix memories, and recall them.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    for name, function in (
        ("build", build.build_command),
        ("add", change.add_command),
        ("forget", change.forget_command),
        ("undo", change.undo_command),
        ("merge", combine.merge_command),
        ("rebank", combine.rebank_command),
        ("publish", publish.publish_command),
        ("recall", recall.recall_command),
        ("trace", trace.trace_command),
        ("serve", serve.serve_command),
        ("evaluate", evaluate.evaluate_command),
        ("inspect", inspect.inspect_command),
        ("verify", verify.verify_command),
        ("bench", bench.bench_command),
        ("plan", plan.plan_command),
    ):
        app.command(name)(function)
    again = typer.Typer(no_args_is_help=True, help="Run the paper's experiments again, beside the published figures.")
    again.command("layers")(reproduce.layers_command)
    again.command("capacity")(reproduce.capacity_command)
    app.add_typer(again, name="reproduce")
    return app


def main(arguments: list[str] | None = None) -> int:
    """Run the program; returns its exit code."""
    words = sys.argv[1:] if arguments is None else arguments
    command = typer.main.get_command(make_app())
    invocation = Invocation(as_json="--json" in words)
    try:
        result = command.main(args=words, prog_name="memo-dist", standalone_mode=False, obj=invocation)
        return result if isinstance(result, int) else 0
    except Exception as error:  # the outermost place: everything becomes a message and an exit code
        return _report(error, invocation.as_json)
    except (KeyboardInterrupt, SystemExit) as error:  # Ray's own SIGTERM handler exits
        notes = " ".join(getattr(error, "__notes__", []))
        print(f"memo-dist: interrupted. {notes}", file=sys.stderr)
        return 130


def _report(error: Exception, as_json: bool) -> int:
    error = missing_extra(error) or error  # commands import the libraries of an extra when they run
    code, message = 1, f"unexpected {type(error).__name__}: {error}"
    if isinstance(error, MemoError):
        said: list[str] = [str(error), *getattr(error, "__notes__", [])]
        code, message = error.exit_code, " ".join([*(part.rstrip(".") + "." for part in said[:-1]), said[-1]])
    elif hasattr(error, "format_message"):  # click's and typer's usage errors
        code, message = 2, error.format_message()
    else:
        traceback.print_exception(error, file=sys.stderr)
    if as_json:
        print_json({"error": message, "exit_code": code})
    if message:  # no arguments: the help was printed
        print(f"memo-dist: {message}", file=sys.stderr)
    return code


def entry() -> None:
    """The console script. SIGTERM ends it as Ctrl-C does, so nothing half-written stays."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(main())
