"""The `memo-dist` program: commands, exit codes, errors in plain English.

Covers: dispatch. Exit codes: 0 done, 2 usage or bad input, 1 failure, 75 stopped as asked and to be continued, 130
interrupted, 141 the output was closed. With --json an error is a JSON object too. Does not cover: what the errors of
Python and the operating system mean (faults.py).
"""

import fcntl
import io
import os
import signal
import sys
import traceback
from contextlib import suppress
from typing import Annotated

import typer

from console import (
    answer,
    array,
    ask,
    bench,
    build,
    change,
    combine,
    contaminated,
    copy,
    evaluate,
    inspect,
    plan,
    publish,
    recall,
    reflect,
    reproduce,
    reproduce_edits,
    reproduce_episodes,
    reproduce_mqar,
    reproduce_needle,
    reproduce_sort,
    reproduce_unlearning,
    serve,
    status,
    sync,
    trace,
    verify,
    where,
)
from console.faults import named
from console.flags import Invocation
from console.output import print_json
from memo_dist import __version__

PROGRAM, _COMPLETES = "memo-dist", "_MEMO_DIST_COMPLETE"  # the latter: what shells ask by, as typer names it
OUTPUT_CLOSED = 141  # as a shell tells of a program that SIGPIPE ended


def _show_version(asked: bool) -> None:
    if asked:
        print(f"memo-dist {__version__}")
        raise typer.Exit


def make_app() -> typer.Typer:
    """All commands. Every flag of a command can stand in the YAML file given with --config."""
    app = typer.Typer(
        name="memo-dist",
        help="Memorize corpora exactly in correlation-matrix memories, and recall them.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_program)
    for name, function in (
        ("build", build.build_command),
        ("add", change.add_command),
        ("forget", change.forget_command),
        ("sync", sync.sync_command),
        ("replace", sync.replace_command),
        ("undo", change.undo_command),
        ("compact", sync.compact_command),
        ("merge", combine.merge_command),
        ("rebank", combine.rebank_command),
        ("publish", publish.publish_command),
        ("copy", copy.copy_command),
        ("recall", recall.recall_command),
        ("answer", answer.answer_command),
        ("trace", trace.trace_command),
        ("where", where.where_command),
        ("contaminated", contaminated.contaminated_command),
        ("reflect", reflect.reflect_command),
        ("ask", ask.ask_command),
        ("serve", serve.serve_command),
        ("evaluate", evaluate.evaluate_command),
        ("inspect", inspect.inspect_command),
        ("status", status.status_command),
        ("verify", verify.verify_command),
        ("bench", bench.bench_command),
        ("plan", plan.plan_command),
        ("plan-build", array.plan_build_command),
        ("make-runs", array.make_runs_command),
        ("merge-runs", array.merge_runs_command),
        ("finish", array.finish_command),
    ):
        app.command(name)(function)
    again = typer.Typer(no_args_is_help=True, help="Run the paper's experiments again, beside the published figures.")
    again.command("layers")(reproduce.layers_command)
    again.command("capacity")(reproduce.capacity_command)
    again.command("mqar")(reproduce_mqar.mqar_command)
    again.command("edits")(reproduce_edits.edits_command)
    again.command("episodes")(reproduce_episodes.episodes_command)
    again.command("needle")(reproduce_needle.needle_command)
    again.command("sort")(reproduce_sort.sort_command)
    again.command("unlearning")(reproduce_unlearning.unlearning_command)
    app.add_typer(again, name="reproduce")
    return app


def _program(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_show_version, help="Print the version, and end.")
    ] = False,
) -> None:
    """Memorize corpora exactly in correlation-matrix memories, and recall them."""


def main(arguments: list[str] | None = None) -> int:
    """Run the program; returns its exit code."""
    words = sys.argv[1:] if arguments is None else arguments
    invocation = Invocation(as_json="--json" in words)
    try:
        # not `command.main`, which keeps Ctrl-C and closed pipes to itself, with their notes
        command = typer.main.get_command(make_app())
        command._main_shell_completion({}, PROGRAM, _COMPLETES)  # ends here if a shell asks how a line goes on
        with command.make_context(PROGRAM, list(words), obj=invocation) as context:
            command.invoke(context)
        sys.stdout.flush()
    except typer.Exit as done:  # --help
        return done.exit_code
    except BrokenPipeError:
        return _output_closed()
    except Exception as error:  # the outermost place: everything becomes a message and an exit code
        return _report(error, invocation.as_json)
    except (KeyboardInterrupt, SystemExit) as error:  # Ray's own SIGTERM handler exits
        if isinstance(error.__context__, BrokenPipeError):  # rich exits so
            return _output_closed()
        if isinstance(error, SystemExit) and not error.code:  # completion, once it is printed
            return 0
        notes = " ".join(getattr(error, "__notes__", []))
        print(f"memo-dist: interrupted. {notes}".rstrip(), file=sys.stderr)
        return 130
    return 0


def _report(error: Exception, as_json: bool) -> int:
    code, message = 1, f"unexpected {type(error).__name__}: {error}"
    if known := named(error):
        said: list[str] = [str(known), *getattr(known, "__notes__", [])]
        code, message = known.exit_code, " ".join([*(part.rstrip(".") + "." for part in said[:-1]), said[-1]])
    elif hasattr(error, "format_message"):  # click's and typer's usage errors
        code, message = 2, error.format_message()
    else:
        traceback.print_exception(error, file=sys.stderr)
    if as_json:
        try:
            print_json({"error": message, "exit_code": code})
        except OSError:  # it may be stdout that failed; the message goes to stderr
            _discard_stdout()
    if message:  # no arguments: the help was printed
        print(f"memo-dist: {message}", file=sys.stderr)
    return code


def _output_closed() -> int:
    """Whoever read stdout wants no more of it, as `head`: end without a word, as other programs do."""
    _discard_stdout()
    return OUTPUT_CLOSED


def _discard_stdout() -> None:
    """Let what is still in Python's buffer go nowhere, so that the interpreter can end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    with suppress(OSError, ValueError):  # a stream without a file, as in tests
        os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def _open_standard_streams() -> None:
    """Give a stream that whoever started this has closed (`2>&-`, a daemon) a place where nothing is kept, before a
    file of ours gets its number; also one whose number a shell script has got, which is no place to write to."""
    nowhere = os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
    while nowhere < 3:
        nowhere = os.dup(nowhere)
    for name, number in (("stdout", 1), ("stderr", 2)):
        if fcntl.fcntl(number, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
            os.dup2(nowhere, number)
        if getattr(sys, name) is None:  # a library may have its number by now
            setattr(sys, name, os.fdopen(os.dup(nowhere), "w"))
    os.close(nowhere)


def entry() -> None:
    """The console script. SIGTERM ends it as Ctrl-C does, so nothing half-written stays."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    _open_standard_streams()
    for stream in (sys.stdout, sys.stderr):  # a terminal that cannot show a character shows its number
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    code = main()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # nobody reads it any more
            stream.flush()
    os._exit(code)  # nothing is left to do; on a busy machine, threads of libraries may abort an interpreter that ends
