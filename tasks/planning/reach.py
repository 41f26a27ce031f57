"""Follow names from where a stage begins to every definition of ours that it may use, over all files, statically.

>>> reach(modules, [("tasks.train", "run")]).code          # {"dopsd/weights/adapter.py::Roles": "0a1b2c3d4e5f", ...}

What cannot be followed is taken whole (a module that is passed around, or imported by a text that stands in the file)
or told (`Reached.warnings`, with file and line): too much rather than too little.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from tasks.folders import sha256_of_json
from tasks.planning.definitions import STARTUP, Definition, Import, Module
from tasks.planning.syntax import Dynamic

Modules = Mapping[str, Module]
Target = tuple[str, str]
"""A module and a name in it."""


@dataclass
class Reached:
    """Digests of definitions by file and name, the libraries that they use, and what could not be followed."""

    code: dict[str, str] = field(default_factory=dict)
    libraries: set[str] = field(default_factory=set)
    warnings: list[str] = field(default_factory=list)


def reach(modules: Modules, roots: Iterable[Target], beyond: frozenset[str] = frozenset()) -> Reached:
    """Walk from `roots` to all that they use; modules in `beyond` are not entered.

    Raises ValueError naming a root that is not there.
    """
    walk = _Walk(modules, beyond, frozenset(name.split(".")[0] for name in modules))
    for module, name in roots:
        if module not in modules or name not in modules[module].definitions:
            raise ValueError(f"there is no {name} in {module.replace('.', '/')}.py")
        walk.go(module, name)
    while walk.waiting:
        walk.visit(*walk.waiting.pop())
    walk.found.code = dict(sorted(walk.found.code.items()))
    walk.found.warnings.sort()
    return walk.found


@dataclass
class _Walk:
    """The way so far: what was seen, and what waits."""

    modules: Modules
    beyond: frozenset[str]
    rooms: frozenset[str]
    found: Reached = field(default_factory=Reached)
    seen: set[Target] = field(default_factory=set)
    entered: set[str] = field(default_factory=set)
    waiting: list[Target] = field(default_factory=list)

    def go(self, module: str, name: str) -> None:
        """Put a definition on the way, and all that happens when its module is imported."""
        if module in self.beyond or (module, name) in self.seen:
            return
        self.seen.add((module, name))
        self.waiting.append((module, name))
        self._enter(module)

    def visit(self, module: str, name: str) -> None:
        """Take in one definition: its digest with what its names stand for, and where they lead."""
        here = self.modules[module]
        definition = here.definitions[name]
        meanings = {mention: sorted(set(self._meaning(here, definition, mention))) for mention in definition.mentions}
        told = sorted((mention, targets) for mention, targets in meanings.items() if targets)
        self.found.code[f"{here.path}::{name}"] = sha256_of_json([definition.digest, told])[:12]
        for targets in meanings.values():
            for target in targets:
                self._follow(*target)
        for call in definition.dynamic:
            self._follow_text(here, call)

    def _enter(self, module: str) -> None:
        """Take in what happens when a module is imported: its own statements, and those of all that it imports."""
        waiting = [module]
        while waiting:
            name = waiting.pop()
            if name in self.entered or name in self.beyond or name not in self.modules:
                continue
            self.entered.add(name)
            if STARTUP in self.modules[name].definitions:
                self.go(name, STARTUP)
            waiting += [*self.modules[name].imported, name.rpartition(".")[0]]

    def _meaning(self, here: Module, definition: Definition, mention: str) -> Iterator[Target]:
        """Say what a dotted name stands for: definitions, whole modules ("*"), or a library (its name, and "")."""
        head, *rest = mention.split(".")
        if head in here.definitions:
            yield here.name, head
        if source := definition.imports.get(head) or here.imports.get(head):
            yield from self._imported(source, rest)

    def _imported(self, source: Import, rest: list[str]) -> Iterator[Target]:
        """Follow an import to where its name is defined, through modules that only pass it on."""
        if source.module.split(".")[0] not in self.rooms:
            yield source.module, ""
            return
        path = [*([source.name] if source.name else []), *rest]
        module = source.module
        while path and f"{module}.{path[0]}" in self.modules:
            module = f"{module}.{path.pop(0)}"
        here = self.modules.get(module)
        if here and path and path[0] in here.definitions:
            yield module, path[0]
        elif here and path and path[0] in here.imports:
            yield from self._imported(here.imports[path[0]], path[1:])
        else:
            yield module, "*"

    def _follow(self, module: str, name: str) -> None:
        """Go where a name leads."""
        if not name:
            self.found.libraries.add(module.split(".", maxsplit=1)[0])
        elif name != "*":
            self.go(module, name)
        elif module in self.modules and module not in self.beyond:
            self._enter(module)
            for one in self.modules[module].definitions:
                self.go(module, one)

    def _follow_text(self, here: Module, call: Dynamic) -> None:
        """Take whole every module that a text names; where there is none, say so."""
        if call.call == "globals":
            self._follow(here.name, "*")
            return
        said = here.strings if call.said is None else {call.said}
        named = {name for name in self.modules if name in said or (call.is_prefix and name.startswith(str(call.said)))}
        is_library = call.said is not None and not call.is_prefix and not named
        if is_library and call.call not in ("exec", "eval"):
            self.found.libraries.add(str(call.said).split(".")[0])
        elif not named:
            self.found.warnings.append(f"{here.path}:{call.line}: {call.call} of what does not stand in this file")
        for name in named:
            self._follow(name, "*")
