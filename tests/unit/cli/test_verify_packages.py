"""A package that changed, in a verification: the modules it installs, the picture cut to them."""

from dataclasses import replace
from pathlib import Path

from perfhunt.analysis.change.packages import modules_of
from perfhunt.change.git.repository import Repository
from perfhunt.jobs.verify.attribution import VersionProfiles, difference_picture, with_attribution
from perfhunt.jobs.verify.edit_patch import EditPatch
from perfhunt.jobs.verify.installed import with_modules
from perfhunt.jobs.verify.request import VerifyResult
from perfhunt.model.finding import Caution, CautionCode
from perfhunt.model.profile import Frame, Profile, ProfileMode, Stack
from perfhunt.model.verdict.attribution import Measured
from perfhunt.model.verdict.change import Atom, Change, Kind, Links, OneChange, Piece
from perfhunt.model.verdict.verdict import Verdict, Word

ATOM = Atom(
    Kind.DEPENDENCY, "requirements.txt", "py-markdown", links=Links(("import:py_markdown",))
)


def change(atom: Atom = ATOM) -> OneChange:
    return OneChange(Change("/srv", "b", "", (atom,)), (Piece((atom,)),), "one-atom", "")


def environment(at: Path) -> Path:
    """Site packages with one distribution: a module, a package, and a part of a namespace."""
    packages = at / "lib/python3.11/site-packages"
    record = packages / "py_markdown-3.5.dist-info"
    record.mkdir(parents=True)
    (record / "METADATA").write_text("Metadata-Version: 2.1\nName: py-markdown\nVersion: 3.5\n")
    files = ("markdown/__init__.py", "markdown/core.py", "mdfast.py", "shared/md/__init__.py")
    own = ("py_markdown-3.5.dist-info/METADATA", "../../../bin/md", "__pycache__/mdfast.pyc")
    (record / "RECORD").write_text("".join(f"{file},,\n" for file in (*files, *own)))
    return packages


def profile(packages: str, inside: float, seen: str = "markdown/core.py") -> Profile:
    view, convert = Frame("page", "/srv/shop/pages.py"), Frame("convert", f"{packages}/{seen}")
    stacks: dict[Stack, float] = {(view, convert): inside, (view,): 1000 - inside}
    return Profile("py-spy", "0.4.1", ProfileMode.CPU, 100.0, 10.0, stacks)


def test_a_package_that_is_not_called_as_it_is_imported_is_known_by_its_record(
    tmp_path: Path,
) -> None:
    packages = environment(tmp_path)
    found = with_modules(change().change, [profile(str(packages), 100.0)])
    (atom,) = found.atoms
    assert set(modules_of(atom)) == {"py_markdown", "markdown", "mdfast", "shared/md"}
    elsewhere = with_modules(change().change, [profile("/nowhere/site-packages", 100.0)])
    assert elsewhere == change().change


def test_the_attribution_and_the_picture_are_of_the_package_alone(tmp_path: Path) -> None:
    packages = str(environment(tmp_path / "venv"))
    lost = Caution(CautionCode.EVIDENCE_LOST, "31 % of the stacks on the CPU are missing.")
    before, after = (
        VersionProfiles(cpu=Measured(profile(packages, inside), 50.0, 0.5))
        for inside in (800.0, 100.0)
    )
    result = VerifyResult(
        verdict=Verdict(Word.KEEP, "faster", "paired"),
        change=change(),
        patch=EditPatch(Repository(Path("/srv")), b""),
        directory=tmp_path,
    )
    found = with_attribution(result, before, replace(after, losses=(lost,)), "base to head")
    assert found.attribution is not None
    assert [(d.function, d.word) for d in found.attribution.demands] == [
        ("py-markdown", "shrunk"),
        ("convert", "shrunk"),
    ]
    assert found.attribution.sentences[-1] == f"Of the profile after: {lost.sentence}"
    picture = (tmp_path / "difference.svg").read_text()
    assert "convert" in picture and "in py-markdown" in picture and "pages.py" not in picture
    whole = difference_picture(
        before, after, "base to head", change(Atom(Kind.CONFIG, "a", "b")).change
    )
    assert "convert" in whole and "page" in whole
