"""`retry`, `bind` and `forget`: which volumes a word means, and what is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.cli import shapes

from pagebind.demo.pictures import png

if TYPE_CHECKING:
    from tests.cli.command import Answer, Home

A, B = "/comics/A/Vol 1", "/comics/B/Vol 1"


def refused(answer: Answer) -> str:
    """The one line of an error of use, without any decision."""
    assert (answer.status, answer.out) == (2, "")
    assert answer.line.startswith("error: ")
    return answer.line


def decisions(home: Home) -> list[str]:
    """Kinds of all decisions in the store."""
    return sorted(file.name.split(".")[1] for file in home.store.glob("decisions/*/*.json"))


def decided(answer: Answer) -> list[tuple[str, str]]:
    """What stands in the document, which has the shape of a run's beside it."""
    document = answer.document
    made = [(one["kind"], one["path"]) for one in document.pop("decided")]
    shapes.check("run", document)
    return made


def test_bind_wants_to_be_told_what_is_decided(bound: Home) -> None:
    line = refused(bound.call("bind", A))
    for option in ("--without-missing", "--accept-shrink", "--replace", "--rename"):
        assert option in line


@pytest.mark.parametrize("words", [("retry",), ("bind", "--replace"), ("forget",)])
@pytest.mark.parametrize(
    ("word", "says"),
    [("nobody", "no volume is called 'nobody'"), ("X/*", "no volume is called 'X/*'"), ("Vol 1", "means 2 volumes")],
)
def test_words_that_mean_no_volume_or_several(bound: Home, words: tuple[str, ...], word: str, says: str) -> None:
    assert says in refused(bound.call(*words, word))
    assert decisions(bound) == []


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("retry", A), "nothing is to be tried again"),
        (("bind", A, "--without-missing"), "no page has failed for good"),
        (("bind", A, "--accept-shrink"), "lacks no page"),
        (("bind", A, "--replace"), "ours already"),
        (("bind", A, "--rename"), "its key is A/Vol 1.cbz already"),
        (("bind", "*", "--rename"), "already"),
    ],
)
def test_a_decision_about_nothing(bound: Home, words: tuple[str, ...], says: str) -> None:
    assert says in refused(bound.call(*words))
    assert decisions(bound) == []
    document = bound.call(*words, "--json").document
    assert document.pop("decided") == []
    shapes.check("run", document)
    assert [problem["code"] for problem in document["problems"]] == ["usage"]


def test_there_is_no_book_of_ours_to_delete(home: Home) -> None:
    home.add("C/Vol 1/01.png", b"no picture")
    assert home.call("run", "--quiet").status == 3
    assert "no book of ours stands" in refused(home.call("forget", "C/Vol 1.cbz", "--delete-book"))


def test_retry_of_nothing_at_all_is_a_run(bound: Home) -> None:
    answer = bound.call("retry", "--json")
    assert (answer.status, decided(answer)) == (0, [])


def test_a_glob_means_all_to_which_the_decision_applies(bound: Home) -> None:
    bound.library.joinpath("A/Vol 1.cbz").unlink()
    answer = bound.call("bind", "*/Vol 1", "--replace", "--json")
    assert (answer.status, decided(answer)) == (0, [("replace", A)])
    assert bound.books() == ["A/Vol 1.cbz", "B/Vol 1.cbz"]


def test_a_glob_over_several(bound: Home) -> None:
    bound.add("C/Vol 1/01.png", png("another"))
    bound.call("run", "--quiet")
    answer = bound.call("forget", "[AB]/*.cbz", "--delete-book")
    assert answer.status == 0
    assert answer.out.startswith(f"decided: forget: {A}\ndecided: forget: {B}\n0 bound, 0 up to date")
    assert bound.books() == ["C/Vol 1.cbz"]
    assert decisions(bound) == ["forget", "forget"]

    assert bound.call("run").status == 0
    assert bound.books() == ["C/Vol 1.cbz"]

    answer = bound.call("retry", "/comics/[AB]*", "--json")
    assert (answer.status, decided(answer)) == (0, [("retry", A), ("retry", B)])
    assert bound.books() == ["A/Vol 1.cbz", "B/Vol 1.cbz", "C/Vol 1.cbz"]


def test_all_books_deleted_and_made_again(bound: Home) -> None:
    assert bound.call("forget", "*", "--delete-book", "--quiet").status == 0
    assert bound.books() == []
    assert bound.call("retry", "*", "--quiet").status == 0
    assert bound.books() == ["A/Vol 1.cbz", "B/Vol 1.cbz"]


def test_retry_without_a_name_leaves_what_was_forgotten(bound: Home) -> None:
    bound.call("forget", A)
    answer = bound.call("retry", "--json")
    assert (answer.status, decided(answer)) == (0, [])
    assert decisions(bound) == ["forget"]


def test_only_the_volumes_that_are_meant_are_bound(bound: Home) -> None:
    bound.library.joinpath("A/Vol 1.cbz").unlink()
    bound.add("B/Vol 1/03.png", png("3"))
    listed = bound.server.count("list", B)

    answer = bound.call("bind", A, "--replace", "--json")

    assert [volume["path"] for volume in answer.document["bound"]] == [A]
    assert bound.server.count("list", B) == listed


def test_by_id_and_quietly(bound: Home) -> None:
    volume = next(bound.store.joinpath("manifests").glob("a-*")).name
    answer = bound.call("forget", volume, "--quiet")
    assert (answer.status, answer.out, answer.err) == (0, "", "")
    assert decisions(bound) == ["forget"]


def test_one_decision_after_the_other(bound: Home) -> None:
    bound.comics.joinpath("A/Vol 1/03.png").unlink()
    bound.configure(more='library = "{series} {volume}.cbz"')
    assert bound.call("run", "--quiet").status == 3

    assert bound.call("bind", A, "--accept-shrink", "--rename").status == 2
    accepted, renamed = (bound.call("bind", A, what, "--json") for what in ("--accept-shrink", "--rename"))

    assert (accepted.status, decided(accepted)) == (0, [("accept-shrink", A)])
    assert (renamed.status, decided(renamed)) == (0, [("rename", A)])
    assert bound.books() == ["A Vol 1.cbz", "B/Vol 1.cbz"]
    run = bound.call("run", "--json").document
    assert (run["held"], run["pages_fetched"]) == ([], 0)
