"""Take one source file apart: what is bound to each of its names, and what happens when it is imported.

>>> read("dopsd.captions", "dopsd/captions.py", "def clean(text): return text.strip()").definitions["clean"].digest

Comments, docstrings, formatting and the order of definitions do not count. Nothing is imported, torch least of all.
"""

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tasks.folders import sha256_of_bytes
from tasks.planning.syntax import AnyImport, Dynamic, Spelling, is_text

STARTUP = "<import>"
"""Names the statements that act when the module is imported."""
_AnyFunction = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Import:
    """What an imported name stands for: a module, or a name in it."""

    module: str
    name: str | None = None


@dataclass(frozen=True)
class Definition:
    """What is bound to one name: the digest of its form, the names it mentions, and what it imports by itself."""

    digest: str
    mentions: frozenset[str]
    imports: Mapping[str, Import]
    dynamic: tuple[Dynamic, ...]


@dataclass(frozen=True)
class Module:
    """One file; `imported` are all modules (or names in them) that it asks for, `strings` the texts in it."""

    name: str
    path: str
    definitions: Mapping[str, Definition]
    imports: Mapping[str, Import]
    imported: frozenset[str]
    strings: frozenset[str]


@dataclass
class _Sorted:
    """The statements of a file while they are put where they belong."""

    package: str
    sections: frozenset[str]
    named: dict[str, list[ast.stmt]] = field(default_factory=dict)
    imports: dict[str, Import] = field(default_factory=dict)
    startup: list[ast.stmt] = field(default_factory=list)


def read(name: str, path: str, text: str, sections: frozenset[str] = frozenset()) -> Module:
    """Parse a file; annotated fields of a class in `sections` are definitions of their own, such as "Params.train".

    Raises SyntaxError as the compiler does.
    """
    found = _Sorted(name if path.endswith("__init__.py") else name.rpartition(".")[0], sections)
    for statement in ast.parse(text, path).body:
        _sort(statement, found)
    if found.startup:
        found.named[STARTUP] = found.startup
    everything = Spelling()
    definitions = {
        bound: _definition(some, found.package, everything, keeps_docstrings="__doc__" in text)
        for bound, some in found.named.items()
    }
    imported = [*found.imports.values(), *(one for made in definitions.values() for one in made.imports.values())]
    asked = {one.module for one in imported} | {f"{one.module}.{one.name}" for one in imported}
    return Module(name, path, definitions, found.imports, frozenset(asked), frozenset(everything.strings))


def _sort(statement: ast.stmt, found: _Sorted) -> None:
    """Put one statement of the module's level under the names it binds, and among those that act, if it does."""
    match statement:
        case ast.Import() | ast.ImportFrom():
            found.imports |= _imports(statement, found.package)
        case ast.ClassDef(name=name) if name in found.sections:
            _sort_sections(statement, found)
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            found.named.setdefault(statement.name, []).append(statement)
            if not all(_is_foreign(decorator, found) for decorator in statement.decorator_list):
                found.startup.append(statement)  # a decorator of ours may keep it somewhere
        case ast.Assign() | ast.AnnAssign():
            _sort_assignment(statement, found)
        case ast.If(test=ast.Compare(left=ast.Name(id="__name__"))):
            pass
        case _ if is_text(statement):
            pass
        case _:
            _sort_action(statement, found)


def _sort_sections(statement: ast.ClassDef, found: _Sorted) -> None:
    """Split a class whose fields are looked at one by one."""
    fields = {ast.unparse(part.target): part for part in statement.body if isinstance(part, ast.AnnAssign)}
    for name, part in fields.items():
        found.named[f"{statement.name}.{name}"] = [part]
    statement.body = [part for part in statement.body if not isinstance(part, ast.AnnAssign)]
    found.named[statement.name] = [statement]


def _sort_assignment(statement: ast.Assign | ast.AnnAssign, found: _Sorted) -> None:
    """Put a constant under its names; it acts as well where it calls code of ours, or sets what is no name."""
    targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
    for target in targets:
        for node in ast.walk(target):
            if isinstance(node, ast.Name):
                found.named.setdefault(node.id, []).append(statement)
    calls = [node for node in ast.walk(statement) if isinstance(node, ast.Call)]
    is_name = all(isinstance(target, ast.Name | ast.Tuple) for target in targets)
    if not is_name or not all(_is_foreign(call, found) for call in calls):
        found.startup.append(statement)


def _sort_action(statement: ast.stmt, found: _Sorted) -> None:
    """Put a statement that acts also under whatever it binds: a name set in `try`, or changed by `+=`."""
    found.startup.append(statement)
    for node in ast.walk(statement):
        if isinstance(node, AnyImport):
            found.imports |= _imports(node, found.package)
        elif isinstance(node, _AnyFunction | ast.ClassDef):
            found.named.setdefault(node.name, []).append(statement)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.named.setdefault(node.id, []).append(statement)


def _is_foreign(node: ast.expr, found: _Sorted) -> bool:
    """Tell whether what is called is a library's or built in, so that it keeps nothing of ours."""
    while isinstance(node, ast.Call | ast.Attribute):
        node = node.func if isinstance(node, ast.Call) else node.value
    if not isinstance(node, ast.Name):
        return isinstance(node, ast.Constant)
    source, room = found.imports.get(node.id), found.package.split(".")[0]
    return node.id not in found.named and (source is None or source.module.split(".")[0] not in ("dopsd", room))


def _imports(node: ast.Import | ast.ImportFrom, package: str) -> dict[str, Import]:
    """Say what the names stand for that one import binds."""
    if isinstance(node, ast.Import):
        return {
            alias.asname or alias.name.split(".")[0]: Import(alias.name if alias.asname else alias.name.split(".")[0])
            for alias in node.names
        }
    parents = package.split(".")
    above = parents[: len(parents) - node.level + 1] if node.level else []
    module = ".".join([*above, *filter(None, [node.module])])
    return {alias.asname or alias.name: Import(module, alias.name) for alias in node.names}


def _definition(
    statements: Sequence[ast.stmt], package: str, everything: Spelling, *, keeps_docstrings: bool
) -> Definition:
    """Digest what is bound to one name, and list what it speaks of; its texts join those of the file."""
    spelling = Spelling(keeps_docstrings)
    digest = sha256_of_bytes("\n".join(map(spelling.form, statements)).encode())
    everything.strings |= spelling.strings
    imports: dict[str, Import] = {}
    for node in spelling.imports:
        imports |= _imports(node, package)
    return Definition(digest, frozenset(spelling.mentions), imports, tuple(spelling.dynamic))
