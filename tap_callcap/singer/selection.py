"""What a catalog selects, as people and Meltano write catalogs. Pure.

Meltano writes `selected` at every property: `calls.caller` selects the object and deselects each
of its fields, and a wildcard selects everything. So an object that is selected without its fields
is meant as a whole, and a wildcard does not ask for what is not selected by default.
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

from singer_sdk.singerlib.catalog import Metadata, MetadataMapping, StreamMetadata

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from singer_sdk.singerlib import SelectionMask

    from tap_callcap.records.schema import JSONSchema
    from tap_callcap.records.shapes import Breadcrumb

_AUTOMATIC = Metadata.InclusionType.AUTOMATIC
_UNSUPPORTED = Metadata.InclusionType.UNSUPPORTED


def selects_everything(entries: Iterable[MetadataMapping]) -> bool:
    """Whether each stream and property is selected, as by Meltano's default, `*.*`."""
    return all(entry and all(part.selected for part in entry.values()) for entry in entries)


def selected_part(
    schema: JSONSchema, mask: SelectionMask, breadcrumb: Breadcrumb = ()
) -> JSONSchema:
    """`schema` without what is not selected."""
    part = dict(schema)
    if "properties" in schema:
        part["properties"] = {
            name: selected_part(below, mask, (*breadcrumb, "properties", name))
            for name, below in schema["properties"].items()
            if mask[(*breadcrumb, "properties", name)]
        }
    if "items" in schema:
        part["items"] = selected_part(schema["items"], mask, (*breadcrumb, "items"))
    if "required" in schema:
        part["required"] = [name for name in schema["required"] if name in part["properties"]]
    return part


class Selection:
    """The selection of one stream's properties.

    Args:
        name: Name of the stream.
        given: Its metadata in the catalog.
        schema: Its schema in the catalog.
        known: Its schema in this tap, whose properties metadata may name too.
        always: Properties that are always selected.
        by_name: Properties that are selected only by their names, because they are personal data.

    Attributes:
        metadata: `given`, with `selected` decided for each property of `schema`.
        warnings: Where the catalog cannot be followed, a line each.
        notes: How the catalog was understood, a line each.
    """

    def __init__(  # noqa: PLR0913 - a catalog and a stream decide
        self,
        name: str,
        given: MetadataMapping,
        schema: JSONSchema,
        known: JSONSchema,
        *,
        always: Collection[str],
        by_name: Collection[str],
    ) -> None:
        self.warnings: list[str] = []
        self.notes: list[str] = []
        self._name = name
        self._given = given
        self._is_wildcard = self._is_by_wildcard(schema, by_name)
        self.metadata = MetadataMapping({(): given.get((), StreamMetadata())})
        for crumb, part in _fields(schema):
            if crumb[-1] in always:
                self._set(crumb, part, is_selected=True, is_key=True)
            elif crumb[-1] not in by_name:
                self._select(crumb, part, is_default=True)
            elif self._is_named(crumb, part):
                self._select(crumb, part, is_default=False)
            else:
                self._set(crumb, part, is_selected=False)
                if self._wish(crumb):
                    self.warnings.append(
                        f"{self._path(crumb)} is selected only by a wildcard and is personal data, "
                        "so it is not read. To read it, list the properties by name, or set its "
                        "metadata `inclusion: automatic`. To stop this warning, deselect it"
                    )
        own = {*_all_below(known)}
        self._leave_out_texts_with_deselected_parts(_all_below(schema), own)
        self._warn_of_unknown(own.union(_all_below(schema)))

    def _select(self, crumb: Breadcrumb, schema: JSONSchema, *, is_default: bool) -> bool:
        """Decide on a property and all below it; returns whether it is selected."""
        wish = self._wish(crumb)
        named = [each for each in _all_below(schema, crumb) if self._wish(each)]
        if wish is False and named and not self._is_wildcard:
            self.warnings.append(
                f"{self._path(named[0])} is selected but not read, because {self._path(crumb)} is "
                "deselected: select both"
            )
        if wish is None:
            by_default = self._given.get(crumb, Metadata()).selected_by_default
            is_default = is_default if by_default is None else by_default
        else:
            is_default = wish
        if wish is False or not (is_default or named):
            return self._set(crumb, schema, is_selected=False)
        self.metadata[crumb] = Metadata(selected=True)
        fields = [self._select(*each, is_default=is_default) for each in _fields(schema, crumb)]
        if any(fields) or not fields:
            return True
        is_whole = wish is True and not self._is_wildcard
        lines = self.notes if is_whole or wish is None else self.warnings
        lines.append(
            f"{self._path(crumb)} is selected and its fields are not: "
            + ("all of them are read" if is_whole else "it is left out")
        )
        return self._set(crumb, schema, is_selected=is_whole)

    def _set(
        self, crumb: Breadcrumb, schema: JSONSchema, *, is_selected: bool, is_key: bool = False
    ) -> bool:
        """Decide the same for a property and all below it, but for what is unsupported."""
        for each in (crumb, *_all_below(schema, crumb)):
            is_supported = self._given.get(each, Metadata()).inclusion != _UNSUPPORTED
            self.metadata[each] = Metadata(selected=is_selected and (is_supported or is_key))
        return is_selected

    def _wish(self, crumb: Breadcrumb) -> bool | None:
        """What the catalog says of a property itself, none if nothing."""
        part = self._given.get(crumb, Metadata())
        if part.inclusion in {_AUTOMATIC, _UNSUPPORTED}:
            return part.inclusion == _AUTOMATIC
        return part.selected

    def _is_named(self, crumb: Breadcrumb, schema: JSONSchema) -> bool:
        """Whether a property is selected by its name, or some of its fields are."""
        if self._given.get(crumb, Metadata()).inclusion == _AUTOMATIC:
            return True  # no tool writes that by itself
        wishes = [self._wish(each) for each in (crumb, *_all_below(schema, crumb))]
        return wishes[0] is not False and any(wishes) and not self._is_wildcard

    def _is_by_wildcard(self, schema: JSONSchema, by_name: Collection[str]) -> bool:
        """Whether most properties are selected, and with some object most of its fields.

        Nobody names so many: that is what a wildcard looks like in a catalog, also one with
        exceptions.
        """
        others = [each for each in _fields(schema) if each[0][-1] not in by_name]
        selected = [each for each in others if self._wish(each[0])]
        fields = [_all_below(part, crumb) for crumb, part in selected if "properties" in part]
        return 2 * len(selected) > len(others) and any(
            2 * sum(bool(self._wish(each)) for each in below) > len(below) for below in fields
        )

    def _leave_out_texts_with_deselected_parts(
        self, breadcrumbs: list[Breadcrumb], known: set[Breadcrumb]
    ) -> None:
        """Leave out objects that the catalog turned into text, but not all of which it selects."""
        for crumb in breadcrumbs:
            below = [
                each for each in known if len(each) > len(crumb) and each[: len(crumb)] == crumb
            ]
            wishes = {self._wish(each) for each in below}
            is_in_part = False in wishes and (self._is_wildcard or len(wishes) > 1)
            if is_in_part and self.metadata[crumb].selected and not {*below} & {*breadcrumbs}:
                self.metadata[crumb] = Metadata(selected=False)
                self.warnings.append(
                    f"{self._path(crumb)} is left out: as text it would hold the fields of it that "
                    "are deselected"
                )

    def _warn_of_unknown(self, known: set[Breadcrumb]) -> None:
        """Warn of metadata for properties that do not exist."""
        paths = {_path_of(crumb): crumb for crumb in known}
        for crumb in self._given:
            if crumb and crumb not in known and crumb[-1] != "items":
                near = get_close_matches(_path_of(crumb), paths, n=1)
                hint = f": did you mean {list(paths[near[0]])}?" if near else ""
                self.warnings.append(
                    f"The catalog has metadata for a property that {self._name} does not have, "
                    f"{list(crumb)}{hint}"
                )

    def _path(self, crumb: Breadcrumb) -> str:
        return f"{self._name}.{_path_of(crumb)}"


def _path_of(crumb: Breadcrumb) -> str:
    """A breadcrumb as Meltano's `select` has it."""
    return ".".join(part for part in crumb if part not in {"properties", "items"})


def _fields(
    schema: JSONSchema, breadcrumb: Breadcrumb = ()
) -> Iterator[tuple[Breadcrumb, JSONSchema]]:
    """The properties of an object, or of the objects in an array."""
    while "items" in schema:
        schema, breadcrumb = schema["items"], (*breadcrumb, "items")
    for name, part in schema.get("properties", {}).items():
        yield (*breadcrumb, "properties", name), part


def _all_below(schema: JSONSchema, breadcrumb: Breadcrumb = ()) -> list[Breadcrumb]:
    """The breadcrumbs of all properties below one."""
    return [
        each
        for crumb, part in _fields(schema, breadcrumb)
        for each in (crumb, *_all_below(part, crumb))
    ]
