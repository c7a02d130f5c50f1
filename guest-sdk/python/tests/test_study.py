"""Tests of the study that a caller drives, with a command that notes its words in place of ``trialbox``."""

import json
import os
import pathlib
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from trialbox import CommandError, Study  # noqa: E402


class StudyTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.root = pathlib.Path(self.folder.name)

    def study(self, stdout="", code=0, stderr="", **flags):
        """Returns a study whose command prints this and exits so."""
        command = self.root / "trialbox"
        notes = self.root / "words"
        lines = [
            f"#!{sys.executable}",
            "import json, sys",
            f"open({str(notes)!r}, 'a').write(json.dumps(sys.argv[1:]) + '\\n')",
            f"sys.stdout.write({stdout!r})",
            f"sys.stderr.write({stderr!r})",
            f"sys.exit({code})",
        ]
        command.write_text("\n".join(lines))
        command.chmod(0o755)
        return Study(command=str(command), **flags)

    def words(self):
        """Returns the words of the last command."""
        return json.loads((self.root / "words").read_text().splitlines()[-1])

    def asked(self, **kwargs):
        line = json.dumps({"event": "asked", "number": 3, "params": {"lr": 0.5}, "owner": "token"})
        return self.study(stdout=line + "\n", **kwargs)

    def test_ask_passes_the_study_the_space_and_the_owner(self):
        study = self.asked(name="s", storage="x.db")
        space = {"lr": "log(1e-5, 0.1)", "k": {"type": "int", "low": 1, "high": 4}}
        trial = study.ask(space, max_trials=9)
        self.assertEqual((trial.number, trial.params, trial.owner), (3, {"lr": 0.5}, "token"))
        want = ["trial", "ask", "--storage", "x.db", "--study-name", "s", "--format", "json"]
        want += ["--owner-pid", str(os.getpid()), "--max-trials", "9"]
        want += ["--search-space", "lr=log(1e-5, 0.1)"]
        want += ["--search-space", '{"k": {"type": "int", "low": 1, "high": 4}}']
        self.assertEqual(self.words(), want)
        study.ask(pathlib.Path("space.toml"), owner_pid=7)
        self.assertEqual(self.words()[-4:], ["--owner-pid", "7", "--search-space", "@space.toml"])

    def test_ask_returns_none_if_nothing_is_left(self):
        self.assertIsNone(self.study().ask({"x": "int(1, 2)"}))

    def test_a_space_of_another_kind_is_refused(self):
        with self.assertRaisesRegex(TypeError, "parameter 'x': expected a range .*, found 3"):
            self.asked().ask({"x": 3})

    def test_tell_writes_every_value_with_its_flag(self):
        trial = self.asked().ask()
        study = self.study(stdout='{"event": "told", "state": "COMPLETE"}\n')
        state = study.tell(trial, [0.5, float("-inf")], user_attrs={"k": [1]}, constraints={"c": -1})
        self.assertEqual(state, "COMPLETE")
        want = ["3", "--owner", "token", "--values=0.5", "--values=-inf", "--user-attr=k=[1]", "--constraint=c=-1.0"]
        self.assertEqual(self.words()[-len(want) :], want)
        study.tell(trial, None, state="fail", reason="-x")
        self.assertEqual(self.words()[-3:], ["--state", "fail", "--reason=-x"])
        study.tell(trial, "None")
        self.assertEqual(self.words()[-1], "--values=None")

    def test_an_exit_code_is_an_error_with_the_command_s_message(self):
        trial = self.asked().ask()
        study = self.study(code=6, stderr="error: trial 3 is COMPLETE\n")
        with self.assertRaisesRegex(CommandError, "trial 3 is COMPLETE") as caught:
            study.tell(trial, 1.0)
        self.assertEqual(caught.exception.code, 6)

    def test_advice_is_an_exit_code(self):
        trial = self.asked().ask()
        for code, want in [(0, True), (1, False)]:
            trial._study = self.study(code=code)
            self.assertIs(trial.should_prune(), want)
        trial._study = self.study(code=2, stderr="error: no")
        with self.assertRaises(CommandError):
            trial.should_prune()
        trial._study = self.study()
        trial.report(-0.5, 2)
        self.assertEqual(self.words()[-6:], ["3", "--owner", "token", "--step", "2", "--", "-0.5"][-6:])


if __name__ == "__main__":
    unittest.main()
