"""The form of code without its looks, and what it speaks of.

>>> spell = Spelling()
>>> spell.form(ast.parse("x = clean(text)  # tidy")), spell.mentions          # ..., {"x", "clean", "text"}
"""

import ast
from dataclasses import dataclass, field
from functools import cache
from typing import Any

AnyImport = ast.Import | ast.ImportFrom
_LOOKS = {"ctx", "kind", "type_comment", "type_ignores"}
_BY_NAME = {"import_module", "run_module", "run_path"}
_BY_TEXT = {"__import__", "exec", "eval", "globals"}  # by themselves: network.eval() is harmless


@dataclass(frozen=True)
class Dynamic:
    """A place that reaches code by a text: its line, what is called, and the text (or how it begins) if it is there."""

    line: int
    call: str
    said: str | None = None
    is_prefix: bool = False


@dataclass
class Spelling:
    """What was met while spelling: dotted names ("np", "registry.fetch"), imports, texts, calls of code by a text."""

    keeps_docstrings: bool = False
    mentions: set[str] = field(default_factory=set)
    imports: list[AnyImport] = field(default_factory=list)
    strings: set[str] = field(default_factory=set)
    dynamic: list[Dynamic] = field(default_factory=list)

    def form(self, node: Any) -> str:
        """Spell a tree so that equal texts mean equal code; empty fields are left out, as Pythons differ in them."""
        if isinstance(node, list):
            return f"[{','.join(map(self.form, node))}]"
        if not isinstance(node, ast.AST):
            return f"{type(node).__name__}:{node!r}"
        if name := dotted(node):
            self.mentions.add(name)
            return name
        self._note(node)
        parts = []
        for key in node._fields:
            value = getattr(node, key, None)
            if key == "body" and isinstance(value, list) and not self.keeps_docstrings:
                value = [part for part in value if not is_text(part)]
            if key not in _LOOKS and value is not None and value != []:
                parts.append(f"{key}={self.form(value)}")
        return f"{type(node).__name__}({','.join(parts)})"

    def _note(self, node: ast.AST) -> None:
        """Keep what matters of one node; annotations in quotes are read."""
        if isinstance(node, AnyImport):
            self.imports.append(node)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            self.strings.add(node.value)
        elif isinstance(node, ast.Call) and (found := _dynamic(node)):
            self.dynamic.append(found)
        for note in (getattr(node, "annotation", None), getattr(node, "returns", None)):
            for text in ast.walk(note) if note else ():
                if isinstance(text, ast.Constant) and isinstance(text.value, str) and (tree := _parsed(text.value)):
                    self.form(tree)


def is_text(node: ast.AST) -> bool:
    """Tell a docstring, or any text that stands alone."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def dotted(node: ast.AST) -> str | None:
    """Spell a name with its attributes; None for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (before := dotted(node.value)):
        return f"{before}.{node.attr}"
    return None


def _dynamic(call: ast.Call) -> Dynamic | None:
    """Notice a call that reaches code by a name that is known when it runs."""
    name = dotted(call.func) or ""
    if name not in _BY_TEXT and name.rpartition(".")[2] not in _BY_NAME:
        return None
    first = call.args[0] if call.args else None
    if isinstance(first, ast.Constant) and isinstance(first.value, str):
        return Dynamic(call.lineno, name, first.value)
    if isinstance(first, ast.JoinedStr) and isinstance(first.values[0], ast.Constant):
        return Dynamic(call.lineno, name, str(first.values[0].value), is_prefix=True)
    return Dynamic(call.lineno, name)


@cache
def _parsed(text: str) -> ast.AST | None:
    try:
        return ast.parse(text, mode="eval")
    except SyntaxError:  # a text in Literal["a b"]
        return None
