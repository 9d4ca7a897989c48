"""A model behind a chain of containers, answered as its endpoint would. Runs in an image's Python."""

import json
import os
import sys
import tempfile
import textwrap
import unittest
from pathlib import Path

from toolkit.errors import ServingError
from toolkit.served import Served

# Answers what it is asked, and with what: each container of a chain adds a line.
TELLS = """
    import os
    LOADED_WITH = os.environ.get("WHO")
    def model_fn(model_dir):
        return os.environ.get("WHO")
    def transform_fn(model, body, content_type, accept):
        kind = type(body).__name__
        body = body if isinstance(body, str) else body.decode()
        told = (LOADED_WITH, model, os.environ.get("WHO"), kind, content_type, accept)
        return body + " ".join(map(str, told)) + "\\n", ANSWERS
"""

NOTHING = "def model_fn(model_dir):\n    return 0\n"


class Chains(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        (self.folder / "code").mkdir()
        self.modules = set(sys.modules)
        self.addCleanup(setattr, sys, "path", list(sys.path))
        self.addCleanup(self.forget)

    def forget(self):
        """The modules of another model: an evaluation's process has one."""
        for name in [name for name, module in sys.modules.items() if name not in self.modules and self.is_own(module)]:
            del sys.modules[name]

    def is_own(self, module):
        return str(getattr(module, "__file__", "")).startswith(str(self.folder))

    def served(self, *containers):
        """The model of containers, each given by its name, its code, its framework and its variables."""
        self.forget()
        for name, code, *_ in containers:
            (self.folder / "code" / f"{name}.py").write_text(textwrap.dedent(code))
        says = [
            {"name": name, "entry": f"{name}.py", "framework": framework, "environment": environment}
            for name, _, framework, environment in containers
        ]
        (self.folder / "code" / "chain.json").write_text(json.dumps(says))
        served = Served(self.folder)
        served.load()
        return served

    def told(self, answers, *, framework="sklearn", **environment):
        """What the second container is asked, where the first answers so."""
        first = TELLS.replace("ANSWERS", answers)
        last = TELLS.replace("ANSWERS", "accept")
        chain = ("first", first, framework, environment), ("last", last, None, {})
        return self.served(*chain).answer("", "text/csv", "text/csv").splitlines()[-1]

    def test_each_has_variables_of_its_own(self):
        code = TELLS.replace("ANSWERS", "'application/json'")
        served = self.served(
            ("one", code, None, {"WHO": "1"}), ("two", code, None, {}), ("three", code, None, {"WHO": "3"})
        )
        told = [line.split()[:3] for line in served.answer("", "text/csv").splitlines()]
        self.assertEqual(told, [["1"] * 3, ["None"] * 3, ["3"] * 3])
        self.assertNotIn("WHO", os.environ)
        self.assertEqual((served.running, served.model), ("three.py", "3"))

    def test_only_the_last_is_told_in_what_form_to_answer(self):
        code = TELLS.replace("ANSWERS", "accept")
        served = self.served(
            ("one", code, None, {}),
            ("two", code, None, {"SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT": "text/plain"}),
            ("three", code, None, {}),
        )
        told = [line.split()[-1] for line in served.answer("", "text/csv", "text/csv").splitlines()]
        self.assertEqual(told, ["application/json", "text/plain", "text/csv"])

    def test_what_one_answers_the_next_is_asked_under_its_type(self):
        for answers, told in {
            "'application/json'": "str application/json",
            "'application/x-npy'": "bytes application/x-npy",
            # Werkzeug adds the charset, and the containers decode neither.
            "'text/csv'": "bytes text/csv; charset=utf-8",
            "'text/csv; charset=ascii'": "bytes text/csv; charset=ascii",
            "None": "bytes text/html; charset=utf-8",
        }.items():
            self.assertIn(f" {told} ", self.told(answers))
        self.assertIn(" str text/csv ", self.told("'text/csv'", framework="pytorch"))
        self.assertIn(" str application/json ", self.told("None", framework="pytorch"))

    def test_what_a_script_leaves_out_is_its_images(self):
        doubles = NOTHING.replace("return 0", "return type('Doubler', (), {'predict': lambda self, data: data * 2})()")
        passes = NOTHING + "def transform_fn(model, body, kind, accept):\n    return body, accept\n"
        served = self.served(("one", doubles, "sklearn", {}), ("two", passes, None, {}))
        self.assertEqual(served.answer("1,2\n3,4\n"), "[[2.0, 4.0], [6.0, 8.0]]")

    def test_what_cant_be_a_chain_is_said(self):
        with self.assertRaisesRegex(ServingError, "no code/two.py"):
            (self.folder / "code" / "one.py").write_text(NOTHING)
            says = [{"entry": f"{name}.py", "framework": None, "environment": {}} for name in ("one", "two")]
            (self.folder / "code" / "chain.json").write_text(json.dumps(says))
            Served(self.folder).load()
        with self.assertRaisesRegex(ServingError, "there is no framework 'abacus'; known: sklearn, xgboost, pytorch"):
            self.served(("one", "", "abacus", {}), ("three", "", None, {}))
        with self.assertRaisesRegex(ServingError, "three.py has no function model_fn"):
            self.served(("one", NOTHING, None, {}), ("three", "", None, {}))
        with self.assertRaisesRegex(ServingError, "output_fn returned dict; for application/json it must return text"):
            answers = NOTHING + "def transform_fn(model, body, kind, accept):\n    return {}\n"
            self.served(("one", answers, None, {}), ("three", answers, None, {})).answer("")


if __name__ == "__main__":
    unittest.main()
