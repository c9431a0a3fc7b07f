"""Errors: each is also a built-in, and comes out of pickling, and out of Ray, with its message and notes."""

import builtins
import inspect
import pickle

import pytest
import ray

import memo_dist.errors
from cluster.ray_session import unwrapped
from memo_dist.errors import BudgetError, ConfigError, MemoError, MissingExtraError, StorageError

ERRORS = [one for _, one in inspect.getmembers(memo_dist.errors, inspect.isclass) if issubclass(one, MemoError)]


@pytest.mark.parametrize("kind", [one for one in ERRORS if one is not MemoError])
def test_every_error_is_also_a_built_in(kind: type[MemoError]) -> None:
    parents = [one for one in kind.__mro__ if one.__module__ == builtins.__name__]
    assert set(parents) - {Exception, BaseException, object}


@pytest.mark.parametrize("kind", ERRORS)
def test_an_error_is_pickled_with_its_message_and_notes(kind: type[MemoError]) -> None:
    error = kind("what is wrong")
    error.add_note("a note")
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is kind
    assert (str(copy), copy.args, copy.__notes__) == (str(error), error.args, ["a note"])
    assert copy.exit_code == error.exit_code


def test_what_the_system_said_is_pickled_with_an_error_that_has_it() -> None:
    copy = pickle.loads(pickle.dumps(StorageError(28, "No space left on device")))
    assert copy.args == (28, "No space left on device")


@pytest.mark.usefixtures("ray_local")
def test_errors_come_out_of_ray_as_they_were_raised() -> None:
    def fail(error: Exception, notes: list[str]) -> None:  # inside, so that Ray sends its code along
        for note in notes:
            error.add_note(note)
        raise error

    remote = ray.remote(fail).options(num_cpus=0, max_retries=0)
    absent = MissingExtraError("scipy is not installed")
    for error in (ConfigError("a setting is bad"), BudgetError("too much"), absent, PermissionError(13, "no", "f")):
        with pytest.raises(type(error)) as caught, unwrapped():
            ray.get(remote.remote(error, ["one note", "another note"]))
        assert type(caught.value) is type(error)
        assert str(caught.value) == str(error)
        assert caught.value.__notes__ == ["one note", "another note"]
    with pytest.raises(ray.exceptions.RayTaskError), unwrapped():  # a fault of the program keeps its remote traceback
        ray.get(remote.remote(AssertionError("a fault"), []))
